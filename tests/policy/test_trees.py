"""What trees find is what a look at each rule finds: the decision, and every word of a denial."""

from __future__ import annotations

from random import Random

import pytest

from rexec.policy.arguments import match, miss, reach
from rexec.policy.circumstances import outside
from rexec.policy.decide import allowed_by, base_of, candidates, decide, without_secrets
from rexec.policy.forms import seen_by, settled
from rexec.policy.request import Request
from rexec.policy.rules import Decision, Deny, Missing, Permit, Policy, Rule
from rexec.policy.wording import show
from tests.policy.fakes import policy_of, request_of

NEAR = 32  # rules that a denial looks at, those that take most of the words first
PATTERNS = (
    *("a", "a", "b", "1", "-a", "'--'", "/srv/a", "''", "{int}", "{int:1..9}", "{word}", "{any}", "{n=any}"),
    *("{a|b|1}", "{n=SET}", "{re:'[ab]+'}", "{int}?", "{a|b}*", "{word}+", "{SET}?", "--", "--"),
    *(
        "{path:/srv/** ro}",
        "{path:/srv/a/** ro}",
        "{n=path:/srv/a ro}",
        "{path:/** ro}",
        "{path:/srv/*/b rw}",
    ),
    *("{path:/home/joe/** ro}", "{path:/srv/a/** ro}*", "[-a -b]", "[-a -n={int}]", "[-(ab) --l={a|b}]*"),
    "[--f={path:/srv/** ro} -n={word}]",
)
WORDS = (
    *("a", "a", "b", "1", "1", "12", "--", "-a", "-b", "-ab", "-n", "-n1", "-n", "--l=a", "--l", "", "é"),
    *("/srv", "/srv/a", "/srv/a/b", "/srv//a/./b", "/srv/a/../b", "/", "srv/a", "b/c", "/home/joe/x", "a:b"),
    *("--f=/srv/x", "--f=/x", "x" * 1100, "/srv/" + "a/" * 600),
)
OPTIONS = (
    *("until 2001-01-01", "from 10.0.0.0/8", "when Mon 00:00-00:01", "for bob", "for @dev carol", "pty no"),
    *("cwd /srv", "cwd /srv/a", "cwd ask", "as backup", "confirm yes", "redact n"),
)
SECTIONS = ("[everyone]", "[everyone]", "[alice]", "[alice bob]", "[@ops]", "[@dev alice]", "[bob]")
HEAD = "%group ops = alice\n%group dev = carol dave\n%set SET = a b /srv\n"


def rule(chance: Random, command: str) -> list[str]:
    """Make a rule that others are like, and perhaps some options."""
    count = chance.randrange(5)
    patterns = [chance.choice(PATTERNS[: chance.choice((5, len(PATTERNS)))]) for _ in range(count)]
    named = [at for at, pattern in enumerate(patterns) if pattern.startswith("{n=")]
    patterns = [pattern for at, pattern in enumerate(patterns) if at not in named[1:]]
    if "--" in patterns:
        at = patterns.index("--")
        patterns[at + 1 :] = [pattern for pattern in patterns[at + 1 :] if pattern != "--"]
    tail = ["..."] if chance.randrange(6) == 0 else [] if patterns else ["[]"]
    said = chance.sample(OPTIONS, 1 if chance.randrange(4) == 0 else 0)
    options = [option for option in said if option != "redact n" or named]
    return [" ".join([command, *patterns, *tail]), *(f"    {option}" for option in options)]


def text_of(chance: Random, most: int) -> str:
    lines = [HEAD + "@shell" if chance.randrange(3) == 0 else HEAD]
    for _ in range(1 + chance.randrange(most)):
        if chance.randrange(8) == 0:
            lines.append(chance.choice(SECTIONS))
        lines += rule(chance, chance.choice("xxxy"))
    return "\n".join(lines)


def request(chance: Random) -> Request:
    words = ("x", *(chance.choice(WORDS) for _ in range(chance.randrange(6))))
    changes: dict[str, object] = {}
    if chance.randrange(5) == 0:
        said = " ".join(words)
        changes = {"form": "string"}
        words = (said,)
    return request_of(
        *words,
        user=chance.choice(("alice", "alice", "bob", "carol", "@ops")),
        groups=chance.choice((frozenset(), frozenset({"dev"}))),
        cwd=chance.choice((None, None, "/srv/a", "a")),
        **changes,
    )


def plainly(policy: Policy, asked: Request) -> tuple[Rule, str | None] | None:
    """Look at each rule: give the one that decides, and why it does not allow it; or the nearest one."""
    missed: list[Rule] = []
    absent: tuple[Rule, str] | None = None
    for candidate in candidates(policy, asked):
        seen = seen_by(candidate, asked)
        if match(candidate.patterns, seen.words, base_of(policy, candidate, seen)) is None:
            missed.append(candidate)
            continue
        reason = outside(candidate.grant, seen)
        if reason is None:
            return candidate, None
        absent = absent or (candidate, reason)
    if absent or not missed:
        return absent
    words, shown = asked.words, without_secrets(policy, asked)
    if len(missed) > NEAR:
        missed.sort(key=lambda rule: -reach(rule.patterns, words, base_of(policy, rule, asked)))
    misses = [(miss(rule.patterns, words, base_of(policy, rule, asked)), rule) for rule in missed[:NEAR]]
    nearest, found = max(misses, key=lambda pair: pair[0].position)
    return found, f"allows {allowed_by(found)} ({nearest.said(shown)})"


def holds(policy: Policy, asked: Request, text: str) -> Decision:
    """Judge a request both ways."""
    decision, wanted = decide(policy, asked), plainly(policy, settled(asked))
    place = f"{text}\n<- {asked}"
    if wanted is None:
        assert isinstance(decision, Deny), place
        assert "no rule of" in decision.message or "needs a shell" in decision.message, place
        return decision
    found, why = wanted
    label = decision.rule.label if isinstance(decision, Permit) else decision.rule
    assert label == found.label, f"{place}\n{label}, not {found.label}"
    if why is not None:
        assert isinstance(decision, Deny), place
        assert decision.message == f'"{show(decision.logged)}": {found.label} {why}', place
    elif isinstance(decision, Permit):
        assert decision.rule is found, place
    else:
        assert isinstance(decision, Missing) or "allows" not in decision.message, place
    return decision


@pytest.mark.parametrize("most", [3, 12, 90])
def test_trees_find_what_a_look_at_each_rule_finds(most: int) -> None:
    """security.md, Around the allow list: what decides is the first rule that takes the words, of those
    for the asker, whichever way it was found; and a denial tells of no other rule than it did."""
    chance = Random(most)
    kinds: set[str] = set()
    for _ in range(600 // most):
        text = text_of(chance, most)
        policy = policy_of(text)
        for _ in range(5 + most // 2):
            kinds.add(type(holds(policy, request(chance), text)).__name__)
    assert kinds >= {"Permit", "Deny"}
