"""Expressions of the subset, against those of the standard library, which mean the same there."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from re import _parser as parser  # type: ignore[attr-defined]
from string import digits as DIGITS
from typing import Any

from rexec.limits import EXPRESSION_MAX
from rexec.policy.regular import Irregular, automaton

SEEDS = (
    b"(ab|a*)+\0abaab", b"[a-z0-9_]{2,5}\\.\\d+\0ab.12", b"[^-a]?\\w*\\W\0b_!", b"(?:x{0,3}y){2}|\0xyy",
    b"((a|b)*c)+\0abcc", b"[\\]\\-x]\0-", b"", b"\0a", b"a{2,1}\0aa", b"(((((((((a)))))))))\0a",
    b".+@.+\0a@b",
)  # fmt: skip
CHARACTERS = 12  # of a word: all that is wrong with an expression shows in a short one


def try_it(data: bytes) -> None:
    """Read a made-up expression, and match made-up words by it."""
    text, *words = data.decode("latin-1").split("\0")
    try:
        found = automaton(text)
    except Irregular:
        return
    assert len(found.follow) <= EXPRESSION_MAX
    for word in (*words[:4], *(text[at : at + 4] for at in range(0, min(len(text), 16), 4))):
        sample = word[:CHARACTERS]
        if sample and sample.isascii() and sample.isprintable():
            assert found.takes(sample) == _is_matched(text, sample), (text, sample)


def _is_matched(text: str, word: str) -> bool:
    """Follow the tree that the standard library reads in the text, at all places of the word at once.

    Its own matcher tries one way after the other, some of them for ever.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets of sets that may come one day
        tree = parser.parse(text, re.ASCII)
    return len(word) in _Walk(word).row(tree, {0})


class _Walk:
    """The places of one word that parts of the tree lead to; each part is followed from each place once."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.known: dict[tuple[int, int], set[int]] = {}

    def row(self, nodes: Iterable[Any], starts: set[int]) -> set[int]:
        for node in nodes:
            starts = set().union(*(self.ends(node, start) for start in starts))
        return starts

    def ends(self, node: Any, start: int) -> set[int]:
        key = id(node), start
        if key not in self.known:
            self.known[key] = self._follow(node, start)
        return self.known[key]

    def _follow(self, node: Any, start: int) -> set[int]:
        match str(node[0]), node[1]:
            case "BRANCH", (_, rows):
                return set().union(*(self.row(row, {start}) for row in rows))
            case "SUBPATTERN", (_, _, _, row):
                return self.row(row, {start})
            case "MAX_REPEAT", (least, most, row):
                return self._repeated(int(least), min(int(most), int(least) + len(self.word)), row, start)
        return {start + 1} if start < len(self.word) and _is_in(node, self.word[start]) else set()

    def _repeated(self, least: int, most: int, row: Any, start: int) -> set[int]:
        """Repeat a row; beyond the least, more often than the word is long reaches nothing new."""
        starts = {start}
        for _ in range(least):
            starts = self.row(row, starts)
        found = set(starts)
        for _ in range(most - least):
            starts = self.row(row, starts)
            found |= starts
        return found


def _is_in(node: Any, char: str) -> bool:
    match str(node[0]), node[1]:
        case "ANY", _:
            return True
        case "LITERAL", code:
            return bool(ord(char) == code)
        case "NOT_LITERAL", code:
            return bool(ord(char) != code)
        case "RANGE", (low, high):
            return bool(low <= ord(char) <= high)
        case "CATEGORY", category:
            return _is_of(str(category), char)
        case "IN", items:
            negated = str(items[0][0]) == "NEGATE"
            return any(_is_in(item, char) for item in items[negated:]) != negated
    raise AssertionError(f"{node} is none of the subset")


def _is_of(category: str, char: str) -> bool:
    found = char in DIGITS if category.endswith("DIGIT") else char == "_" or char.isalnum()
    return found != ("_NOT_" in category)
