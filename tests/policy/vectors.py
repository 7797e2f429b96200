"""The files of tests/vectors/policy/arguments: rules, and what each takes and refuses.

A line `rule` begins a stanza with what stands behind the command; `head` and `option` lines belong to
it, the ones before and below the rule. `takes` and `refuses` have the arguments in JSON; behind those
that are taken may stand `=>` and what the program gets, behind those that are refused stands the one
flaw that they have. `{show}` is the program.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from tests.tree import ROOT

FOLDER = ROOT / "tests/vectors/policy/arguments"


class Case(NamedTuple):
    """Arguments, and what becomes of them; `gets` is None where they are refused."""

    place: str
    words: tuple[str, ...]
    gets: tuple[str, ...] | None
    flaw: str


class Stanza(NamedTuple):
    """A rule and its cases."""

    head: str
    rule: str
    options: tuple[str, ...]
    cases: tuple[Case, ...]

    def text(self, command: str, show: str) -> str:
        """Write the rule for a command; `show` is the program of a server command."""
        return "\n".join([f"{command} {self.rule}".replace("{show}", show), *self.options])


def stanzas() -> Iterator[Stanza]:
    for path in sorted(FOLDER.glob("*.txt")):
        head, found = "", None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            word, _, rest = line.partition(" ")
            if word == "rule":
                if found is not None:
                    yield found
                found = Stanza(head, rest, (), ())
            elif word == "head":
                head = rest
            elif word == "option":
                found = found._replace(options=(*found.options, f"    {rest}"))
            elif word in ("takes", "refuses"):
                case = _case(f"{path.stem}:{number}", word, rest)
                found = found._replace(cases=(*found.cases, case))
            else:
                assert not word or word == "#", line
        if found is not None:
            yield found


def _case(place: str, word: str, rest: str) -> Case:
    words, end = json.JSONDecoder().raw_decode(rest)
    behind = rest[end:].strip()
    if word == "refuses":
        assert behind, f"{place} names no flaw"
        return Case(place, tuple(words), None, behind)
    gets = json.loads(behind.removeprefix("=>")) if behind else words
    return Case(place, tuple(words), tuple(gets), "")
