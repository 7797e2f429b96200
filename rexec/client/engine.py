"""One thread that pumps a session, so that a Python program may do other things meanwhile.

The thread answers the server's pings, moves descriptors' bytes and waits in `poll`; everybody else
takes the lock for a moment to send something, or waits for a condition. Callables of the caller are
never called here: they run in the thread that waits for their command.

A KeyboardInterrupt may come between any two steps of the main thread. A `with` over a plain lock is one
step, and a wait here holds no lock; `threading.Condition` and context managers in Python have a place
where the lock is held and nobody is there yet to give it back.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from rexec.protocol.frames import Stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from rexec.client.command import Command
    from rexec.client.session import Session

    T = TypeVar("T")


class Engine:
    """A session and the thread that pumps it."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self._lock = threading.Lock()
        self._waiting: list[threading.Lock] = []  # held; each is released to wake who waits for it
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._dismissed = False
        self._closing = threading.Lock()
        session.wakeup = self._wake
        self._thread = threading.Thread(target=self._work, name=f"rexec {name}", daemon=True)
        self._thread.start()

    # --- for everybody else -------------------------------------------------------------------

    def turn(self, step: Callable[[Session], T]) -> T:
        """Do a step with the session to oneself; what was said in it goes out at its end."""
        with self._lock:
            found = step(self.session)
            self._tell()
            self._push()
            return found

    def until(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `done`, which is asked under the lock; False after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = -1 if deadline is None else deadline - time.monotonic()
            with self._lock:
                if done():
                    return True
                if deadline is not None and left <= 0:
                    return False
                news = threading.Lock()
                news.acquire()
                self._waiting.append(news)
            if not news.acquire(timeout=left):
                with self._lock:
                    if news in self._waiting:
                        self._waiting.remove(news)

    def take(self, command: Command, stream: Stream) -> bytes:
        """Take a piece of output that is held."""
        with self._lock:
            data = self.session.take(command, stream)
            self._push()
            return data

    def _tell(self) -> None:
        """Wake everybody who waits, under the lock."""
        while self._waiting:
            self._waiting.pop().release()

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
        with self._lock:
            try:
                while not self._dismissed:
                    self._pump()
            finally:
                self.session.close()
                self._tell()

    def _pump(self) -> None:
        poll, wait = self.session.prepare()
        self._tell()
        self._lock.release()
        try:
            ready = dict(poll.poll(wait))
        finally:
            self._lock.acquire()
        if self._wake in ready:
            os.eventfd_read(self._wake)
        self.session.serve(ready)
        self._tell()
