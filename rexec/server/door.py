"""The door: the listening sockets, and all who come in by them.

Accepted is only what can be served: without a descriptor left the queue of the kernel waits, and nobody
spins. After `close` everybody who was accepted before still has a link: none is lost in between.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

from rexec.limits import ACCEPT_AGAIN, ACCEPTS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rexec.audit.log import Log
    from rexec.transport.link import Link

# accept(2): nothing is wrong with the socket, there is only nothing left to accept with
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Door:
    """The listening sockets of one server; `enter` makes links, but not for whom `refuses` shuts out."""

    def __init__(
        self,
        sockets: Iterable[socket.socket],
        enter: Callable[[str], Link],
        log: Log,
        refuses: Callable[[str], bool] = lambda peer: False,
    ) -> None:
        self._sockets = tuple(sockets)
        self._enter = enter
        self._refuses = refuses
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._coming: set[asyncio.Task[object]] = set()  # accepted, and not linked yet
        self._again: asyncio.TimerHandle | None = None
        self._open = False

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return self._sockets

    @property
    def coming(self) -> int:
        """How many were accepted that have no link yet."""
        return len(self._coming)

    def open(self) -> None:
        """Accept who waits and who comes."""
        self._open = True
        for listening in self._sockets:
            listening.setblocking(False)
            if listening.family != socket.AF_UNIX:
                # Inherited by what is accepted: the last flight of a handshake never waits for an Ack.
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watch()

    def close(self) -> None:
        """Accept nobody any more; who waits in the queue is left to whoever shares the socket."""
        self._pause()
        self._open = False
        for listening in self._sockets:
            listening.close()

    def _watch(self) -> None:
        self._again = None
        for listening in self._sockets:
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    def _pause(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._open:
            for listening in self._sockets:
                self._loop.remove_reader(listening.fileno())

    def _accept(self, listening: socket.socket) -> None:
        """Accept some; those who serve links have their turn in between."""
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._mishap(error)
                return
            peer = _peer(address)
            if self._refuses(peer):
                accepted.close()
                continue
            task = self._loop.create_task(self._link(accepted, peer))
            self._coming.add(task)
            task.add_done_callback(self._linked)

    async def _link(self, accepted: socket.socket, peer: str) -> None:
        await self._loop.connect_accepted_socket(lambda: self._enter(peer), accepted)

    def _linked(self, task: asyncio.Task[object]) -> None:
        self._coming.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.event("error", what="a connection was not taken", why=_words(error))

    def _mishap(self, error: OSError) -> None:
        """Wait where there is no room: the queue stays readable, so that looking at it would spin."""
        self._log.event("error", what="cannot accept", why=_words(error))
        if error.errno in _NO_ROOM:
            self._pause()
            self._again = self._loop.call_later(ACCEPT_AGAIN, self._watch)


def _peer(address: Any) -> str:
    """Return the address of a peer as text, "" for a Unix socket."""
    return str(address[0]) if isinstance(address, tuple) else ""


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return f"{type(error).__name__}: {error}"
