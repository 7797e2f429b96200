"""Signs of life for a service manager's watchdog: of both processes, since one alone serves nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rexec.server.desk import Desk
    from rexec.server.notices import Notices


class Heartbeat:
    """Asks the runner at every half of the watchdog's time; what it answers goes on to the manager."""

    def __init__(self, notices: Notices, desk: Desk) -> None:
        self._notices = notices
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._waits = False  # for an answer: a runner that hangs is not asked again and again
        self._beat()

    def _beat(self) -> None:
        if self._notices.watchdog is None:
            return
        if not self._waits:
            self._waits = True
            self._desk.beat(self._beaten)
        self._loop.call_later(self._notices.watchdog, self._beat)

    def _beaten(self) -> None:
        self._waits = False
        self._notices.alive()
