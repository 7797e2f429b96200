"""A disk in memory, and requests with everything in them, for the tests of the policy."""

from __future__ import annotations

from typing import Any

from rexec.policy.decide import decide
from rexec.policy.disk import Account, Found
from rexec.policy.parse import parse
from rexec.policy.problems import PolicyRefused, Problem
from rexec.policy.request import Request
from rexec.policy.rules import Decision, Deny, Permit, Policy


class FakeDisk:
    """Every program is there but those called nowhere; those called lax are writable by others."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.accounts: dict[tuple[str, str | None], Account] = {}
        self.kernel = frozenset({"landlock", "seccomp"})

    def find(self, command: str, path: tuple[str, ...]) -> Found | None:
        self.asked.append(command)
        if "nowhere" in command:
            return None
        place = command if command.startswith("/") else f"/usr/bin/{command}"
        return Found(place, (f"{place} is writable by others",) if "lax" in command else ())

    def account(self) -> Account:
        return Account("runner", "/home/joe")

    def other_account(self, user: str, group: str | None) -> Account | None:
        return self.accounts.get((user, group))

    def features(self) -> frozenset[str]:
        return self.kernel

    def is_directory(self, path: str) -> bool:
        return path != "/missing"


def policy_of(text: str) -> Policy:
    return parse(text, "cmds.txt", FakeDisk())


def refusals(text: str) -> list[Problem]:
    """Give the problems of a text that is refused."""
    try:
        policy_of(text)
    except PolicyRefused as refused:
        return list(refused.problems)
    raise AssertionError("the file was not refused")


def request_of(*words: str, **changes: Any) -> Request:
    given: dict[str, Any] = {
        "user": "alice",
        "groups": frozenset(),
        "words": words,
        "peer": "192.0.2.1",
        "connection": "192.0.2.1 4711",
        "now": 1_900_000_000.0,
        "pty_allowed": True,
    }
    return Request(**(given | changes))


def asked(text: str, *words: str, **changes: Any) -> Decision:
    return decide(policy_of(text), request_of(*words, **changes))


def permit(text: str, *words: str, **changes: Any) -> Permit:
    decision = asked(text, *words, **changes)
    assert isinstance(decision, Permit), decision
    return decision


def denial(text: str, *words: str, **changes: Any) -> str:
    decision = asked(text, *words, **changes)
    assert isinstance(decision, Deny), decision
    assert decision.exit_code == 126
    return decision.message
