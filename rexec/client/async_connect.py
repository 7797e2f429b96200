"""From an address to an authenticated session, in an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rexec.client.async_session import AsyncSession
from rexec.client.attempts import Attempts
from rexec.client.greeting import Ends, Greeting, Terms, named
from rexec.errors import ConnectError, ConnectionLost, RemoteProtocolError, RexecError
from rexec.limits import CLEAR_SILENCE
from rexec.transport.approach import words
from rexec.transport.dial import name_of, peer_uid, speaks_tls
from rexec.transport.link import mapped
from rexec.transport.outbound import open_link

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rexec.client.config import Target
    from rexec.client.greeting import Steps
    from rexec.client.identity import Signer
    from rexec.transport.link import Link


class Door:
    """The owner of a link until somebody is welcome: holds what came, which is little."""

    place = None

    def __init__(self) -> None:
        self._ready = False
        self._is_lost = False  # rather than refused by whoever is there
        self._data = bytearray()
        self._over: RexecError | None = None
        self._news = asyncio.Event()

    async def ready(self) -> None:
        """Wait until bytes can be sent; raises `ConnectError`."""
        while not self._ready:
            if self._over is not None:
                raise self._failed(self._over)
            await self._next()

    async def news(self) -> None:
        """Wait for bytes, or for the end."""
        while not self._data and self._over is None:
            await self._next()

    async def more(self) -> bytes | None:
        """Wait for bytes; None is the end. Raises `ConnectionLost`."""
        await self.news()
        if self._data:
            return self.rest()
        if isinstance(self._over, _End):
            return None
        assert self._over is not None
        raise self._over

    def rest(self) -> bytes:
        """Return what is there."""
        data = bytes(self._data)
        self._data.clear()
        return data

    @property
    def over(self) -> RexecError | None:
        return self._over

    async def _next(self) -> None:
        await self._news.wait()
        self._news.clear()

    def _failed(self, error: RexecError) -> ConnectError:
        why = str(error).removeprefix("tls: ")
        hint = "another service is there, or a server with --no-tls" if "wrong version" in why else None
        found = ConnectError(f"tls: {why}", hint=hint)
        found.is_lost = self._is_lost
        return found

    # --- the link -----------------------------------------------------------------------------

    def opened(self) -> None:
        self._ready = True
        self._news.set()

    def received(self, data: memoryview) -> None:
        self._data += data
        self._news.set()

    def ended(self) -> None:
        self._is_lost = True
        self._finish(_End("connection lost: the server closed it"))

    def writable(self, yes: bool) -> None:
        pass  # a greeting is smaller than any buffer

    def lost(self, error: Exception | None) -> None:
        self._is_lost |= error is None or isinstance(error, ConnectionError)
        if isinstance(error, RemoteProtocolError):
            self._finish(error)
        else:
            self._finish(ConnectionLost(f"connection lost: {mapped(error)}"))

    def _finish(self, why: RexecError) -> None:
        self._over = self._over or why
        self._news.set()


class _End(ConnectionLost):
    """The server sends no more."""


async def open_session(target: Target, signers: Iterable[Signer], terms: Terms | None = None) -> AsyncSession:
    """Return a session; `terms` are asked in a thread.

    Raises `ConnectError`, `TrustError`, `AuthError`, and what reading keys may raise.
    """
    way = _Way(target, signers, terms or Terms())
    try:
        return await way.session() or await _again(way)
    except RexecError as error:
        raise named(target, error) from None


class _Way(Attempts):
    """One attempt to connect, and those that follow where it is lost."""

    async def session(self) -> AsyncSession | None:
        """Return a session, or None where a connection was there and broke."""
        try:
            return await self._session()
        except (ConnectionLost, ConnectError) as error:
            self.fail(error)
        return None

    async def _session(self) -> AsyncSession:
        target, door = self.target, Door()
        deadline = asyncio.get_running_loop().time() + target.connect_timeout
        link = await reach(target, door, deadline)
        try:
            return await _greet(self.begin(ends_of(target, link)), link, door, deadline)
        except BaseException:
            link.abort()
            raise


async def _again(way: _Way) -> AsyncSession:
    """Try until somebody welcomes us, or there is no time left."""
    from rexec.client.resume import Pauses

    loop = asyncio.get_running_loop()
    pauses = Pauses(way.target, loop.time())
    while True:
        pauses.allow(way.patience)
        await asyncio.sleep(max(0.0, pauses.due - loop.time()))
        try:
            session = await way.session()
            if session is not None:
                return session
        except ConnectError as error:
            way.why = error
        way.go_on(pauses, loop.time())


async def reach(target: Target, door: Door, deadline: float) -> Link:
    """Return a link on which bytes can be sent. Raises `ConnectError`."""
    try:
        async with asyncio.timeout_at(deadline):
            link = await open_link(target.address, door, tls=target.tls, via=target.via)
            try:
                await door.ready()
            except ConnectError as error:
                error.is_lost |= link.tls is not None and link.tls.is_cut
                link.abort()
                raise
            except BaseException:
                link.abort()
                raise
    except TimeoutError:
        raise ConnectError("timed out") from None
    return link


async def _greet(greeting: Greeting, link: Link, door: Door, deadline: float) -> AsyncSession:
    """Send and receive until the server welcomes us; each proof has its time from when it is made."""
    loop = asyncio.get_running_loop()
    if link.tls is None and greeting.target.via is None:  # none is asked past a proxy
        await _expect(greeting, door)
    steps = greeting.steps()
    while True:
        data, user = await loop.run_in_executor(None, _step, steps)
        if user is not None:
            session = AsyncSession(link, greeting.connection, user)
            session.keep(greeting)
            session.server_key = greeting.server_key
            session.settle(door.rest(), door.over)
            return session
        if data:
            deadline = loop.time() + greeting.target.connect_timeout
            link.write(data)
            continue
        try:
            async with asyncio.timeout_at(deadline):
                greeting.take(await door.more())
        except TimeoutError:
            raise greeting.no_answer() from None


async def _expect(greeting: Greeting, door: Door) -> None:
    """Wait for the first word in the clear; who has none may wait for TLS, and is asked, in a thread."""
    place, most = greeting.target.address, greeting.target.connect_timeout
    wait = min(CLEAR_SILENCE, most / 2)
    try:
        async with asyncio.timeout(wait):
            await door.news()
    except TimeoutError:
        if await asyncio.get_running_loop().run_in_executor(None, speaks_tls, place, most - wait):
            raise greeting.not_in_the_clear() from None


def _step(steps: Steps) -> tuple[bytes, str | None]:
    """Do one step, in a thread: it may read files, and ask an agent or a person."""
    try:
        return next(steps), None
    except StopIteration as end:
        return b"", str(end.value)


def ends_of(target: Target, link: Link) -> Ends:
    """Return what a greeting has to know of the link."""
    plain = link.socket
    uid = peer_uid(plain) if target.address.path else None
    try:
        dialled = name_of(plain.getpeername())
    except OSError as error:  # it was there, and is gone
        raise ConnectionLost(f"connection lost: {words(error)}") from None
    if link.tls is None:
        return Ends(None, None, dialled, uid)
    return Ends(link.tls.certificate(), link.tls.binding, dialled, uid)
