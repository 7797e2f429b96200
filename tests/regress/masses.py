"""Crowds: what a server bears, as figures for docs/reference/reliability.md.

Run as a program: `python -m tests.regress.masses`. Many idle sessions, then many running commands beside
them, and how long one more takes; then many silent sockets, and whether a client gets in.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rexec import AsyncHost, connect_async
from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from tests.regress.conftest import RULES, Host, descriptors_of, resident_kib

IDLE, RUNNING, SILENT = 5_000, 1_000, 10_000
AT_ONCE = 20  # connections that are made at a time
TRIES = 20  # clients that are timed


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def timed(host: Host) -> str:
    """Run clients one after the other; return how long they took, process start and all."""
    times = []
    for _ in range(TRIES):
        began = time.monotonic()
        done = host.run("true")
        assert (done.returncode, done.stderr) == (0, b""), done
        times.append(time.monotonic() - began)
    return (
        f"{TRIES} clients, none failed: median {statistics.median(times):.2f} s, longest {max(times):.2f} s"
    )


def started(folder: str, *lines: str) -> Host:
    host = Host(Path(folder), RULES)
    host.home.mkdir(mode=0o700)
    (host.home / "config.toml").write_text("\n".join(("[server]", *lines, "")))
    return host.start()


async def idle_and_running(host: Host) -> None:
    listener, runner = host.pids()
    tell(f"nothing: {timed(host)}; listener {resident_kib(listener) / 1024:.0f} MiB")
    slots = asyncio.Semaphore(AT_ONCE)

    async def enter() -> AsyncHost:
        async with slots:
            return await connect_async(host.address, home=host.home, connect_timeout=60)

    began, before = time.monotonic(), resident_kib(listener)
    idle = await asyncio.gather(*(enter() for _ in range(IDLE)))
    each = (resident_kib(listener) - before) / IDLE
    seconds = time.monotonic() - began
    tell(f"{len(idle)} idle sessions after {seconds:.0f} s, {each:.0f} KiB of the listener each")
    tell(f"{IDLE} idle: {await asyncio.to_thread(timed, host)}")
    session = await asyncio.to_thread(host.session)
    commands = [
        session.start(f.Exec(0, f.Form.ARGV, (b"cat",)), None, MemorySink(), MemorySink())
        for _ in range(RUNNING)
    ]
    await asyncio.to_thread(session.run, lambda: all(command.started for command in commands))
    held = f"{descriptors_of(listener)} descriptors of the listener, {descriptors_of(runner)} of the runner"
    tell(f"{IDLE} idle and {RUNNING} running: {await asyncio.to_thread(timed, host)}; {held}")
    for command in commands:
        session.finish(command)
    await asyncio.to_thread(session.run, lambda: all(command.is_over for command in commands))
    assert {command.result().state for command in commands} == {"ok"}
    session.close()
    assert host.stop() == 0
    for each_host in idle:
        await each_host.close()


def silent(host: Host, sources: tuple[str, ...]) -> None:
    """Open sockets that say nothing, and see whether a client gets in meanwhile and afterwards."""
    sockets = []
    began = time.monotonic()
    for number in range(SILENT):
        source = sources[number % len(sources)]
        sockets.append(socket.create_connection(("127.0.0.1", host.port), source_address=(source, 0)))
        if number in (SILENT // 4, SILENT // 2):
            done = host.run("true")
            assert done.returncode == 0, done
    tell(f"{SILENT} silent sockets from {len(sources)} sources after {time.monotonic() - began:.0f} s")
    tell(f"  {timed(host)}; {descriptors_of(host.pid)} descriptors of the listener")
    for each in sockets:
        each.close()


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        host = started(folder, f"max_sessions = {IDLE + 100}")
        try:
            asyncio.run(idle_and_running(host))
        finally:
            host.end()
    for sources in (("127.0.0.1",), tuple(f"127.0.1.{number}" for number in range(1, 101))):
        with tempfile.TemporaryDirectory() as folder:
            host = started(folder, 'grace = "10m"')
            try:
                silent(host, sources)
            finally:
                host.end()


if __name__ == "__main__":
    main()
