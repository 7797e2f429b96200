"""Streams that never make us wait, and leave what others share as it was."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from rexec.client.streams import FdSink, FdSource, MemorySink, MemorySource, NoSource, NullSink


def test_a_pipe_is_never_made_non_blocking_for_others() -> None:
    """The description is shared with whoever gave it to us: O_NONBLOCK would be theirs too."""
    reading, writing = os.pipe()
    sink = FdSink(writing)
    assert sink.put(b"x" * 1_000_000) == 65_536  # what a pipe takes, and no waiting
    assert sink.pending == 1_000_000 - 65_536
    assert os.get_blocking(writing)
    assert os.get_blocking(reading)
    got = len(os.read(reading, 65_536))
    while sink.pending:
        sink.flush()
        got += len(os.read(reading, 65_536))
    assert got == 1_000_000
    sink.close()
    os.fstat(writing)  # it was not ours to close
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        FdSink(writing).put(b"x")
    os.close(writing)


def test_a_socket_is_never_made_non_blocking_for_others() -> None:
    ours, theirs = socket.socketpair()
    sink = FdSink(ours.fileno())
    assert 0 < sink.put(bytes(10_000_000)) < 10_000_000
    assert os.get_blocking(ours.fileno())
    theirs.close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        sink.flush()
    sink.close()
    ours.close()


def test_a_file_takes_everything(tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as file:
        sink = FdSink(file.fileno())
        assert sink.put(b"whole") == 5
        sink.close()
    assert (tmp_path / "out").read_bytes() == b"whole"


def test_a_device_is_written_in_pieces_that_were_promised() -> None:
    descriptor = os.open("/dev/null", os.O_WRONLY)
    assert FdSink(descriptor).put(bytes(100_000)) == 100_000
    os.close(descriptor)


def test_a_descriptor_that_is_closed_is_a_reader_that_left() -> None:
    descriptor = os.open("/dev/null", os.O_WRONLY)
    os.close(descriptor)
    with pytest.raises(BrokenPipeError):
        FdSink(descriptor).put(b"x")


def test_a_sink_knows_whether_a_line_of_ours_would_stand_in_another(tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as file:
        sink = FdSink(file.fileno())
        seen = [sink.is_inside_line]
        for data in (b"cat: x", b": no\n", memoryview(b"a\nb"), b"\n"):
            sink.put(data)
            seen.append(sink.is_inside_line)
    assert seen == [False, True, False, True, False]


def test_memory_keeps_and_nothing_drops() -> None:
    sink = MemorySink()
    assert (sink.put(b"a"), sink.put(b"bc"), sink.flush(), bytes(sink.data)) == (1, 2, 0, b"abc")
    assert NullSink().put(b"abc") == 3


def test_sources_give_what_they_have_and_then_the_end() -> None:
    source = MemorySource(b"abcdef")
    assert [source.read(4), source.read(4), source.read(4)] == [b"abcd", b"ef", b""]
    assert NoSource().read(9) == b""
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    pipe = FdSource(reading)
    assert [pipe.read(2), pipe.read(2), pipe.read(2)] == [b"ab", b"c", b""]
    os.close(reading)
    assert pipe.read(2) == b""  # a closed stdin is an empty one
