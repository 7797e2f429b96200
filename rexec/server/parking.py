"""The sessions whose connection is lost: which one a client means, and how many may wait for theirs.

A session is known by the key that proved itself, the user that it came in as and the name that the client
chose, all three: the name alone opens nothing. One that finds no room here ends, as if nobody could ever
come back.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

from rexec.limits import PARKED_BYTES, PARKED_MAX, PARKED_PER_USER, PARKED_USER_BYTES
from rexec.transport.link import Nobody

if TYPE_CHECKING:
    from rexec.server.listener import Listener
    from rexec.server.session import Session
    from rexec.transport.link import Link

# What the network says when nobody answers; anything else (a reset, an end) came from somebody.
_SILENCE = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


class Name(NamedTuple):
    """What a session that can be taken up again is known by."""

    key: str  # the fingerprint of the key that was verified
    user: str
    session: bytes  # as its client named it


class Parking:
    """The sessions that can be taken up again, and among them those that wait."""

    def __init__(self) -> None:
        self._known: dict[Name, Session] = {}
        self._waiting: dict[Session, int] = {}  # and how many bytes it keeps
        self._bytes = 0

    def know(self, name: Name, session: Session) -> None:
        """Note a session that may be asked for; an older one of that name is known no more."""
        self._known[name] = session

    def forget(self, name: Name, session: Session) -> None:
        """Note that a session is over."""
        self.leave(session)
        if self._known.get(name) is session:
            del self._known[name]

    def find(self, name: Name) -> Session | None:
        """Return the session that a client means, whether it waits or its connection only seems alive."""
        return self._known.get(name)

    def waiting(self) -> tuple[Session, ...]:
        """Return those that wait."""
        return tuple(self._waiting)

    def enter(self, session: Session, kept: int) -> str:
        """Let a session wait, or return why it cannot."""
        others = [waiting for waiting in self._waiting if waiting.user == session.user]
        if len(others) >= PARKED_PER_USER or self._of(others) + kept > PARKED_USER_BYTES:
            return "too much of this user waits already"
        if len(self._waiting) >= PARKED_MAX or self._bytes + kept > PARKED_BYTES:
            return "too much waits already"
        self._waiting[session] = kept
        self._bytes += kept
        return ""

    def has_room(self, session: Session) -> bool:
        """Tell whether one that waits may keep more."""
        mine = [waiting for waiting in self._waiting if waiting.user == session.user]
        return self._bytes < PARKED_BYTES and self._of(mine) < PARKED_USER_BYTES

    def keep(self, session: Session, size: int) -> None:
        """Note that one that waits keeps so much more."""
        if session in self._waiting:
            self._waiting[session] += size
            self._bytes += size

    def leave(self, session: Session) -> None:
        """Note that a session waits no longer."""
        self._bytes -= self._waiting.pop(session, 0)

    def _of(self, sessions: list[Session]) -> int:
        return sum(self._waiting[session] for session in sessions)


class Nowhere:
    """The link of a session that waits: what is written is kept by the protocol, and goes nowhere."""

    owner: object = None

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


class Leaving(Nobody):
    """The owner of a link that its session has left; nothing of it is read any more."""

    def __init__(self, listener: Listener, link: Link) -> None:
        self._listener = listener
        self._link = link

    def lost(self, error: Exception | None) -> None:
        self._listener.link_gone(self._link)


def is_silence(error: Exception | None) -> bool:
    """Tell whether a connection went away because nobody answered."""
    return isinstance(error, OSError) and (isinstance(error, TimeoutError) or error.errno in _SILENCE)


def patience(rule: float | None, server: float, *, silence: bool) -> float:
    """Return how many seconds a command waits for its client.

    A rule's time stands for the server's where nothing is heard. After FIN or RST the path works, and who is
    not back soon is gone: a rule can only make that time shorter.
    """
    if rule is None:
        return server
    return rule if silence else min(rule, server)
