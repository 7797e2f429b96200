"""What trees find is what a look at each rule finds: the decision, and every word of a denial."""

from __future__ import annotations

from random import Random

import pytest

from rexec.limits import MATCHED_MAX
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


def row(chance: Random, most: int) -> list[str]:
    few = chance.choice((5, len(PATTERNS)))
    return [chance.choice(PATTERNS[:few]) for _ in range(chance.randrange(most + 1))]


def rule(chance: Random, command: str, beginning: list[str]) -> list[str]:
    """Make a rule, and perhaps an option of it."""
    patterns = [*beginning, *row(chance, 4 - len(beginning))]
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
    beginnings = [row(chance, 2) for _ in range(3)]  # rules are like others
    for _ in range(1 + chance.randrange(most)):
        if chance.randrange(4) == 0:
            lines.append(chance.choice(SECTIONS))
        lines += rule(chance, chance.choice("xxxy"), chance.choice(beginnings))
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


@pytest.mark.parametrize("most", [3, 12, 160])
def test_trees_find_what_a_look_at_each_rule_finds(most: int) -> None:
    """security.md, Around the allow list: what decides is the first rule that takes the words, of those
    for the asker, whichever way it was found; and a denial tells of no other rule than it did."""
    chance = Random(most)
    kinds: set[str] = set()
    for _ in range(1_600 // most):
        text = text_of(chance, most)
        policy = policy_of(text)
        for _ in range(5 + most // 2):
            kinds.add(type(holds(policy, request(chance), text)).__name__)
    assert kinds >= {"Permit", "Deny"}


def nearest(text: str, *words: str) -> str | None:
    policy = policy_of(text)
    asked = request_of(*words)
    decision = holds(policy, asked, text)
    assert isinstance(decision, Deny)
    return decision.rule


def test_the_nearest_rule_is_the_one_that_the_words_leave_last() -> None:
    values = "x c\nx d\nx [-n={int}] a b\nx [-n={int}] a c"
    assert nearest(values, "x", "-n", "q") == "cmds.txt:3"
    repeats = "x a c z\nx a c y\nx {any}* a c y\nx {any}* a c z"
    assert nearest(repeats, "x", "a", "c", "c") == "cmds.txt:3"


def test_among_many_rules_those_that_take_most_of_the_words_are_looked_at() -> None:
    many = "".join(f"x a {number}\n" for number in range(NEAR))
    one = "x {any}* a z\n"  # takes no more words than they do, and wants something at a later place
    assert nearest(many + one, "x", "a", "w") == "cmds.txt:1"
    assert nearest(one + many, "x", "a", "w") == "cmds.txt:1"
    assert nearest("x b\n" + one + many, "x", "a", "w") == "cmds.txt:2"
    assert nearest(f"[alice]\nx a 1 z\n[everyone]\n{many}", "x", "a", "1", "w") == "cmds.txt:2"


def test_the_work_is_bounded_by_patterns_times_arguments() -> None:
    """security.md, Around the allow list: "catastrophic backtracking": no way is gone twice."""
    text = "".join(f"x {{any}}* {'a ' * 40}{last}\n" for last in "bcd")
    assert nearest(text, "x", *["a"] * 200) == "cmds.txt:1"
    assert nearest(text, "x", *["a"] * (MATCHED_MAX + 1)) == "cmds.txt:1"


def test_rules_as_long_as_a_line_may_be_are_told_apart() -> None:
    text = "".join(f"x {'a ' * 1_500}{last}\n" for last in "bcd")
    policy = policy_of(text)
    decision = holds(policy, request_of("x", *["a"] * 1_500, "d"), "")
    assert isinstance(decision, Permit)
    assert decision.rule.line == 3
    assert isinstance(holds(policy, request_of("x", *["a"] * 1_501), ""), Deny)


def test_a_rule_is_found_without_a_look_at_those_beside_it() -> None:
    """Of hundreds of rules with one word, those are looked at that may take the words."""
    text = "".join(
        f"x one {number} {{int}}\nx {{int}} two{number}\nx -- {{path:/srv/{number}/** ro}} ...\n"
        f"[u{number}]\nx {{word}} [-a]\n[everyone]\n"
        for number in range(150)
    )
    trees = policy_of(text).trees.of("x", "u7", frozenset())
    for words in (("one", "77", "1"), ("3", "two77"), ("--", "/srv/77/b", "c"), ("none", "-a")):
        found = [rule.text for tree in trees for _, rule in tree.walk(("x", *words), "/").takers()]
        assert 1 <= len(found) <= 2, found
