"""Who gains and loses what between two allow lists.

Rules are compared by what they are and never by trying requests: two lists are called the same only
where every decision is. What counts is, for each asker, the order of the rules of one command word;
rules of other words, and rules that no argument vector can both match, may change places.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import SequenceMatcher
from itertools import combinations
from typing import NamedTuple

from rexec.policy.arguments import Literal
from rexec.policy.terms import terms
from rexec.policy.who import EVERYONE
from rexec.policy.wording import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rexec.policy.grant import Grant
    from rexec.policy.rules import Policy, Rule

_GROUPS_MAX = 4  # beyond, keys of several groups are not enumerated, but the lists compared as wholes
_ELSE = "everyone else"


class Difference(NamedTuple):
    """What changes for some askers, who are told apart by no line of it."""

    whom: str
    lines: tuple[str, ...]


class Comparison(NamedTuple):
    """All of it; `textual` changes no decision, only what is shown."""

    differences: tuple[Difference, ...]
    textual: tuple[str, ...]


class _Asker(NamedTuple):
    """A user, "" for one that no list names, whose key has these groups."""

    user: str
    groups: frozenset[str]

    @property
    def label(self) -> str:
        keys = ", ".join(f"@{group}" for group in sorted(self.groups))
        if not self.user:
            return keys or _ELSE
        return f"{self.user} with a key of {keys}" if keys else self.user


def compare(old: Policy, new: Policy) -> Comparison:
    """Compare two allow lists."""
    found: dict[tuple[str, ...], list[str]] = {}
    for askers in _askers(old, new):
        for asker in askers:
            lines = tuple(_changes(old, old.rules_for(*asker), new, new.rules_for(*asker)))
            if lines:
                found.setdefault(lines, []).append(asker.label)
        if found:
            break
    else:
        if len(_groups(old) | _groups(new)) > _GROUPS_MAX:
            lines = tuple(_changes(old, old.rules, new, new.rules, whom=True))
            found = {lines: ["whoever is in several groups"]} if lines else {}
    everybody = next(_askers(old, new))
    differences = tuple(
        Difference("everyone" if len(labels) == len(everybody) else ", ".join(labels), lines)
        for lines, labels in found.items()
    )
    return Comparison(differences, tuple(_textual(old, new)) if not differences else ())


def _askers(old: Policy, new: Policy) -> Iterator[list[_Asker]]:
    """Give everybody for whom rules can be different, those with more groups in their key later."""
    users = [*sorted(_users(old) | _users(new)), ""]
    groups = sorted(_groups(old) | _groups(new))
    singles = [_Asker("", frozenset((group,))) for group in groups]
    yield [_Asker(user, frozenset()) for user in users] + singles
    for count in range(1, len(groups) + 1) if len(groups) <= _GROUPS_MAX else ():
        yield [_Asker(user, frozenset(some)) for some in combinations(groups, count) for user in users]


def _users(policy: Policy) -> frozenset[str]:
    who = [people for rule in policy.rules for people in (rule.section, rule.grant.whom)]
    return frozenset(policy.memberships).union(*(people.users for people in who))


def _groups(policy: Policy) -> frozenset[str]:
    who = [people for rule in policy.rules for people in (rule.section, rule.grant.whom)]
    return frozenset().union(*(people.groups for people in who))


# --- one asker ------------------------------------------------------------------------------------


def _changes(
    old: Policy, before: Sequence[Rule], new: Policy, after: Sequence[Rule], *, whom: bool = False
) -> Iterator[str]:
    if after and old.path != new.path:
        yield f"~ PATH of every command: {':'.join(old.path)} -> {':'.join(new.path)}"
    if after and old.account != new.account:
        yield f"~ account: {old.account.name} -> {new.account.name}"
    mine, theirs = _by_word(before), _by_word(after)
    for word in dict.fromkeys([*mine, *theirs]):
        yield from _of_one_word(mine.get(word, []), theirs.get(word, []), whom)


def _by_word(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.command, []).append(rule)
    return found


def _of_one_word(before: Sequence[Rule], after: Sequence[Rule], whom: bool) -> Iterator[str]:
    pairs, removed, added = _paired(
        [_what(rule, whom) for rule in before], [_what(rule, whom) for rule in after]
    )
    moved = []
    for place in list(removed):
        match = next((to for to in added if _what(after[to], whom) == _what(before[place], whom)), None)
        if match is not None:
            removed.remove(place)
            added.remove(match)
            moved.append((place, match))
    yield from (f"- {_shown(before[place])}" for place in removed)
    yield from (f"+ {_shown(after[place])}" for place in added)
    for one, other in sorted([*pairs, *moved], key=lambda pair: pair[1]):
        if _how(before[one]) != _how(after[other]):
            yield f"~ {_shown(after[other])}: {', '.join(_options(before[one], after[other]))}"
    every = [*pairs, *moved]
    for one, other in moved:
        yield from _passed(before, after, (one, other), every)


def _paired(
    before: Sequence[object], after: Sequence[object]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Match equal rules that kept their order; give the pairs, and what is left on both sides."""
    pairs: list[tuple[int, int]] = []
    for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        pairs += [(block.a + offset, block.b + offset) for offset in range(block.size)]
    mine, theirs = {one for one, _ in pairs}, {other for _, other in pairs}
    removed = [index for index in range(len(before)) if index not in mine]
    return pairs, removed, [index for index in range(len(after)) if index not in theirs]


def _passed(
    before: Sequence[Rule], after: Sequence[Rule], moved: tuple[int, int], pairs: Sequence[tuple[int, int]]
) -> Iterator[str]:
    """Name the first rule that another has changed places with, where both could match one command."""
    one, other = moved
    for first, second in pairs:
        turned = (first < one) != (second < other) and first != one
        if turned and not _are_apart(after[other], after[second]):
            way = "behind" if second < other else "before"
            yield f"! {_shown(after[other])}: now {way} {_shown(after[second])}"
            return


def _are_apart(one: Rule, other: Rule) -> bool:
    """Tell whether no arguments match both: fixed words at the same place differ."""
    for mine, theirs in zip(one.patterns, other.patterns, strict=False):
        if not isinstance(mine, Literal) or not isinstance(theirs, Literal):
            return False
        if mine != theirs:
            return True
    return False


# --- one rule -------------------------------------------------------------------------------------


def _what(rule: Rule, whom: bool) -> object:
    """Give what a rule matches and starts; equal ones are one rule, whatever its options."""
    people = (rule.section, rule.grant.whom) if whom else None
    return rule.patterns, tuple(pattern.name for pattern in rule.patterns), rule.served, people


def _how(rule: Rule) -> object:
    return _deciding(rule.grant), None if rule.program is None else rule.program.path


def _deciding(grant: Grant) -> Grant:
    """Give a grant without what is only shown, and without whom it is for, which the asker knows."""
    return replace(grant, about="", danger="", whom=EVERYONE)


def _options(before: Rule, after: Rule) -> Iterator[str]:
    one, other = terms(_deciding(before.grant)), terms(_deciding(after.grant))
    told = False
    for name in dict.fromkeys([*one, *other]):
        if one.get(name) != other.get(name):
            told = True
            yield f"{name} {_value(one.get(name))} -> {_value(other.get(name))}"
    paths = [rule.program.path if rule.program else "not there" for rule in (before, after)]
    if paths[0] != paths[1]:
        yield f"program {' -> '.join(paths)}"
    elif not told:
        yield "options"


def _value(text: str | None) -> str:
    return "unset" if text is None else shown(text) or "set"


def _shown(rule: Rule) -> str:
    return f"{rule.label}: {shown(rule.text)}"


def _textual(old: Policy, new: Policy) -> Iterator[str]:
    """Say what is shown differently where all decisions are equal."""
    texts = [
        [(rule.text, rule.grant.about, rule.grant.danger) for rule in policy.rules] for policy in (old, new)
    ]
    if texts[0] != texts[1]:
        yield "rules are written, described or ordered differently"
    elif [rule.line for rule in old.rules] != [rule.line for rule in new.rules]:
        yield "rules stand on other lines"
    elif old.generation != new.generation:
        yield "comments, blanks or assertions differ"
