"""git over rexec-ssh, with the profile that pins it to a directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.programs.conftest import REXEC_SSH, Far

pytestmark = pytest.mark.system
MIB = 1 << 20


def git(host: Far, *words: str | Path, cwd: Path | None = None) -> bytes:
    return host.works("git", *words, env=env_of(host), cwd=cwd)


def env_of(host: Far) -> dict[str, str]:
    me = {f"GIT_{who}_{what}": "me@here" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**me, "GIT_SSH_COMMAND": REXEC_SSH, "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"}


def url(host: Far, path: str = "tree/a.git") -> str:
    return f"ssh://127.0.0.1:{host.port}{host.folder}/{path}"


def bare(host: Far, name: str = "a.git") -> Path:
    made = host.tree / name
    git(host, "init", "-q", "--bare", "-b", "main", made)
    return made


def commit(host: Far, where: Path, name: str, data: bytes) -> None:
    (where / name).write_bytes(data)
    git(host, "add", ".", cwd=where)
    git(host, "commit", "-q", "-m", name, cwd=where)


def test_clone_push_fetch_and_shallow(far: Callable[[str], Far]) -> None:
    host = far("%use git rw {tree}/**\n")
    bare(host)
    one, two = host.near / "one", host.near / "two"
    git(host, "clone", "-q", url(host), one)
    commit(host, one, "first file", b"hello\n")
    git(host, "push", "-q", "origin", "HEAD:main", cwd=one)
    git(host, "clone", "-q", url(host), two)
    assert (two / "first file").read_bytes() == b"hello\n"

    large = os.urandom(20 * MIB)
    commit(host, two, "large", large)
    git(host, "push", "-q", "origin", "HEAD:main", cwd=two)
    git(host, "fetch", "-q", cwd=one)
    git(host, "merge", "-q", "--ff-only", "origin/main", cwd=one)
    assert (one / "large").read_bytes() == large

    git(host, "clone", "-q", "--depth", "1", url(host), host.near / "shallow")
    assert git(host, "rev-list", "--count", "HEAD", cwd=host.near / "shallow") == b"1\n"
    assert b"refs/heads/main" in git(host, "ls-remote", url(host))
    git(host, "push", "-q", "origin", ":refs/heads/none", "HEAD:refs/heads/other", cwd=two)
    assert b"refs/heads/other" in git(host, "ls-remote", url(host))
    remote = f"127.0.0.1:{host.tree}/a.git"
    command = f"{REXEC_SSH} -p {host.port}"
    found = host.works("git", "ls-remote", remote, env={**env_of(host), "GIT_SSH_COMMAND": command})
    assert b"refs/heads/other" in found
    archive = git(host, "archive", f"--remote={url(host)}", "main", "first file")
    assert b"hello\n" in archive


def test_the_second_version_of_the_protocol_is_spoken(far: Callable[[str], Far]) -> None:
    """remote-shell.md: git sends `-o SendEnv=GIT_PROTOCOL` to what answers `-G`; the profile passes it."""
    host = far("%use git ro {tree}/**\n")
    bare(host)
    done = host.call("git", "ls-remote", url(host), env={**env_of(host), "GIT_TRACE_PACKET": "1"})
    assert done.returncode == 0, done
    assert b"version 2" in done.stderr


def test_reading_alone_is_reading_alone(far: Callable[[str], Far]) -> None:
    host = far("%use git ro {tree}/**\n")
    bare(host)
    one = host.near / "one"
    git(host, "clone", "-q", url(host), one)
    commit(host, one, "x", b"x")
    said = host.fails("git", "push", "origin", "HEAD:main", env=env_of(host), cwd=one)
    assert "rexec-ssh: " in said
    assert "denied: " in said
    assert "Could not read from remote repository" in said


@pytest.mark.parametrize(
    "path", ["outside/b.git", "tree/../outside/b.git", "tree/link", "--help", "tree/$(touch x)"]
)
def test_another_repository_is_denied(far: Callable[[str], Far], path: str) -> None:
    host = far("%use git rw {tree}/**\n")
    git(host, "init", "-q", "--bare", host.outside / "b.git")
    (host.tree / "link").symlink_to(host.outside / "b.git")
    said = host.fails("git", "clone", url(host, path), "got", env=env_of(host))
    assert "denied: " in said or "does not appear to be a git repository" in said, said
    assert not (host.near / "got").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("git-upload-pack", "--help"),  # CVE-2017-8386
        ("git-upload-pack", "--upload-pack=sh", "{tree}/a.git"),
        ("git-upload-pack", "--strict", "{outside}"),
        ("git-receive-pack", "{outside}"),
        ("git-receive-pack", "-c", "core.pager=sh", "{tree}/a.git"),
        ("git-upload-archive", "--exec=sh", "{tree}/a.git"),
        ("git", "upload-pack", "{outside}"),
        ("git", "-c", "core.sshCommand=sh", "upload-pack", "{tree}/a.git"),
        ("git-shell", "-c", "sh"),
        ("git-shell",),
        ("git-upload-pack", "{tree}/a.git", "{outside}"),
        ("git-upload-pack", "ext::sh -c id"),
        ("git-upload-pack", "{tree}/a.git\n"),
    ],
)
def test_the_ways_out_that_are_known_are_denied(far: Callable[[str], Far], words: tuple[str, ...]) -> None:
    """security.md, Around the allow list: "Option injection into allowed programs (... `git -c`)"; those of
    git-shell."""
    host = far("%use git rw {tree}/**\n")
    bare(host)
    host.starts_not(*(word.format(tree=host.tree, outside=host.outside) for word in words))


def test_a_planted_hook_is_not_started(far: Callable[[str], Far]) -> None:
    """security.md, Around the allow list: nothing that the list does not name is started; with a canary."""
    host = far("%use git rw {tree}/**\n")
    made, canary = bare(host), host.outside / "canary"
    for name in ("pre-receive", "update", "post-receive", "post-update"):
        hook = made / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
        hook.chmod(0o755)
    one = host.near / "one"
    git(host, "clone", "-q", url(host), one)
    commit(host, one, "x", b"x")
    host.call("git", "push", "-q", "origin", "HEAD:main", env=env_of(host), cwd=one)
    assert not canary.exists()
