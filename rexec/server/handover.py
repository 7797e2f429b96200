"""The listening sockets go to a successor, and nobody notices: `SIGUSR2`, as the listener sees it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from rexec.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.audit.log import Log
    from rexec.server.successor import Line


class Handover:
    """Asks the keeper for a successor; `done` is called with its pid once it serves."""

    def __init__(self, line: Line, log: Log, done: Callable[[int], None]) -> None:
        self._line = line
        self._log = log
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._begun = False

    def begin(self, sockets: tuple[socket.socket, ...], *, are_ours: bool) -> None:
        """Ask, unless one is on its way; until it serves, nothing changes here."""
        if self._begun:
            self._log.event("handover", result="waits", why="a successor is being started")
            return
        try:
            self._line.ask(sockets, are_ours=are_ours)
        except OSError as error:
            self._log.event("handover", result="kept", why=(error.strerror or str(error)).lower())
            return
        self._begun = True
        self._log.event("handover", result="begun", sockets=len(sockets))
        self._loop.add_reader(self._line.fileno(), self._hear)

    def close(self) -> None:
        """Want no successor any more; one that does not serve yet is ended."""
        if self._line.fileno() >= 0:
            self._loop.remove_reader(self._line.fileno())
            self._line.close()

    def _hear(self) -> None:
        try:
            outcome = self._line.hear()
        except ConnectionLost as error:
            self._begun = False
            self._log.event("handover", result="kept", why=str(error))
            self._loop.remove_reader(self._line.fileno())
            return
        if outcome is None:
            return
        self._begun = False
        if outcome.pid:
            self._log.event("handover", result="done", successor=outcome.pid)
            self.close()
            self._done(outcome.pid)
        else:
            self._log.event("handover", result="kept", why=outcome.why)
