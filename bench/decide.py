"""The decision: one command against an allow list of a thousand rules, in this process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.figures import Row, Target
from bench.turns import Contest
from rexec.policy.decide import decide, plain_request
from rexec.policy.parse import parse
from rexec.server.disk import LocalDisk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.field import Field

RULES = 1_000
AT_ONCE = 200


def decisions(field: Field, rounds: int) -> Iterator[Row]:
    """Allowed by the last rule, allowed with typed arguments, denied close to a rule, and unknown."""
    programs = field.folder / "programs"
    programs.mkdir()
    for number in range(RULES // 2):
        (programs / f"run{number}").symlink_to("/bin/true")
    lines = [f"{programs}/run{number} status {{int:1..9}} {{name}}" for number in range(RULES // 2)]
    lines += [f"/bin/echo one {number} {{int}}" for number in range(RULES // 2)]
    policy = parse("\n".join(lines), "cmds.txt", LocalDisk())
    asked = {
        "a word of its own": (f"{programs}/run{RULES // 2 - 1}", "status", "7", "web1"),
        "the last of 500 with one word": ("/bin/echo", "one", str(RULES // 2 - 1), "7"),
        "denied by 500 with one word": ("/bin/echo", "one", "x", "7"),
        "an unknown word": (f"{programs}/urn77", "status", "7", "web1"),
    }
    for what, words in asked.items():
        request = plain_request("alice", words)

        def run(request: object = request) -> float:
            begun = time.perf_counter()
            for _ in range(AT_ONCE):
                decide(policy, request)
            return (time.perf_counter() - begun) / AT_ONCE * 1e6

        contest = Contest(f"decision, {RULES:,} rules, {what}", "us", Target(most=20))
        contest.enter("rexec", lambda run=run: run)
        contest.hold(rounds)
        yield contest.row()
