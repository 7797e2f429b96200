"""Commands of every kind, hundreds of them: each process of the server holds what it held before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from tests.regress.conftest import Host, descriptors_of, resident_kib, wait_until

ROUNDS = 3
AT_ONCE = 60
GROWTH = 8 * 1024  # KiB of the allocator's own making
RULES = """\
true
sh ...
    nice 1
cat ...
    noexec
sleep ...
    rate 1/d
"""
KINDS = {
    "plain": (b"true",),
    "launched": (b"sh", b"-c", b"exit 0"),
    "fenced": (b"cat", b"/dev/null"),
    "refused by an obligation": (b"sleep", b"0"),
    "denied": (b"id",),
}


def at_once(host: Host, words: tuple[bytes, ...], count: int) -> set[str]:
    """Run a command so many times in one session, all asked for at once; return their states."""
    session = host.session()
    try:
        commands = [
            session.start(f.Exec(0, f.Form.ARGV, words), None, MemorySink(), MemorySink())
            for _ in range(count)
        ]
        for command in commands:
            session.finish(command)
        session.run(lambda: all(command.is_over for command in commands))
        return {command.result().state for command in commands}
    finally:
        session.close()


def servers(host: Host) -> tuple[int, int, int]:
    return host.pid, host.keeper_pid(), host.runner_pid()


@pytest.mark.parametrize("kind", KINDS)
def test_commands_of_every_kind_leave_no_descriptor_and_no_memory(
    make_host: Callable[..., Host], kind: str
) -> None:
    """security.md, Processes: "zombies, descriptors left over ...: back to the start values"."""
    host = make_host(RULES).start()
    at_once(host, KINDS[kind], AT_ONCE)  # until pools and caches have the size that they keep
    wait_until(lambda: host.count("rexec-server: left ") == 1, "it has left")
    before = [(descriptors_of(pid), resident_kib(pid)) for pid in servers(host)]
    for _ in range(ROUNDS):
        states = at_once(host, KINDS[kind], AT_ONCE)
        assert states == {"denied" if kind in ("denied", "refused by an obligation") else "ok"}
    wait_until(lambda: host.count("rexec-server: left ") == ROUNDS + 1, "all have left")
    for pid, (descriptors, memory) in zip(servers(host), before, strict=True):
        # not "==": the last socket of the warm-up may still have been on its way out when it was counted
        wait_until(lambda: descriptors_of(pid) <= descriptors, "descriptors are closed")  # noqa: B023
        assert resident_kib(pid) - memory < GROWTH
