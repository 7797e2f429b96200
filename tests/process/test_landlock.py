"""Rulesets of Landlock, as the kernel takes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rexec.process import landlock
from rexec.process.bounded import answer_within


def confined(
    question: object, *, handled: int = landlock.TO_READ, allowed: tuple[tuple[str, int], ...] = ()
) -> str:
    """What a process answers that is held to rules."""
    assert callable(question)

    def act() -> bytes:
        rules = landlock.Ruleset(handled)
        for place, rights in allowed:
            rules.allow(place, rights)
        landlock.forgo_privileges()
        rules.enforce()
        try:
            question()
        except OSError as error:
            return os.strerror(error.errno or 0).encode()
        return b"done"

    answer = answer_within(60, act)
    assert answer is not None
    return answer.decode()


def test_what_is_handled_is_refused_and_the_rest_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert confined(lambda: (tmp_path / "file").read_bytes()) == "Permission denied"
    assert confined(lambda: (tmp_path / "file").write_bytes(b"x")) == "done"


def test_rules_give_rights_on_files_and_trees(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("in/deep/file", "in/file", "file"):
        (tmp_path / name).touch()
    for place, name, answer in (
        (tmp_path / "in", "in/deep/file", "done"),
        (tmp_path / "in", "file", "Permission denied"),
        (tmp_path / "in" / "file", "in/file", "done"),  # rights of directories are left out for a file
        (tmp_path / "in" / "file", "in/deep/file", "Permission denied"),
    ):
        allowed = ((str(place), landlock.TO_READ | landlock.TO_MAKE),)
        assert confined((tmp_path / name).read_bytes, allowed=allowed) == answer


@pytest.mark.parametrize("place", ["none", "file/below", "loop"])
def test_a_place_that_is_not_there_gives_nothing(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("nowhere")
    allowed = ((str(tmp_path / place), landlock.TO_READ),)
    assert confined((tmp_path / "file").read_bytes, allowed=allowed) == "Permission denied"


def test_an_open_file_stands_for_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    descriptor = os.open(tmp_path / "file", os.O_PATH)
    found = confined((tmp_path / "file").read_bytes, allowed=((descriptor, landlock.TO_READ),))  # type: ignore[arg-type]
    os.close(descriptor)
    assert found == "done"


@pytest.mark.parametrize("version", range(1, 8))
def test_every_version_is_asked_only_for_what_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    """A newer kernel takes what an older one knew, so that old ones can be tried here."""
    monkeypatch.setattr(landlock, "version", lambda: version)
    rights = landlock.known_rights()
    assert bool(rights & landlock.REFER) == (version >= 2)
    assert bool(rights & landlock.TRUNCATE) == (version >= 3)
    assert bool(rights & landlock.IOCTL_DEV) == (version >= 5)
    os.close(landlock.Ruleset(rights, scoped=True, no_tcp=True)._descriptor)


def test_a_machine_without_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    landlock.version.cache_clear()
    monkeypatch.setattr(landlock, "native", lambda: None)
    try:
        assert landlock.version() == 0
        landlock.version.cache_clear()
        monkeypatch.setattr(landlock, "native", lambda: _Unknown)
        assert landlock.version() == 0
    finally:
        landlock.version.cache_clear()


class _Unknown:
    landlock_create_ruleset = 100_000  # no such call
