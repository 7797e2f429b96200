"""The matcher as the page of the allow list tells it: every way is tried, however long that takes.

It knows a rule as a list of `Part` that is made beside the text of the rule, and nothing of the code
that reads and matches that text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

Takes = Callable[[str], bool]
Ways = set[tuple[tuple[int, int], ...]]


class Value(NamedTuple):
    """A type as written, and what it takes."""

    text: str
    takes: Takes


class Item(NamedTuple):
    """One item of a list of options; `letters` are those of a bundle, `apart` is a value in the next word."""

    text: str
    name: str = ""
    letters: str = ""
    value: Value | None = None
    apart: bool = False
    attached: str | None = None  # what stands between the name and a value in the same word


class Part(NamedTuple):
    """One pattern of a rule."""

    kind: str  # literal, value, list, dashes, free
    text: str
    value: Value | None = None
    modifier: str = ""
    items: tuple[Item, ...] = ()


def ways(parts: tuple[Part, ...], words: list[str]) -> Ways:
    """Give every way in which the parts take exactly ``words[1:]``, as the spans of the parts."""
    found: Ways = set()

    def go_on(number: int, start: int, spans: tuple[tuple[int, int], ...]) -> None:
        if number == len(parts):
            if start == len(words):
                found.add(spans)
            return
        for end in set(_ends(parts[number], words, start)):
            go_on(number + 1, end, (*spans, (start, end)))

    go_on(0, 1, ())
    return found


def first_served(found: Ways) -> tuple[tuple[int, int], ...]:
    """Choose the way in which the later parts, from the last one on, take as little as they can."""
    return max(found, key=lambda way: [start for start, _ in reversed(way)])


def _ends(part: Part, words: list[str], start: int) -> Iterator[int]:
    word = words[start] if start < len(words) else None
    match part.kind:
        case "literal":
            if word == part.text:
                yield start + 1
        case "dashes":
            if "--" not in words[1:]:
                yield start
            elif word == "--":
                yield start + 1
        case "free":
            yield from range(start, len(words) + 1)
        case "value":
            yield from _runs(part, words, start)
        case _:
            yield from _options(part, words, start, frozenset())


def _runs(part: Part, words: list[str], start: int) -> Iterator[int]:
    assert part.value is not None
    least, most = {"": (1, 1), "?": (0, 1), "*": (0, len(words)), "+": (1, len(words))}[part.modifier]
    count = 0
    while True:
        if least <= count <= most:
            yield start + count
        at = start + count
        if count == most or at == len(words) or not part.value.takes(words[at]):
            return
        count += 1


def _options(part: Part, words: list[str], start: int, used: frozenset[str]) -> Iterator[int]:
    yield start
    if start == len(words):
        return
    for names, size in _readings(part, words, start):
        if part.modifier == "*" or (used.isdisjoint(names) and len(set(names)) == len(names)):
            yield from _options(part, words, start + size, used | set(names))


def _readings(part: Part, words: list[str], at: int) -> Iterator[tuple[list[str], int]]:
    """Give all that a word, with the next one perhaps, could say in a list."""
    word = words[at]
    behind = words[at + 1] if at + 1 < len(words) else None
    for item in part.items:
        if item.letters:
            yield from _bundles(item, word)
        if not item.name:
            continue
        if item.value is None:
            if word == item.name:
                yield [item.name], 1
            continue
        if item.apart and word == item.name and behind is not None and item.value.takes(behind):
            yield [item.name], 2
        if item.attached is not None and word.startswith(item.name + item.attached):
            value = word[len(item.name + item.attached) :]
            if (value or item.attached) and item.value.takes(value):
                yield [item.name], 1


def _bundles(item: Item, word: str) -> Iterator[tuple[list[str], int]]:
    letters = re.escape(item.letters)
    if re.fullmatch(f"-[{letters}]+", word):
        yield [f"-{letter}" for letter in word[1:]], 1
    if item.name and item.value is not None:
        tailed = re.fullmatch(f"-([{letters}]+){item.name[1]}(.+)", word, re.DOTALL)
        if tailed and item.value.takes(tailed[2]):
            yield [*(f"-{letter}" for letter in tailed[1]), item.name], 1
