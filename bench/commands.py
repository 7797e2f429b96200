"""Commands a second on one connection, one at a time and ten in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.cold import by_master
from bench.field import BARE
from bench.figures import Row, Target
from bench.loads import Load
from bench.turns import Contest, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.field import Field

MANY = 10
LOCAL = "subprocess.run, local"


def commands(field: Field, rounds: int) -> Iterator[Row]:
    """`true`, again and again; a master's clients are processes of their own."""
    for depth, work, least in ((1, "one at a time", 0.7), (MANY, f"{MANY} in flight", 0.95)):
        yield _commands(field, rounds, depth, work, least)


def _commands(field: Field, rounds: int, depth: int, work: str, least: float) -> Row:
    loads: list[Load] = []

    def of(count: int, start: Callable[[], Load]) -> Callable[[], Run]:
        def prepare() -> Run:
            made = start()
            loads.append(made)
            return lambda: made.rate(count)

        return prepare

    home = str(field.home)
    contest = Contest(
        f"commands, {work}", "/s", Target(least=least, of=LOCAL), Target(least=1, of="asyncssh")
    )
    contest.enter("rexec", of(400, lambda: Load("rexec-async", depth, field.rexec_server()[1], home)))
    contest.enter("rexec, blocking", of(200, lambda: Load("rexec", depth, field.rexec_server()[1], home)))
    contest.enter(BARE, of(400, lambda: Load("bare", depth, field.bare(["/bin/true"], often=True)[-1])))
    contest.enter(LOCAL, of(400, lambda: Load("local", 1)))
    contest.enter(
        "asyncssh", of(300, lambda: Load("asyncssh", depth, str(field.asyncssh()[1]), str(field.folder)))
    )
    contest.enter("ssh, shared", of(60, lambda: Load("program", depth, *by_master(field, "ssh"))))
    contest.enter("rexec-ssh, shared", of(40, lambda: Load("program", depth, *by_master(field, "rexec-ssh"))))
    contest.hold(rounds)
    for made in loads:
        made.end()
    return contest.row()
