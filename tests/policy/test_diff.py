"""What two allow lists differ in, and that lists called the same decide the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.policy.decide import decide
from rexec.policy.diff import Comparison, compare
from rexec.policy.disk import Account
from rexec.policy.rules import Decision, Permit
from tests.policy.fakes import FakeDisk, policy_of, request_of


def compared(old: str, new: str) -> Comparison:
    return compare(policy_of(old), policy_of(new))


def told(old: str, new: str) -> list[str]:
    return [f"{found.whom}: {line}" for found in compared(old, new).differences for line in found.lines]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("ls", "ls\ndf -h", ["everyone: + cmds.txt:2: df -h"]),
        ("ls\ndf -h", "ls", ["everyone: - cmds.txt:2: df -h"]),
        ("ls", "ls\n    idle 30s", ["everyone: ~ cmds.txt:1: ls: idle unset -> 30s"]),
        ("ls\n    noexec", "ls", ["everyone: ~ cmds.txt:1: ls: noexec set -> unset"]),
        ("ls {int}", "ls {num}", ["everyone: - cmds.txt:1: ls {int}", "everyone: + cmds.txt:1: ls {num}"]),
        ("ls -l\nls ...", "ls ...\nls -l", ["everyone: ! cmds.txt:1: ls ...: now before cmds.txt:2: ls -l"]),
        ("[alice]\nls", "[alice bob]\nls", ["bob: + cmds.txt:2: ls"]),
        ("[alice]\nls", "ls", ["everyone else: + cmds.txt:1: ls"]),
        ("%group o = al\n[@o]\nls", "%group o = al bo\n[@o]\nls", ["bo: + cmds.txt:3: ls"]),
        ("[@ops]\nls", "[@dev]\nls", ["@dev: + cmds.txt:2: ls", "@ops: - cmds.txt:2: ls"]),
        ("%path /a\nls", "%path /b\nls", ["everyone: ~ PATH of every command: /a -> /b"]),
        ("ls\n    from 10.0.0.0/8", "ls", ["everyone: ~ cmds.txt:1: ls: from 10.0.0.0/8 -> unset"]),
    ],
)  # fmt: skip
def test_a_difference_is_told_as_a_person_reads_it(old: str, new: str, lines: list[str]) -> None:
    assert told(old, new) == lines


def test_names_that_change_places_change_what_is_started() -> None:
    lines = told("a {x=int} {y=int} = b {x} {y}", "a {y=int} {x=int} = b {x} {y}")
    assert [line[:11] for line in lines] == ["everyone: -", "everyone: +"]


def test_a_set_of_other_words_is_another_pattern() -> None:
    lines = told("%set A = x y\nls {A}", "%set A = x z\nls {A}")
    assert lines == ["everyone: - cmds.txt:2: ls {A}", "everyone: + cmds.txt:2: ls {A}"]


def test_another_program_behind_the_same_name_is_a_difference() -> None:
    here, there = FakeDisk(), FakeDisk()
    there.places["ls"] = "/opt/ls"
    found = compare(policy_of("ls", here), policy_of("ls", there)).differences
    assert found[0].lines == ("~ cmds.txt:1: ls: program /usr/bin/ls -> /opt/ls",)


def test_the_account_of_the_server_and_of_a_rule_count() -> None:
    here, there = FakeDisk(), FakeDisk()
    there.own = Account("other", "/", 0, 0)
    there.accounts["backup", None] = Account("backup", "/var/backups", 34, 34, (34, 7))
    found = compare(policy_of("ls\n    as backup", here), policy_of("ls\n    as backup", there)).differences
    assert found[0].lines == ("~ account: runner -> other", "~ cmds.txt:1: ls: options")


def test_a_rule_that_is_the_beginning_of_another_is_not_apart_from_it() -> None:
    assert told("ls -l ...\nls -l", "ls -l\nls -l ...") == [
        "everyone: ! cmds.txt:1: ls -l: now before cmds.txt:2: ls -l ..."
    ]
    assert told("ls {int}\nls 5", "ls 5\nls {int}") != []


WORDS = ("rules are written, described or ordered differently",)


@pytest.mark.parametrize(
    ("old", "new", "textual"),
    [
        ("ls\n", "ls\n", ()),
        ("ls\n", "\nls\n", ("rules stand on other lines",)),
        ("ls\n", "ls  # why\n", ("comments, blanks or assertions differ",)),
        ("ls []\n    about 'x'", "ls []\n    about 'y'\n    danger high", WORDS),
        ("ls -a\nls -b", "ls -b\nls -a", WORDS),
        ("ls ...\ndf -h", "df -h\nls ...", WORDS),
        ("ls {int}", "ls   {int}", WORDS),
        ("[alice]\nls\n[bob]\nls", "[alice bob]\nls", WORDS),
    ],
)
def test_what_changes_no_decision_is_only_textual(old: str, new: str, textual: tuple[str, ...]) -> None:
    assert compared(old, new) == Comparison((), textual)


def test_people_with_the_same_differences_are_told_together() -> None:
    found = compared("[alice bob]\nls\n[@ops]\ndf", "ls\n[@ops]\ndf").differences
    assert [difference.whom for difference in found] == ["everyone else, @ops"]


def test_a_key_of_several_groups_can_be_the_only_one_for_whom_it_matters() -> None:
    old, new = "[@a]\nls ...\n    pty no\n[@b]\nls ...", "[@b]\nls ...\n[@a]\nls ...\n    pty no"
    assert {found.whom for found in compared(old, new).differences} == {"@a, @b"}
    assert told("[alice]\nls\n    for @a", "[alice]\nls []\n    for @a")[0].startswith(
        "alice with a key of @a: "
    )


def test_lists_with_many_groups_are_compared_as_wholes() -> None:
    sections = [f"[@g{number}]\nls ...\n    timeout {number}s" for number in range(1, 7)]
    found = compared("\n".join(sections), "\n".join([*sections[1:], sections[0]]))
    assert [difference.whom for difference in found.differences] == ["whoever is in several groups"]
    assert compared("\n".join(sections), "\n".join(sections)).differences == ()


RULES = st.sampled_from(
    [
        "ls ...",
        "ls -l",
        "ls -a",
        "ls {int}",
        "ls -- {word}",
        "ls [-l -a] {word}?",
        "df",
        "ls []",
        "ls {alice|bob}",
    ]
)
OPTIONS = st.sampled_from(
    ["", "\n    timeout 5s", "\n    pty no", "\n    for @ops", "\n    for alice", "\n    about 'x'"]
)
HEADS = st.sampled_from(["[alice]", "[@ops]", "[@dev bob]", "[everyone]", "%group dev = carol", ""])
LISTS = st.lists(st.tuples(HEADS, RULES, OPTIONS), max_size=4).map(
    lambda rows: "\n".join(f"{head}\n{rule}{option}" for head, rule, option in rows)
)
ASKED = [("ls",), ("ls", "-l"), ("ls", "-a"), ("ls", "7"), ("ls", "alice"), ("ls", "-a", "x"), ("df",)]
GROUPS = [frozenset[str](), frozenset({"ops"}), frozenset({"dev"}), frozenset({"ops", "dev"})]


def seen(decision: Decision) -> object:
    """Give all of a decision that no text or place of a rule changes."""
    if not isinstance(decision, Permit):
        return decision.exit_code
    env = [pair for pair in decision.env if pair[0] != "REXEC_RULE"]
    return replace(decision.grant, about="", whom=None), decision.path, decision.argv, env, decision.timeout


@settings(max_examples=100, deadline=None)
@given(old=LISTS, new=LISTS)
def test_lists_that_are_called_the_same_decide_the_same(old: str, new: str) -> None:
    heads = [
        text.replace("%group dev = carol", "", text.count("%group dev = carol") - 1) for text in (old, new)
    ]
    before, after = (policy_of(text) for text in heads)
    if compare(before, after).differences:
        return
    for words in ASKED:
        for user in ("alice", "bob", "carol", "dave"):
            for groups in GROUPS:
                request = request_of(*words, user=user, groups=groups)
                assert seen(decide(before, request)) == seen(decide(after, request))
