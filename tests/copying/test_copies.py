"""Copies between both ends: what arrives is what was there, or is told not to."""

from __future__ import annotations

import os
import random
import socket
import stat
from pathlib import Path

import pytest

from rexec.copying.landing import Terms
from rexec.limits import COPY_ASK, COPY_BUFFER, COPY_KEEP
from tests.copying.ends import copy

ODD = [b"plain", b"with blank", b"new\nline", b"-rf", b"\xff\xfe", "ü\u202e".encode(), b"a" * 255, b"*", b"~"]


def leftovers(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if ".rexec-" in name)


@pytest.mark.parametrize("size", [0, 1, COPY_BUFFER - 5, COPY_BUFFER, COPY_BUFFER + 1, 3_000_000, COPY_ASK])
def test_a_file_arrives_as_it_was(tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    (tmp_path / "from").write_bytes(data)
    sent, received = copy(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == data
    assert sent.failures == received.failures == []
    assert sent.bytes == received.bytes == size
    assert leftovers(tmp_path) == []


def test_a_tree_with_odd_names_arrives_as_it_was(tmp_path: Path) -> None:
    top = os.fsencode(tmp_path / "from")
    for folder in (top, os.path.join(top, b"sub\n dir"), os.path.join(top, b"empty")):
        os.mkdir(folder)
        if not folder.endswith(b"empty"):
            for name in ODD:
                Path(os.fsdecode(os.path.join(folder, name))).write_bytes(name * 3)
    sent, received = copy(tmp_path / "from", tmp_path / "to")
    assert sent.failures == received.failures == []
    assert received.ends == 2 * len(ODD)
    assert sorted(os.listdir(tmp_path / "to")) == sorted(os.listdir(tmp_path / "from"))
    for folder in ("", "sub\n dir"):
        for name in ODD:
            assert (tmp_path / "to" / folder / os.fsdecode(name)).read_bytes() == name * 3
    assert (tmp_path / "to" / "empty").is_dir()


def test_a_tree_goes_into_one_that_is_there(tmp_path: Path) -> None:
    for name in ("from", "to"):
        (tmp_path / name / "sub").mkdir(parents=True)
    (tmp_path / "from" / "sub" / "new").write_text("new")
    (tmp_path / "from" / "both").write_text("later")
    (tmp_path / "to" / "sub" / "old").write_text("old")
    (tmp_path / "to" / "both").write_text("earlier")
    (tmp_path / "to" / "sub").chmod(0o770)
    copy(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to" / "sub" / "old").read_text() == "old"
    assert (tmp_path / "to" / "sub" / "new").read_text() == "new"
    assert (tmp_path / "to" / "both").read_text() == "later"
    assert stat.S_IMODE((tmp_path / "to" / "sub").stat().st_mode) == 0o770


def test_mode_is_kept_but_for_the_umask_and_times_if_asked(tmp_path: Path) -> None:
    (tmp_path / "from").write_text("x")
    (tmp_path / "from").chmod(0o6777)
    os.utime(tmp_path / "from", ns=(1_000_000_000_000_000_001, -5_000_000_003))
    copy(tmp_path / "from", tmp_path / "to", terms=Terms(0o027, times=True))
    copy(tmp_path / "from", tmp_path / "later", terms=Terms(0))
    found = os.stat(tmp_path / "to")
    assert stat.S_IMODE(found.st_mode) == 0o750
    assert (found.st_atime_ns, found.st_mtime_ns) == (1_000_000_000_000_000_001, -5_000_000_003)
    assert stat.S_IMODE(os.stat(tmp_path / "later").st_mode) == 0o777
    assert os.stat(tmp_path / "later").st_mtime_ns > 0


def test_a_directory_that_may_not_be_written_is_copied_with_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("x")
    (tmp_path / "from").chmod(0o555)
    os.utime(tmp_path / "from", (5, 5))
    copy(tmp_path / "from", tmp_path / "to", terms=Terms(0o022, recursive=True, times=True))
    found = os.stat(tmp_path / "to")
    assert stat.S_IMODE(found.st_mode) == 0o555
    assert found.st_mtime == 5
    assert (tmp_path / "to" / "file").read_text() == "x"


def test_holes_stay_holes(tmp_path: Path) -> None:
    with open(tmp_path / "from", "wb") as file:
        file.seek(3 << 20)
        file.write(b"x" * 70_000)
        file.seek(40 << 20)
        file.write(b"y")
        file.truncate(64 << 20)
    if os.stat(tmp_path / "from").st_blocks * 512 > 8 << 20:
        pytest.skip("this disk has no holes")
    sent, _ = copy(tmp_path / "from", tmp_path / "to")
    assert sent.bytes == 64 << 20
    assert os.stat(tmp_path / "to").st_blocks * 512 < 8 << 20
    assert (tmp_path / "to").read_bytes() == (tmp_path / "from").read_bytes()


def test_what_is_neither_file_nor_directory_is_told_and_never_opened(tmp_path: Path) -> None:
    top = tmp_path / "from"
    top.mkdir()
    (tmp_path / "secret").write_text("secret")
    (top / "link").symlink_to(tmp_path / "secret")
    (top / "around").symlink_to("..")
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(top / "socket"))
        (top / "file").write_text("x")
        sent, received = copy(top, tmp_path / "to")
    assert os.listdir(tmp_path / "to") == ["file"]
    assert sent.failures == received.failures
    assert dict(sent.failures) == {
        b"around": "is a link, and links are not copied",
        b"link": "is a link, and links are not copied",
        b"fifo": "is a pipe, not a regular file",
        b"socket": "is a socket, not a regular file",
    }


def test_a_device_is_told_and_never_opened(tmp_path: Path) -> None:
    _, received = copy(Path("/dev/null"), tmp_path / "to")
    assert received.failures == [(b"", "is a device, not a regular file")]
    assert not (tmp_path / "to").exists()


def test_what_is_not_there_is_told_in_the_words_of_the_disk(tmp_path: Path) -> None:
    sent, received = copy(tmp_path / "nothing", tmp_path / "to")
    assert sent.failures == received.failures == [(b"", "no such file or directory")]


def test_a_directory_is_not_copied_unasked(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    sent, _ = copy(tmp_path / "from", tmp_path / "to", recursive=False, terms=Terms(0))
    assert sent.failures == [(b"", "is a directory (-r copies it)")]


def test_what_is_in_proc_is_copied_though_it_has_no_size(tmp_path: Path) -> None:
    copy(Path("/proc/self/limits"), tmp_path / "to")
    assert b"Max open files" in (tmp_path / "to").read_bytes()


def test_nothing_is_overwritten_where_nothing_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("new")
    (tmp_path / "to").write_text("old")
    sent, received = copy(tmp_path / "from" / "file", tmp_path / "to", terms=Terms(0, new=True))
    assert (tmp_path / "to").read_text() == "old"
    assert sent.failures == received.failures == [(b"", "file exists")]
    (tmp_path / "tree").mkdir()
    sent, received = copy(tmp_path / "from", tmp_path / "tree", terms=Terms(0, new=True, recursive=True))
    assert sent.failures == [(b"", "file exists")]
    assert os.listdir(tmp_path / "tree") == []
    copy(tmp_path / "from", tmp_path / "other", terms=Terms(0, new=True, recursive=True))
    assert (tmp_path / "other" / "file").read_text() == "new"


def test_a_file_does_not_replace_a_directory_or_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "from").write_text("x")
    (tmp_path / "to").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert copy(tmp_path / "from", tmp_path / "to")[0].failures == [(b"", "is a directory")]
    assert copy(tmp_path / "from", tmp_path / "pipe")[0].failures == [(b"", "not a regular file")]
    assert leftovers(tmp_path) == []


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "from").write_text("new")
    (tmp_path / "victim").write_text("old")
    (tmp_path / "to").symlink_to("victim")
    copy(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "victim").read_text() == "old"
    assert not (tmp_path / "to").is_symlink()
    assert (tmp_path / "to").read_text() == "new"


def test_a_link_where_a_directory_should_be_is_not_followed(tmp_path: Path) -> None:
    """security.md, Copy: a server that sends links."""
    (tmp_path / "from" / "sub").mkdir(parents=True)
    (tmp_path / "from" / "sub" / "file").write_text("new")
    (tmp_path / "from" / "z").write_text("z")
    (tmp_path / "victim").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "sub").symlink_to("../victim")
    sent, _ = copy(tmp_path / "from", tmp_path / "to")
    assert os.listdir(tmp_path / "victim") == []
    assert sent.failures == [(b"sub", "not a directory")]
    assert (tmp_path / "to" / "z").read_text() == "z"


def test_what_a_rule_does_not_name_is_neither_sent_nor_written(tmp_path: Path) -> None:
    (tmp_path / "from" / "sub").mkdir(parents=True)
    for name in ("yes", "no", "sub/yes"):
        (tmp_path / "from" / name).write_text(name)

    def may(path: tuple[bytes, ...]) -> bool:
        return len(path) < 2 and path != (b"no",)

    refused = [(b"no", "the rule does not allow it"), (b"sub/yes", "the rule does not allow it")]
    sent, received = copy(tmp_path / "from", tmp_path / "one", may=may)
    assert sent.failures == received.failures == refused
    sent, received = copy(tmp_path / "from", tmp_path / "two", may_write=may)
    assert sent.failures == received.failures == refused
    for name in ("one", "two"):
        assert sorted(os.listdir(tmp_path / name)) == ["sub", "yes"]
        assert os.listdir(tmp_path / name / "sub") == []


def test_a_descriptor_is_copied_to_its_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x" * 60_000)
    os.close(writing)
    sent, _ = copy(reading, tmp_path / "to", terms=Terms(0o022))
    os.close(reading)
    assert (tmp_path / "to").read_bytes() == b"x" * 60_000
    assert stat.S_IMODE((tmp_path / "to").stat().st_mode) == 0o644
    assert sent.ends == 1


# --- resuming --------------------------------------------------------------------------------------


def part_of(tmp_path: Path, data: bytes, name: str = ".to.rexec-abcdef") -> Path:
    part = tmp_path / name
    part.write_bytes(data)
    return part


def test_what_was_interrupted_goes_on_behind_what_is_there(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3 * COPY_KEEP)
    (tmp_path / "from").write_bytes(data)
    part = part_of(tmp_path, data[: 2 * COPY_KEEP])
    inode = part.stat().st_ino
    copy(tmp_path / "from", tmp_path / "to", resume=True)
    assert (tmp_path / "to").read_bytes() == data
    assert (tmp_path / "to").stat().st_ino == inode
    assert leftovers(tmp_path) == []


def test_a_part_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(2 * COPY_KEEP)
    (tmp_path / "from").write_bytes(data)
    part_of(tmp_path, b"other" * 100_000)
    part_of(tmp_path, b"longer than the whole" * COPY_KEEP, ".to.rexec-123456")
    copy(tmp_path / "from", tmp_path / "to", resume=True)
    assert (tmp_path / "to").read_bytes() == data


@pytest.mark.parametrize("trick", ["link", "hard link", "locked", "fifo"])
def test_a_part_that_is_not_ours_alone_is_left_alone(tmp_path: Path, trick: str) -> None:
    """security.md, Copy: a planted link must not be written through."""
    import fcntl

    data = random.Random(3).randbytes(COPY_KEEP)
    (tmp_path / "from").write_bytes(data)
    victim = tmp_path / "victim"
    victim.write_bytes(data[:1000])
    part = tmp_path / ".to.rexec-abcdef"
    match trick:
        case "link":
            part.symlink_to(victim)
        case "hard link":
            part.hardlink_to(victim)
        case "fifo":
            os.mkfifo(part)
        case _:
            victim.rename(part)
    with open(victim if victim.exists() else part, "rb") as held:
        if trick == "locked":
            fcntl.flock(held, fcntl.LOCK_EX)
        copy(tmp_path / "from", tmp_path / "to", resume=True)
        assert held.read() == data[:1000]
    assert (tmp_path / "to").read_bytes() == data


# --- files that change -----------------------------------------------------------------------------


def test_a_file_that_grows_is_sent_as_it_was_and_said_to_have_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "from").write_bytes(b"x" * 100_000)
    meddle(monkeypatch, lambda: append(tmp_path / "from", b"more"))
    sent, received = copy(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == b"x" * 100_000
    assert sent.grown == received.grown == [b""]


def test_a_file_that_shrinks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "from").write_bytes(b"x" * 1_000_000)
    meddle(monkeypatch, lambda: os.truncate(tmp_path / "from", 10))
    sent, received = copy(tmp_path / "from", tmp_path / "to")
    assert sent.failures == received.failures == [(b"", "shrank while it was read")]
    assert not (tmp_path / "to").exists()
    assert leftovers(tmp_path) == []


def test_a_file_that_changes_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "from").write_bytes(b"x" * 1_000_000)
    os.utime(tmp_path / "from", (1, 1))
    meddle(monkeypatch, lambda: (tmp_path / "from").write_bytes(b"y" * 1_000_000))
    sent, received = copy(tmp_path / "from", tmp_path / "to")
    assert sent.failures == received.failures == [(b"", "changed while it was read")]
    assert not (tmp_path / "to").exists()


def append(path: Path, data: bytes) -> None:
    with open(path, "ab") as file:
        file.write(data)


def meddle(monkeypatch: pytest.MonkeyPatch, action: object) -> None:
    """Do something to the file once its first bytes were read."""
    from rexec.copying.stream import Writer

    real = Writer.data
    done: list[bool] = []

    def data(self: Writer, source: int, most: int) -> memoryview:
        piece = real(self, source, most)
        if not done:
            done.append(True)
            action()  # type: ignore[operator]
        return piece

    monkeypatch.setattr(Writer, "data", data)
