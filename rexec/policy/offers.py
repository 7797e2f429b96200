"""What may stand next behind words that were typed: the same matcher as the decision's, asked half way."""

from __future__ import annotations

from typing import NamedTuple

from rexec.policy.accept import Options
from rexec.policy.arguments import wants
from rexec.policy.types import Type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rexec.policy.arguments import Expectation
    from rexec.policy.rules import Rule


class Offer(NamedTuple):
    """A word that may stand next, or what kind of word may.

    `kind` is word (`text` is it, or its beginning where it ends with =), path (`text` is the directory or
    file that all of them lie in) or value (`text` is empty).
    """

    text: str
    about: str
    kind: str = "word"


def offers(rule: Rule, words: Sequence[str], base: str = "/") -> tuple[Offer, ...]:
    """Say what a rule takes behind `words`, the command first; nothing where they do not fit."""
    open_ends = (want.what for want in wants(rule.patterns, words, base) if want.position == len(words))
    return tuple(dict.fromkeys(offer for what in open_ends for offer in _offers(what)))


def roots_behind(rule: Rule, beginning: str) -> tuple[str, ...]:
    """Say where the paths lie that may stand behind ``--long=`` in one word."""
    lists = (pattern.options for pattern in rule.patterns if isinstance(pattern, Options))
    found = (option for options in lists for option in options if option.name + option.joined == beginning)
    return tuple(option.type.place.root for option in found if option.type and option.type.place)


def _offers(what: Expectation) -> Iterator[Offer]:
    if what.choices:
        yield from (Offer(choice, "") for choice in what.choices)
    elif isinstance(what, Type) and what.place is not None:
        yield Offer(what.place.root, what.expected, "path")
    else:
        yield Offer("", what.expected, "value")
