"""What `@attach`, `@logs` and `@kill` do with a detached command, in a child that starts no program.

In the place of a program stands a reader: of the files that keep what the command wrote, and where
it still runs, of a line to its warden on which news come and signals go. How the command ended is not this
child's to say; its own exit status tells whether it saw all there is.
"""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

from rexec.policy.forms import ATTACH, KILL
from rexec.policy.grant import Fence
from rexec.policy.request import text_of
from rexec.protocol.frames import Stream
from rexec.server.detached.folder import END, Folder
from rexec.server.detached.kept import Reader

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rexec.policy.rules import Permit
    from rexec.process.become import Prepare

WHOLE, BROKEN, MISSED = 0, 1, 3  # exit statuses
_PASSED_ON = ("INT", "QUIT", "USR1", "USR2", "ALRM", "CONT", "TSTP", "WINCH")
_LOOK = 1.0  # seconds after which it looks whether it told or not: a line that is full tells nothing


def showing(path: str) -> Prepare:
    """Return what gets a child ready to show the command in a directory."""

    def prepare(permit: Permit) -> tuple[Fence, Callable[[], int]]:
        way, *options, _ = permit.argv
        folder = Folder(path)
        line = folder.connect() if way != "@logs" or options else None
        if line is not None and way == ATTACH:
            _pass_on(line)
        fence = Fence(confined=True, ro=(text_of(os.fsencode(path)),), best_effort=True)
        if way == KILL:
            return fence, lambda: _kill(folder, line)
        return fence, lambda: _run(folder, line)

    return prepare


def _pass_on(line: socket.socket) -> None:
    """Send what comes to this process to the command; TERM and HUP end this process alone."""

    def send(number: int, _: object) -> None:
        try:
            line.send(signal.Signals(number).name.removeprefix("SIG").encode() + b"\n")
        except OSError:
            pass  # over, and that is seen where we read

    for name in _PASSED_ON:
        signal.signal(signal.Signals[f"SIG{name}"], send)


def _kill(folder: Folder, line: socket.socket | None) -> int:
    """Have the command ended, and wait until it has."""
    if line is None:
        return WHOLE
    try:
        line.sendall(b"end\n")
        while line.recv(64):
            pass
    except OSError:
        pass
    return WHOLE if folder.has(END) else BROKEN


def _run(folder: Folder, line: socket.socket | None) -> int:
    try:
        return _Show(folder, line).run()
    except OSError:
        return BROKEN


class _Outlet:
    """One stream on its way."""

    def __init__(self, folder: Folder, stream: Stream) -> None:
        self.stream = stream
        self.reader = Reader(folder, stream)
        self.rest = memoryview(b"")
        self.is_gone = False  # nobody reads it any more
        os.set_blocking(stream, False)

    def fill(self) -> bool:
        """Get something to write; False where there is nothing new."""
        if not self.rest:
            self.rest = memoryview(self.reader.read())
        return bool(self.rest)

    def put(self) -> None:
        """Write what goes now."""
        try:
            self.rest = self.rest[os.write(self.stream, self.rest) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.is_gone = True
            self.rest = memoryview(b"")
            self.reader.close()


class _Show:
    """Both streams, none of which waits for the other where its reader is slow."""

    def __init__(self, folder: Folder, line: socket.socket | None) -> None:
        self._folder = folder
        self._line = line
        self._outlets = [_Outlet(folder, stream) for stream in (Stream.STDOUT, Stream.STDERR)]
        self._is_over = line is None
        if line is not None:
            line.setblocking(False)

    def run(self) -> int:
        while True:
            was_over = self._is_over  # first: what is read from now on is all there is
            waiting = self._move()
            if all(outlet.is_gone for outlet in self._outlets):
                return WHOLE
            if not waiting and was_over:
                return self._status()
            self._wait(waiting)

    def _move(self) -> list[_Outlet]:
        """Move what goes, in the order in which it came; return who has to wait for a reader."""
        full: list[_Outlet] = []
        while True:
            able = [outlet for outlet in self._outlets if not outlet.is_gone and outlet not in full]
            able = [outlet for outlet in able if outlet.fill()]
            if not able:
                return full
            first = min(able, key=lambda outlet: outlet.reader.place)
            first.put()
            if first.rest:
                full.append(first)

    def _wait(self, full: list[_Outlet]) -> None:
        """Wait for news, or for those who are behind."""
        poll = select.poll()
        for outlet in full:
            poll.register(outlet.stream, select.POLLOUT)
        if not self._is_over and self._line is not None:
            poll.register(self._line, select.POLLIN)
        for descriptor, _ in poll.poll(None if self._is_over else _LOOK * 1000):
            if self._line is not None and descriptor == self._line.fileno():
                self._hear(self._line)

    def _hear(self, line: socket.socket) -> None:
        try:
            self._is_over = not line.recv(4096)
        except BlockingIOError:
            pass
        except OSError:
            self._is_over = True

    def _status(self) -> int:
        if self._line is not None and not self._folder.has(END):
            return BROKEN  # its warden is gone, or had no room for us
        return MISSED if any(outlet.reader.missed for outlet in self._outlets) else WHOLE
