"""Argument patterns: how a rule's tokens become patterns, and how patterns take arguments.

A pattern says where it may end when it starts at an argument, and what it expected there. `match`
follows all these places at once: the time is bounded by patterns times arguments whatever the
patterns are, and no argument is ever split or taken twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rexec.policy.problems import Flaw
from rexec.policy.tokens import Kind
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rexec.policy.tokens import Token


class Pattern(Protocol):
    """What a rule says about the arguments at one place."""

    @property
    def expected(self) -> str:
        """Say what is taken here, for a denial."""

    def ends(self, words: Sequence[str], start: int) -> Iterable[int]:
        """Give each index at which the pattern may end when it starts at `start`."""


@dataclass(frozen=True, slots=True)
class Literal:
    """One argument, equal byte for byte."""

    text: str

    @property
    def expected(self) -> str:
        return quoted(self.text)

    def ends(self, words: Sequence[str], start: int) -> Iterable[int]:
        return (start + 1,) if start < len(words) and words[start] == self.text else ()


@dataclass(frozen=True, slots=True)
class Free:
    """``...``: whatever is left."""

    expected: str = "anything"

    def ends(self, words: Sequence[str], start: int) -> Iterable[int]:
        return (len(words),)


FREE = Free()


class Miss(NamedTuple):
    """Where an argument vector leaves a rule, and how."""

    position: int
    text: str


def match(patterns: Iterable[Pattern], words: Sequence[str]) -> Miss | None:
    """Match the arguments ``words[1:]``; None means that the patterns take exactly all of them."""
    reached = {1}
    for pattern in patterns:
        ends = {end for start in reached for end in pattern.ends(words, start)}
        if not ends:
            return _missed(pattern, words, max(reached))
        reached = ends
    if len(words) in reached:
        return None
    last = max(reached)
    return Miss(last, f"extra argument {quoted(words[last])}")


def _missed(pattern: Pattern, words: Sequence[str], at: int) -> Miss:
    if at == len(words):
        return Miss(at, f"missing argument {pattern.expected}")
    return Miss(at, f"argument {at} is {quoted(words[at])}, not {pattern.expected}")


def read_patterns(tokens: Sequence[Token], strict: bool) -> tuple[Pattern, ...]:
    """Read what stands behind the command; nothing means any arguments, or none under %strict."""
    if not tokens:
        return () if strict else (FREE,)
    if tokens[0].kind is Kind.LIST and not tokens[0].text and not tokens[0].modifier:
        if len(tokens) > 1:
            raise Flaw(tokens[1].column, "[] means no arguments and stands alone")
        return ()
    return tuple(PATTERNS[token.kind](token, token is tokens[-1]) for token in tokens)


def _read_literal(token: Token, last: bool) -> Pattern:
    return Literal(token.text)


def _read_free(token: Token, last: bool) -> Pattern:
    if not last:
        raise Flaw(token.column, "... takes all that is left and stands last", "a literal one is '...'")
    return FREE


def _refuse(what: str, literal: str) -> Callable[[Token, bool], Pattern]:
    def read(token: Token, last: bool) -> Pattern:
        raise Flaw(token.column, f"{what} are not known to this version", f"a literal one is {literal}")

    return read


PATTERNS: dict[Kind, Callable[[Token, bool], Pattern]] = {
    Kind.WORD: _read_literal,
    Kind.QUOTED: _read_literal,
    Kind.FREE: _read_free,
    Kind.LIST: _refuse("lists of options in [...]", "'[...]'"),
    Kind.BRACE: _refuse("typed patterns in {...}", "'{...}'"),
    Kind.EQUALS: _refuse("server commands behind =", "'='"),
}
