"""The listener: sockets, strangers, sessions; it has no say in what is started.

It is the main process: signals come here. `SIGHUP` reloads, `SIGTERM` and `SIGINT` drain, a second one
ends at once, `SIGUSR2` hands the sockets to a successor.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, cast

from rexec import __version__
from rexec.auth import publickey
from rexec.auth.private import parse_private
from rexec.errors import RexecError
from rexec.limits import ENTERING, PARTING
from rexec.server import orders
from rexec.server.certificate import certified_key
from rexec.server.crowd import Crowd, Room
from rexec.server.desk import Desk
from rexec.server.door import Door
from rexec.server.greet import Greeting
from rexec.server.handover import Handover
from rexec.server.heartbeat import Heartbeat
from rexec.server.orders import Stopping
from rexec.server.parking import Parking
from rexec.transport.dial import name_of
from rexec.transport.link import Buffers, Link
from rexec.transport.secure import TlsLayer
from rexec.transport.tls import server_context

if TYPE_CHECKING:
    import ssl

    from rexec.audit.log import Log
    from rexec.auth.keys import PublicKey
    from rexec.auth.private import PrivateKey
    from rexec.protocol.connection import Connection
    from rexec.server.ordersocket import OrderSocket
    from rexec.server.session import Session
    from rexec.server.surroundings import Surroundings


class Service:
    """Who the server is, and the times it grants; made of what the runner read. Raises `ConfigError`.

    Over TLS the key is in its context alone.
    """

    __slots__ = ("drain", "grace", "keepalive", "key", "public", "reset", "room", "silence", "tls")

    def __init__(self, offer: orders.Offer) -> None:
        self.drain = offer.drain_ms / 1000
        self.grace = offer.grace_ms / 1000
        exempt = tuple(map(ip_network, offer.exempt.split()))
        self.room = Room(offer.strangers, offer.per_source, exempt)
        self.keepalive = offer.keepalive_ms / 1000
        self.reset = offer.reset_ms / 1000  # how long a session waits for its client after FIN or RST ...
        self.silence = offer.silence_ms / 1000  # ... and where nothing was heard
        self.key: PrivateKey | None = None
        self.tls: ssl.SSLContext | None = None
        if offer.certificate:
            self.public = certified_key(offer.certificate, offer.name)
            self.tls = server_context(offer.certificate, offer.key, offer.name)
        else:
            self.key = parse_private(offer.key, None, offer.name)
            self.key.library_key()  # a key that cannot sign is found now
            self.public = self.key.public


class Listener:
    """All sockets and all that came in by them."""

    def __init__(
        self, service: Service, link: OrderSocket, log: Log, owner: int, around: Surroundings
    ) -> None:
        self.log = log
        self.service = service
        self.software = f"rexec/{__version__}"
        self.uids = (owner, 0)
        self.draining = False
        self.failed = False
        self.strangers: set[Greeting] = set()
        self.crowd = Crowd(service.room)
        self.sessions: set[Session] = set()
        self._next: Service | None = None  # while the runner reads it and makes up its mind
        self._reloading = False
        self._reload_again = False
        self._looks = False  # soon, whether it is drained
        self._buffers = Buffers()
        self._door: Door | None = None
        self._loop = asyncio.get_running_loop()
        self._stopped = self._loop.create_future()
        self._links: set[Link] = set()
        self._silent = asyncio.Event()
        self.desk = Desk(link, self._runner_lost)
        self._around = around
        self._notices = around.notices
        self._handover = Handover(around.line, log, self._handed_over)
        Heartbeat(around.notices, self.desk)
        self.parking = Parking()

    @property
    def host_public(self) -> PublicKey:
        return self.service.public

    def prove_host(self, nonce: bytes, here: str, connection: Connection, user: str) -> bytes:
        """Return the server's own proof, for a client that has no TLS to trust."""
        key = self.service.key
        assert key is not None
        return publickey.prove_host(
            key.sign,
            key.public,
            nonce=nonce,
            dialled=here,
            server_hello=connection.server_hello,
            client_hello=connection.client_hello,
            user=user,
        )

    async def serve(self, sockets: list[socket.socket]) -> int:
        """Serve until told to stop; return the exit code."""
        self._loop.set_exception_handler(self._mishap)
        self._door = Door(sockets, self._accept, self.log, self._shuts_out)
        self._door.open()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop, number)
        self._loop.add_signal_handler(signal.SIGHUP, self.reload)
        self._loop.add_signal_handler(signal.SIGUSR2, self._hand_over)
        for listening in sockets:  # last: who reads this may send a signal
            self._announce(listening)
        self._tell_ready()
        await self._stopped
        self.desk.close()
        await self._last_words()
        return 1 if self.failed else 0

    def _accept(self, peer: str) -> Link:
        context = self.service.tls
        link = Link(self._buffers, None if context is None else TlsLayer(context, server_side=True))
        self._links.add(link)
        self._stranger_came(Greeting(self, link, peer))
        return link

    def _shuts_out(self, peer: str) -> bool:
        return self.crowd.is_shut_out(peer, self._loop.time())

    def _stranger_came(self, stranger: Greeting) -> None:
        """Take one more in; where there is no room, somebody else goes."""
        self.strangers.add(stranger)
        victim = self.crowd.enter(stranger, self._loop.time())
        if victim is not None:
            cast(Greeting, victim).make_room()

    def stranger_failed(self, peer: str, seconds: float) -> None:
        """Remember a failure; who is shut out from now on is told of once."""
        time = self.crowd.failed(peer, seconds, self._loop.time())
        if time:
            self.log.event("shut", from_=peer, seconds=int(time), why="failed again and again")

    def link_gone(self, link: Link) -> None:
        self._links.discard(link)
        if not self._links:
            self._silent.set()

    async def _last_words(self) -> None:
        """Let what was said last reach those who read; who does not is cut off."""
        for link in tuple(self._links):
            link.close()
        if self._links:
            self._silent.clear()
            try:
                await asyncio.wait_for(self._silent.wait(), PARTING)
            except TimeoutError:
                pass

    def _announce(self, listening: socket.socket) -> None:
        how = "tls" if self.service.tls is not None else "no tls"
        where = name_of(listening.getsockname())
        self.log.text(f"rexec-server: listening on {where} ({how}, {self.host_public.fingerprint()})\n")

    def _tell_ready(self) -> None:
        """Tell whoever started us; of a successor, the one before tells the service manager."""
        given = self._around.given
        if given is not None and given.heard >= 0:
            given.say_ready()
        else:
            self._notices.ready(self._status)

    @property
    def _status(self) -> str:
        names = (name_of(listening.getsockname()) for listening in self._door.sockets) if self._door else ()
        return f"serves on {', '.join(names)}"

    def _mishap(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Write down what the loop could not handle, such as an accept without a descriptor left."""
        error = context.get("exception")
        self.log.event("error", what=context.get("message"), why=f"{type(error).__name__}: {error}")

    # --- sessions -----------------------------------------------------------------------------

    def welcomed(self, session: Session) -> None:
        self.sessions.add(session)

    def stranger_gone(self, stranger: Greeting) -> None:
        self.strangers.discard(stranger)
        self.crowd.leave(stranger)
        self.look_again()  # in a while: it may be a session by then

    def left(self, session: Session) -> None:
        self.sessions.discard(session)
        self.look_again()

    # --- signals ------------------------------------------------------------------------------

    def reload(self) -> None:
        """Have all files read again, all or nothing; what is asked meanwhile comes after that."""
        if self._reloading:
            self._reload_again = True
            return
        self._reloading = True
        self._notices.reloading()
        self.desk.reload("SIGHUP", self._consider, self._reloaded)

    def _consider(self, offer: orders.Offer) -> str:
        """Return why we could not serve with what was read, or nothing."""
        try:
            self._next = Service(offer)
        except RexecError as error:
            return str(error)
        return ""

    def _reloaded(self, report: orders.Reloaded) -> None:
        if report.accepted and self._next is not None:
            self.service = self._next
            self.crowd.room = self.service.room
        self._next = None
        self._reloading = False
        kept = "" if report.accepted else f"; what was read is refused: {report.message}"
        self._notices.ready(self._status + kept)
        if self._reload_again:
            self._reload_again = False
            self.reload()

    def _hand_over(self) -> None:
        """Have a successor started, unless we are on our way out."""
        if not self.draining and self._door is not None:
            self._handover.begin(self._door.sockets, are_ours=self._around.are_ours)

    def _handed_over(self, pid: int) -> None:
        """Go, now that the successor serves: who is in stays until all is done, for the time of a drain."""
        self._notices.succeeded(pid)
        self.desk.order(orders.Bequeathed())
        self._drain(self.service.grace)

    def _stop(self, number: signal.Signals) -> None:
        if self.draining:
            self._end_now()
            return
        self.desk.order(Stopping(number.name))
        self._handover.close()
        self._drain(ENTERING)

    def _drain(self, entering: float) -> None:
        """Accept nobody; who came in has some time to prove who it is, and commands have theirs to end."""
        self.draining = True
        sessions, commands = len(self.sessions), self.desk.running
        self.log.event("drain", sessions=sessions, commands=commands)
        status = f"stops when {commands} commands of {sessions} sessions have ended"
        self._notices.stopping(status, self.service.drain)
        if self._door is not None:
            self._door.close()
        for session in self.parking.waiting():  # nobody can come back to a server that stops
            session.leave("the server is stopping")
        self._loop.call_later(min(entering, self.service.drain), self._no_more_strangers)
        self._loop.call_later(self.service.drain, self._end_now)
        self.check_drained()

    def _no_more_strangers(self) -> None:
        """Who came in before the end and has not proved by now who it is, is not waited for."""
        for stranger in tuple(self.strangers):
            stranger.leave()
        self.check_drained()

    def _end_now(self) -> None:
        self._no_more_strangers()
        for session in tuple(self.sessions):
            session.drain(now=True)
        self.check_drained()

    def look_again(self) -> None:
        """Look soon whether somebody is still waited for; never from within a look, and once for many."""
        if self.draining and not self._looks:
            self._looks = True
            self._loop.call_soon(self.check_drained)

    def check_drained(self) -> None:
        """Let idle clients go while draining, and stop when the last command has ended."""
        self._looks = False
        if not self.draining or self._stopped.done():
            return
        for session in tuple(self.sessions):
            session.drain(now=False)
        if self.sessions or self.strangers or self.desk.running or (self._door and self._door.coming):
            return
        if self._stopped.done():  # by one that left just now
            return
        self._stopped.set_result(None)

    def _runner_lost(self) -> None:
        self.log.event("stop", why="the runner is gone")
        self.failed = True
        for session in tuple(self.sessions):
            session.link.abort()
        if not self._stopped.done():
            self._stopped.set_result(None)
