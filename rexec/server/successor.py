"""A successor: the same server started anew, on the sockets of the one that runs.

The listener asks for it and may start nothing; the runner may, and puts marks and limits on all it starts.
So the keeper does it, which is still what it was when the server was started. It takes one word from the
listener, and with it descriptors that the successor looks at: nothing says what is to be run.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from rexec.errors import ConnectionLost
from rexec.limits import SOCKETS_MAX, SUCCESSION
from rexec.server.notices import WHO
from rexec.server.sockets import FIRST, OURS, SUCCEEDS, THEIRS

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWER = struct.Struct("=BI")
_SERVES, _ENDED, _LATE = 1, 2, 3
_WORD = {True: b"o", False: b"t"}


class Outcome(NamedTuple):
    """What became of a successor: its pid, or why it does not serve."""

    pid: int
    why: str


class Line:
    """The listener's end: asks for a successor, hears what became of it."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._received = b""

    def fileno(self) -> int:
        return self._end.fileno()

    def close(self) -> None:
        """Ask no more; a successor that does not serve yet is ended."""
        self._end.close()

    def ask(self, sockets: tuple[socket.socket, ...], *, are_ours: bool) -> None:
        """Ask for a successor on these sockets. Raises `OSError`."""
        numbers = [listening.fileno() for listening in sockets]
        socket.send_fds(self._end, [_WORD[are_ours]], numbers, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def hear(self) -> Outcome | None:
        """Return what became of the successor; None: not all is said. Raises `ConnectionLost`."""
        try:
            data = self._end.recv(_ANSWER.size - len(self._received), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            raise ConnectionLost("the keeper is gone")
        self._received += data
        if len(self._received) < _ANSWER.size:
            return None
        kind, number = _ANSWER.unpack(self._received)
        self._received = b""
        if kind == _SERVES:
            return Outcome(number, "")
        if kind == _LATE:
            return Outcome(0, f"the successor did not serve within {SUCCESSION:g} s")
        return Outcome(0, f"the successor ended with exit code {number}, and says above why")


class Succession:
    """The keeper's end: starts a successor when it is asked to, and waits until it serves."""

    def __init__(self, end: socket.socket, environment: Mapping[str, str]) -> None:
        self._end = end
        self._environment = environment
        self._heard = -1  # where the one that was started says that it serves
        self._deadline = 0.0
        self.pid = 0  # of one that was started and is to stay
        self.is_asked = True  # the listener may still ask

    def fileno(self) -> int:
        return self._end.fileno()

    def close(self) -> None:
        """Leave it to another process."""
        self._end.close()

    def watched(self) -> list[int]:
        """Return what to look at: whether it asks, whether the successor serves."""
        return [self._end.fileno()] * self.is_asked + [self._heard] * (self._heard >= 0)

    def wait(self) -> float | None:
        """Return the seconds until the successor has to serve; None: there is none."""
        return None if self._heard < 0 else max(0.0, self._deadline - time.monotonic())

    def attend(self, ready: list[int]) -> None:
        """Go on with what is ready, and with the clock."""
        if self.is_asked and self._end.fileno() in ready:  # first: who is not wanted any more is not heard
            self._take()
        if self._heard in ready:
            self._judge(serves=os.read(self._heard, 1) == b"1")
        elif self._heard >= 0 and not self.wait():
            self._judge(serves=False, late=True)

    def _take(self) -> None:
        """Take an order; at the end of the listener, nobody is to serve who does not yet."""
        descriptors = array.array("i")
        room = socket.CMSG_SPACE(SOCKETS_MAX * descriptors.itemsize)
        try:
            word, ancillary, flags, _ = self._end.recvmsg(1, room, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            word, ancillary, flags = b"", [], 0
        for _, _, rights in ancillary:
            descriptors.frombytes(rights[: len(rights) - len(rights) % descriptors.itemsize])
        try:
            if not word:
                self.is_asked = False
                if self._heard >= 0:
                    self._judge(serves=False)
            elif self._heard < 0 and descriptors and not flags & socket.MSG_CTRUNC:
                self._start(list(descriptors), are_ours=word == _WORD[True])
            else:
                self._answer(_ENDED, 1)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _start(self, sockets: list[int], *, are_ours: bool) -> None:
        try:
            self._heard, theirs = os.pipe2(os.O_CLOEXEC)
        except OSError:
            self._answer(_ENDED, 1)
            return
        self._deadline = time.monotonic() + SUCCESSION
        try:
            self.pid = os.fork()
            if not self.pid:
                _become(sockets, theirs, OURS if are_ours else THEIRS, self._environment)
        except OSError:
            self.pid = 0
        finally:
            os.close(theirs)

    def _judge(self, *, serves: bool, late: bool = False) -> None:
        os.close(self._heard)
        self._heard = -1
        if serves:
            self.is_asked = False  # one is enough
            self._answer(_SERVES, self.pid)
            return
        pid, self.pid = self.pid, 0
        code = 1
        if pid:
            if late or not self.is_asked:
                os.kill(pid, signal.SIGKILL)  # its own processes end with it
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
        self._answer(_LATE if late else _ENDED, code if code >= 0 else 128 - code)

    def _answer(self, kind: int, number: int) -> None:
        try:
            self._end.send(_ANSWER.pack(kind, number), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            pass  # the listener is gone


def attend_until(pid: int, succession: Succession) -> None:
    """Serve a listener that may ask for a successor, until a child of ours is over."""
    over = os.pidfd_open(pid)
    try:
        while True:
            watched = select.poll()
            for descriptor in (over, *succession.watched()):
                watched.register(descriptor, select.POLLIN)
            left = succession.wait()
            ready = [number for number, _ in watched.poll(None if left is None else left * 1000)]
            succession.attend(ready)  # first: that the listener went, it has to know before we go
            if over in ready:
                return
    finally:
        os.close(over)


def _become(sockets: list[int], heard: int, whose: str, environment: Mapping[str, str]) -> None:
    """Become the program that this server is, with descriptors as sd_listen_fds(3) wants them."""
    try:
        os.setsid()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        given = [*sockets, heard]
        end = FIRST + len(given)
        beyond = [_moved(descriptor, end) for descriptor in given]
        for number, descriptor in enumerate(beyond, FIRST):
            os.dup2(descriptor, number)
        named = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets))}
        if WHO in environment:
            named[WHO] = str(os.getpid())
        words = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, words, {**environment, **named, SUCCEEDS: whose})  # noqa: S606 - no shell is wanted
    finally:
        os._exit(127)


def _moved(descriptor: int, least: int) -> int:
    """Return the same descriptor under a number that is not below `least`."""
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
