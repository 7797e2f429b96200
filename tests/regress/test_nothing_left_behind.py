"""A thousand commands, half of them cut off in the middle, leave nothing behind."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rexec.client.streams import MemorySink
from rexec.errors import ConnectionLost
from rexec.protocol import frames as f
from tests.regress.conftest import Host, descriptors_of, resident_kib, wait_until

COMMANDS = 1000
AT_ONCE = 8
SCRIPT = b"(sleep 1000 & sleep 1000) & seq 200; cat; wait"
GROWTH = 16 * 1024  # KiB of the allocator's own making


def children_of(pid: int) -> list[str]:
    """The children of a process, zombies too."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def one(host: Host, number: int) -> None:
    """Run a command whole, or cut its client off at some moment."""
    chance = random.Random(number)
    session = host.session()
    words = (b"sh", b"-c", SCRIPT) if number % 2 else (b"seq", b"500")
    command = session.start(f.Exec(0, f.Form.ARGV, words), None, MemorySink(), MemorySink())
    if number % 2:
        enough = chance.choice((0, 1, 100, 600))
        session.run(lambda: sum(command.received.values()) >= enough or command.is_over)
        session.wire.socket.close()  # without a word
        return
    session.run(lambda: command.is_over)
    assert command.result().stdout.count(b"\n") == 500
    session.close()


def test_a_thousand_commands_leave_nothing_behind(host: Host) -> None:
    """security.md, Processes: "zombies, descriptors left over ...: back to the start values"."""

    def run(numbers: range) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(lambda number: one(host, number), numbers):
                pass
        wait_until(
            lambda: host.count("rexec-server: end ") == host.count("rexec-server: allow "), "all ended"
        )
        wait_until(lambda: not children_of(host.runner_pid()), "all are reaped")

    run(range(100))  # until pools and caches have the size that they keep
    listener, runner = host.pids()
    wait_until(lambda: host.count("rexec-server: (left|gave-up) ") == 100, "all have left")
    before = [(descriptors_of(pid), resident_kib(pid)) for pid in (listener, runner)]
    run(range(100, COMMANDS))
    wait_until(lambda: host.count("rexec-server: (left|gave-up) ") == COMMANDS, "all have left")
    for pid, (descriptors, memory) in zip((listener, runner), before, strict=True):
        wait_until(lambda: descriptors_of(pid) <= descriptors, "descriptors are closed")  # noqa: B023
        assert resident_kib(pid) - memory < GROWTH
    assert host.run("true").returncode == 0  # the runner, who takes each in its turn, has begun them all
    wait_until(lambda: host.count("rexec-server: end ") == host.count("rexec-server: allow "), "all ended")
    assert not children_of(host.runner_pid())
    assert not sleepers(host)


def sleepers(host: Host) -> list[str]:
    """Processes anywhere that bear the mark of this server's environment."""
    mark = f"REXEC_RULE={host.allow_list.name}".encode()
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{name}/environ").read_bytes()
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        peers = b" ".join(part for part in environment.split(b"\0") if part.startswith(b"REXEC_CONNECTION="))
        if mark in environment and peers.endswith(b" %d" % host.port) and words[:1] == [b"sleep"]:
            found.append(name)
    return found


def test_a_client_that_is_killed_is_a_connection_lost_and_nothing_worse(host: Host) -> None:
    """security.md, Processes: a server whose peers vanish serves the next."""
    session = host.session()
    session.wire.socket.close()
    try:
        session.start(f.Exec(0, f.Form.ARGV, (b"true",)), None, MemorySink(), MemorySink())
        session.pump(0)
    except (ConnectionLost, ValueError, OSError):
        pass
    assert host.run("true").returncode == 0
