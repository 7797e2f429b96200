"""Echo: one byte to a far `cat` and back, over a connection that stays open, with and without a terminal."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench.field import BARE, HERE, REXEC
from bench.figures import OURS, Row, Target, percentile
from bench.turns import Absent, Contest, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.field import Field

PLAIN = "printf .; exec cat"
RAW = "stty raw -echo; printf .; exec cat"
WARM_UP = 100  # bytes before it counts


class Echo:
    """One running client; what is sent comes back."""

    def __init__(self, words: list[str]) -> None:
        self.times: list[float] = []
        self._client = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._to, self._from = self._client.stdin.fileno(), self._client.stdout.fileno()
        if os.read(self._from, 1) != b".":
            raise Absent("cat does not run")
        self.measure(WARM_UP)
        self.times.clear()

    def measure(self, count: int) -> float:
        """Send so many bytes, one at a time; note how long each took, and return the median."""
        times = []
        for _ in range(count):
            begun = time.perf_counter()
            os.write(self._to, b"x")
            os.read(self._from, 1)
            times.append((time.perf_counter() - begun) * 1e6)
        self.times += times
        return statistics.median(times)

    def end(self) -> None:
        self._client.terminate()
        self._client.wait()


def echo(field: Field, rounds: int, count: int) -> Iterator[Row]:
    """Medians of each turn, and over all turns the time that one of a hundred takes longer than."""
    _, address = field.rexec_server()

    def by_asyncssh() -> list[str]:
        _, port = field.asyncssh()
        words = [sys.executable, "-m", "bench.loads", "asyncssh-once", "1", str(port), str(field.folder)]
        return [*words, f"sh -c '{PLAIN}'"]

    plain: dict[str, Callable[[], list[str]]] = {
        OURS: lambda: [REXEC, address, "sh", "-c", PLAIN],
        "ssh": lambda: [*field.sshd()[1], HERE, PLAIN],
        "asyncssh": by_asyncssh,
        "dropbear": lambda: [*field.dropbear()[1], HERE, PLAIN],
        BARE: lambda: field.bare(["sh", "-c", PLAIN]),
        "cat, local": lambda: ["sh", "-c", PLAIN],
    }
    terminal: dict[str, Callable[[], list[str]]] = {
        OURS: lambda: [REXEC, "-t", address, "sh", "-c", RAW],
        "ssh": lambda: [*field.sshd()[1], "-tt", HERE, RAW],
    }
    for work, field_of in (("echo", plain), ("echo, terminal", terminal)):
        yield from _rows(work, field_of, rounds, count)


def _rows(work: str, entrants: dict[str, Callable[[], list[str]]], rounds: int, count: int) -> Iterator[Row]:
    running: dict[str, Echo] = {}
    targets = [Target(most=1.6, of="ssh")]
    if "asyncssh" in entrants:
        targets.append(Target(most=1, of="asyncssh"))
    contest = Contest(f"{work}, median", "us", *targets)

    def prepare(name: str) -> Run:
        running[name] = Echo(entrants[name]())
        return lambda: running[name].measure(count)

    for name in entrants:
        contest.enter(name, lambda name=name: prepare(name))
    contest.hold(rounds)
    row = contest.row()
    yield row
    last = {name: [percentile(one.times, 99)] for name, one in running.items() if name in row.samples}
    yield Row(f"{work}, p99", "us", last, row.absent, tuple(targets))
    for one in running.values():
        one.end()
