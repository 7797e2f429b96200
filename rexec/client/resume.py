"""The way back to a server whose connection was lost: wait, connect, authenticate again with the same key.

Nobody stands still meanwhile. Names and sockets, which block, are a thread's; what is said to the server is
said from the pump of the session, since the session's counts are its own. Imported when a connection is lost.
"""

from __future__ import annotations

import os
import random
import select
import signal
import threading
import time
from typing import TYPE_CHECKING

from rexec.client.connect import ends_of
from rexec.client.greeting import Greeting
from rexec.errors import ConnectError, ConnectionLost, RexecError
from rexec.limits import PARTING, RESUME_PAUSE, RESUME_PAUSE_MAX, RESUME_RESET
from rexec.protocol import frames as f
from rexec.protocol.frames import Farewell
from rexec.transport.approach import words
from rexec.transport.dial import dial

if TYPE_CHECKING:
    from rexec.client.config import Target
    from rexec.client.greeting import Steps
    from rexec.protocol.connection import Connection
    from rexec.transport.dial import Wire

_ATTEMPT = 0.5  # at least this part of a pause: clients that lost one server together do not come together


class Pauses:
    """When to try again, and when no more."""

    def __init__(self, target: Target, now: float) -> None:
        self._began = now
        self._limit = now + target.resume_for
        self._deadline = now + target.resume_for
        self._next = RESUME_PAUSE
        self.due = now + self._pause()

    def again(self, error: RexecError, now: float) -> None:
        """Set the time of the next attempt after one that failed; raises its error where none is left.

        Where nothing listens any more, nobody keeps a session: only a server that is just being started again
        is waited for.
        """
        if isinstance(error, ConnectError) and error.is_refused:
            self._deadline = min(self._deadline, now + RESUME_RESET)
        self.due = now + self._pause()
        if self.due > min(self._deadline, self._limit):
            raise error

    def allow(self, seconds: float) -> None:
        """Take so many seconds in all."""
        self._limit = self._began + seconds

    def _pause(self) -> float:
        pause, self._next = self._next, min(2 * self._next, RESUME_PAUSE_MAX)
        return pause * random.uniform(_ATTEMPT, 1)  # noqa: S311  # to spread attempts, nothing secret


class _Dialling:
    """A thread that connects; `descriptor` is readable when it has, or could not."""

    def __init__(self, target: Target) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.done = False
        self._target = target
        self._wire: Wire | None = None
        self._error: Exception | None = None
        self._is_wanted = True
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="rexec dial", daemon=True).start()

    def _work(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's
        target = self._target
        try:
            self._wire = dial(target.address, timeout=target.connect_timeout, tls=target.tls, via=target.via)
        except Exception as error:  # whatever it is, it is raised where it is waited for
            self._error = error
        with self._lock:
            self.done = True
            if self._is_wanted:
                os.eventfd_write(self.descriptor, 1)
                return
        if self._wire is not None:
            self._wire.close()

    def take(self) -> Wire:
        """Return what was connected; raises why nothing was."""
        os.close(self.descriptor)
        if self._error is not None:
            raise self._error
        assert self._wire is not None
        return self._wire

    def drop(self) -> None:
        """Let the thread close by itself what it still connects."""
        with self._lock:
            self._is_wanted = False
            done = self.done
        os.close(self.descriptor)
        if done and self._wire is not None:
            self._wire.close()


class Return:
    """What goes on between a lost connection and the next; a session steps through it as it pumps."""

    def __init__(self, before: Greeting, connection: Connection) -> None:
        self._before = before
        self._connection = connection
        self._target = before.target
        self._pauses = Pauses(before.target, time.monotonic())
        self._dialling: _Dialling | None = None
        self._deadline = 0.0  # of the attempt
        self._steps: Steps | None = None
        self._unsent = b""
        self.wire: Wire | None = None
        self.greeting: Greeting | None = None

    def interest(self) -> dict[int, int]:
        """Return what to poll."""
        if self._dialling is not None:
            return {self._dialling.descriptor: select.POLLIN}
        if self.wire is not None:
            more = self._unsent or self.wire.is_unsent
            return {self.wire.fileno(): select.POLLIN | (select.POLLOUT if more else 0)}
        return {}

    def wait(self) -> float:
        """Return the seconds until there is something to do that no poll announces."""
        if self._dialling is not None:
            return self._target.connect_timeout  # its own; the thread says when it is over
        due = self._deadline if self.wire is not None else self._pauses.due
        return max(0.0, due - time.monotonic())

    def step(self) -> bool:
        """Go on as far as can be without waiting; True once we are welcome again.

        Raises why we cannot come back: no time left, another server, a key that is not taken any more.
        """
        try:
            return self._step()
        except (ConnectError, ConnectionLost) as error:
            why: RexecError = error
        except OSError as error:
            why = ConnectError(words(error))
        self.close()
        self._pauses.again(why, time.monotonic())
        return False

    def take_leave(self) -> None:
        """Make one more attempt, a short one: a server that hears goodbye ends what runs for us."""
        self.close()
        deadline = time.monotonic() + PARTING
        self._pauses.due = 0.0
        try:
            while not self.step():
                if not self._await(deadline):
                    return
            assert self.wire is not None
            assert self.greeting is not None
            self.wire.send(self.greeting.connection.send(f.Goodbye(Farewell.DONE)))
            while self.wire.receive() is not None and self._await(deadline):
                pass  # whoever closes with bytes unread may take back what was said last
        except RexecError:
            pass  # it will find out by itself
        finally:
            self.close()

    def _await(self, deadline: float) -> bool:
        """Wait for what this waits for; False where there is nothing, or no time."""
        left, interest = deadline - time.monotonic(), self.interest()
        if left <= 0 or not interest:
            return False
        poll = select.poll()
        for descriptor, events in interest.items():
            poll.register(descriptor, events)
        poll.poll(left * 1000)
        return True

    def close(self) -> None:
        """Give up what was begun."""
        if self._dialling is not None:
            self._dialling.drop()
            self._dialling = None
        if self.wire is not None:
            self.wire.close()
            self.wire = None
        self._steps = None
        self._unsent = b""

    def _step(self) -> bool:
        if self.wire is None:
            if self._dialling is None:
                if time.monotonic() >= self._pauses.due:
                    self._dialling = _Dialling(self._target)
                return False
            if not self._dialling.done:
                return False
            dialled, self._dialling = self._dialling, None
            self.wire = dialled.take()
            self._begin(self.wire)
        return self._greet(self.wire)

    def _begin(self, wire: Wire) -> None:
        self.greeting = self._before.again(ends_of(self._target, wire), self._connection.session)
        self._steps = self.greeting.steps()
        self._deadline = time.monotonic() + self._target.connect_timeout
        wire.unblock()
        self._advance()

    def _greet(self, wire: Wire) -> bool:
        assert self.greeting is not None
        while True:
            if self._unsent:
                self._unsent = self._unsent[wire.send(self._unsent) :]
            if self._steps is None:
                return True
            data = wire.receive()
            if data is not None and not len(data):
                break
            self.greeting.take(data)
            self._advance()
        if time.monotonic() >= self._deadline:
            raise ConnectError("timed out waiting for the server's answer")
        return False

    def _advance(self) -> None:
        assert self._steps is not None
        try:
            while data := next(self._steps):
                self._unsent += data
        except StopIteration:
            self._steps = None
