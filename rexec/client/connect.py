"""From an address to an authenticated session, blocking, in as few round trips as there can be."""

from __future__ import annotations

import time

from rexec.client.greeting import Ends, Greeting, Terms, named
from rexec.client.session import Session
from rexec.errors import ConnectError, ConnectionLost, RexecError
from rexec.transport.dial import dial, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rexec.client.config import Target
    from rexec.client.identity import Signer
    from rexec.client.trust import Ask
    from rexec.protocol.connection import Connection
    from rexec.transport.dial import Wire


def connect(
    target: Target,
    signers: Iterable[Signer],
    *,
    ask: Ask | None = None,
    say: Callable[[str], None] = lambda text: None,
    first: Callable[[Connection], bytes] = lambda connection: b"",
) -> Session:
    """Return a session; `first` makes the frames that go out with the proof, and again with each proof.

    Raises `ConnectError`, `TrustError`, `AuthError`, and what reading keys may raise.
    """
    deadline = time.monotonic() + target.connect_timeout
    try:
        wire = dial(target.address, timeout=target.connect_timeout, tls=target.tls, via=target.via)
        try:
            greeting = Greeting(target, ends_of(target, wire), signers, Terms(ask, say, first))
            session = Session(wire, greeting.connection, _greet(greeting, wire, deadline))
            session.greeting = greeting
            session.keepalive, session.silence = target.keepalive, target.silence
            return session
        except BaseException:
            wire.close()
            raise
    except RexecError as error:
        raise named(target, error) from None
    except OSError as error:
        raise ConnectError(f"{target.name}: {words(error)}") from None


def ends_of(target: Target, wire: Wire) -> Ends:
    """Return what a greeting has to know of the wire."""
    uid = wire.peer_uid() if target.address.path else None
    return Ends(wire.certificate(), wire.binding, wire.names()[1], uid)


def _greet(greeting: Greeting, wire: Wire, deadline: float) -> str:
    """Send and receive until the server welcomes us; each proof has its time from when it is made."""
    steps = greeting.steps()
    while True:
        try:
            data = next(steps)
        except StopIteration as end:
            return str(end.value)
        if data:
            deadline = time.monotonic() + greeting.target.connect_timeout
            wire.socket.settimeout(greeting.target.connect_timeout)
            wire.socket.sendall(data)
        else:
            greeting.take(_receive(greeting, wire, deadline))


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
