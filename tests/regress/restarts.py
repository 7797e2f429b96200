"""One-shot commands while the server is started anew again and again: how many failed.

Run as a program: `python -m tests.regress.restarts COMMANDS RESTARTS`, the full figure of
docs/reference/reliability.md. The test makes a short run of it.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.regress.conftest import RULES, Host, has_ended, wait_until
from tests.regress.manager import Manager

CLIENTS = 4  # at once


def load(host: Host, address: str, commands: int, restart: Callable[[], None], restarts: int) -> list[str]:
    """Run commands, and restarts spread evenly among them; return what was wrong with each that failed."""
    failed: list[str] = []
    grew = threading.Condition()
    done = 0

    def run(number: int) -> None:
        nonlocal done
        found = host.run("printf", "%s", str(number), address=address)
        with grew:
            if (found.returncode, found.stdout, found.stderr) != (0, str(number).encode(), b""):
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
            restart()
    return failed


class ByHandover:
    """`SIGUSR2` to whoever serves."""

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


WAYS = {"handover": ByHandover, "manager": ByManager}


def main() -> int:
    commands, restarts = (*map(int, sys.argv[1:]), 1000, 5)[:2]
    code = 0
    for name, way in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            host = Host(Path(folder), RULES)
            server = way(host)
            began = time.monotonic()
            failed = load(host, server.address, commands, server.restart, restarts)
            seconds = time.monotonic() - began
            server.end()
        sys.stdout.write(
            f"{name}: {commands} commands, {restarts} restarts, {seconds:.1f} s, {len(failed)} failed\n"
        )
        for line in failed:
            sys.stdout.write(f"  {line}\n")
        code |= bool(failed)
    return code


if __name__ == "__main__":
    sys.exit(main())
