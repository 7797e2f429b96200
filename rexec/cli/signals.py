"""Signals of the local user, noted for a pump that polls, and forwarded in its own time."""

from __future__ import annotations

import time

from rexec.limits import CLIENT_PATIENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal
    from collections.abc import Callable
    from typing import Any

    from rexec.transport.passage import Passage
else:
    import _signal as signal  # without the enums that `signal` makes: they cost more than a guest does
    import posix as os

FORWARDED = ("INT", "QUIT", "USR1", "USR2", "TERM", "HUP")
LEAVING = ("TERM", "HUP")  # after these the client waits only so long
RESIZED = "WINCH"


class Signals:
    """What came, and whether the client has to give up.

    A second INT within `CLIENT_PATIENCE` seconds gives up at once, TERM and HUP after so many.
    """

    def __init__(self) -> None:
        self.last: str | None = None
        self.gave_up = False
        self.descriptor = -1  # readable when something came
        self._caught: list[str] = []
        self._names: dict[int, str] = {}
        self._before: dict[int, Any] = {}
        self._interrupted = float("-inf")
        self._deadline: float | None = None

    def catch(self, *more: str) -> None:
        """Note signals from now on; what was ignored when we started stays ignored (nohup)."""
        self.descriptor, written = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        for name in (*FORWARDED, *more):
            number: int = getattr(signal, f"SIG{name}")
            self._names[number] = name
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)

    def release(self) -> None:
        """Note no more: signals do again what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, _: object) -> None:
        self._caught.append(self._names[number])

    def forward(self, send: Callable[[str], None], resized: Callable[[], None]) -> None:
        """Send on what came, and give up where it is time to."""
        if not self._caught and self._deadline is None:
            return
        now = time.monotonic()
        try:
            os.read(self.descriptor, 512)
        except BlockingIOError:
            pass
        while self._caught:
            name = self._caught.pop(0)
            if name == RESIZED:
                resized()
                continue
            self.last = name
            if name == "INT":
                self.gave_up |= now - self._interrupted < CLIENT_PATIENCE
                self._interrupted = now
            if name in LEAVING and self._deadline is None:
                self._deadline = now + CLIENT_PATIENCE
            send(name)
        self.gave_up |= self._deadline is not None and now >= self._deadline

    def was_interrupted(self, died_by: str | None) -> bool:
        """Whether Ctrl-C ended it all: a command that made something else of it has its own exit code.

        Whoever is interrupted has to die of it, or the loop of a shell goes on (`die_by`).
        """
        return self.last == "INT" and (self.gave_up or died_by == "INT")

    def patience(self) -> float | None:
        """Return how many seconds the client may still wait, None for ever."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())


def end_along(passage: Passage) -> None:
    """Have a signal that ends us end the program that carries us too, until signals are caught."""

    def end(number: int, _: object) -> None:
        passage.close()
        if number == signal.SIGINT:
            raise KeyboardInterrupt  # whoever asks for a passphrase has the terminal to give back
        die_by(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)


def die_by(number: int) -> None:
    """End as a program does that was not told to survive this signal."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
    os.kill(os.getpid(), number)
