"""What a detached command wrote: the latest of it, in order, each stream by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rexec.protocol.frames import Stream
from rexec.server.detached.folder import Folder
from rexec.server.detached.kept import Reader, Writer, numbers

OUT, ERR = Stream.STDOUT, Stream.STDERR
BOUND = 8 * 4096  # bytes: the smallest files


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path))


def write(writer: Writer, stream: Stream, data: bytes) -> None:
    writer.write(stream, memoryview(data))


def all_of(reader: Reader) -> bytes:
    return b"".join(iter(reader.read, b""))


def test_each_stream_is_read_by_itself_and_in_its_order(folder: Folder) -> None:
    writer = Writer(folder, BOUND)
    write(writer, OUT, b"a")
    write(writer, ERR, b"b")
    write(writer, OUT, b"c")
    out, err = Reader(folder, OUT), Reader(folder, ERR)
    assert (out.read(), out.read(), out.read()) == (b"a", b"c", b"")
    assert all_of(err) == b"b"
    write(writer, ERR, b"d")
    assert (out.read(), err.read()) == (b"", b"d")


def test_who_is_behind_is_known_by_its_place(folder: Folder) -> None:
    writer = Writer(folder, BOUND)
    for stream, data in ((ERR, b"1"), (OUT, b"2"), (ERR, b"3")):
        write(writer, stream, data)
    out, err = Reader(folder, OUT), Reader(folder, ERR)
    out.read()
    err.read()
    assert err.place < out.place
    err.read()
    assert out.place < err.place


@pytest.mark.parametrize("size", [1, 1000, 4000, 5000])
def test_a_reader_that_keeps_up_sees_every_byte(folder: Folder, size: int) -> None:
    writer = Writer(folder, BOUND)
    reader, seen, written = Reader(folder, OUT), b"", b""
    for number in range(100):
        data = bytes([number]) * size
        write(writer, OUT, data)
        written += data
        seen += all_of(reader)
    assert seen == written
    assert reader.missed == 0


def test_the_oldest_goes_and_a_reader_knows_how_much(folder: Folder) -> None:
    writer = Writer(folder, BOUND)
    written = b""
    for number in range(100):
        data = bytes([number]) * 1000
        write(writer, OUT, data)
        written += data
    assert folder.size() <= BOUND
    reader = Reader(folder, OUT)
    seen = all_of(reader)
    assert written.endswith(seen)
    assert len(seen) > BOUND * 7 // 8 - 5000
    assert reader.missed == writer.dropped == len(written) - len(seen)
    assert Reader(folder, ERR).read() == b""


def test_a_reader_that_falls_behind_misses_what_went(folder: Folder) -> None:
    writer = Writer(folder, BOUND)
    write(writer, OUT, b"x" * 3000)
    reader = Reader(folder, OUT)
    assert reader.read() == b"x" * 3000
    for _ in range(30):
        write(writer, OUT, b"y" * 3000)
    seen = all_of(reader)
    assert set(seen) == set(b"y")
    assert reader.missed + len(seen) == 90_000


def test_a_record_that_is_being_written_is_not_there_yet(folder: Folder, tmp_path: Path) -> None:
    writer = Writer(folder, BOUND)
    write(writer, OUT, b"whole")
    with (tmp_path / "log-0").open("ab") as file:
        file.write(b"\1\0\0\0\x05ha")
    reader = Reader(folder, OUT)
    assert (reader.read(), reader.read()) == (b"whole", b"")
    with (tmp_path / "log-0").open("ab") as file:
        file.write(b"lf!")
    assert reader.read() == b"half!"


def test_a_full_disk_loses_what_comes_and_nothing_before(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(folder, BOUND)
    write(writer, OUT, b"before")
    whole = os.writev
    monkeypatch.setattr(
        os, "writev", lambda descriptor, pieces: whole(descriptor, [pieces[0], pieces[1][:2]])
    )
    write(writer, OUT, b"full")
    monkeypatch.undo()
    write(writer, OUT, b"after")  # a gap in the middle would be taken for what the command wrote
    assert (writer.lost, writer.why) == (9, "no space left on device")
    assert all_of(Reader(folder, OUT)) == b"before"


def test_room_is_made_for_the_end(folder: Folder) -> None:
    writer = Writer(folder, BOUND)
    for _ in range(3):
        write(writer, OUT, b"x" * 4000)
    assert numbers(folder) == [0, 1, 2]
    writer.make_room()
    assert numbers(folder) == [1, 2]
    assert writer.dropped == 4000
