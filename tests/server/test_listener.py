"""The listener's way out, where nothing else is in play."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from rexec.server.listener import Listener

MANY = 5_000  # idle sessions: more than Python has room for calls within calls


class Idle:
    """A session that goes as soon as it is told."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def drain(self, *, now: bool) -> None:
        self._listener.left(self)  # type: ignore[arg-type]


def test_thousands_of_idle_sessions_go_at_once() -> None:
    """Promise: "drain with a deadline", with the 5,000 idle sessions that a server bears."""

    async def drained() -> None:
        listener: Any = Listener.__new__(Listener)
        listener._loop = asyncio.get_running_loop()
        listener._stopped = listener._loop.create_future()
        listener._looks, listener._door, listener.strangers = False, None, set()
        listener.desk = SimpleNamespace(running=0)
        listener.sessions = {Idle(listener) for _ in range(MANY)}
        listener.draining = True
        listener.check_drained()
        await asyncio.wait_for(listener._stopped, 60)
        assert not listener.sessions

    asyncio.run(drained())
