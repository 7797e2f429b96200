"""Argument patterns, and how a row of them takes an argument vector.

A pattern says at which places it may end when it starts at some, and what it would take there.
`match` follows all these places at once, forwards, and then walks back along one way: the time is
bounded by patterns times arguments whatever the patterns are, and no argument is ever split or
taken twice. Where an argument could belong to two patterns, the earlier one has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rexec.limits import MATCHED_MAX
from rexec.policy.wording import quoted, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from rexec.policy.rules import PathCheck
    from rexec.policy.types import Type

DASHES = "--"
_EXPECTED_MAX = 4  # things that a denial names as possible; who sees more looks into the file


class Span(NamedTuple):
    """The arguments that one pattern took: from `start` up to, not including, `end`."""

    start: int
    end: int


class Expectation(Protocol):
    """What one argument may be."""

    @property
    def expected(self) -> str:
        """Say what is taken, for a denial."""

    @property
    def choices(self) -> tuple[str, ...]:
        """Give the words that are taken, where they can be counted."""


class Want(NamedTuple):
    """A place at which a pattern would take one more argument, and which."""

    position: int
    what: Expectation


class Pattern(Protocol):
    """What a rule says about the arguments at one place.

    `words` are those of the client, the command first; a relative path is seen from `base`.
    """

    @property
    def name(self) -> str:
        """Name what is captured; "" where nothing is."""

    @property
    def choices(self) -> tuple[str, ...]:
        """Give the words that the rule itself names here."""

    @property
    def types(self) -> tuple[Type, ...]:
        """Give the types of the values that the client may choose here."""

    @property
    def is_single(self) -> bool:
        """Tell whether it takes one argument, never more or fewer: then `takes` says which."""

    def takes(self, word: str, base: str) -> bool:
        """Judge one argument by itself."""

    def ends(self, words: Sequence[str], starts: Collection[int], base: str) -> Mapping[int, int]:
        """Map each index at which the pattern may end to the last of `starts` that leads there."""

    def wants(self, words: Sequence[str], starts: Collection[int], base: str) -> Iterator[Want]:
        """Give the places from `starts` on where it would take another argument than the one there."""

    def checks(self, words: Sequence[str], span: Span, base: str) -> Iterator[PathCheck]:
        """Give what the disk must be asked about the arguments that it took."""


class Plain:
    """A pattern that captures nothing and asks for no value."""

    __slots__ = ()
    is_single = False

    @property
    def name(self) -> str:
        return ""

    @property
    def types(self) -> tuple[Type, ...]:
        return ()

    def takes(self, word: str, base: str) -> bool:
        return False

    def checks(self, words: Sequence[str], span: Span, base: str) -> Iterator[PathCheck]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Literal(Plain):
    """One argument, equal byte for byte."""

    text: str
    is_single = True

    @property
    def expected(self) -> str:
        return quoted(self.text)

    @property
    def choices(self) -> tuple[str, ...]:
        return (self.text,)

    def takes(self, word: str, base: str) -> bool:
        return word == self.text

    def ends(self, words: Sequence[str], starts: Collection[int], base: str) -> Mapping[int, int]:
        return {start + 1: start for start in starts if start < len(words) and words[start] == self.text}

    def wants(self, words: Sequence[str], starts: Collection[int], base: str) -> Iterator[Want]:
        return (Want(start, self) for start in starts)


@dataclass(frozen=True, slots=True)
class Dashes(Plain):
    """``--``: the end of options. Where the caller wrote none, it is taken as if it stood here."""

    expected: str = quoted(DASHES)
    choices: tuple[str, ...] = (DASHES,)

    def ends(self, words: Sequence[str], starts: Collection[int], base: str) -> Mapping[int, int]:
        if DASHES not in words:
            return {start: start for start in starts}
        return {start + 1: start for start in starts if start < len(words) and words[start] == DASHES}

    def wants(self, words: Sequence[str], starts: Collection[int], base: str) -> Iterator[Want]:
        return (Want(start, self) for start in starts)


@dataclass(frozen=True, slots=True)
class Free(Plain):
    """``...``: whatever is left."""

    expected: str = "anything"
    choices: tuple[str, ...] = ()

    def ends(self, words: Sequence[str], starts: Collection[int], base: str) -> Mapping[int, int]:
        return {len(words): max(starts)}

    def wants(self, words: Sequence[str], starts: Collection[int], base: str) -> Iterator[Want]:
        yield Want(len(words), self)


FREE = Free()
START: Mapping[int, int] = {1: 0}  # before the first argument


class Miss(NamedTuple):
    """Where an argument vector leaves a rule; `expected` is "" where nothing more was."""

    position: int
    expected: str
    base: str = ""  # where a relative word was seen from, where a path was wanted

    def said(self, words: Sequence[str]) -> str:
        """Say it of these words: those that were matched, or what may be shown of them."""
        if self.position > len(words):
            return f"more than {MATCHED_MAX:,} arguments"
        if self.position == len(words):
            return f"missing argument {self.expected}"
        word = quoted(words[self.position])
        if not self.expected:
            return f"extra argument {word}"
        relative = self.base and words[self.position][:1] not in ("", "/", "-")
        seen = f" (seen from {shown(self.base)})" if relative else ""
        return f"argument {self.position} is {word}{seen}, not {self.expected}"


def _are_too_many(patterns: Iterable[Pattern], words: Sequence[str]) -> bool:
    """Tell whether these are more than a row that looks at each of them is asked to judge."""
    return len(words) > MATCHED_MAX + 1 and not all(isinstance(pattern, Plain) for pattern in patterns)


def _begun(patterns: Iterable[Pattern], words: Sequence[str], base: str) -> int:
    """Give the place up to which patterns that take one argument each do so: there is one way only."""
    at, end = 1, len(words)
    for pattern in patterns:
        if at >= end or not pattern.is_single or not pattern.takes(words[at], base):
            break
        at += 1
    return at


def match(patterns: Sequence[Pattern], words: Sequence[str], base: str = "/") -> list[Span] | None:
    """Match the arguments ``words[1:]``; give what each pattern took, None unless they take exactly all."""
    if _are_too_many(patterns, words):
        return None
    end, at = len(words), _begun(patterns, words, base)
    rest = patterns[at - 1 :]
    if not rest:
        return _singly(at) if at == end else None
    if rest[0].is_single:
        return None
    reached: Mapping[int, int] = {at: at - 1}
    steps = []
    for pattern in rest:
        reached = pattern.ends(words, reached, base)
        if not reached:
            return None
        steps.append(reached)
    if end not in reached:
        return None
    spans = []
    for step in reversed(steps):
        spans.append(Span(step[end], end))
        end = step[end]
    spans.reverse()
    return _singly(at) + spans


_SINGLE = [Span(place, place + 1) for place in range(64)]  # rules are shorter, nearly all


def _singly(end: int) -> list[Span]:
    """Give the spans of the arguments before `end`, each taken by a pattern of its own."""
    return _SINGLE[1:end] + [Span(place, place + 1) for place in range(len(_SINGLE), end)]


def wants(patterns: Sequence[Pattern], words: Sequence[str], base: str) -> Iterator[Want]:
    """Give all the places at which one of the patterns would take an argument, those in vain included."""
    if _are_too_many(patterns, words):
        return
    reached: Mapping[int, int] = START
    for pattern in patterns:
        if not reached:
            return
        yield from pattern.wants(words, reached, base)
        reached = pattern.ends(words, reached, base)


def reach(patterns: Sequence[Pattern], words: Sequence[str], base: str = "/") -> int:
    """Give the last index up to which the patterns take the words, for a quick comparison of rules."""
    if _are_too_many(patterns, words):
        return len(words)
    at = _begun(patterns, words, base)
    reached: Mapping[int, int] = {at: at - 1}
    for pattern in patterns[at - 1 :]:
        reached = pattern.ends(words, reached, base)
        if not reached:
            break
        at = max(reached)
    return at


def position_behind(pattern: Pattern, words: Sequence[str], starts: Collection[int], base: str) -> int:
    """Give the last place at which a pattern that starts at some would take another argument, or 0."""
    return max((want.position for want in pattern.wants(words, starts, base)), default=0)


def miss(patterns: Sequence[Pattern], words: Sequence[str], base: str = "/") -> Miss:
    """Say where words that do not match leave the patterns: the furthest place where others were wanted."""
    if _are_too_many(patterns, words):
        return Miss(len(words) + 1, "")
    at = _begun(patterns, words, base)
    rest = patterns[at - 1 :]
    if not rest:
        return Miss(at, "")
    starts: Mapping[int, int] = {at: at - 1}
    if rest[0].is_single:
        return _missed(at, rest[0].wants(words, starts, base), base)
    reached = starts
    places: list[Want] = []  # those before `at` are not the furthest
    for pattern in rest:
        wanted = [] if _is_added(pattern, words) else [*pattern.wants(words, reached, base)]
        places += wanted
        starts, reached = reached, pattern.ends(words, reached, base)
        if not reached:
            break
    at = max([*(reached or starts), *(want.position for want in places)])
    here = [want for want in places if want.position == at]
    if at == len(words) and not reached:  # what may be left out is not missing
        needed = [want for want in wanted if want.position == at]
        here = needed or here
    return _missed(at, here, base)


def _missed(at: int, wanted: Iterable[Want], base: str) -> Miss:
    expected: dict[str, None] = {}
    seen = ""
    for want in wanted:
        expected[want.what.expected] = None
        if getattr(want.what, "place", None):
            seen = base
    return Miss(at, _either([*expected]), seen)


def _is_added(pattern: Pattern, words: Sequence[str]) -> bool:
    """Tell whether this is a ``--`` that the caller need not write."""
    return isinstance(pattern, Dashes) and DASHES not in words


def _either(expected: list[str]) -> str:
    if len(expected) == 1:
        return expected[0]
    if len(expected) > _EXPECTED_MAX:
        return ", ".join([*expected[:_EXPECTED_MAX], "or other things"])
    return " or ".join(filter(None, [", ".join(expected[:-1]), *expected[-1:]]))
