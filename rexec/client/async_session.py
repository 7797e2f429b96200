"""A connection to a server in an event loop: the owner of its link, and of its commands' streams."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from rexec.client.dispatch import Dispatch
from rexec.errors import ConnectionLost
from rexec.limits import CHANNELS_PER_SESSION, CLIENT_PATIENCE, KEEPALIVE_IDLE, KEEPALIVE_TIMEOUT, PARTING
from rexec.protocol import frames as f
from rexec.protocol.frames import Farewell
from rexec.transport.link import mapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.auth.keys import PublicKey
    from rexec.client.command import Command
    from rexec.client.streams import Sink
    from rexec.protocol.connection import Connection
    from rexec.transport.link import Link


class AsyncSession(Dispatch):
    """An authenticated connection over a link."""

    def __init__(self, link: Link, connection: Connection, user: str) -> None:
        super().__init__(connection, user)
        self.server_key: PublicKey | None = None  # the one by which we know the server
        self._loop = asyncio.get_running_loop()
        self._link = link
        self._flowing = True
        self._heard = self._loop.time()
        self._pinged = False
        self._timer = self._loop.call_later(KEEPALIVE_IDLE, self._keep_alive)
        self._waiting: dict[Command, set[asyncio.Future[None]]] = {}
        self._watched: dict[object, int] = {}  # a command's source or a sink -> what the loop looks at
        self.slots = asyncio.Semaphore(CHANNELS_PER_SESSION)
        self._gone = self._loop.create_future()
        link.owner = self

    async def until(self, command: Command, done: Callable[[], bool]) -> None:
        """Wait until something of a command is so."""
        while not done():
            future = self._loop.create_future()
            waiting = self._waiting.setdefault(command, set())
            waiting.add(future)
            try:
                await future
            finally:
                waiting.discard(future)
                if not waiting:
                    self._waiting.pop(command, None)

    def end(self, command: Command) -> None:
        """End a command that still runs: TERM at once, KILL if that does not help."""
        if self.is_running(command):
            self.abandon(command)
            self._loop.call_later(CLIENT_PATIENCE, self._kill, command)

    def _kill(self, command: Command) -> None:
        if self.is_running(command):
            self.signal(command, "KILL")

    async def until_lost(self) -> str:
        """Wait for the end of the connection; return why."""
        await asyncio.shield(self._gone)
        return self._lost or "connection lost"

    async def close(self) -> None:
        """Say goodbye: what still runs is ended."""
        if self._lost is None:
            self._queue(self._send(f.Goodbye(Farewell.DONE)))
            self._lose("connection closed")
        try:
            async with asyncio.timeout(PARTING):
                await asyncio.shield(self._gone)
        except TimeoutError:
            self._link.abort()

    # --- the link -----------------------------------------------------------------------------

    def opened(self) -> None:
        raise AssertionError("a session begins on an open link")

    def received(self, data: bytes | memoryview) -> None:
        self._heard = self._loop.time()
        self._pinged = False
        if self._lost is None:
            self._guard(lambda: self._take(data))

    def _take(self, data: bytes | memoryview) -> None:
        self.connection.receive_data(data)
        self._events()

    def ended(self) -> None:
        if self._lost is None:
            self._guard(self._end_of_file)

    def _end_of_file(self) -> None:
        self.connection.receive_eof()
        raise ConnectionLost("connection lost: the server closed it")

    def writable(self, yes: bool) -> None:
        self._flowing = yes
        for command in list(self._commands.values()) if yes else ():
            self._changed(command)

    def lost(self, error: Exception | None) -> None:
        if self._lost is None:
            self._lose(f"connection lost: {mapped(error)}")
        if not self._gone.done():
            self._gone.set_result(None)

    def _lose(self, why: str) -> None:
        super()._lose(why)
        self._timer.cancel()
        self._link.close()
        self._loop.call_later(PARTING, self._link.abort)

    def _keep_alive(self) -> None:
        silence = self._loop.time() - self._heard
        if silence >= KEEPALIVE_IDLE + KEEPALIVE_TIMEOUT:
            self._lose(f"connection lost: no answer for {silence:.0f} s")
            self._link.abort()
            return
        if silence >= KEEPALIVE_IDLE and not self._pinged:
            self._pinged = True
            self._queue(self._send(f.Ping(0)))
        due = KEEPALIVE_IDLE + (KEEPALIVE_TIMEOUT if self._pinged else 0) - silence
        self._timer = self._loop.call_later(max(due, 0.1), self._keep_alive)

    # --- for the commands ---------------------------------------------------------------------

    def _queue(self, data: bytes) -> None:
        self._link.write(data)

    def _is_clogged(self) -> bool:
        return not self._flowing

    def adopt(self, command: Command) -> None:
        super().adopt(command)
        self._changed(command)

    def _changed(self, command: Command) -> None:
        """Look at the descriptors that matter now, and wake who waits."""
        self._tend_source(command)
        for sink in command.sinks.values():
            if sink.pending:
                self._watch(sink, sink.descriptor, self._loop.add_writer, lambda: self._flush(command))
        for future in self._waiting.get(command, ()):
            if not future.done():
                future.set_result(None)

    def _flush(self, command: Command) -> None:
        """Write what a descriptor takes now; what it still does not take is looked at again."""
        for stream, sink in list(command.sinks.items()):
            if sink.pending:
                self._written(command, stream, sink.flush)
            if not sink.pending:
                self._unwatch(sink)
        self._forget_if_over(command)
        self._changed(command)

    def _tend_source(self, command: Command) -> None:
        """Read on where there is room; the loop says when there is something."""
        source = command.source
        if source is None or not self._wants_input(command):
            self._unwatch(command)
            return
        if source.descriptor >= 0 and self._watch(
            command, source.descriptor, self._loop.add_reader, lambda: self._readable(command)
        ):
            return
        while self._feed(command):
            pass  # memory, or a file: it can be read at any time

    def _readable(self, command: Command) -> None:
        self._feed(command)
        if not self._wants_input(command):
            self._unwatch(command)

    def _watch(
        self, key: object, descriptor: int, add: Callable[..., None], ready: Callable[[], None]
    ) -> bool:
        """Have the loop look at a descriptor by a copy, since it knows each number once; False: it cannot."""
        if key in self._watched:
            return True
        try:
            copy = os.dup(descriptor)
        except OSError:  # closed: to read or write it will tell
            return False
        try:
            add(copy, ready)
        except OSError:  # EPERM: a file, which epoll does not take
            os.close(copy)
            return False
        self._watched[key] = copy
        return True

    def _unwatch(self, key: object) -> None:
        copy = self._watched.pop(key, -1)
        if copy >= 0:
            self._loop.remove_reader(copy)
            self._loop.remove_writer(copy)
            os.close(copy)

    def _unplugged(self, sink: Sink) -> None:
        self._unwatch(sink)

    def _closed(self, command: Command) -> None:
        self._unwatch(command)
        self.slots.release()
