"""One command from nothing, and through a connection that is shared: whole processes."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench.field import CURVE25519, HERE, REXEC, REXEC_SSH
from bench.figures import Row, Target
from bench.turns import Absent, Contest, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.field import Field


START = "python -I -S, nothing"
NOTHING = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)


def timed(words: list[str]) -> Run:
    """Return what runs a program once, in milliseconds."""

    def run() -> float:
        begun = time.perf_counter()
        subprocess.run(words, check=True, **NOTHING)
        return (time.perf_counter() - begun) * 1000

    return run


def by_nothing() -> Run:
    """Python that does nothing at all: its start is a part of ours."""
    return timed([sys.executable, "-I", "-S", "-c", "pass"])


def cold(field: Field, rounds: int) -> Iterator[Row]:
    """`rexec host true`, from exec to exit."""

    def by_asyncssh() -> Run:
        _, port = field.asyncssh()
        words = [sys.executable, "-m", "bench.loads", "asyncssh-once", "1", str(port), str(field.folder)]
        return timed([*words, "true"])

    def by_dropbear() -> Run:
        _, words = field.dropbear()
        return timed([*words, HERE, "true"])

    contest = Contest(
        "one command, cold", "ms", Target(most=0.30, of="ssh, curve25519"), Target(most=1, of="nrpe")
    )
    contest.enter("rexec", lambda: timed([REXEC, field.rexec_server()[1], "true"]))
    contest.enter("ssh, curve25519", lambda: timed([*field.sshd()[1], CURVE25519, HERE, "true"]))
    contest.enter("ssh", lambda: timed([*field.sshd()[1], HERE, "true"]))
    contest.enter("dropbear", by_dropbear)
    contest.enter(START, by_nothing)
    contest.enter("nrpe", lambda: timed(field.nrpe()))
    contest.enter("asyncssh", by_asyncssh)
    contest.hold(rounds)
    yield contest.row()


def shared(field: Field, rounds: int) -> Iterator[Row]:
    """The same through a master that is there already."""
    contest = Contest("one command, shared connection", "ms", Target(most=2, of="ssh"))
    contest.enter("rexec", lambda: timed(by_master(field, "rexec-ssh")))
    contest.enter("ssh", lambda: timed(by_master(field, "ssh")))
    contest.enter(START, by_nothing)
    contest.hold(rounds, warm_up=3)
    yield contest.row()


def by_master(field: Field, program: str) -> list[str]:
    """Start a master; return the words that run `true` through it."""
    path = field.folder / f"{program}.master"
    if program == "ssh":
        words = [*field.sshd()[1], "-S", str(path), HERE]
    else:
        _, address = field.rexec_server()
        host, _, port = address.rpartition(":")
        words = [REXEC_SSH, "-S", str(path), "-p", port, host]
    if not path.exists():
        at = words.index("-S")
        master = field.start([*words[:at], "-M", "-N", *words[at:]])
        while not path.exists():
            if master.poll() is not None:
                raise Absent("the master does not start")
            time.sleep(0.01)
    return [*words, "true"]
