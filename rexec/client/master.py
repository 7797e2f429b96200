"""A master: one connection, and the commands that its guests hand over to it with their descriptors.

It reads and writes the guests' own descriptors, and closes them before it says how a command ended, so
that whoever reads at the other end of a pipe is not kept waiting by it. A guest that goes away has its
command ended. A terminal is never handed over: its guest passes its bytes on.
"""

from __future__ import annotations

import os
import select
import time

from rexec.client.streams import FdSink, FdSource
from rexec.errors import LocalProtocolError, RexecError
from rexec.limits import CLIENT_PATIENCE, EXEC_MAX
from rexec.protocol import frames as f

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.client.command import Command
    from rexec.client.door import Listener
    from rexec.client.session import Session
    from rexec.client.sharing import Line

_FORMS = {b"argv": f.Form.ARGV, b"string": f.Form.STRING, b"subsystem": f.Form.SUBSYSTEM}
_SEEN = select.POLLIN | select.POLLHUP | select.POLLERR


class Guest:
    """Who has connected, and the command that was handed over."""

    __slots__ = ("command", "descriptors", "line", "told_started")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.command: Command | None = None
        self.descriptors: list[int] = []
        self.told_started = False

    def tell(self, *fields: bytes) -> None:
        """Say something; one that is gone will be seen to be."""
        try:
            self.line.say(*fields)
        except OSError:
            pass

    def drop(self) -> None:
        """Close what was handed over."""
        while self.descriptors:
            os.close(self.descriptors.pop())


class Master:
    """Serves guests until nobody needs it any more.

    `persist`: seconds without a guest after which it ends; 0 never, and below 0 at once.
    """

    def __init__(self, session: Session, listener: Listener, persist: float) -> None:
        self._session = session
        self._listener: Listener | None = listener
        self._persist = persist
        self._guests: dict[int, Guest] = {}
        self._dying: list[tuple[float, Command]] = []  # ended for their guest's sake: when to kill them
        self._idle_since = time.monotonic()
        self.ended = False

    def serve(self, wakeup: Callable[[], None]) -> None:
        """Serve; `wakeup` is called now and then, after a signal too."""
        while not self._is_over():
            poll, wait = self._session.prepare(self._patience())
            for number in self._guests:
                poll.register(number, select.POLLIN)
            if self._listener is not None:
                poll.register(self._listener.fileno(), select.POLLIN)
            ready = dict(poll.poll(wait))
            wakeup()
            self._answer(ready)
            self._session.serve(ready)
            self._settle()
        self.close()

    def close(self) -> None:
        """End everything: what still runs is lost to its guest."""
        self._listen_no_more()
        self._session.close()
        self._settle()
        for guest in self._guests.values():
            guest.drop()
            guest.line.close()
        self._guests.clear()

    def admit(self, line: Line) -> None:
        """Take a guest."""
        self._guests[line.fileno()] = Guest(line)

    def _listen_no_more(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    # --- when it ends -----------------------------------------------------------------------------

    def _is_over(self) -> bool:
        if self.ended or self._session.is_lost:
            return True
        if self._guests or self._dying:
            self._idle_since = time.monotonic()
            return False
        if self._listener is None or self._persist < 0 or not self._listener.is_ours:
            return True
        return bool(self._persist) and time.monotonic() - self._idle_since >= self._persist

    def _patience(self) -> float | None:
        """Return the seconds until something is due by the clock."""
        now = time.monotonic()
        due = [when - now for when, _ in self._dying]
        if not self._guests and self._persist > 0:
            due.append(self._idle_since + self._persist - now)
        return max(0.0, min(due)) if due else None

    # --- guests -----------------------------------------------------------------------------------

    def _answer(self, ready: dict[int, int]) -> None:
        for number, guest in list(self._guests.items()):
            if ready.pop(number, 0) & _SEEN:
                self._hear(number, guest)
        if self._listener is not None and ready.pop(self._listener.fileno(), 0):
            line = self._listener.accept()
            if line is not None:
                self.admit(line)

    def _hear(self, number: int, guest: Guest) -> None:
        try:
            fields, descriptors = guest.line.hear()
        except BlockingIOError:
            return
        except OSError:
            fields, descriptors = [], []
        try:
            self._obey(number, guest, fields, descriptors)
        except ValueError:  # no word of ours
            self._depart(number, guest)
        for extra in descriptors:
            os.close(extra)

    def _obey(self, number: int, guest: Guest, fields: list[bytes], descriptors: list[int]) -> None:
        """Obey a message; descriptors that are taken are taken off the list."""
        match fields:
            case [b"run", *request] if guest.command is None and len(descriptors) == 3:
                guest.descriptors = descriptors[:]
                descriptors.clear()
                self._run(guest, request)
            case [b"signal", name] if guest.command is not None:
                self._session.signal(guest.command, name.decode("ascii", "replace"))
            case [b"resize", columns, rows] if guest.command is not None:
                self._session.resize(guest.command, f.Resize(int(columns), int(rows)))
            case [b"check"]:
                guest.tell(b"pid", b"%d" % os.getpid())
            case [b"stop"]:
                self._listen_no_more()
                guest.tell(b"done")
            case [b"exit"]:
                self._listen_no_more()
                guest.tell(b"done")
                self.ended = True
            case _:
                self._depart(number, guest)

    def _depart(self, number: int, guest: Guest) -> None:
        """Let a guest go; a command that nobody waits for any more is ended."""
        del self._guests[number]
        command = guest.command
        if command is not None and self._session.is_running(command):
            self._session.abandon(command)
            self._dying.append((time.monotonic() + CLIENT_PATIENCE, command))
        guest.drop()
        guest.line.close()

    def _run(self, guest: Guest, request: list[bytes]) -> None:
        """Start a command; what is said before it was asked for tells a guest that it was not."""
        try:
            exec_ = exec_of(request)
            if len(exec_.encode()) > EXEC_MAX:
                raise RexecError("argument list too long")
        except (LocalProtocolError, RexecError, ValueError, KeyError) as error:
            guest.tell(b"refused", str(error).encode("utf-8", "replace"))
            return
        if self._session.is_lost:
            return
        guest.tell(b"taken")
        stdin, stdout, stderr = guest.descriptors
        sinks = FdSink(stdout), FdSink(stderr)
        try:
            guest.command = self._session.start(exec_, FdSource(stdin) if exec_.stdin else None, *sinks)
        except RexecError as error:
            for sink in sinks:
                sink.close()
            guest.tell(b"result", b"lost", b"255", b"", b"1", str(error).encode(), b"")
            return
        guest.command.noticed = lambda text: guest.tell(b"notice", text.encode("utf-8", "replace"))

    # --- commands ---------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Tell guests what became of their commands."""
        for number, guest in list(self._guests.items()):
            command = guest.command
            if command is None:
                continue
            if command.terminal and not guest.told_started:
                guest.told_started = True
                guest.tell(b"terminal")
            if command.is_over and not self._session.is_running(command):
                self._finish(number, guest, command)
        if self._dying:
            self._kill()

    def _kill(self) -> None:
        """End what did not end when it was asked to."""
        now = time.monotonic()
        for when, command in self._dying:
            if now >= when and self._session.is_running(command):
                self._session.signal(command, "KILL")
        self._dying = [(when, c) for when, c in self._dying if now < when and self._session.is_running(c)]

    def _finish(self, number: int, guest: Guest, command: Command) -> None:
        """Close what was handed over, and only then say how it ended."""
        guest.drop()
        result = command.result()
        guest.tell(
            b"result",
            result.state.encode(),
            b"%d" % result.exit_code,
            (result.signal or "").encode("ascii", "replace"),
            b"%d" % (result.error is not None),
            (result.error or "").encode("utf-8", "replace"),
            (command.unconfirmed or "").encode(),
        )
        guest.command = None
        self._depart(number, guest)


def exec_of(request: list[bytes]) -> f.Exec:
    """Return the frame that a request means: fields such as `word=ls`. Raises `ValueError`, `KeyError`."""
    given: dict[bytes, list[bytes]] = {}
    for field in request:
        key, _, value = field.partition(b"=")
        given.setdefault(key, []).append(value)
    timeout = given.get(b"timeout")
    cwd = given.get(b"cwd")
    return f.Exec(
        0,
        _FORMS[given[b"form"][0]],
        tuple(given.get(b"word", ())),
        env=_pairs(given.get(b"env", [])),
        cwd=cwd[0] if cwd else None,
        timeout_ms=int(timeout[0]) if timeout else None,
        stdin=b"stdin" in given,
        pty=_pty(given) if b"term" in given else None,
        offered=_pairs(given.get(b"offered", [])),
    )


def _pairs(texts: list[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    parted = (text.partition(b"=") for text in texts)
    return tuple((name, value) for name, _, value in parted)


def _pty(given: dict[bytes, list[bytes]]) -> f.Pty:
    columns, _, rows = given[b"size"][0].partition(b"x")
    modes = given.get(b"modes", [b""])[0]
    return f.Pty(given[b"term"][0].decode(), int(columns), int(rows), modes=modes)
