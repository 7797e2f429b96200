"""The sessions whose proof was verified, and where each says that it comes from.

Who the client is was proved to this process. Where it comes from is the listener's word.
"""

from __future__ import annotations

import socket
from collections import Counter
from typing import TYPE_CHECKING

from rexec.auth import method
from rexec.auth.transcript import NONCE, TLS_FINISHED
from rexec.errors import RemoteProtocolError
from rexec.server.keyring import Bindings
from rexec.server.ledger import owner

if TYPE_CHECKING:
    from rexec.auth.authorized import Principal
    from rexec.auth.keys import PublicKey
    from rexec.server.holdings import Holdings
    from rexec.server.orders import Judge


class Seat:
    """One session whose proof was verified."""

    __slots__ = ("ends", "owner", "peer", "principal")

    def __init__(self, principal: Principal, peer: str, ends: str, name: bytes = b"") -> None:
        self.principal = principal
        self.peer = peer
        self.ends = ends
        self.owner = owner(principal.fingerprint, principal.user, name)  # of the ids of its commands


class Crowded(Exception):
    """The proof is good, and its user has as many sessions as there may be; says so."""


class Seats:
    """All of them, by the number of the session."""

    def __init__(self) -> None:
        self._bindings = Bindings()
        self._seats: dict[int, Seat] = {}
        self._of_user: Counter[str] = Counter()

    def judge(self, order: Judge, held: Holdings) -> Seat | str:
        """Verify a proof; return the seat that it earned, or why none. Raises `Crowded`."""
        _check_places(order)
        if order.session in self._seats:
            raise RemoteProtocolError("a session that is there is judged again")
        try:
            key = method.verify(order.method, order.body, _context(order, held))
        except method.BadProof as error:
            return str(error)
        return self._admit(order, held, key)

    def _admit(self, order: Judge, held: Holdings, key: PublicKey) -> Seat | str:
        bindings = [seen for seen in (order.finished, order.nonce) if seen]
        if not all(self._bindings.is_fresh(seen, order.connection) for seen in bindings):
            return "binding was seen before"
        principal = held.keyring.admit(key, order.user, order.peer)
        if principal is None:
            return f"key {key.fingerprint()} is not authorised"
        if self._of_user[principal.user] >= held.crowds.sessions_per_user:
            raise Crowded(f"{principal.user} has {self._of_user[principal.user]} sessions already")
        for seen in bindings:
            self._bindings.spend(seen)
        self._of_user[principal.user] += 1
        self._seats[order.session] = seat = Seat(principal, order.peer, order.ends, order.name)
        return seat

    def get(self, session: int) -> Seat | None:
        """Return the seat of a session."""
        return self._seats.get(session)

    def leave(self, session: int) -> None:
        """Forget a session; its proof is worth nothing any more."""
        seat = self._seats.pop(session, None)
        if seat is not None:
            self._of_user[seat.principal.user] -= 1
            if not self._of_user[seat.principal.user]:
                del self._of_user[seat.principal.user]


def _context(order: Judge, held: Holdings) -> method.Context:
    bindings = {NONCE: order.nonce}
    if order.finished:
        bindings[TLS_FINISHED] = order.finished
    return method.Context(
        bindings=bindings,
        dialled=None if order.finished else order.here,
        spki_sha256=held.host_hash,
        hello=order.hello,
        user=order.user,
    )


def _check_places(order: Judge) -> None:
    """Refuse what is no address and no line of a variable: it gets into rules and environments."""
    if order.peer and not _is_address(order.peer):
        raise RemoteProtocolError("the peer's address is none")
    if not (order.ends.isascii() and order.ends.isprintable()):
        raise RemoteProtocolError("the ends of a connection are not one line of ASCII")


def _is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):  # ValueError: a NUL
            continue
        return True
    return False
