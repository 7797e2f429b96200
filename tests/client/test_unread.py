"""Pieces are cut as a reader wants them, and nothing is lost or doubled."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.client.unread import Unread


def test_a_line_goes_up_to_its_end_or_to_what_is_there() -> None:
    unread = Unread()
    assert not unread
    unread.fill(b"one\ntwo\nthr")
    assert (unread.line(), unread.some(1), unread.line(), unread.line()) == (b"one\n", b"t", b"wo\n", b"thr")
    assert not unread
    assert unread.some(5) == b""


@settings(max_examples=100)
@given(st.binary(), st.lists(st.integers(-1, 5), max_size=50))
def test_what_is_given_out_is_what_was_filled_in(piece: bytes, sizes: list[int]) -> None:
    unread = Unread()
    unread.fill(piece)
    parts = [unread.some(size) if size else unread.line() for size in sizes]
    assert b"".join(parts) + unread.some(-1) == piece
