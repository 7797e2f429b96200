"""What is fuzzed: a name, where samples begin, and what tries one of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import allow_lists, arguments, copies, expressions, frames, lines

CORPUS = Path(__file__).resolve().parent / "corpus"  # what was found, by target: it must never come back


class Target(NamedTuple):
    """A fuzz target; `words` are those that its samples are made of."""

    try_it: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    runs: int = 1_000  # of the short test

    def known(self, name: str) -> list[bytes]:
        """Give the seeds and all that was kept of earlier findings."""
        return [*self.seeds, *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))]


TARGETS = {
    "allow-lists": Target(allow_lists.try_it, allow_lists.SEEDS, allow_lists.WORDS, 4_000),
    "arguments": Target(arguments.try_it, arguments.SEEDS, runs=6_000),
    "copies": Target(copies.try_it, copies.SEEDS, copies.WORDS, 1_500),
    "expressions": Target(expressions.try_it, expressions.SEEDS, runs=5_000),
    "frames": Target(frames.try_it, frames.SEEDS, runs=10_000),
    "lines": Target(lines.try_it, lines.SEEDS, allow_lists.WORDS, 3_000),
}
