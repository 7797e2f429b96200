"""Bytes that were taken from a stream and not given out yet, cut as a reader wants them."""

from __future__ import annotations


class Unread:
    """One piece of output and how much of it was read."""

    __slots__ = ("_at", "_piece")

    def __init__(self) -> None:
        self._piece = b""
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._piece)

    def fill(self, piece: bytes) -> None:
        """Take the next piece; there is nothing left of the one before."""
        self._piece, self._at = piece, 0

    def some(self, size: int) -> bytes:
        """Return at most `size` bytes, all that is there where it is negative."""
        end = len(self._piece) if size < 0 else min(len(self._piece), self._at + size)
        return self._cut(end)

    def line(self) -> bytes:
        """Return what is there up to the end of a line, which may not be there yet."""
        end = self._piece.find(b"\n", self._at) + 1
        return self._cut(end or len(self._piece))

    def _cut(self, end: int) -> bytes:
        data = self._piece[self._at : end]
        self._at = end
        return data
