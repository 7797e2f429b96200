"""A server without a descriptor left serves whom it has, and lets in who waits as soon as it can."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable

from tests.regress.conftest import PATIENCE, Host, descriptors_of

FULL = 'rexec-server: error what="cannot accept" why="too many open files"'
SPARE = 6  # descriptors that it may have more than it has


def test_who_cannot_be_accepted_waits_and_nothing_spins(make_host: Callable[..., Host]) -> None:
    """security.md, Processes: "EMFILE in the accept loop: no spin, recovers", in a server that runs."""
    host = make_host("cat\ntrue\n").start()
    with host.popen("cat") as before:
        assert before.stdin is not None
        assert before.stdout is not None
        before.stdin.write(b"one\n")
        before.stdin.flush()
        assert before.stdout.readline() == b"one\n"
        _, hard = resource.prlimit(host.pid, resource.RLIMIT_NOFILE)
        most = descriptors_of(host.pid) + SPARE
        resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (most, hard))
        silent = [socket.create_connection(("127.0.0.1", host.port)) for _ in range(2 * SPARE)]
        host.wait_for(FULL)
        with host.popen("true") as waiting:  # in the queue of the kernel
            host.wait_for(FULL, count=2)
            assert host.count(FULL) < 10  # a loop that spins says it a thousand times before it waits once
            assert descriptors_of(host.pid) <= most
            before.stdin.write(b"two\n")  # who is in is served
            before.stdin.flush()
            assert before.stdout.readline() == b"two\n"
            for each in silent:
                each.close()
            assert waiting.communicate(timeout=PATIENCE) == (b"", b"")
            assert waiting.returncode == 0
        assert before.communicate(timeout=PATIENCE) == (b"", b"")
        assert before.returncode == 0
    assert host.run("true").returncode == 0  # with the limit as low as it was
