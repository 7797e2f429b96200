"""Short commands, a hundred thousand of them, half of them killed at some moment: what is left behind.

    python -m tests.regress.soak [--commands 100000] [--processes 2000] [--seed 1]

Some are `rexec` processes, of which half get SIGKILL; the rest goes through the Python API, several at
once on several connections, and is cancelled, ended, killed, or loses its connection. What ends whole is
compared byte for byte. Then everything is to be as before: descriptors, threads and memory of each
process, processes that the commands left, and the objects that the server and the API hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rexec
from rexec.errors import RexecError
from tests.regress.conftest import RULES, Host, descriptors_of, resident_kib, wait_until
from tests.regress.counted import BLOCKS, held
from tests.regress.test_nothing_left_behind import children_of, sleepers

COUNTED = str(Path(__file__).with_name("counted.py"))
CONNECTIONS = 4  # of the API at once
AT_ONCE = 4  # commands on each
BATCH = 40  # commands of one connection
PROCESSES = 3  # clients at once
WARM = 400  # commands until pools and caches have the size that they keep
LASTING = {
    "server.crowd.Record",  # a source that failed, here ours alone, is remembered for an hour
    "server.ledgerfile.Record",  # and so is the id of a command whose client was lost
}
USUAL = re.compile("rexec-server: (allow|end|left|parked|gave-up|resumed|refused) ")
ENTERED = {"server.session.Session", "server.greet.Greeting"}
SCRIPT = "(sleep 1000 & sleep 1000) & echo begun; seq 200; cat; wait"
KILLED = (["sh", "-c", SCRIPT], ["sleep", "1000"], ["cat"], ["yes"])
OUTPUT = "".join(f"{number}\n" for number in range(1, 201)).encode()


class Few(list[str]):
    """The lines of a log; those that every command writes are only counted, or they would fill the memory."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.events: Counter[str] = Counter()
        self += lines

    def __iadd__(self, lines: Iterable[str]) -> Few:  # type: ignore[override, misc]
        for line in lines:
            usual = USUAL.match(line)
            if usual is None:
                self.append(line)
            else:
                self.events[usual[1]] += 1
        return self


class Counted(Host):
    """A server whose processes tell what they hold."""

    def follow(self, process: subprocess.Popen[bytes]) -> None:
        super().follow(process)
        with self._grew:
            self._lines = Few(self._lines)

    def events(self, name: str) -> int:
        """How many lines of the log tell of this."""
        assert self.lines is not None  # and all that was written before this is read
        assert isinstance(self._lines, Few)
        return self._lines.events[name]

    def server_words(self, *options: str, listen: tuple[str, ...] = ("127.0.0.1:0",)) -> list[str]:
        return [sys.executable, COUNTED, *super().server_words(*options, listen=listen)[1:]]

    def held(self, pid: int) -> dict[str, int]:
        """Ask a process of the server what it holds."""
        pattern = f"^held {pid} "
        seen = self.count(pattern)
        os.kill(pid, signal.SIGUSR1)
        line = self.wait_for(pattern, count=seen + 1)
        found: dict[str, int] = json.loads(line.split(" ", 2)[2])
        return found


class Soak:
    """The commands and what became of them."""

    def __init__(self, host: Counted, seed: int) -> None:
        self.host = host
        self.ends: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._seed = seed
        self._turn = 0

    @property
    def commands(self) -> int:
        return sum(self.ends.values())

    def note(self, end: str, wrong: str = "") -> None:
        self.ends[end] += 1
        if wrong:
            self.wrong.append(f"{end}: {wrong}")

    # --- the Python API -----------------------------------------------------------------------

    async def by_api(self, commands: int) -> None:
        """Run so many commands, on connections of which every fifth blocks in a thread of its own."""
        until = self.commands + commands

        async def connect() -> None:
            while self.commands < until:
                self._turn += 1
                chance = random.Random(self._seed * 1_000_003 + self._turn)
                if self._turn % 5 == 0:
                    await asyncio.to_thread(self._blocking, chance)
                else:
                    await self._connection(chance)

        await asyncio.gather(*(connect() for _ in range(CONNECTIONS)))

    async def _connection(self, chance: random.Random) -> None:
        """Run a batch on one connection, which may be lost in the middle of it."""
        host = await rexec.connect_async(self.host.address, home=self.host.home, connect_timeout=60)
        numbers = iter(range(BATCH))
        cut_at = chance.randrange(2 * BATCH)  # half of all connections come that far

        async def one_by_one() -> None:
            for number in numbers:
                if number == cut_at:  # in half of the cases for good
                    if chance.random() < 1 / 2:
                        host._session.greeting = None
                    host._session._link.abort()
                if not await self._one(host, chance):
                    return

        try:
            await asyncio.gather(*(one_by_one() for _ in range(AT_ONCE)))
        finally:
            await host.close()

    async def _one(self, host: rexec.AsyncHost, chance: random.Random) -> bool:
        """Run one command to the end that chance gives it; False where there is no connection any more."""
        end = chance.choice(("whole", "whole", "whole", "cancelled", "ended", "killed"))
        try:
            if end == "whole":
                return self._compared(await host.run(["seq", "200"]))
            if end == "cancelled":
                task = asyncio.ensure_future(host.run(chance.choice(KILLED), input=b""))
                await asyncio.wait([task], timeout=chance.choice((0, 0.001, 0.01, 0.03)))
                task.cancel()
                await asyncio.wait([task])
                lost = not task.cancelled() and task.exception() is not None
                self.note("lost" if lost else end)
                return not lost
            argv = chance.choice(KILLED[: 3 if end == "killed" else 4])  # what is not read does not end
            async with await host.popen(argv) as process:
                if SCRIPT in argv and chance.random() < 1 / 2:
                    await process.stdout.readline()
                if end == "killed":
                    process.kill()
                    result = await process.wait()
                    end = end if result.state == "signal" else "lost"
        except RexecError:
            end = "lost"
        self.note(end)
        return end != "lost"

    def _compared(self, result: rexec.Result) -> bool:
        if result.state == "lost":
            self.note("lost")
            return False
        self.note("whole", "" if (result.state, result.stdout) == ("ok", OUTPUT) else repr(result))
        return True

    def _blocking(self, chance: random.Random) -> None:
        """Run a batch by the API that blocks, and perhaps leave in the middle of a command."""
        with rexec.connect(self.host.address, home=self.host.home, connect_timeout=60) as host:
            for _ in range(BATCH // AT_ONCE):
                if chance.random() < 1 / 2:
                    self._compared(host.run(["seq", "200"]))
                    continue
                process = host.popen(["sh", "-c", SCRIPT])
                process.stdout.readline()
                if chance.random() < 1 / 4:
                    self.note("left")
                    return
                process.kill()
                process.wait()
                self.note("killed")

    # --- processes ----------------------------------------------------------------------------

    def by_processes(self, commands: int) -> None:
        """Run so many `rexec`, each second of which is killed at some moment."""
        with ThreadPoolExecutor(PROCESSES) as pool:
            for _ in pool.map(self._process, range(commands)):
                pass

    def _process(self, number: int) -> None:
        chance = random.Random(self._seed * 1_000_003 - number - 1)
        options = chance.choice(((), ("-t",)))
        if number % 2 == 0:
            done = self.host.run("seq", "200", options=options)
            expected = OUTPUT.replace(b"\n", b"\r\n") if options else OUTPUT
            right = (done.returncode, done.stdout) == (0, expected)
            self.note("whole, process", "" if right else repr(done))
            return
        client = self.host.popen("sh", "-c", SCRIPT, options=options)
        assert client.stdout is not None
        if chance.random() < 1 / 2:
            client.stdout.readline()
        else:
            time.sleep(chance.random() / 5)  # some moment from its start on
        client.kill()
        client.communicate()
        self.note("killed, process")


class State:
    """What processes have and hold at one time, when nothing runs."""

    def __init__(self, host: Counted) -> None:
        self._host = host
        self.pids = {
            "listener": host.pid, "keeper": host.keeper_pid(), "runner": host.runner_pid(),
            "Python API": os.getpid(),
        }  # fmt: skip
        self.descriptors = {name: descriptors_of(pid) for name, pid in self.pids.items()}
        self.threads = {name: threads_of(pid) for name, pid in self.pids.items()}
        self.memory = {name: resident_kib(pid) for name, pid in self.pids.items()}
        self.objects = {
            name: held() if pid == os.getpid() else host.held(pid) for name, pid in self.pids.items()
        }

        self.blocks = {name: found.pop(BLOCKS) for name, found in self.objects.items()}

    def grown(self, before: State) -> list[str]:
        """Say what there is more of than before; memory is told, and not judged, here."""
        found = []
        for name in self.pids:
            for what in ("descriptors", "threads"):
                old, new = getattr(before, what)[name], getattr(self, what)[name]
                if new > old:
                    found.append(f"{name}: {new} {what}, before {old}")
            for kind, count in self.objects[name].items():
                # one of a kind may belong to the command that came last: a loop still has it in hand
                if kind not in LASTING and count > before.objects[name].get(kind, 0) + 1:
                    found.append(f"{name}: {count} {kind}, before {before.objects[name].get(kind, 0)}")
        return found

    def told(self, before: State) -> str:
        rows = [
            f"{name}: descriptors {before.descriptors[name]} -> {self.descriptors[name]}, "
            f"threads {before.threads[name]} -> {self.threads[name]}, "
            f"memory {before.memory[name] / 1024:.1f} -> {self.memory[name] / 1024:.1f} MiB, "
            f"blocks {before.blocks[name]} -> {self.blocks[name]}, "
            f"objects {sum(before.objects[name].values())} -> {sum(self.objects[name].values())}"
            for name in self.pids
        ]
        return "\n".join(rows)


def threads_of(pid: int) -> int:
    found = re.search(r"Threads:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def settled(host: Counted) -> None:
    """Wait until every command has ended, every client has left, and nobody waits any more."""
    wait_until(lambda: host.events("end") == host.events("allow"), "all commands have ended")
    wait_until(lambda: not ENTERED & host.held(host.pid).keys(), "all clients have left")
    wait_until(lambda: not children_of(host.runner_pid()), "all are reaped")
    wait_until(lambda: not sleepers(host), "nothing runs that a command left")


def begin(folder: Path, *options: str) -> Counted:
    host = Counted(folder, RULES)
    host.start(*options)
    return host


def run(
    host: Counted,
    *,
    commands: int,
    processes: int,
    warm: int = WARM,
    seed: int = 1,
    tell: Callable[[str], None] = lambda text: None,
) -> tuple[Soak, State, State]:
    """Run all of it; give what became of the commands, and how all was before and after."""
    first = Soak(host, seed + 1)
    asyncio.run(first.by_api(warm))
    first.by_processes(min(processes, 4))
    settled(host)
    assert not first.wrong, first.wrong
    before = State(host)
    soak = Soak(host, seed)
    while soak.commands < commands - processes:
        asyncio.run(soak.by_api(min(5_000, commands - processes - soak.commands)))
        memory = ", ".join(f"{name} {resident_kib(pid) / 1024:.1f}" for name, pid in before.pids.items())
        tell(f"{soak.commands} commands, {dict(soak.ends)}; MiB: {memory}")
    soak.by_processes(processes)
    settled(host)
    deadline = time.monotonic() + 30
    while (after := State(host)).grown(before) and time.monotonic() < deadline:
        time.sleep(0.2)  # sockets on their way out
    return soak, before, after


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def tell(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        host = begin(Path(folder))
        try:
            soak, before, after = run(
                host, commands=given.commands, processes=given.processes, seed=given.seed, tell=tell
            )
            resumed = host.events("resumed")
        finally:
            host.end()
    tell(f"{soak.commands} commands in {time.monotonic() - began:.0f} s, seed {given.seed}")
    tell(", ".join(f"{count} {end}" for end, count in sorted(soak.ends.items())))
    tell(f"connections taken up again: {resumed}")
    tell(after.told(before))
    found = [*soak.wrong, *after.grown(before)]
    tell("\n".join(found) or "nothing is wrong, and nothing is left")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
