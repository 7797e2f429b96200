"""What a program did to a terminal is undone: exactly that, and in whatever pieces it came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.cli.ctlseqs import Changes

SAID: list[tuple[bytes, bytes]] = [
    (b"plain text\r\n\t\x07", b""),
    (b"\x1b[?1049h", b"\x1b[?1049l"),
    (b"\x1b[?1049h\x1b[?1049l", b""),
    (b"\x1b[?47h", b"\x1b[?47l"),
    (b"\x1b[?25l", b"\x1b[?25h"),
    (b"\x1b[?25l\x1b[?25h", b""),
    (b"\x1b[?25h", b""),
    (b"\x1b[?7l", b"\x1b[?7h"),
    (b"\x1b[?1000h\x1b[?1006h", b"\x1b[?1000l\x1b[?1006l"),
    (b"\x1b[?1000;1006;2004h", b"\x1b[?1000l\x1b[?1006l\x1b[?2004l"),
    (b"\x1b[?1000;1006;2004h\x1b[?1006l", b"\x1b[?1000l\x1b[?2004l"),
    (b"\x1b[?12h\x1b[?9999h", b""),  # not known, or not the same everywhere
    (b"\x1b[?25l\x1b[?1049h\x1b[?1h", b"\x1b[?1l\x1b[?25h\x1b[?1049l"),
    (b"\x1b[1;31mred", b"\x1b[m"),
    (b"\x1b[1;31mred\x1b[0m\x1b[m", b""),
    (b"\x1b[38:2::1:2:3m", b"\x1b[m"),
    (b"\x1b=", b"\x1b>"),
    (b"\x1b=\x1b>", b""),
    (b"\x1b(0lqk", b"\x1b(B"),
    (b"\x1b(0lqk\x1b(B", b""),
    (b"\x0elqk", b"\x0f"),
    (b"\x0elqk\x0f", b""),
    (b"\x1b[4h", b"\x1b[4l"),
    (b"\x1b[20h\x1b[4h\x1b[4l", b""),
    (b"\x1b[5;10r", b"\x1b7\x1b[r\x1b8"),
    (b"\x1b[?1049h\x1b[1;24r", b"\x1b[r\x1b[?1049l"),
    (b"\x1b[5;10r\x1b[r", b""),
    (b"\x1b[4 q", b"\x1b[ q"),
    (b"\x1b[4 q\x1b[0 q", b""),
    (b"\x1b[>4;2m", b"\x1b[>4m"),
    (b"\x1b[>4;2m\x1b[>4;m", b""),
    (b"\x1b[>4;2m\x1b[>4m", b""),
    (b"\x1b[>1u\x1b[>5u", b"\x1b[<2u"),
    (b"\x1b[>1u\x1b[>5u\x1b[<u", b"\x1b[<1u"),
    (b"\x1b[<9u\x1b[>1u", b"\x1b[<1u"),
    (b"\x1b[?1049h\x1b[?1000h\x1b[31m\x1b=\x1bc", b""),
    (b"\x1b[?1049h\x1b[?25l\x1b[31m\x1b[!p", b"\x1b[?1049l"),
    (b"\x1b]0;title\x07", b""),
    (b"\x1b]0;title\x1b\\", b""),
    (b"\x1b]0;tit", b"\x18"),
    (b"\x1b]0;tit\x0e", b"\x18"),
    (b"\x1bPq#0;2;0", b"\x18"),
    (b"\x1bPq#0;2;0\x1b[31m", b"\x1b[m"),
    (b"\x1b[?104", b"\x18"),
    (b"\x1b", b"\x18"),
    (b"\x1b[?25l\x1b[3", b"\x18\x1b[?25h"),
    (b"\x1b[?" + b"9" * 10_000 + b"h", b""),
]


@pytest.mark.parametrize(("said", "undo"), SAID)
def test_exactly_what_was_done_is_undone(said: bytes, undo: bytes) -> None:
    changes = Changes()
    changes.feed(said)
    assert changes.undo() == undo


@pytest.mark.parametrize(("said", "undo"), SAID[:-1])
def test_it_may_come_byte_by_byte(said: bytes, undo: bytes) -> None:
    changes = Changes()
    for index in range(len(said)):
        changes.feed(said[index : index + 1])
    assert changes.undo() == undo


@pytest.mark.parametrize("said", [said for said, _ in SAID])
def test_to_undo_leaves_nothing_to_be_undone(said: bytes) -> None:
    changes = Changes()
    changes.feed(said)
    changes.feed(changes.undo())
    assert changes.undo() == b""


@given(st.lists(st.binary(max_size=40) | st.sampled_from([said for said, _ in SAID])))
def test_no_output_of_any_program_is_an_error(pieces: list[bytes]) -> None:
    """security.md, People's terminals: "A command's own output on a terminal is its own"."""
    changes = Changes()
    for piece in pieces:
        changes.feed(piece)
    undo = changes.undo()
    assert len(undo) < 400
    assert b"\n" not in undo
    assert b"\0" not in undo


def test_plain_text_is_hardly_looked_at() -> None:
    assert Changes().feed(b"x" * 1000) is False
    assert Changes().feed(b"\x1b[31m") is True
