"""One-shot commands while the server is started anew again and again: how many failed.

Run as a program: `python -m tests.regress.restarts COMMANDS RESTARTS`, the full figure of
docs/reference/reliability.md. The test makes a short run of it.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from tests.regress.conftest import PATIENCE, RULES, Host, has_ended, wait_until
from tests.regress.manager import Manager

CLIENTS = 4  # at once


TRYING = re.compile(rb"rexec: .*; trying again\n")


class Way(Protocol):
    """A server and how it is started again."""

    address: str
    may_notice: bool  # a client may say that it tries again

    def restart(self) -> None: ...


class Load:
    """What became of the commands: what was wrong with each that failed, and how many found nobody there.

    Who finds nobody there comes again, as whoever wrote the script would have it do.
    """

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.refused = 0


def load(host: Host, server: Way, commands: int, restarts: int) -> Load:
    """Run commands, and restarts spread evenly among them; each must run once."""
    found_out = Load()
    failed = found_out.failed
    grew = threading.Condition()
    done = 0
    runs = host.folder / "runs"

    def run(number: int) -> None:
        nonlocal done
        script = f"echo {number} >> {runs}; printf %s {number}"
        deadline = time.monotonic() + PATIENCE
        while True:
            found = host.run("sh", "-c", script, address=server.address)
            if b": connection refused\n" not in found.stderr or time.monotonic() > deadline:
                break
            with grew:
                found_out.refused += 1
        with grew:
            said = TRYING.sub(b"", found.stderr) if server.may_notice else found.stderr
            if (found.returncode, found.stdout, said) != (0, str(number).encode(), b""):
                failed.append(f"{number}: exit {found.returncode}, {found.stdout!r} {found.stderr!r}")
            done += 1
            grew.notify_all()

    with ThreadPoolExecutor(CLIENTS) as pool:
        for number in range(commands):
            pool.submit(run, number)
        for turn in range(1, restarts + 1):
            with grew:
                due = turn * commands // (restarts + 1)
                grew.wait_for(lambda due=due: done >= due)  # type: ignore[misc]
            server.restart()
    times = Counter(runs.read_text().split())
    failed += [f"{n}: ran {times[str(n)]} times" for n in range(commands) if times[str(n)] != 1]
    return found_out


class ByHandover:
    """`SIGUSR2` to whoever serves."""

    may_notice = False

    def __init__(self, host: Host) -> None:
        self._host = host
        self._turns = 0
        self._old: list[int] = []
        host.start()
        self.address = host.address
        self.serving = host.pid

    def restart(self) -> None:
        self._turns += 1
        os.kill(self.serving, signal.SIGUSR2)
        line = self._host.wait_for("rexec-server: handover result=done", count=self._turns)
        self._old.append(self.serving)
        self.serving = int(line.rpartition("=")[2])

    def end(self) -> None:
        """End the last one; see that all others went by themselves."""
        for pid in self._old[1:]:
            wait_until(lambda pid=pid: has_ended(pid), f"{pid} is gone")  # type: ignore[misc]
        assert self._host.process is not None
        if self._old:
            assert self._host.process.wait(60) == 0
        os.kill(self.serving, signal.SIGTERM)
        self._host.wait_for("<end of log>")
        self._host.process.wait()


class ByManager:
    """A service manager that keeps the socket: `SIGTERM`, wait, start."""

    may_notice = False

    def __init__(self, host: Host) -> None:
        self._host = host
        self._manager = Manager(host.folder)
        self.address = self._manager.tcp()
        self._manager.start(host)

    def restart(self) -> None:
        assert self._host.stop() == 0
        self._manager.start(self._host)

    def end(self) -> None:
        assert self._host.stop() == 0
        self._manager.close()


class Plainly:
    """`SIGTERM`, wait, start: in between nothing listens, and who waits to be accepted is reset."""

    may_notice = True

    def __init__(self, host: Host) -> None:
        self._host = host
        host.start(listen=("127.77.0.1:0",))  # whose ports nobody else gets while this one is free
        self.address = host.address

    def restart(self) -> None:
        assert self._host.stop() == 0
        self._host.start(listen=(self.address,))

    def end(self) -> None:
        assert self._host.stop() == 0


WAYS = {"handover": ByHandover, "manager": ByManager, "plain": Plainly}


def main() -> int:
    commands, restarts = (*map(int, sys.argv[1:]), 1000, 5)[:2]
    code = 0
    for name, way in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            host = Host(Path(folder), RULES)
            server = way(host)
            began = time.monotonic()
            found = load(host, server, commands, restarts)
            seconds = time.monotonic() - began
            server.end()
        sys.stdout.write(
            f"{name}: {commands} commands, {restarts} restarts, {seconds:.1f} s, {len(found.failed)} failed, "
            f"{found.refused} times nobody was there\n"
        )
        for line in found.failed:
            sys.stdout.write(f"  {line}\n")
        code |= bool(found.failed)
    return code


if __name__ == "__main__":
    sys.exit(main())
