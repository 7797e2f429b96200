"""Any bytes as a client: to the welcome and behind it, by the core and by what verifies a proof.

The first byte of a sample chooses: TLS or not, who spoke first, and whether proofs are replaced by those
of somebody who has a key; the second where the rest, the client's bytes, is cut into pieces.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from rexec.audit.log import line
from rexec.auth.keys import PublicKey
from rexec.errors import RemoteProtocolError
from rexec.limits import CHANNELS_PER_SESSION
from rexec.protocol import frames as f
from rexec.protocol.buffer import pack
from rexec.protocol.connection import RESUME, Connection
from rexec.protocol.frames import Cause, Farewell, Frame, Stream
from rexec.protocol.session import Session
from rexec.protocol.state import Channel, Handshake, Role
from rexec.server import orders
from rexec.server.seats import Seats
from tests.fuzz.strangers import (
    ALICE,
    AUTHORIZED,
    FINISHED,
    HERE,
    HOST,
    NONCE_BYTES,
    NOW,
    PEER,
    PEOPLE,
    SESSION,
    proof,
)
from tests.protocol.samples import SAMPLES, channel_of

TLS, HELLO_LAST, HONEST, RESUMED = 1, 2, 4, 8  # bits of the first byte; 16 and 32 say whose proofs
EXEC = f.Exec(1, f.Form.ARGV, (b"ls", b"-l"))


class Keyring:
    """Who may come in, at one moment."""

    def admit(self, key: PublicKey, user: str, peer: str) -> Any:
        return AUTHORIZED.judge(key, user, peer or None, NOW)


HELD = cast(
    Any,
    SimpleNamespace(
        keyring=Keyring(), crowds=SimpleNamespace(sessions_per_user=9), host_hash=HOST.public.spki_sha256()
    ),
)


def _genuine(bits: int) -> list[bytes]:
    """Give what an honest client sends: hello, proof and the first command, and then more."""
    hello = f.ClientHello(SESSION, 0, "rexec", (RESUME,))
    proved = proof(ALICE, hello.encode(), "alice", tls=bool(bits & TLS))
    return [pack(frame, channel_of(frame)) for frame in (hello, proved, EXEC)]


GENUINE = {bits: tuple(_genuine(bits)) for bits in (0, TLS)}
_MORE = [pack(frame, channel_of(frame)) for frame in SAMPLES if frame.code not in (1, 2, 3, 4, 5)]
SEEDS = (
    *(bytes([bits, cut]) + b"".join(GENUINE[bits & TLS]) for bits in range(16) for cut in (0, 7)),
    *(bytes([TLS, 0]) + b"".join(GENUINE[TLS]) + frame for frame in _MORE),
    bytes([HONEST, 3]) + b"".join(_genuine(0)[:2]) + b"".join(_MORE),
    bytes([HONEST | 48, 3]) + b"".join(_genuine(0)[:2] * 3),
)
WORDS = (*_MORE, *GENUINE[0], b"publickey", b"rexec-auth-v1", b"SSHSIG", b"ssh-ed25519", b"resume")


def parked() -> Session:
    """Make a session that lost its connection: one command runs, and the client has not all of it."""
    session = Session(Role.SERVER, keep=True)
    session.receive(1, EXEC)
    session.count(40)
    for frame in (f.Started("cmds.txt:4"), f.Stdout(b"one"), f.Stderr(b"two")):
        session.send(1, frame)
        session.retain(pack(frame, 1))
    return session


class Hall:
    """A server that answers everything at once, and writes down what it heard and said."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.core = Connection(Role.SERVER)
        self.heard: list[tuple[int, Frame]] = []
        self.said: list[bytes] = []
        self.verdicts: list[str] = []
        self.ids: set[int] = set()
        self._seats = Seats()
        self._hello = f.ServerHello(NONCE_BYTES, b"" if bits & TLS else HOST.public.blob, "rexec", (RESUME,))
        if not bits & HELLO_LAST:
            self._say(self._hello)

    def _say(self, frame: Frame, channel: int = 0) -> None:
        self.said.append(self.core.send(frame, channel))

    def take(self, piece: bytes) -> None:
        """Take what came; a broken peer is told so, once and for all. Raises `RemoteProtocolError`."""
        self.core.receive_data(piece)
        while (event := self.core.next_event()) is not None:
            self.heard.append(event)
            self._answer(*event)

    def _answer(self, channel: int, frame: Frame) -> None:
        match frame:
            case f.ClientHello() if self.bits & HELLO_LAST:
                self._say(self._hello)
            case f.Proof():
                self._judge(frame)
            case f.Ping():
                self._say(f.Pong(frame.token))
            case f.Exec():
                self._run(channel, frame)
            case f.Query():
                self._say(f.Stdout(b"ls"), channel)
                self._say(f.Exit(Cause.EXITED, stdout=2), channel)
            case f.Stdin():
                self.said.append(self.core.consume(channel, Stream.STDIN, len(frame.data)))
            case f.Signal():
                self._end(channel)
            case _:
                pass

    def _run(self, channel: int, frame: f.Exec) -> None:
        if frame.id % 3 == 2:
            self._say(f.Denied("no rule permits it", "cmds.txt:4"), channel)
            return
        self._say(f.Started("cmds.txt:4"), channel)
        if self.core.session.room(channel, Stream.STDOUT) >= 4:
            self._say(f.Stdout(b"out\n"), channel)
        if frame.id % 3 == 0:
            self._end(channel)

    def _end(self, channel: int) -> None:
        state = self.core.session.channels.get(channel)
        if state is not None and state.state is Channel.RUNNING:
            self._say(f.Exit(Cause.EXITED), channel)

    def _judge(self, found: f.Proof) -> None:
        key = PEOPLE[self.bits >> 4 & 3]
        if self.bits & HONEST:
            found = proof(key, self.core.client_hello, found.user, tls=bool(self.bits & TLS))
        finished = FINISHED if self.bits & TLS else b""
        order = orders.Judge(
            1, 1, found.method, found.user, found.body, self.core.client_hello, finished, NONCE_BYTES, HERE,
            PEER, f"{PEER} 40000 {HERE.replace(':', ' ')}",
        )  # fmt: skip
        seat = self._seats.judge(order, HELD)
        self.verdicts.append(seat if isinstance(seat, str) else seat.principal.user)
        if isinstance(seat, str):
            assert line("refused", {"why": seat}).isprintable()
            self.said.append(self.core.refuse("not accepted"))
            return
        assert seat.principal.key == ALICE.public, "somebody without a key came in"
        assert found.user in ("", "alice", "deploy")
        assert seat.principal.user == (found.user or "alice")
        if self.bits & HONEST:
            assert key is ALICE
        else:
            signed = [(hello, proved) for hello, proved, _ in GENUINE.values()]  # by nonce: over TLS, too
            assert (pack(f.ClientHello.decode(self.core.client_hello), 0), pack(found, 0)) in signed
        self._welcome(seat.principal.user)

    def _welcome(self, user: str) -> None:
        welcome = f.Welcome(user)
        if self.bits & RESUMED and RESUME in self.core.features:
            self.said.append(self.core.accept(welcome, parked()))
        else:
            self.said.append(self.core.accept(welcome))


def _served(bits: int, pieces: list[bytes]) -> tuple[object, ...]:
    """Serve a client; give all that was heard, said and judged."""
    hall = Hall(bits)
    broken = ""
    try:
        for piece in pieces:
            hall.take(piece)
        hall.core.receive_eof()
    except RemoteProtocolError as error:
        broken = str(error)
    if broken:
        _is_deaf(hall, broken)
    assert line("refused", {"why": broken}).isprintable()
    assert len(hall.core.session.channels) <= CHANNELS_PER_SESSION
    if hall.core.state is Handshake.OPEN:
        assert hall.verdicts[-1] in ("alice", "deploy")
        hall.said.append(hall.core.acknowledge())
    return hall.heard, b"".join(hall.said), hall.verdicts, broken, hall.core.state


def _is_deaf(hall: Hall, why: str) -> None:
    """Say goodbye to a peer that broke the protocol, as the server does; nothing more of it is heard."""
    heard = len(hall.heard)
    hall.core.send(f.Goodbye(Farewell.PROTOCOL_ERROR, why))
    for more in (b"", b"".join(_MORE)):
        try:
            hall.take(more)
        except RemoteProtocolError as error:
            assert str(error) == why
    assert len(hall.heard) == heard
    assert hall.core.state is Handshake.CLOSED


def try_it(data: bytes) -> None:
    """Serve the same bytes in one piece and in many: all is heard, said and judged alike."""
    bits, size = (data[0], data[1]) if len(data) > 1 else (0, 0)
    sent = data[2:]
    whole = _served(bits, [sent])
    if size:
        assert _served(bits, [sent[at : at + size] for at in range(0, len(sent), size)]) == whole
