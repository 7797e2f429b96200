"""Grants in the words of options: what is written is read as the same grant, and no difference is silent."""

from __future__ import annotations

from dataclasses import fields, replace
from ipaddress import ip_network

import pytest

from rexec.policy.disk import Account
from rexec.policy.grant import PLAIN, Fence, Grant, Limits, Output, Rate, Window
from rexec.policy.terms import account, size, terms, who
from rexec.policy.who import Who
from tests.policy.fakes import policy_of

OTHER: dict[str, object] = {
    "about": 'it\'s "so"',
    "whom": Who(False, frozenset({"alice"}), frozenset({"ops"})),
    "until": 1_900_000_020.0,
    "timeout": 0.5,
    "idle": 90.0,
    "cwd": "/srv/a b",
    "cwd_ask": "/srv",
    "env_set": (("A", "b c"), ("D", "")),
    "env_pass": ("LANG", "LC_*"),
    "pty": "only",
    "stdin": False,
    "background_keep": True,
    "resume": 300.0,
    "idempotent": True,
    "detach": True,
    "umask": 0o77,
    "nice": 5,
    "limits": Limits(10, 512 << 20, 32, 64, 1000),
    "output": Output(10 << 20, True),
    "parallel": 2,
    "rate": Rate(10, 60),
    "fence": Fence(True, None, True, ("/srv/a b",), ("/srv/x",), False, True),
    "sha256": "ab" * 32,
    "record": "io",
    "confirm": "yes, really",
    "danger": "high",
}


@pytest.mark.parametrize("name", OTHER)
def test_what_is_written_is_read_as_the_same_grant(name: str) -> None:
    grant = replace(PLAIN, **{name: OTHER[name]})  # type: ignore[arg-type]
    said = terms(grant)
    assert said
    lines = [f"    {option} {text}".rstrip() for option, text in said.items()]
    assert policy_of("\n".join(["ls []", *lines])).rules[0].grant == grant


def test_no_resume_is_a_word() -> None:
    assert terms(replace(PLAIN, resume=0.0)) == {"resume": "no"}


def test_a_plain_rule_says_nothing() -> None:
    assert terms(PLAIN) == {}


def test_every_field_of_a_grant_is_said() -> None:
    rest: dict[str, object] = {
        "sources": (ip_network("10.0.0.0/8"),),
        "windows": (Window(frozenset({0}), 0, 60, "Mon 00:00-01:00"), Window(frozenset({1}), 0, 60, "Tue")),
        "run_as": Account("backup", "/", 34, 34),
        "stdin_max": 1 << 20,
        "redact": frozenset({"a", "b"}),
    }
    assert {field.name for field in fields(Grant)} == OTHER.keys() | rest.keys() | {"linger"}
    assert terms(replace(PLAIN, **rest)) == {  # type: ignore[arg-type]
        "from": "10.0.0.0/8",
        "when": "Mon 00:00-01:00 or Tue",
        "as": "backup (uid 34, gid 34)",
        "stdin": "1M",
        "redact": "a b",
    }


def test_the_client_may_choose_any_directory() -> None:
    assert terms(replace(PLAIN, cwd_ask="/")) == {"cwd ask": ""}
    assert terms(replace(PLAIN, cwd_ask="/a b")) == {"cwd ask": "'/a b/**'"}


def test_sizes_have_the_largest_unit_that_is_exact() -> None:
    assert [size(number) for number in (1, 1000, 1024, 1536, 3 << 20, 1 << 30, 1 << 40)] == [
        "1", "1000", "1K", "1536", "3M", "1G", "1T",
    ]  # fmt: skip


def test_people_and_accounts_are_named() -> None:
    assert who(Who(True)) == "everyone"
    assert who(Who(False, frozenset({"b", "a"}), frozenset({"ops"}))) == "a b @ops"
    assert account(Account("joe", "/", 7, 8)) == "joe (uid 7, gid 8)"


def test_the_fence_is_said_by_its_options() -> None:
    assert terms(replace(PLAIN, fence=Fence(exec_only=("/bin/a", "/b c")))) == {"exec-only": "/bin/a '/b c'"}
