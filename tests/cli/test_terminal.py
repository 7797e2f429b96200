"""The local terminal while a remote program has it: what is typed, and that it is given back."""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Iterator

import pytest

from rexec.cli.terminal import (
    HELP,
    Escapes,
    TerminalSink,
    TerminalSource,
    line_end,
    new_size,
    request,
)
from rexec.errors import UsageError
from rexec.process.modes import decode_modes
from rexec.process.pty import set_size

TYPED: list[tuple[list[bytes], bytes, bool]] = [
    ([b"ls\r"], b"ls\r", False),
    ([b"~."], b"", True),
    ([b"~", b"."], b"", True),
    ([b"ls\r~."], b"ls\r", True),
    ([b"ls\n~."], b"ls\n", True),
    ([b"a~."], b"a~.", False),
    ([b"~~."], b"~.", False),
    ([b"~~"], b"~", False),
    ([b"~x"], b"~x", False),
    ([b"~\r~."], b"~\r", True),
    ([b"~x~."], b"~x~.", False),
    ([b"\x03~."], b"\x03~.", False),
    ([b"\r\r~", b"~", b"a"], b"\r\r~a", False),
    ([b"~?~."], b"", True),
    ([b"~?a"], b"a", False),
    ([b"\xff~."], b"\xff~.", False),
]


@pytest.mark.parametrize(("pieces", "sent", "ended"), TYPED)
def test_a_tilde_at_the_start_of_a_line_is_meant_for_us(
    pieces: list[bytes], sent: bytes, ended: bool
) -> None:
    escapes = Escapes()
    assert b"".join(escapes.feed(piece) for piece in pieces) == sent
    assert escapes.ended is ended


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: what a person types into, and what a program has."""
    master, slave = os.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_the_request_is_a_terminal_like_ours(terminal: tuple[int, int]) -> None:
    _, slave = terminal
    set_size(slave, 100, 30)
    attributes = termios.tcgetattr(slave)
    attributes[6][termios.VERASE] = b"\x08"
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    pty = request(slave, {"TERM": "screen"})
    assert (pty.term, pty.columns, pty.rows) == ("screen", 100, 30)
    assert (3, 8) in decode_modes(pty.modes)  # RFC 4254, 8: VERASE
    assert (new_size(slave).columns, new_size(slave).rows) == (100, 30)


def test_without_a_terminal_of_ours_the_request_is_a_plain_one() -> None:
    pty = request(None, {})
    assert (pty.term, pty.columns, pty.rows, pty.modes) == ("dumb", 80, 24, b"")
    assert request(None, {"TERM": "vt100"}).term == "vt100"
    with pytest.raises(UsageError, match="is no type of a terminal"):
        request(None, {"TERM": "xterm\udcff"})


def test_a_source_reads_what_is_typed_and_shows_the_help(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    tty.setraw(slave)
    shown: list[str] = []
    escapes = Escapes()
    source = TerminalSource(slave, escapes, shown.append)
    os.write(master, b"a")
    assert source.read(10) == b"a"
    os.write(master, b"\r~?")
    assert source.read(10) == b"\r"
    assert shown == [HELP]
    os.write(master, b"~.")
    with pytest.raises(BlockingIOError):
        source.read(10)
    assert escapes.ended


def test_a_terminal_that_is_gone_is_the_end_of_input() -> None:
    master, slave = os.openpty()
    os.close(master)
    assert TerminalSource(slave, Escapes(), lambda text: None).read(10) == b""
    os.close(slave)
    assert TerminalSource(slave, Escapes(), lambda text: None).read(10) == b""


def test_output_is_watched_before_it_is_written(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    os.set_blocking(master, False)

    def watch(data: bytes) -> None:
        watched.append(data)
        with pytest.raises(BlockingIOError):
            os.read(master, 10)

    watched: list[bytes] = []
    sink = TerminalSink(slave, watch)
    assert sink.put(b"abc") == 3
    assert watched == [b"abc"]
    assert os.read(master, 10) == b"abc"
    sink.close()


def test_a_line_of_ours_ends_as_the_terminal_needs_it_now() -> None:
    """A notice may come just before the terminal is given away: two returns would be one too many."""
    master, slave = os.openpty()
    reading, writing = os.pipe()
    assert line_end(slave) == "\n"
    tty.setraw(slave)
    assert line_end(slave) == "\r\n"
    assert line_end(writing) == "\n"
    for descriptor in (master, slave, reading, writing):
        os.close(descriptor)
