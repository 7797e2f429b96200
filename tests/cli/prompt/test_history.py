"""The history of a host: private, one line an entry, and never a reason to fail."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rexec.cli.prompt import history
from rexec.cli.prompt.history import file_name, open_history
from rexec.errors import ConfigError


def test_what_is_stored_is_read_again_latest_first(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    said: list[str] = []
    entries = ["ls", "echo 'a\nb'", "echo \\n \\\\n \\", "\u00fcber \udcff", "a\rb"]
    for entry in entries:
        open_history(home, "web1", said.append).store_string(entry)
    assert list(open_history(home, "web1", said.append).load_history_strings()) == entries[::-1]
    assert list(open_history(home, "web2", said.append).load_history_strings()) == []
    assert said == []


def test_the_file_is_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_history(str(tmp_path / "home"), "web1", print).store_string("ls")
    finally:
        os.umask(before)
    path = tmp_path / "home" / "history" / "web1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("line", ["", "  ", " secret", "\tsecret"])
def test_what_begins_with_a_blank_is_not_kept(tmp_path: Path, line: str) -> None:
    open_history(str(tmp_path), "web1", print).store_string(line)
    assert not (tmp_path / "history" / "web1").exists()


def test_a_file_that_others_may_read_is_not_used_and_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    found = open_history(str(tmp_path), "web1", said.append)
    found.store_string("ls")
    path = tmp_path / "history" / "web1"
    path.chmod(0o666)
    assert list(found.load_history_strings()) == []
    found.store_string("ls")
    assert len(said) == 1
    assert path.read_text() == "ls\n"


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """security.md, Protocol, TLS, authentication: "a planted link"."""
    said: list[str] = []
    found = open_history(str(tmp_path), "web1", said.append)
    (tmp_path / "target").write_text("other\n")
    (tmp_path / "history" / "web1").symlink_to(tmp_path / "target")
    assert list(found.load_history_strings()) == []
    found.store_string("ls")
    assert (tmp_path / "target").read_text() == "other\n"
    assert said


def test_a_home_that_others_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o777)
    with pytest.raises(ConfigError):
        open_history(str(tmp_path / "home"), "web1", print)


def test_of_a_huge_file_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_READ_MAX", 20)
    found = open_history(str(tmp_path), "web1", print)
    for number in range(10):
        found.store_string(f"echo {number}")
    assert list(found.load_history_strings()) == ["echo 9", "echo 8"]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("web1", "web1"),
        ("[::1]:5512", "[::1]:5512"),
        ("unix:/run/x", "unix:%2frun%2fx"),
        ("..", "%2e."),
        (".ssh", "%2essh"),
        ("a%b", "a%25b"),
        ("\u00fc", "%c3%bc"),
    ],
)
def test_no_host_makes_a_path(host: str, name: str) -> None:
    assert file_name(host) == name
