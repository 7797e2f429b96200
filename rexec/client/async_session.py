"""A connection to a server in an event loop: the owner of its link, and of its commands' streams."""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import TYPE_CHECKING

from rexec.client.dispatch import Dispatch
from rexec.errors import ConnectionLost, RexecError
from rexec.limits import (
    ACK_DELAY,
    CHANNELS_PER_SESSION,
    CLIENT_PATIENCE,
    KEEPALIVE_IDLE,
    KEEPALIVE_TIMEOUT,
    PARTING,
)
from rexec.protocol import frames as f
from rexec.protocol.frames import Farewell as Reason
from rexec.transport.link import mapped
from rexec.transport.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.auth.keys import PublicKey
    from rexec.client.command import Command
    from rexec.client.greeting import Greeting
    from rexec.client.streams import Sink
    from rexec.protocol.connection import Connection
    from rexec.transport.link import Link

_NOBODY: dict[asyncio.Future[None], Callable[[], bool]] = {}


class AsyncSession(Dispatch):
    """An authenticated connection over a link."""

    def __init__(self, link: Link, connection: Connection, user: str) -> None:
        super().__init__(connection, user)
        self.server_key: PublicKey | None = None  # the one by which we know the server
        self._loop = asyncio.get_running_loop()
        self._link = link
        self._outbox = Outbox(self._loop, _writer(self))
        self.greeting: Greeting | None = None  # how we came in, and may come in again
        self.told: Callable[[str, bool], None] | None = None  # what becomes of the line; True: good news
        self.keepalive: float = KEEPALIVE_IDLE  # seconds of silence before a ping
        self.silence: float = KEEPALIVE_TIMEOUT  # and behind it, before the server counts as gone
        self._away: asyncio.Task[None] | None = None  # on the way back, while there is no connection
        self._ack_timer: asyncio.TimerHandle | None = None
        self._flowing = True
        self._heard = self._loop.time()
        self._pinged = False
        self._timer = self._loop.call_later(KEEPALIVE_IDLE, self._keep_alive)
        self._waiting: dict[Command, dict[asyncio.Future[None], Callable[[], bool]]] = {}  # and for what
        self._watched: dict[object, int] = {}  # a command's source or a sink -> what the loop looks at
        self.slots = asyncio.Semaphore(CHANNELS_PER_SESSION)
        self._gone = self._loop.create_future()
        link.owner = self

    def keep(self, greeting: Greeting) -> None:
        """Note how we came in, and how long silences may be."""
        self.greeting = greeting
        self.keepalive, self.silence = greeting.target.keepalive, greeting.target.silence
        self._wait_for_silence()

    def settle(self, data: bytes, over: RexecError | None) -> None:
        """Take what came before the link was ours, its end included."""
        self.received(memoryview(data))
        if over is not None:
            self.lost(over)

    async def until(self, command: Command, done: Callable[[], bool]) -> None:
        """Wait until something of a command is so."""
        while not done():
            future = self._loop.create_future()
            waiting = self._waiting.setdefault(command, {})
            waiting[future] = done
            try:
                await future
            finally:
                del waiting[future]
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
            if self._away is not None:
                self._away.cancel()
                self._away = None
                await self._take_leave()
                self._gone.set_result(None)
            self._queue(self._send(f.Goodbye(Reason.DONE)))
            self._lose("connection closed")
        try:
            async with asyncio.timeout(PARTING):
                await asyncio.shield(self._gone)
        except TimeoutError:
            self._link.abort()

    # --- the link -----------------------------------------------------------------------------

    def opened(self) -> None:
        raise AssertionError("a session begins on an open link")

    @property
    def place(self) -> memoryview | None:
        return self.connection.place

    def received(self, data: memoryview) -> None:
        self._heard = self._loop.time()
        self._pinged = False
        if self._lost is None:
            self._guard(self._take, data)

    def _take(self, data: memoryview) -> None:
        core = self.connection.session
        was_full = core.full
        self.connection.receive_here(data)
        self._events()
        if was_full and not core.full:
            self.writable(self._flowing)
        if core.ack_due:
            self._acknowledge()
        elif core.ack_pending and self._ack_timer is None:
            self._ack_timer = self._loop.call_later(ACK_DELAY, self._acknowledge)

    def _acknowledge(self) -> None:
        """Tell the server what it need not keep any more."""
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        if self._lost is None and self._away is None:
            self._queue(self.connection.acknowledge())

    def ended(self) -> None:
        if self._lost is None:
            self._guard(self._end_of_file)

    def _end_of_file(self) -> None:
        if not self._may_return:
            self.connection.receive_eof()
        raise ConnectionLost("connection lost: the server closed it")

    def writable(self, yes: bool) -> None:
        self._flowing = yes
        for command in list(self._commands.values()) if yes else ():
            self._changed(command)

    def lost(self, error: Exception | None) -> None:
        if self._lost is None:
            self._cut(ConnectionLost(_words(error)))
        if self._away is None and not self._gone.done():
            self._gone.set_result(None)

    def _lose(self, why: str) -> None:
        super()._lose(why)
        self._acknowledge()
        self._outbox.flush()
        self.connection.session.set_keep(False)  # nobody asks for it again, and a collector may come late
        self._timer.cancel()
        self._link.close()
        self._loop.call_later(PARTING, self._link.abort)

    # --- without a connection -----------------------------------------------------------------

    @property
    def _may_return(self) -> bool:
        """Whether a connection that is lost may be sought again."""
        return self._is_agreed() and self.greeting is not None

    def _cut(self, error: ConnectionLost) -> None:
        if self._is_final(error) or not self._may_return:
            super()._cut(error)
            return
        self._timer.cancel()
        self._link.mute()  # open until we are back: see `session`
        self._outbox.clear()  # all that matters of it is sent again
        self._away = self._loop.create_task(self._come_back(str(error)))
        if self.told is not None:
            self.told(f"{error}; trying again", False)

    async def _come_back(self, why: str) -> None:
        from rexec.client.async_resume import come_back

        assert self.greeting is not None
        try:
            link, greeting, door = await come_back(self.greeting, self.connection.session)
        except RexecError as error:
            self._away = None
            self._lose(f"{why}; not resumed: {error}")
            if not self._gone.done():
                self._gone.set_result(None)
            return
        self._away = None
        self._link.drop()
        self._link, self.connection, self.greeting = link, greeting.connection, greeting
        link.owner = self
        self._wait_for_silence()
        if not greeting.resumed:
            self._ask_again(why)
        if self.told is not None:
            self.told("resumed" if greeting.resumed else "connected again", True)
        self._flowing = True
        self._queue(self.connection.again())
        self.settle(door.rest(), door.over)
        if self._away is None:
            self.writable(self._flowing)

    async def _take_leave(self) -> None:
        from rexec.client.async_resume import take_leave

        if self._commands and self.greeting is not None:
            await take_leave(self.greeting, self.connection.session)

    # --- silence ------------------------------------------------------------------------------

    def _wait_for_silence(self) -> None:
        self._heard = self._loop.time()
        self._pinged = False
        self._timer.cancel()
        self._timer = self._loop.call_later(self.keepalive, self._keep_alive)

    def _keep_alive(self) -> None:
        silence = self._loop.time() - self._heard
        if silence >= self.keepalive + self.silence:
            self._cut(ConnectionLost(f"connection lost: no answer for {silence:.0f} s"))
            if self._away is None:
                self._link.abort()
            return
        if silence >= self.keepalive and not self._pinged:
            self._pinged = True
            self._queue(self._send(f.Ping(0)))
        due = self.keepalive + (self.silence if self._pinged else 0) - silence
        self._timer = self._loop.call_later(max(due, 0.1), self._keep_alive)

    # --- for the commands ---------------------------------------------------------------------

    def _queue(self, data: bytes) -> None:
        if self._away is None:
            self._outbox.put(data)

    def _is_clogged(self) -> bool:
        return not self._flowing or self.connection.session.full

    def adopt(self, command: Command) -> None:
        super().adopt(command)
        self._changed(command)

    def _changed(self, command: Command) -> None:
        """Look at the descriptors that matter now, and wake who waits."""
        self._tend_source(command)
        for sink in command.sinks.values():
            if sink.pending:
                self._watch(sink, sink.descriptor, self._loop.add_writer, lambda: self._flush(command))
        for future, done in self._waiting.get(command, _NOBODY).items():
            if not future.done() and done():
                future.set_result(None)

    def _flush(self, command: Command) -> None:
        """Write what a descriptor takes now; what it still does not take is looked at again."""
        for stream, sink in list(command.sinks.items()):
            if sink.pending:
                self._hand_on(command, stream)
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


def _writer(session: AsyncSession) -> Callable[[bytes], None]:
    """Return what writes on the link that a session has by then, and does not hold it: a ring lives on."""
    me = weakref.ref(session)

    def write(data: bytes) -> None:
        found = me()
        if found is not None:
            found._link.write(data)

    return write


def _words(error: Exception | None) -> str:
    why = mapped(error)
    return why if why.startswith("connection lost") else f"connection lost: {why}"
