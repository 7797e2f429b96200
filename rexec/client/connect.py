"""From an address to an authenticated session, blocking, in as few round trips as there can be."""

from __future__ import annotations

import select
import time

from rexec.client.attempts import Attempts
from rexec.client.greeting import Ends, Greeting, Terms, named
from rexec.errors import ConnectError, ConnectionLost, RexecError
from rexec.limits import CLEAR_SILENCE
from rexec.transport.approach import Approach, words
from rexec.transport.dial import arrive, speaks_tls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rexec.client.config import Target
    from rexec.client.identity import Signer
    from rexec.client.session import Session
    from rexec.client.trust import Ask
    from rexec.protocol import frames as f
    from rexec.protocol.connection import Connection
    from rexec.transport.dial import Wire


def connect(
    target: Target,
    signers: Iterable[Signer],
    *,
    ask: Ask | None = None,
    say: Callable[[str], None] = lambda text: None,
    told: Callable[[str, bool], None] = lambda text, is_good: None,
    first: f.Exec | f.Query | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Session:
    """Return a session; `first` goes out with each proof, on channel 1, for a command that is adopted then.

    `meanwhile` is called while the server judges a proof: for what is needed once it said yes.
    A connection that is lost before the welcome is made again: who is there by then knows the command by its
    id. Raises `ConnectError`, `TrustError`, `AuthError`, and what reading keys may raise.
    """

    def along(connection: Connection) -> bytes:
        return b"" if first is None else connection.send(first, 1)

    way = _Way(target, signers, Terms(ask, say, along), told)
    way.meanwhile = meanwhile
    try:
        session = way.session() or _again(way)
        session.begin(first)
        return session
    except RexecError as error:
        raise named(target, error) from None
    except OSError as error:
        raise ConnectError(f"{target.name}: {words(error)}") from None


class _Way(Attempts):
    """One attempt to connect, and those that follow where it is lost."""

    meanwhile: Callable[[], None]

    def session(self) -> Session | None:
        """Return a session, or None where a connection was there and broke."""
        try:
            return self._session()
        except (ConnectionLost, ConnectError) as error:
            self.fail(error)
        return None

    def _session(self) -> Session:
        target = self.target
        deadline = time.monotonic() + target.connect_timeout
        begun, target.approach = target.approach, None
        way = begun or Approach(target.address, target.connect_timeout, target.via)
        wire = arrive(way, tls=target.tls)
        try:
            greeting = self.begin(ends_of(target, wire))
            user = self._greet(greeting, wire, deadline)
            from rexec.client.session import Session

            session = Session(wire, greeting.connection, user)
        except BaseException:
            wire.close()
            raise
        session.greeting = greeting
        session.keepalive, session.silence = target.keepalive, target.silence
        return session

    def _greet(self, greeting: Greeting, wire: Wire, deadline: float) -> str:
        """Send and receive until the server welcomes us; each proof has its time from when it is made."""
        if wire.tls is None and greeting.target.via is None:  # none is asked past a proxy
            _expect(greeting, wire)
        steps = greeting.steps()
        while True:
            try:
                data = next(steps)
            except StopIteration as end:
                return str(end.value)
            if data:
                deadline = time.monotonic() + self.target.connect_timeout
                wire.put(data, self.target.connect_timeout)
                import rexec.client.session  # noqa: F401  # it is read while the server judges

                self.meanwhile()
            else:
                greeting.take(_receive(greeting, wire, deadline))


def _again(way: _Way) -> Session:
    """Try until somebody welcomes us, or there is no time left."""
    from rexec.client.resume import Pauses

    pauses = Pauses(way.target, time.monotonic())
    while True:
        pauses.allow(way.patience)
        time.sleep(max(0.0, pauses.due - time.monotonic()))
        try:
            session = way.session()
            if session is not None:
                return session
        except ConnectError as error:
            way.why = error
        way.go_on(pauses, time.monotonic())


def ends_of(target: Target, wire: Wire) -> Ends:
    """Return what a greeting has to know of the wire."""
    uid = wire.peer_uid() if target.address.path else None
    return Ends(wire.certificate(), wire.binding, wire.names()[1], uid)


def _expect(greeting: Greeting, wire: Wire) -> None:
    """Wait for the first word in the clear; who has none may wait for TLS, and is asked."""
    most = greeting.target.connect_timeout
    wait = min(CLEAR_SILENCE, most / 2)
    poll = select.poll()
    poll.register(wire.fileno(), select.POLLIN)
    if not poll.poll(wait * 1000) and speaks_tls(greeting.target.address, most - wait):
        raise greeting.not_in_the_clear()


def _receive(greeting: Greeting, wire: Wire, deadline: float) -> memoryview | None:
    left = deadline - time.monotonic()
    if left > 0:
        wire.socket.settimeout(left)
        try:
            return wire.receive()
        except ConnectionLost:
            if time.monotonic() < deadline:
                raise
    raise greeting.no_answer()
