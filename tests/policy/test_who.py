"""Who a rule is for."""

from __future__ import annotations

import pytest

from rexec.policy.tokens import scan
from rexec.policy.who import EVERYONE, NOBODY, Who, is_name, read_who

NONE: frozenset[str] = frozenset()
OPS = frozenset({"ops"})


def who(text: str) -> Who:
    return read_who(scan(text), 1)


def test_everyone_takes_in_anybody() -> None:
    assert who("everyone") == EVERYONE
    assert EVERYONE.includes("anybody", NONE)


def test_users_and_groups_are_told_apart_by_the_at_sign() -> None:
    people = who("alice @ops")
    assert people.includes("alice", NONE)
    assert people.includes("bob", OPS)
    assert not people.includes("ops", NONE)
    assert not people.includes("bob", frozenset({"alice"}))


def test_nobody_takes_in_no_user_that_can_be() -> None:
    assert not NOBODY.includes("alice", OPS)
    assert not is_name("")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("everyone", "alice", True),
        ("alice", "everyone", False),
        ("alice bob", "alice", True),
        ("alice", "alice bob", False),
        ("@ops", "alice", True),
        ("@ops", "bob", False),
        ("@ops alice", "@ops", True),
        ("alice", "@ops", False),
    ],
)
def test_a_section_covers_those_it_includes_for_sure(first: str, second: str, expected: bool) -> None:
    members = {"ops": frozenset({"alice"})}
    assert who(first).covers(who(second), members) is expected


@pytest.mark.parametrize("name", ["alice", "_x", "7of9", "a.b@c-d", "x" * 64])
def test_these_are_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "-x", ".x", "@x", "a b", "a/b", "a\n", "é", "x" * 65])
def test_these_are_no_names(name: str) -> None:
    assert not is_name(name)
