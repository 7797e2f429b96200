"""Digests of programs: of the open file, and kept only while the file tells that it is the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from rexec.process import digest
from rexec.process.digest import Swapped, open_program
from tests.process.test_child import permit_of


@pytest.fixture
def program(tmp_path: Path) -> Path:
    digest._known.clear()
    path = tmp_path / "program"
    path.write_bytes(b"#!/bin/sh\n")
    path.chmod(0o755)
    return path


def opens(program: Path, content: bytes) -> bool:
    """Tell whether the program is opened for a rule that names the digest of `content`."""
    rules = f"{program}\n    sha256 {hashlib.sha256(content).hexdigest()}\n"
    try:
        os.close(open_program(permit_of(rules, str(program))))
    except Swapped:
        return False
    return True


def settle(program: Path) -> None:
    """Make the clock of the file system stand where only old files are."""
    digest._TICK_NS = -(10**18)


@pytest.fixture(autouse=True)
def tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "_TICK_NS", digest._TICK_NS)


def test_a_digest_is_that_of_the_file(program: Path) -> None:
    assert opens(program, b"#!/bin/sh\n")
    assert not opens(program, b"#!/bin/sh")


def test_what_was_changed_just_now_is_not_kept(program: Path) -> None:
    assert opens(program, program.read_bytes())
    assert digest._known == {}


def test_what_is_settled_is_read_once(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(program)
    assert opens(program, program.read_bytes())
    (version,) = digest._known
    assert version.inode == program.stat().st_ino
    digest._known[version] = hashlib.sha256(b"kept").hexdigest()
    assert opens(program, b"kept")


@pytest.mark.parametrize("change", ["write", "replace", "times"])
def test_a_change_is_noticed(program: Path, change: str) -> None:
    """security.md, Around the allow list: "a program swapped between digest and start"."""
    settle(program)
    before = program.read_bytes()
    assert opens(program, before)
    stat = program.stat()
    if change == "replace":
        other = program.with_name("other")
        other.write_bytes(b"#!/bin/ss\n")
        other.chmod(0o755)
        other.replace(program)
    else:
        program.write_bytes(b"#!/bin/ss\n")
    if change == "times":  # mtime can be set back, ctime cannot
        os.utime(program, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not opens(program, before)
    assert opens(program, b"#!/bin/ss\n")


def test_a_file_that_changes_while_it_is_read_is_refused(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = program.read_bytes()
    read = digest._read

    def read_and_change(descriptor: int) -> str:
        found = read(descriptor)
        program.write_bytes(b"longer than before\n")
        return found

    monkeypatch.setattr(digest, "_read", read_and_change)
    assert not opens(program, content)


def test_only_files_are_read(program: Path) -> None:
    permit = permit_of(f"{program}\n    sha256 {64 * 'a'}\n", str(program))
    program.unlink()
    os.mkfifo(program)
    with pytest.raises(PermissionError):
        open_program(permit)


def test_digests_are_kept_up_to_a_bound(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(program)
    monkeypatch.setattr(digest, "_KEPT", 2)
    for size in range(5):
        program.write_bytes(b"x" * size)
        opens(program, b"")
    assert len(digest._known) == 2
