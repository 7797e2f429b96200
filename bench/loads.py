"""Clients that stay: each line of stdin is a number, done so many times and answered with the seconds.

`python -m bench.loads KIND DEPTH WHERE...` is one of them; `Load` talks to it. What is done by hand in
`rexec-open` and `asyncssh-open` is to connect, prove a key, be welcome and leave again; `-hold` stays.
"""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.bare import ask, reach
from bench.turns import Absent

Once = Callable[[], Awaitable[object]]


class Load:
    """One of these programs, running."""

    def __init__(self, kind: str, depth: int, *where: str) -> None:
        words = [sys.executable, "-m", "bench.loads", kind, str(depth), *where]
        self._program = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seconds(1)

    def seconds(self, count: int) -> float:
        """Let it do its work so many times; return how long it took."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(b"%d\n" % count)
        self._program.stdin.flush()
        answer = self._program.stdout.readline()
        if not answer:
            raise Absent("the client ended")
        return float(answer)

    def rate(self, count: int) -> float:
        """Let it do its work so many times; return how often a second."""
        return count / self.seconds(count)

    def end(self) -> None:
        assert self._program.stdin is not None
        self._program.stdin.close()
        self._program.wait()


# --- blocking -------------------------------------------------------------------------------------


def in_turn(do: Callable[[], object], depth: int) -> None:
    """Answer each line: `do` so many times, `depth` at once."""
    with ThreadPoolExecutor(depth) as pool:
        for line in sys.stdin:
            count = int(line)
            begun = time.perf_counter()
            if depth == 1:
                for _ in range(count):
                    do()
            else:
                list(pool.map(lambda _: do(), range(count)))
            print(time.perf_counter() - begun, flush=True)


def local(depth: int) -> None:
    """Start /bin/true here, as anybody would."""
    in_turn(lambda: subprocess.run(["/bin/true"], check=True), depth)


def program(depth: int, *words: str) -> None:
    """Start a client for each command."""
    in_turn(lambda: subprocess.run(words, check=True, stdin=subprocess.DEVNULL), depth)


def rexec(depth: int, address: str, home: str) -> None:
    """Run commands by the API that waits."""
    import rexec as api

    with api.connect(address, home=home) as host:
        in_turn(lambda: host.run(["true"], check=True), depth)


def bare(depth: int, port: str) -> None:
    """Have commands run by the least that Python can do."""
    line = reach("tls", int(port))
    for text in sys.stdin:
        begun = time.perf_counter()
        ask(line, int(text), depth)
        print(time.perf_counter() - begun, flush=True)


# --- in an event loop -----------------------------------------------------------------------------


async def answer(once: Once, depth: int) -> None:
    """Answer each line: `once` so many times, `depth` at once."""
    loop = asyncio.get_running_loop()

    async def several(numbers: Iterable[int]) -> None:
        for _ in numbers:
            await once()

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        numbers = iter(range(int(line)))  # shared by all
        begun = time.perf_counter()
        await asyncio.gather(*(several(numbers) for _ in range(depth)))
        print(time.perf_counter() - begun, flush=True)


async def rexec_async(depth: int, address: str, home: str) -> None:
    import rexec as api

    async with await api.connect_async(address, home=home) as host:
        await answer(lambda: host.run(["true"], check=True), depth)


async def rexec_open(depth: int, address: str, home: str, *, holds: bool = False) -> None:
    from rexec.client.async_connect import open_session
    from rexec.client.request import access

    found = access(
        address, user=None, port=None, identity=None, home=home, tls=True, accept_new=True,
        connect_timeout=None, passphrase=None,
    )  # fmt: skip
    signers = list(found.signers)
    held = []

    async def once() -> None:
        session = await open_session(found.target, signers)
        if holds:
            held.append(session)
        else:
            await session.close()

    await answer(once, depth)


def _asyncssh_options(folder: str) -> Any:
    import asyncssh

    keys = [asyncssh.read_private_key(f"{folder}/user")]
    return asyncssh.SSHClientConnectionOptions(
        username="root",
        client_keys=keys,
        known_hosts=None,
        agent_path=None,
        config=None,
    )


async def asyncssh_async(depth: int, port: str, folder: str) -> None:
    import asyncssh

    async with asyncssh.connect("127.0.0.1", int(port), options=_asyncssh_options(folder)) as host:
        await answer(lambda: host.run("true", check=True), depth)


async def asyncssh_open(depth: int, port: str, folder: str, *, holds: bool = False) -> None:
    import asyncssh

    options = _asyncssh_options(folder)
    held = []

    async def once() -> None:
        host = await asyncssh.connect("127.0.0.1", int(port), options=options)
        if holds:
            held.append(host)
        else:
            host.close()
            await host.wait_closed()

    await answer(once, depth)


async def asyncssh_once(depth: int, port: str, folder: str, command: str) -> None:
    """Run one command with our own stdin and stdout, as `ssh` does."""
    import asyncssh

    async with asyncssh.connect("127.0.0.1", int(port), options=_asyncssh_options(folder)) as host:
        piped = stat.S_ISFIFO(os.fstat(0).st_mode)
        ends = {"stdin": sys.stdin.buffer if piped else asyncssh.DEVNULL, "stdout": sys.stdout.buffer}
        await (await host.create_process(command, encoding=None, **ends)).wait()


async def rexec_hold(depth: int, address: str, home: str) -> None:
    await rexec_open(depth, address, home, holds=True)


async def asyncssh_hold(depth: int, port: str, folder: str) -> None:
    await asyncssh_open(depth, port, folder, holds=True)


BLOCKING = {"bare": bare, "local": local, "program": program, "rexec": rexec}
ASYNC = {
    "rexec-async": rexec_async,
    "rexec-open": rexec_open,
    "rexec-hold": rexec_hold,
    "asyncssh": asyncssh_async,
    "asyncssh-once": asyncssh_once,
    "asyncssh-open": asyncssh_open,
    "asyncssh-hold": asyncssh_hold,
}

if __name__ == "__main__":
    kind, depth, *where = sys.argv[1:]
    if kind in BLOCKING:
        BLOCKING[kind](int(depth), *where)
    else:
        asyncio.run(ASYNC[kind](int(depth), *where))
