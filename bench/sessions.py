"""Sessions: what an idle one takes of the server's memory, and how many can be opened in a second."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.field import CURVE25519, HERE
from bench.figures import Row, Target
from bench.loads import Load
from bench.turns import Contest, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.field import Field

NEW = "memory"  # servers that served nothing else: what others left is taken again and does not show
AT_ONCE = 20  # connections that are opened at the same time


def memory(field: Field, rounds: int, count: int) -> Iterator[Row]:
    """Proportional set size of all processes of a server, by session: before, and with many of them."""
    contest = Contest("idle session, server's memory", "KiB", Target(most=40), Target(most=1, of="dropbear"))

    def by_load(server: Callable[[], tuple[int, Load]]) -> Callable[[], Run]:
        def prepare() -> Run:
            number, load = server()
            load.seconds(AT_ONCE)  # what the first ones make it allocate is no session's

            def run() -> float:
                before = memory_of(number)
                load.seconds(count)
                return (memory_of(number) - before) / count

            return run

        return prepare

    def by_clients(server: subprocess.Popen[bytes], words: list[str]) -> Run:
        def run() -> float:
            few = max(5, count // 20)
            before, processes = memory_of(server.pid), len(tree(server.pid))
            for _ in range(few):
                field.start(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            until = time.monotonic() + 20
            while len(tree(server.pid)) < processes + few and time.monotonic() < until:
                time.sleep(0.1)
            time.sleep(1)  # the last ones are let in
            return (memory_of(server.pid) - before) / few

        return run

    def ours() -> tuple[int, Load]:
        server, address = field.rexec_server(NEW)
        return server.pid, Load("rexec-hold", AT_ONCE, address, str(field.home))

    def by_asyncssh() -> tuple[int, Load]:
        server, port = field.asyncssh(NEW)
        return server.pid, Load("asyncssh-hold", AT_ONCE, str(port), str(field.folder))

    def by_sshd() -> Run:
        server, words = field.sshd()
        return by_clients(server, [*words, CURVE25519, "-N", HERE])

    def by_dropbear() -> Run:
        server, words = field.dropbear()
        return by_clients(server, [*words, "-N", HERE])

    contest.enter("rexec", by_load(ours))
    contest.enter("asyncssh", by_load(by_asyncssh))
    contest.enter("sshd", by_sshd)
    contest.enter("dropbear", by_dropbear)
    contest.hold(rounds, warm_up=0)
    yield contest.row()


def tree(number: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [number]
    for at in found:
        for task in Path(f"/proc/{at}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue  # it has ended
    return found


def memory_of(number: int) -> float:
    """Return the KiB of a process and its descendants; what they share counts once."""
    total = 0.0
    for one in tree(number):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(float(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def opened(field: Field, rounds: int, count: int) -> Iterator[Row]:
    """Connect, prove a key and leave, from one process that speaks the protocol."""
    contest = Contest("new connections, one process", "/s", Target(least=1, of="asyncssh"))
    loads: list[Load] = []

    def entering(start: Callable[[], Load]) -> Callable[[], Run]:
        def prepare() -> Run:
            loads.append(load := start())
            return lambda: load.rate(count)

        return prepare

    home, folder = str(field.home), str(field.folder)
    contest.enter("rexec", entering(lambda: Load("rexec-open", AT_ONCE, field.rexec_server()[1], home)))
    contest.enter(
        "asyncssh", entering(lambda: Load("asyncssh-open", AT_ONCE, str(field.asyncssh()[1]), folder))
    )
    contest.hold(rounds)
    for load in loads:
        load.end()
    yield contest.row()
