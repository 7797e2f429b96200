"""What a rule bounds of the bytes that pass: `idle`, `output` and `stdin`. A plain rule has no meter.

The runner never sees these bytes, so that the listener counts them. One that was taken over may let more
pass, or pass nothing; it decides about its own clients' bytes anyway. Time as such is the runner's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rexec.protocol.frames import Cause

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from rexec.server.orders import Bounds

    class Timer(Protocol):
        def cancel(self) -> None: ...

    class Clock(Protocol):
        """An event loop, or what has timers like one."""

        def time(self) -> float: ...
        def call_later(self, delay: float, callback: Callable[..., object], *given: object) -> Timer: ...


class Meter:
    """The counts of one command; `end` is called with a cause when it is to be ended."""

    def __init__(self, bounds: Bounds, rule: str, loop: Clock, end: Callable[[Cause, str], None]) -> None:
        self._bounds = bounds
        self._rule = rule
        self._loop = loop
        self._end = end
        self._output = bounds.output
        self._input = bounds.stdin
        self._heard = loop.time()
        self._timer: Timer | None = None
        if bounds.idle_ms is not None:
            self._watch(bounds.idle_ms / 1000)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def output(self, size: int) -> int:
        """Count bytes that the command wrote; return how many of them go to the client."""
        self._heard = self._loop.time()
        if self._output is None:
            return size
        passed = min(size, self._output)
        self._output -= passed
        if passed < size and self._bounds.kill:
            self._end(Cause.OUTPUT_LIMIT, f"more than {self._bounds.output:,} bytes of output ({self._rule})")
        return passed

    def input(self, size: int) -> int:
        """Count bytes of the client; return how many of them the command gets.

        There is no end of file at the limit: what is cut off is not to be taken for the whole.
        """
        if self._input is None:
            return size
        passed = min(size, self._input)
        self._input -= passed
        if passed < size:
            self._end(Cause.INPUT_LIMIT, f"more than {self._bounds.stdin:,} bytes of input ({self._rule})")
        return passed

    def given(self) -> None:
        """Note that the command took input."""
        self._heard = self._loop.time()

    @property
    def cut_off(self) -> str:
        """What the client is told where output goes no further and the command does."""
        return f"output is cut off after {self._bounds.output:,} bytes ({self._rule})"

    def _watch(self, idle: float) -> None:
        """Look when the time could be over; each byte meanwhile puts it off, without a timer of its own."""
        left = self._heard + idle - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._watch, idle)
            return
        self._timer = None
        self._end(Cause.IDLE, f"no byte for {idle:g} s ({self._rule})")
