"""The values of the room."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from rexec.policy.rules import Deny, Missing
from tests.policy.fakes import permit, policy_of


def test_a_policy_never_changes() -> None:
    policy = policy_of("ls")
    with pytest.raises(FrozenInstanceError):
        policy.rules = ()  # type: ignore[misc]


def test_a_permit_never_changes() -> None:
    allowed = permit("ls", "ls")
    with pytest.raises(AttributeError):
        allowed.path = "/bin/sh"  # type: ignore[misc]


def test_rules_are_found_by_their_command_word_in_their_order() -> None:
    policy = policy_of("df -h\nls\ndf -i")
    assert [rule.label for rule in policy.index["df"]] == ["cmds.txt:1", "cmds.txt:3"]


def test_groups_of_the_key_and_of_the_file_are_united() -> None:
    policy = policy_of("%group ops = alice\n%group dev = alice bob")
    assert policy.groups_of("alice", frozenset({"www"})) == {"ops", "dev", "www"}
    assert policy.groups_of("carol") == frozenset()


def test_a_denial_and_a_missing_program_have_their_exit_codes() -> None:
    assert Deny("no").exit_code == 126
    assert Deny("no").rule is None
    assert Missing("gone", "cmds.txt:1").exit_code == 127
