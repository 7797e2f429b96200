"""Bytes as a row of choices, so that whatever a fuzzer makes up is a sample of the right form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Given:
    """Choices read from bytes; where these are used up, each further one is the first that there is."""

    def __init__(self, data: bytes) -> None:
        self._rest = iter(data)

    def number(self, most: int) -> int:
        """Give a number from 0 up to `most`, which is at most 255."""
        return next(self._rest, 0) % (most + 1)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.number(len(choices) - 1)]

    def some_of(self, choices: Sequence[T], most: int) -> list[T]:
        """Give up to `most` of the choices, in any order, perhaps one of them twice."""
        return [self.one_of(choices) for _ in range(self.number(most))]

    def text(self) -> str:
        """Give all that is left, as text of one byte a character."""
        return bytes(self._rest).decode("latin-1")
