"""Servers from an interpreter that has imported everything already: two thirds of a start are that.

The warm interpreter is a process of its own, without anything of pytest. A server is a fork of it that goes
into the same `main` as the program does, with the words, environment, directory and streams of one.
What a server is like that was started from cold is for the tests that give it something to inherit, for
those of first starts, of handovers, of service managers and of other users, and for whoever sets
REXEC_TEST_COLD=1, which is for all.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading

ORDER_MAX = 65_536  # bytes
COLD = "REXEC_TEST_COLD"


class WarmServer:
    """A server that runs: what the tests use of `subprocess.Popen`."""

    def __init__(self, oven: Oven, words: list[str], pid: int, pidfd: int, stderr: int) -> None:
        self.args = words
        self.pid = pid
        self.stderr = open(stderr, "rb")
        self.returncode: int | None = None
        self._oven = oven
        self._pidfd = pidfd

    def __del__(self) -> None:
        os.close(self._pidfd)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status, or the signal as a negative number."""
        if self.returncode is None:
            over = select.poll()
            over.register(self._pidfd, select.POLLIN)
            if not over.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = self._oven.status(self.pid)
        return self.returncode

    def poll(self) -> int | None:
        """Return what `wait` would, or None as long as it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Signal it, unless it is over."""
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            pass

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Oven:
    """The warm interpreter, as a test sees it."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._asking, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
            self._process = subprocess.Popen([sys.executable, __file__], stdin=far, env=kept)
        atexit.register(self._end)

    def _end(self) -> None:
        self._asking.close()
        self._process.wait()

    def start(self, words: list[str], env: dict[str, str], cwd: str) -> WarmServer:
        """Start a server; stdin is empty and stderr is read by the caller."""
        reading, writing = os.pipe()
        order = json.dumps({"words": words, "env": env, "cwd": cwd}).encode()
        with self._one_at_a_time:
            socket.send_fds(self._asking, [order], [writing])
            os.close(writing)
            answer, (pidfd,), _, _ = socket.recv_fds(self._asking, ORDER_MAX, 1)
        return WarmServer(self, words, json.loads(answer), pidfd, reading)

    def status(self, pid: int) -> int:
        """Reap a server that is over and return its exit status."""
        with self._one_at_a_time:
            self._asking.send(json.dumps({"over": pid}).encode())
            return int(self._asking.recv(ORDER_MAX))


@functools.cache
def oven() -> Oven:
    """The one warm interpreter of this process."""
    return Oven()


def bake() -> int:
    """Be the warm interpreter; return what a server returns in each fork, and 0 in the end."""
    import cryptography.x509  # noqa: F401 (with the three below, what `main` imports when it serves)

    from rexec.cli.server import main
    from rexec.protocol.codec import compile_all
    from rexec.server import listener, runner, start  # noqa: F401

    compile_all()
    start.compile_all = lambda: None  # in a fork they are compiled already
    orders = socket.socket(fileno=os.dup(0))
    os.set_inheritable(orders.fileno(), False)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    while True:
        data, descriptors, _, _ = socket.recv_fds(orders, ORDER_MAX, 1)
        if not data:
            return 0
        order = json.loads(data)
        if "over" in order:
            _, status = os.waitpid(order["over"], 0)
            orders.send(b"%d" % os.waitstatus_to_exitcode(status))
        elif pid := os.fork():
            os.close(descriptors[0])
            pidfd = os.pidfd_open(pid)
            socket.send_fds(orders, [b"%d" % pid], [pidfd])
            os.close(pidfd)
        else:
            os.dup2(descriptors[0], 2)
            sys.stderr = open(
                2, "w", buffering=1, errors="backslashreplace", closefd=False
            )  # not what it was
            orders.close()
            os.closerange(3, 100)
            os.chdir(order["cwd"])
            os.environ.clear()
            os.environ.update(order["env"])
            sys.argv = order["words"]
            sys.orig_argv = [sys.executable, *order["words"]]
            return main()


if __name__ == "__main__":
    sys.exit(bake())
