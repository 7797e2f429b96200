"""A disk in memory, and requests with everything in them, for the tests of the policy."""

from __future__ import annotations

import fnmatch
import posixpath
from typing import Any

from rexec.errors import ConfigError
from rexec.policy.decide import decide
from rexec.policy.disk import Account, Found
from rexec.policy.parse import parse
from rexec.policy.problems import PolicyRefused, Problem, Severity
from rexec.policy.request import Request
from rexec.policy.rules import Decision, Deny, Permit, Policy
from rexec.policy.source import Source

ACCOUNTS = {
    "root": Account("root", "/root", 0, 0, (0,)),
    "postgres": Account("postgres", "/var/lib/postgresql", 70, 70, (70,)),
    "backup": Account("backup", "/var/backups", 34, 34, (34,)),
}


class FakeDisk:
    """Every program is there but those called nowhere; those called lax are writable by others."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.accounts: dict[tuple[str, str | None], Account] = {}
        self.accounts |= {(name, None): account for name, account in ACCOUNTS.items()}
        self.kernel = frozenset({"landlock", "seccomp"})
        self.own = Account("runner", "/home/joe", 0, 0, (0,))
        self.files: dict[str, str] = {}
        self.digests: dict[str, str] = {}
        self.time = 1_900_000_000.0
        self.absent: set[str] = set()
        self.places: dict[str, str] = {}  # of programs that are not in /usr/bin

    def find(self, command: str, path: tuple[str, ...]) -> Found | None:
        self.asked.append(command)
        if "nowhere" in command or command in self.absent:
            return None
        place = self.places.get(command, command if command.startswith("/") else f"/usr/bin/{command}")
        return Found(place, (f"{place} is writable by others",) if "lax" in command else ())

    def account(self) -> Account:
        return self.own

    def other_account(self, user: str, group: str | None) -> Account | None:
        return self.accounts.get((user, group))

    def features(self) -> frozenset[str]:
        return self.kernel

    def is_directory(self, path: str) -> bool:
        return path != "/missing"

    def is_there(self, path: str) -> bool:
        return not path.startswith("/missing")

    def digest(self, path: str) -> str | None:
        return self.digests.get(path)

    def clock(self) -> float:
        return self.time

    def included(self, pattern: str, within: Source, *, globs: bool) -> list[Source]:
        where = posixpath.join(posixpath.dirname(within.place), pattern)
        beside = [name for name in self.files if name.count("/") == where.count("/")]
        names = sorted(fnmatch.filter(beside, where)) if globs and "*" in where else [where]
        if any(name not in self.files for name in names):
            raise ConfigError(f"{where}: no such file or directory")
        return [Source.of(name, name, self.files[name]) for name in names]


def policy_of(text: str, disk: FakeDisk | None = None) -> Policy:
    return parse(text, "cmds.txt", disk or FakeDisk())


def refusals(text: str, disk: FakeDisk | None = None) -> list[Problem]:
    """Give the problems of a text that is refused."""
    try:
        policy_of(text, disk)
    except PolicyRefused as refused:
        return list(refused.problems)
    raise AssertionError("the file was not refused")


def error(text: str, disk: FakeDisk | None = None) -> Problem:
    """Give the one error of a text that is refused."""
    (found,) = (problem for problem in refusals(text, disk) if problem.severity is Severity.ERROR)
    return found


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
