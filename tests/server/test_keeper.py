"""The keeper ends what a runner leaves behind that was killed, and nothing of one that ended in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.regress.conftest import only_child_of, wait_until

# A runner that starts a shell, which starts a process in a session of its own, and says what its pid is.
KEPT = """
import os, signal, socket, subprocess, sys
from rexec.server.keeper import keep
from rexec.server.successor import Succession
line, keepers = socket.socketpair()
ours, theirs = socket.socketpair()
if not os.fork():
    ours.close()
    def be_runner():
        script = "trap '' TERM; setsid sh -c 'trap \\"\\" TERM; echo $$; exec sleep 1000' & wait"
        made = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
        os.write(1, made.stdout.readline())
        WHAT
        os._exit(CODE)
    keep(theirs, be_runner, Succession(keepers, {}), set)
theirs.close()
ours.recv(1)
print("gone", flush=True)
os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def kept(what: str, code: int) -> subprocess.Popen[str]:
    program = KEPT.replace("WHAT", what).replace("CODE", str(code))
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_nothing_outlives_a_runner_that_was_killed(number: signal.Signals) -> None:
    """security.md, Processes: "double fork and setsid to escape the group, a child that ignores TERM"."""
    with kept("signal.pause()", 0) as server:
        assert server.stdout is not None
        far = int(server.stdout.readline())
        keeper = only_child_of(server.pid)
        runner = only_child_of(keeper)
        os.kill(runner, number)
        assert server.stdout.readline() == "gone\n"  # nobody else holds its end of the socket
        assert server.wait() == 1
        wait_until(lambda: not is_alive(far), "the descendant is gone")


def test_a_runner_that_fails_leaves_nothing() -> None:
    with kept("pass", 1) as server:
        assert server.stdout is not None
        far = int(server.stdout.readline())
        assert server.wait() == 1
        assert not is_alive(far)


def test_what_may_stay_outlives_a_runner_that_ends_in_order() -> None:
    """allow-list.md: `background keep`: what is kept is nobody's to end."""
    with kept("pass", 0) as server:
        assert server.stdout is not None
        far = int(server.stdout.readline())
        assert server.stdout.readline() == "gone\n"
        assert server.wait() == 0
        assert is_alive(far)
        os.kill(far, signal.SIGKILL)


def test_signals_that_are_meant_for_the_listener_do_not_end_it() -> None:
    with kept("signal.pause()", 0) as server:
        assert server.stdout is not None
        server.stdout.readline()
        keeper = only_child_of(server.pid)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
            os.kill(keeper, number)
        os.kill(only_child_of(keeper), signal.SIGKILL)
        assert server.wait() == 1
