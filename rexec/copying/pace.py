"""How fast a copy may go."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_STEPS = 10  # a second: what waits is sent evenly


class Pace:
    """Holds a copy to so many bytes a second, from the first one on."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.step = max(1, int(rate / _STEPS))  # bytes that may go at once
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._free = 0.0  # when the line would be free again

    def spend(self, count: int) -> None:
        """Wait until so many bytes may go; who was slower than allowed may not catch up."""
        now = self._clock()
        self._free = max(now, self._free) + count / self._rate
        if self._free > now:
            self._sleep(self._free - now)
