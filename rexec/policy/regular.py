"""Regular expressions in linear time: a text becomes an automaton that is in all its places at once.

The subset: characters, ``.``, classes ``[a-z]`` ``[^a-z]`` ``\\d`` ``\\w``, groups, ``|`` and the repeats
``? * + {m} {m,} {m,n}``, over printable ASCII. No back reference, look around, anchor or flag: nothing
that needs to try one way after the other. Each place of the text is one bit (V. M. Glushkov, "The
abstract theory of automata", 1961), so that a word costs at most its length times `EXPRESSION_MAX` steps.
What follows a set of places is computed when a word first leads there, and remembered: from then on a
character costs one step, however large the set is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from rexec.limits import EXPRESSION_DEPTH, EXPRESSION_MAX, EXPRESSION_STATES
from rexec.policy.wording import quoted

_COUNT = re.compile(r"\{([0-9]{1,4})(,?)([0-9]{0,4})\}")
_REPEATS = {"?": (0, 1), "*": (0, None), "+": (1, None)}

_PRINTABLE = sum(1 << code for code in range(0x20, 0x7F))  # a set of characters is a number of 128 bits
_DIGITS = sum(1 << ord(char) for char in "0123456789")
_LETTERS = sum(1 << ord(char) for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_CLASSES = {
    "d": _DIGITS,
    "w": _DIGITS | _LETTERS,
    "D": _PRINTABLE & ~_DIGITS,
    "W": _PRINTABLE & ~_DIGITS & ~_LETTERS,
}


class Irregular(Exception):
    """The text is no expression of this subset; internal to the room."""


@dataclass(slots=True, eq=False)
class _State:
    """What one set of places comes to: the places that may be next, and whether a word may end here."""

    following: int
    is_end: bool
    after: list[_State | None]  # by the kind of the next character; None: nobody went there yet


@dataclass(eq=False)
class Automaton:
    """Places as bits: where a word may begin, what may follow each, and where it may end."""

    first: int
    last: int
    follow: tuple[int, ...]
    accepts: tuple[int, ...]  # by the code of a character: the places that take it
    _states: dict[int, _State] = field(default_factory=dict, init=False)  # by the places; a bounded cache

    def __post_init__(self) -> None:
        self._masks = tuple(dict.fromkeys(self.accepts))  # of each kind of characters that are taken alike
        kinds = {mask: kind for kind, mask in enumerate(self._masks)}
        self._kind_of = bytes(kinds[mask] for mask in self.accepts).ljust(256, b"\0")
        self._jumps = _jumps(self.follow)
        self._start = _State(self.first, False, self._nowhere())

    def takes(self, word: str) -> bool:
        """Tell whether the whole of `word`, which is ASCII and not empty, is matched."""
        state = self._start
        for kind in word.encode("ascii").translate(self._kind_of):
            state = state.after[kind] or self._step(state, kind)
        return state.is_end

    def _step(self, state: _State, kind: int) -> _State:
        here = state.following & self._masks[kind]
        found = self._states.get(here)
        if found is None:
            if len(self._states) == EXPRESSION_STATES:
                self._forget()
            found = _State(self.leap(here), bool(here & self.last), self._nowhere())
            self._states[here] = found
        state.after[kind] = found
        return found

    def leap(self, here: int) -> int:
        """Compute the places that may be next: place by place, or by the ways that all go alike."""
        following = 0
        if here.bit_count() > len(self._jumps):
            for forth, back, places in self._jumps:
                following |= (here & places) << forth >> back
            return following
        while here:
            lowest = here & -here
            following |= self.follow[lowest.bit_length() - 1]
            here ^= lowest
        return following

    def _forget(self) -> None:
        for state in (self._start, *self._states.values()):
            state.after = self._nowhere()
        self._states.clear()

    def _nowhere(self) -> list[_State | None]:
        return [None] * len(self._masks)


def _jumps(follow: tuple[int, ...]) -> tuple[tuple[int, int, int], ...]:
    """Sort what follows what by the distance: how far forth, how far back, and from which places."""
    found: dict[int, int] = {}
    for place, targets in enumerate(follow):
        rest = targets
        while rest:
            lowest = rest & -rest
            distance = lowest.bit_length() - 1 - place
            found[distance] = found.get(distance, 0) | 1 << place
            rest ^= lowest
    return tuple((max(distance, 0), max(-distance, 0), places) for distance, places in found.items())


def automaton(text: str) -> Automaton:
    """Read an expression; raise `Irregular` where it is none of the subset."""
    reader = _Reader(text)
    node = reader.choice(0)
    if reader.at < len(text):
        raise Irregular('a ")" closes nothing')
    size = _size(node)
    if size > EXPRESSION_MAX:
        raise Irregular(
            f"it is too long: {size} places, more than {EXPRESSION_MAX}, with its repeats written out"
        )
    builder = _Builder()
    part = builder.build(node)
    return Automaton(part.first, part.last, tuple(builder.follow), builder.accepts())


# --- text -> nodes --------------------------------------------------------------------------------


class _Symbol(NamedTuple):
    """One character of a set."""

    chars: int


class _Row(NamedTuple):
    parts: list[_Node]


class _Choice(NamedTuple):
    parts: list[_Node]


class _Repeat(NamedTuple):
    part: _Node
    least: int
    most: int | None


_Node = _Symbol | _Row | _Choice | _Repeat


class _Reader:
    """Recursive descent; its depth is that of the groups, which is bounded."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise Irregular("it ends too early")
        if not (char.isascii() and char.isprintable()):
            raise Irregular(f"{quoted(char)} never stands in an argument: those are printable ASCII")
        self.at += 1
        return char

    def choice(self, depth: int) -> _Node:
        if depth > EXPRESSION_DEPTH:
            raise Irregular(f"its groups are more than {EXPRESSION_DEPTH} deep")
        rows = [self._row(depth)]
        while self._peek() == "|":
            self.at += 1
            rows.append(self._row(depth))
        return rows[0] if len(rows) == 1 else _Choice(rows)

    def _row(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom(depth)))
        return _Row(parts)

    def _atom(self, depth: int) -> _Node:
        char = self._take()
        if char == "(":
            return self._group(depth)
        if char == "[":
            return _Symbol(self._class())
        if char == "\\":
            return _Symbol(self._escaped())
        if char in "^$":
            raise Irregular(
                f'"{char}" is not needed: always the whole argument is matched; literally \\{char}'
            )
        if char in "?*+{}]":
            raise Irregular(f'"{char}" stands behind nothing that it could repeat; literally \\{char}')
        return _Symbol(_PRINTABLE if char == "." else 1 << ord(char))

    def _group(self, depth: int) -> _Node:
        if self._peek() == "?":
            if not self.text.startswith("?:", self.at):
                raise Irregular("of (?...) only the plain group (?:...) is known: nothing looks around")
            self.at += 2
        node = self.choice(depth + 1)
        if self._peek() != ")":
            raise Irregular('a "(" is never closed')
        self.at += 1
        return node

    def _repeated(self, node: _Node) -> _Node:
        bounds = self._bounds()
        if bounds is None:
            return node
        if self._peek() in ("?", "*", "+", "{"):
            raise Irregular("one repeat stands behind another: put the first into a group")
        return _Repeat(node, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        char = self._peek()
        if char in _REPEATS:
            self.at += 1
            return _REPEATS[char]
        if char != "{":
            return None
        found = _COUNT.match(self.text, self.at)
        if found is None:
            raise Irregular('"{" begins no repeat such as {2} {2,} {2,5}; literally \\{')
        self.at = found.end()
        least = int(found[1])
        most = int(found[3]) if found[3] else None if found[2] else least
        if most is not None and most < max(least, 1):
            raise Irregular(f"{found[0]} repeats nothing")
        return least, most

    def _escaped(self) -> int:
        char = self._take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char.isalnum():
            raise Irregular(f"\\{char} is not known: only \\d \\w \\D \\W, and \\ before other signs")
        return 1 << ord(char)

    def _class(self) -> int:
        negated = self._peek() == "^"
        self.at += negated
        if self._peek() == "]":  # others read it as a character of the class
            raise Irregular("a class [...] takes no character")
        chars = 0
        while self._peek() != "]":
            chars |= self._range()
        self.at += 1
        if negated:
            chars = _PRINTABLE & ~chars
        if not chars:
            raise Irregular("a class [...] takes no character")
        return chars

    def _range(self) -> int:
        start = self._class_char()
        if self._peek() != "-" or self.text.startswith("]", self.at + 1):
            return start
        self.at += 1
        end = self._class_char()
        if start.bit_count() > 1 or end.bit_count() > 1 or end < start:
            raise Irregular("a range in [...] goes from one character up to another")
        return (end << 1) - start

    def _class_char(self) -> int:
        char = self._take()
        if char == "[":
            raise Irregular('"[" in a class is written \\[')
        return self._escaped() if char == "\\" else 1 << ord(char)


# --- nodes -> places ------------------------------------------------------------------------------


def _size(node: _Node) -> int:
    """Count the places that a node will have; an empty one counts, so that no repeat of it is endless."""
    match node:
        case _Symbol():
            return 1
        case _Repeat(part, least, most):
            return _size(part) * max(1, least if most is None else most)
        case _:
            return max(1, sum(map(_size, node.parts)))


class _Part(NamedTuple):
    """What a part of an expression begins and ends with, and whether it may be empty."""

    first: int
    last: int
    empty: bool


_NOTHING = _Part(0, 0, True)


class _Builder:
    def __init__(self) -> None:
        self.symbols: list[int] = []
        self.follow: list[int] = []

    def accepts(self) -> tuple[int, ...]:
        places = enumerate(self.symbols)
        by_place = [(1 << place, chars) for place, chars in places]
        return tuple(sum(bit for bit, chars in by_place if chars >> code & 1) for code in range(128))

    def build(self, node: _Node) -> _Part:
        match node:
            case _Symbol(chars):
                self.symbols.append(chars)
                self.follow.append(0)
                bit = 1 << (len(self.symbols) - 1)
                return _Part(bit, bit, False)
            case _Row(parts):
                return self._in_a_row([self.build(part) for part in parts])
            case _Choice(parts):
                return self._either([self.build(part) for part in parts])
            case _:
                return self._again(*node)

    def _in_a_row(self, parts: list[_Part]) -> _Part:
        row = _NOTHING
        for part in parts:
            self._join(row.last, part.first)
            row = _Part(
                row.first | (part.first if row.empty else 0),
                part.last | (row.last if part.empty else 0),
                row.empty and part.empty,
            )
        return row

    def _either(self, parts: list[_Part]) -> _Part:
        first = last = 0
        for part in parts:
            first |= part.first
            last |= part.last
        return _Part(first, last, any(part.empty for part in parts))

    def _again(self, node: _Node, least: int, most: int | None) -> _Part:
        """Put copies in a row, each of them followed by the next one alone.

        A copy that is empty is like one copy less, so that none has to be passed over.
        """
        copies = [self.build(node) for _ in range(max(1, least if most is None else most))]
        for copy, following in pairwise(copies):
            self._join(copy.last, following.first)
        if most is None:
            self._join(copies[-1].last, copies[-1].first)
        empty = least == 0 or copies[0].empty
        last = 0
        for copy in copies[0 if empty else least - 1 :]:
            last |= copy.last
        return _Part(copies[0].first, last, empty)

    def _join(self, ends: int, begins: int) -> None:
        while ends:
            lowest = ends & -ends
            self.follow[lowest.bit_length() - 1] |= begins
            ends ^= lowest
