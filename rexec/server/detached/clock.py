"""Timers of a process that has no event loop."""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    """Something that is to be done, unless it is cancelled."""

    __slots__ = ("act",)

    def __init__(self, act: Callable[[], object]) -> None:
        self.act: Callable[[], object] | None = act

    def cancel(self) -> None:
        self.act = None


class Clock:
    """What is to be done when."""

    def __init__(self) -> None:
        self._timers: list[tuple[float, int, Timer]] = []
        self._ticket = 0

    def time(self) -> float:
        return time.monotonic()

    def call_later(self, delay: float, act: Callable[..., object], *given: object) -> Timer:
        """Do something in so many seconds."""
        timer = Timer(lambda: act(*given))
        self._ticket += 1  # ties are broken before the heap compares timers
        heapq.heappush(self._timers, (self.time() + delay, self._ticket, timer))
        return timer

    def wait(self) -> float | None:
        """Return the seconds until something is to be done, or None."""
        return max(0.0, self._timers[0][0] - self.time()) if self._timers else None

    def fire(self) -> None:
        """Do what is to be done by now."""
        while self._timers and self._timers[0][0] <= self.time():
            _, _, timer = heapq.heappop(self._timers)
            if timer.act is not None:
                timer.act()
