"""One thread that pumps a session, so that a Python program may do other things meanwhile.

The thread answers the server's pings, moves descriptors' bytes and waits in `poll`; everybody else
takes the lock for a moment to send something, or waits for a condition. Callables of the caller are
never called here: they run in the thread that waits for their command.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rexec.protocol.frames import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rexec.client.command import Command
    from rexec.client.session import Session


class Engine:
    """A session and the thread that pumps it."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self._changed = threading.Condition(threading.Lock())
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._dismissed = False
        self._closing = threading.Lock()
        session.wakeup = self._wake
        self._thread = threading.Thread(target=self._work, name=f"rexec {name}", daemon=True)
        self._thread.start()

    # --- for everybody else -------------------------------------------------------------------

    @contextmanager
    def turn(self) -> Iterator[Session]:
        """Hold the session for a moment; what was said in it goes out at its end."""
        with self._changed:
            yield self.session
            self._changed.notify_all()
            self._push()

    def until(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `done`, which is asked under the lock; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(done, timeout)

    def take(self, command: Command, stream: Stream) -> bytes:
        """Take a piece of output that is held."""
        with self._changed:
            data = self.session.take(command, stream)
            self._push()
            return data

    def _push(self) -> None:
        """Send what goes at once; the rest is the thread's, and in the main thread all of it.

        There a KeyboardInterrupt may come between a send and the note of it: bytes would go out twice.
        """
        if threading.current_thread() is not threading.main_thread():
            self.session.flush()
        if self.session.is_waiting and not self._dismissed:
            os.eventfd_write(self._wake, 1)

    def dismiss(self) -> None:
        """Ask the thread to say goodbye and end; takes no lock, so that a finaliser may call it."""
        if not self._dismissed:
            self._dismissed = True
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Say goodbye, and wait until it is said."""
        with self._closing:
            self.dismiss()
            self._thread.join()
            self._close_wake()

    def _close_wake(self) -> None:
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1

    def __del__(self) -> None:
        self._close_wake()  # nobody called `close`: the thread was dismissed, else it would hold us

    # --- the thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's
        with self._changed:
            try:
                while not self._dismissed:
                    self._pump()
            finally:
                self.session.close()
                self._changed.notify_all()

    def _pump(self) -> None:
        poll, wait = self.session.prepare()
        self._changed.notify_all()
        self._changed.release()
        try:
            ready = dict(poll.poll(wait))
        finally:
            self._changed.acquire()
        if self._wake in ready:
            os.eventfd_read(self._wake)
        self.session.serve(ready)
        self._changed.notify_all()
