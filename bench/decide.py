"""The decision: one command against an allow list of a thousand rules, in this process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from bench.figures import Row, Target
from bench.turns import Contest
from rexec.policy.decide import decide, plain_request
from rexec.policy.parse import parse
from rexec.policy.rules import Deny, Permit
from rexec.server.disk import LocalDisk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.field import Field
    from rexec.policy.request import Request
    from rexec.policy.rules import Policy

RULES = 1_000
AT_ONCE = 200


HALF = RULES // 2  # the rules with one word; the others have words of their own


class Sort(NamedTuple):
    """Rules that have one word, and what is asked of them: the last one, and what none of them takes."""

    rule: str
    last: tuple[str, ...]
    denied: tuple[str, ...]


SORTS = {
    "with one word": Sort("/bin/echo one {} {{int}}", ("one", f"{HALF - 1}", "7"), ("one", "x", "7")),
    "a value first": Sort("/bin/echo {{int:1..9}} unit{} ...", ("3", f"unit{HALF - 1}"), ("3", "unit")),
    "behind options": Sort("/bin/echo [-q -v] -- {} {{int}}", ("-q", f"{HALF - 1}", "7"), ("-q", "x", "7")),
    "a path each": Sort("/bin/echo {{path:/srv/site{}/** ro}}", (f"/srv/site{HALF - 1}/a/b",), ("/srv/a",)),
    "a user each": Sort("[user{0}]\n/bin/echo {0} {{int}}", (f"{HALF - 1}", "7"), ("x", "7")),
}


def decisions(field: Field, rounds: int) -> Iterator[Row]:
    """Allowed by a rule alone with its word or by the last of many, denied close to rules, and unknown."""
    programs = field.folder / "programs"
    programs.mkdir()
    for number in range(HALF):
        (programs / f"run{number}").symlink_to("/bin/true")
    alone = [f"{programs}/run{number} status {{int:1..9}} {{name}}" for number in range(HALF)]
    asked: dict[str, tuple[Policy, tuple[str, ...]]] = {}
    for name, sort in SORTS.items():
        lines = [*alone, *(sort.rule.format(number) for number in range(HALF))]
        policy = parse("\n".join(lines), "cmds.txt", LocalDisk())
        if not asked:
            asked["a word of its own"] = policy, (f"{programs}/run{HALF - 1}", "status", "7", "web1")
            asked["denied by a word's one rule"] = (
                policy,
                (f"{programs}/run{HALF - 1}", "status", "x", "web1"),
            )
            asked["an unknown word"] = policy, (f"{programs}/urn77", "status", "7", "web1")
        asked[f"the last of {HALF}, {name}"] = policy, ("/bin/echo", *sort.last)
        asked[f"denied by {HALF}, {name}"] = policy, ("/bin/echo", *sort.denied)
    for what, (policy, words) in asked.items():
        request = plain_request(f"user{HALF - 1}", words)
        verdict = Deny if what.startswith(("denied", "an unknown")) else Permit
        if not isinstance(decide(policy, request), verdict):
            raise AssertionError(f"{what}: {decide(policy, request)}")

        def run(policy: Policy = policy, request: Request = request) -> float:
            begun = time.perf_counter()
            for _ in range(AT_ONCE):
                decide(policy, request)
            return (time.perf_counter() - begun) / AT_ONCE * 1e6

        contest = Contest(f"decision, {RULES:,} rules, {what}", "us", Target(most=20))
        contest.enter("rexec", lambda run=run: run)
        contest.hold(rounds)
        yield contest.row()
