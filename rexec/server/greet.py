"""From the first byte to the welcome: everything a stranger can make the server do is here.

Only hello and proof are parsed, one deadline holds for all of it, and every refusal has the same words.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from rexec.errors import RemoteProtocolError
from rexec.limits import (
    NONCE,
    PENALTY_BROKEN,
    PENALTY_LATE,
    PENALTY_SILENT,
    PENALTY_UNPROVED,
    PROOFS_MAX,
    SESSION_ID,
)
from rexec.protocol import frames as f
from rexec.protocol.connection import RESUME, Connection
from rexec.protocol.frames import Farewell
from rexec.protocol.state import Handshake, Role
from rexec.server import orders
from rexec.server.crowd import source_of
from rexec.server.parking import Name
from rexec.server.session import Session
from rexec.transport.dial import name_of, peer_uid
from rexec.transport.link import mapped

if TYPE_CHECKING:
    from rexec.server.listener import Listener
    from rexec.server.orders import Message
    from rexec.transport.link import Link

REFUSAL = "not accepted"


class Greeting:
    """The owner of a link whose client is a stranger."""

    place = None

    def __init__(self, listener: Listener, link: Link, peer: str) -> None:
        self._listener = listener
        self._link = link
        self._connection = Connection(Role.SERVER)
        self._number = listener.desk.number()
        self._nonce = secrets.token_bytes(NONCE)
        self._deadline = asyncio.get_running_loop().call_later(listener.service.grace, self._too_late)
        self._over = False
        self._peer = ""
        self._here = ""
        self._ends = ""
        self._proved_wrong = False
        self._from = peer.partition("%")[0].removeprefix("::ffff:")
        self.source = source_of(peer)
        self._session = b""  # as the client names it
        link.owner = self

    # --- the link -----------------------------------------------------------------------------

    def opened(self) -> None:
        self._peer, self._ends = _ends(self._link)
        self._here = name_of(self._link.here)
        self._listener.log.detail("connect", from_=self._peer or "unix", ends=self._ends)
        is_unix = self._link.tls is None and not self._peer
        if is_unix and peer_uid(self._link.socket) not in self._listener.uids:
            self._end(None, "another user's process on the socket")
            return
        host_key = b"" if self._link.tls is not None else self._listener.host_public.blob
        features = (RESUME,) if self._listener.service.silence else ()
        hello = f.ServerHello(self._nonce, host_key, self._listener.software, features)
        self._link.write(self._connection.send(hello))

    @property
    def is_silent(self) -> bool:
        return self._link.tls is not None and not self._link.tls.ready

    def make_room(self) -> None:
        """Go, because others came and this one got least far."""
        self._end(Farewell.BUSY, "made room for others", PENALTY_SILENT)

    def received(self, data: memoryview) -> None:
        try:
            self._connection.receive_data(data)
            while not self._over and (event := self._connection.next_event()) is not None:
                self._frame(event[1])
        except RemoteProtocolError as error:
            self._end(Farewell.PROTOCOL_ERROR, str(error), PENALTY_BROKEN)

    def ended(self) -> None:
        self._end(None, "end of file", self._penalty)

    def writable(self, yes: bool) -> None:
        pass  # a greeting is smaller than any buffer

    def lost(self, error: Exception | None) -> None:
        self._end(None, mapped(error), self._penalty)
        self._listener.link_gone(self._link)

    @property
    def _penalty(self) -> float:
        """What it costs to leave now."""
        return PENALTY_UNPROVED if self._proved_wrong else PENALTY_SILENT

    # --- frames -------------------------------------------------------------------------------

    def _frame(self, frame: f.Frame) -> None:
        match frame:
            case f.ClientHello():
                if len(frame.session) != SESSION_ID:
                    raise RemoteProtocolError("session id of a wrong length")
                self._session = frame.session
            case f.Proof():
                self._judge(frame)
            case _:
                raise AssertionError(f"{type(frame).__name__} before the welcome")

    def _judge(self, proof: f.Proof) -> None:
        finished = b"" if self._link.tls is None else self._link.tls.binding or b""
        order = orders.Judge(
            self._number, self._number, proof.method, proof.user, proof.body, self._connection.client_hello,
            finished, self._nonce, self._here, self._peer, self._ends,
            self._session if RESUME in self._connection.features else b"",
        )  # fmt: skip
        self._listener.desk.judge(order, self._judged)

    def _judged(self, report: Message) -> None:
        assert isinstance(report, orders.Judged)
        if self._over:
            if report.accepted:
                self._listener.desk.order(orders.Leave(self._number))
            return
        self._proved_wrong = not report.accepted and not report.busy
        if report.accepted:
            self._welcome(report.user, report.key)
        elif report.busy:
            self._end(Farewell.BUSY, report.busy)
        elif self._connection.proofs >= PROOFS_MAX:
            self._end(Farewell.UNAUTHENTICATED, "too many proofs", self._penalty)
        else:
            self._link.write(self._connection.refuse(REFUSAL))
            self.received(memoryview(b""))

    def _welcome(self, user: str, key: str) -> None:
        """Let a client in: into the session that it names, if that is its own, else into a new one."""
        host_proof = b""
        if self._link.tls is None:
            host_proof = self._listener.prove_host(self._nonce, self._here, self._connection, user)
        welcome = f.Welcome(user, host_proof=host_proof)
        self._listener.crowd.proved(self.source, asyncio.get_running_loop().time())
        name = Name(key, user, self._session) if RESUME in self._connection.features else None
        known = None if name is None else self._listener.parking.find(name)
        if known is not None:
            self._take_up(known, welcome)
            return
        self._link.write(self._connection.accept(welcome))
        self._done()
        session = Session(self._listener, self._link, self._connection, self._number, user, name)
        self._listener.log.detail("welcome", from_=self._peer or "unix", user=user, ends=self._ends)
        self._listener.welcomed(session)
        session.follow()

    def _take_up(self, session: Session, welcome: f.Welcome) -> None:
        try:
            session.take_up(self._link, self._connection, self._number, welcome)
        except RemoteProtocolError as error:
            self._listener.desk.order(orders.Leave(self._number))
            self._end(Farewell.PROTOCOL_ERROR, f"cannot be resumed: {error}")
        else:
            self._done()

    # --- the end ------------------------------------------------------------------------------

    def _too_late(self) -> None:
        self._end(Farewell.UNAUTHENTICATED, "no proof in time", PENALTY_LATE)

    def leave(self) -> None:
        """End because the server stops."""
        self._end(Farewell.DRAINING, "the server is stopping")

    def _done(self) -> None:
        self._over = True
        self._deadline.cancel()
        self._listener.stranger_gone(self)

    def _end(self, reason: Farewell | None, why: str, penalty: float = 0.0) -> None:
        if self._over:
            return
        self._done()
        if penalty:
            self._listener.stranger_failed(self._from, penalty)
        self._listener.log.event("refused", from_=self._from or "unix", why=why)
        ready = self._link.tls is None or self._link.tls.ready
        if reason is not None and ready and self._connection.state is not Handshake.CLOSED:
            self._link.write(self._connection.send(f.Goodbye(reason, why)))
        if ready:
            self._link.close()
        else:
            self._link.abort()


def _ends(link: Link) -> tuple[str, str]:
    """Return the peer's address, empty for a Unix socket, and both ends as SSH_CONNECTION has them."""
    peer, here = link.peer, link.here
    if not isinstance(peer, tuple) or not isinstance(here, tuple):
        return "", "unix"
    host = str(peer[0]).partition("%")[0]
    return host.removeprefix("::ffff:"), f"{host} {peer[1]} {here[0]} {here[1]}"
