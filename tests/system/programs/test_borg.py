"""borg over rexec-ssh, with the profile that pins it to a directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.programs.conftest import Far, odd_tree, same_trees

pytestmark = pytest.mark.system


def env_of(host: Far) -> dict[str, str]:
    return {
        "BORG_RSH": host.shell,
        "BORG_BASE_DIR": str(host.near / "borg"),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        "LC_ALL": "C.UTF-8",
    }


def borg(host: Far, *words: str | Path, cwd: Path | None = None) -> bytes:
    return host.works("borg", *words, env=env_of(host), cwd=cwd)


def repo(host: Far, path: Path | None = None) -> str:
    return f"ssh://127.0.0.1{path or host.tree / 'repo'}"


def test_create_and_extract(far: Callable[[str], Far]) -> None:
    host = far("%use borg full {tree}\n")
    source, back = host.near / "source", host.near / "back"
    source.mkdir()
    back.mkdir()
    odd_tree(source)
    borg(host, "init", "-e", "none", repo(host))
    borg(host, "create", f"{repo(host)}::one", ".", cwd=source)
    (source / "large").write_bytes(os.urandom(8 << 20))
    borg(host, "create", f"{repo(host)}::two", ".", cwd=source)
    borg(host, "extract", f"{repo(host)}::two", cwd=back)
    assert same_trees(source, back)
    assert b"one" in borg(host, "list", repo(host))
    borg(host, "check", repo(host))
    borg(host, "delete", f"{repo(host)}::one")
    borg(host, "compact", repo(host))


def test_a_run_that_keeps_to_its_directory_tells_of_no_attempt(far: Callable[[str], Far]) -> None:
    """fence.md, Who tells of confine: a line at each run would hide the one that matters."""
    host = far("%use borg full {tree}\n")
    for words in (
        ("init", "-e", "none", repo(host)),
        ("create", f"{repo(host)}::a", "."),
        ("check", repo(host)),
    ):
        done = host.call("borg", *words, env=env_of(host))
        assert done.returncode == 0
        assert b"has confine" not in done.stderr


def test_another_repository_is_denied(far: Callable[[str], Far]) -> None:
    host = far("%use borg full {tree}\n")
    host.works("borg", "init", "-e", "none", host.outside / "repo", env=env_of(host))
    said = host.fails("borg", "list", repo(host, host.outside / "repo"), env=env_of(host))
    assert "Repository path not allowed" in said
    said = host.fails("borg", "init", "-e", "none", repo(host, host.outside / "new"), env=env_of(host))
    assert "Repository path not allowed" in said
    said = host.fails("borg", "list", f"ssh://127.0.0.1{host.tree}/../outside/repo", env=env_of(host))
    assert not (host.outside / "new").exists()


def test_adding_alone_is_adding_alone(far: Callable[[str], Far]) -> None:
    """With `append`, what a client deletes is only marked: the segments stay for whoever looks after it."""
    host = far("%use borg append {tree}\n")
    source = host.near / "source"
    source.mkdir()
    (source / "x").write_bytes(os.urandom(1 << 20))
    borg(host, "init", "-e", "none", repo(host))
    borg(host, "create", f"{repo(host)}::one", ".", cwd=source)
    before = {path: path.read_bytes() for path in (host.tree / "repo" / "data").rglob("*") if path.is_file()}
    host.call("borg", "delete", f"{repo(host)}::one", env=env_of(host))
    host.call("borg", "compact", repo(host), env=env_of(host))
    kept = {path: path.read_bytes() for path in before if path.exists()}
    assert kept == before


@pytest.mark.parametrize(
    "words",
    [
        ("borg", "serve", "--restrict-to-path", "/"),
        ("borg", "serve", "--restrict-to-repository", "{outside}/repo"),
        ("borg", "serve", "--umask=000"),
        ("borg", "serve", "--append-only"),
        ("borg", "serve", "--storage-quota", "0"),
        ("borg", "list", "{outside}/repo"),
        ("borg", "create", "{tree}/repo::x", "/etc"),
        ("borg", "mount", "{tree}/repo", "/mnt"),
        ("borg", "--rsh", "touch /tmp/x", "serve"),
        ("borg", "serve", "--show-rc"),
        ("borg",),
    ],
)
def test_the_ways_out_that_are_known_are_denied(far: Callable[[str], Far], words: tuple[str, ...]) -> None:
    """security.md, Around the allow list: "Option injection into allowed programs"; `borg --repo`."""
    host = far("%use borg full {tree}\n")
    host.starts_not(*(word.format(tree=host.tree, outside=host.outside) for word in words))
