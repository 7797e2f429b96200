"""One connection, sans I/O: bytes in and frames out, frames in and bytes out, for either side.

    connection = Connection(Role.SERVER)
    connection.receive_data(data)
    while (event := connection.next_event()) is not None:
        channel, frame = event
    link.write(connection.send(Pong(frame.token)))

Who has bulk lends the bytes instead (`receive_here`), and receives the rest of a large frame into its
`place`; the bytes of a `Data` frame may then be a view, which is good until more is received.

`next_event` raises `RemoteProtocolError` for what the peer must not send, whatever the bytes are,
and nothing else; from then on it raises the same again. `send` raises `LocalProtocolError` for what
we must not send. A late frame is no error: `send` returns no bytes for it, `next_event` passes over
it, and after a goodbye everything is late.

A server's core stops at a proof: until `accept` or `refuse` it parses nothing more. A client may
send frames of a channel behind its proof. What would exceed `JUDGING_MAX` there, or overtake what a
resumed session sends again, waits in the core: after a welcome, send what `again` returns.
"""

from __future__ import annotations

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import DATA_MAX, HEADER_SIZE, JUDGING_MAX, NONCE, PROOFS_MAX, SESSION_ID
from rexec.protocol.buffer import HEADER, FrameBuffer, is_session_frame, judge, pack
from rexec.protocol.frames import (
    DATA,
    Ack,
    ClientHello,
    Frame,
    Goodbye,
    Proof,
    Refused,
    ServerHello,
    Stream,
    Welcome,
)
from rexec.protocol.session import Session
from rexec.protocol.state import HANDSHAKE, OPENERS, Handshake, Role

RESUME = "resume"  # the feature: frames are kept and acknowledged, a session can be taken up again
_BULK = {  # of a role: what its peer sends of data, by code
    role: {kind.code: kind for kind in DATA.values() if (Handshake.OPEN, role.other, kind) in HANDSHAKE}
    for role in Role
}
_WAITING = (Handshake.EARLY, Handshake.JUDGING)
_STRANGER = tuple(state for state in Handshake if state not in (Handshake.OPEN, Handshake.CLOSED))


class Connection:
    """One side of one connection; `session` may come from an earlier one that broke."""

    def __init__(self, role: Role, session: Session | None = None) -> None:
        self.role = role
        self.state = Handshake.START
        self.session = session or Session(role)
        self.resuming = session is not None
        self.features: frozenset[str] = frozenset()
        self.client_hello = b""  # payloads as sent: what a proof signs
        self.server_hello = b""
        self.proofs = 0
        self._offered: frozenset[str] | None = None
        self._peer_received = 0
        self._buffer = FrameBuffer()
        self._bulk = _BULK[role]
        self._early = 0  # bytes of channels that were sent behind the proof
        self._held: list[bytes] = []  # what waits for the welcome
        self._broken: str | None = None

    # --- out ----------------------------------------------------------------------------------

    def send(self, frame: Frame, channel: int = 0) -> bytes:
        """Return the bytes of a frame, or none where it would come too late to matter."""
        if self.state is Handshake.CLOSED:
            return b""
        after = self._may_send(type(frame), channel)
        data = pack(frame, channel)
        if channel:
            return self._send_on_channel(channel, frame, data)
        if (flaw := _flaw(frame)) is not None:
            raise LocalProtocolError(flaw)
        self.state = after
        self._note(frame, data[HEADER_SIZE:])
        return data

    def pack_data(self, channel: int, stream: Stream, payload: bytes) -> bytes:
        """Return the bytes of a data frame, as `send` does."""
        kind, size = DATA[stream], len(payload)
        if self.state is not Handshake.OPEN or self._held or size > kind.limit:
            return self.send(kind(payload), channel)
        if not self.session.send_data(channel, stream, size):
            return b""
        data = HEADER.pack(kind.code, 0, channel, size) + payload
        self.session.retain(data)
        return data

    def send_data(self, channel: int, stream: Stream, view: memoryview) -> bytes:
        """Return the bytes of a data frame: `view` is room for the header and then the payload.

        None are returned where nobody reads the stream any more.
        """
        if self.state is Handshake.CLOSED:
            return b""
        if self.state is not Handshake.OPEN or self._held:
            raise LocalProtocolError(f"data in state {self.state.value}, {len(self._held)} frames before it")
        kind = DATA[stream]
        size = len(view) - HEADER_SIZE
        if size > kind.limit:
            raise LocalProtocolError(f"{kind.__name__} is too long: {size} bytes")
        if not self.session.send_data(channel, stream, size):
            return b""
        HEADER.pack_into(view, 0, kind.code, 0, channel, size)
        return self.session.retain(view)

    def accept(self, welcome: Welcome, session: Session | None = None) -> bytes:
        """Welcome the client; with `session`, take that one up and send again what the client lacks."""
        if session is None:
            return self.send(welcome)
        if self.state is not Handshake.JUDGING or RESUME not in self.features:
            raise LocalProtocolError(f"a session taken up in state {self.state.value}")
        session.acknowledged(self._peer_received)
        self.session = session
        return self.send(welcome.replace(resumed=True, received=session.tell())) + session.unacknowledged()

    def refuse(self, message: str) -> bytes:
        """Refuse the proof; frames that follow it are dropped up to the next one."""
        return self.send(Refused(message))

    def again(self) -> bytes:
        """Return, once, what a client has to send as soon as it is welcome."""
        if self.state is not Handshake.OPEN:
            return b""
        data = b"".join(self._held)
        self._held.clear()
        return data

    def acknowledge(self) -> bytes:
        """Return an Ack if the peer keeps frames for us, else nothing."""
        if self.state is not Handshake.OPEN or not self.session.ack_pending:
            return b""
        return self.send(Ack(self.session.tell()))

    def consume(self, channel: int, stream: Stream, size: int) -> bytes:
        """Note that received bytes were taken away; return the credit to send, if one is due."""
        credit = self.session.consume(channel, stream, size)
        return b"" if credit is None else self.send(credit, channel)

    def _may_send(self, kind: type[Frame], channel: int) -> Handshake:
        after = HANDSHAKE.get((self.state, self.role, kind))
        if after is None or (after is Handshake.REFUSED and kind in OPENERS):
            raise LocalProtocolError(f"{kind.__name__} in state {self.state.value}")
        if (channel != 0) != is_session_frame(kind):
            raise LocalProtocolError(f"{kind.__name__} on channel {channel}")
        if kind is Proof and self.proofs >= PROOFS_MAX:
            raise LocalProtocolError("too many proofs")
        return after

    def _send_on_channel(self, channel: int, frame: Frame, data: bytes) -> bytes:
        if not self.session.send(channel, frame):
            return b""
        self.session.retain(data)
        if self.state is Handshake.OPEN:
            return self.again() + data
        self._early += len(data)
        if not self.resuming and self._early <= JUDGING_MAX:
            return data
        if not self.resuming:  # else the session keeps it, behind what was lost
            self._held.append(data)
        return b""

    # --- in -----------------------------------------------------------------------------------

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the wire."""
        if self.state is Handshake.CLOSED or self._broken:
            return
        self._buffer.feed(data)
        if self._judging and len(self._buffer) > JUDGING_MAX:
            raise self._break("too much before the welcome")

    def receive_here(self, data: memoryview) -> None:
        """Take bytes that stay where they are: the caller takes events until there is none."""
        if self.state is not Handshake.OPEN or self._broken:
            self.receive_data(data)
        else:
            self._buffer.lend(data)

    @property
    def place(self) -> memoryview | None:
        """Where the next bytes are best received; None: anywhere."""
        return self._buffer.place

    def cut(self) -> None:
        """Note that the wire is gone: what came of a frame is sent again whole, or never."""
        self._buffer.clear()

    def receive_eof(self) -> None:
        """Note that nothing more will come; an unfinished frame is the peer's error."""
        if self.state is not Handshake.CLOSED and self._buffer.inside and not self._judging:
            raise self._break("connection ended inside a frame")

    def next_event(self) -> tuple[int, Frame] | None:
        """Return the next frame with its channel, or None until more bytes come."""
        if self._broken:
            raise RemoteProtocolError(self._broken)
        try:
            return self._next()
        except RemoteProtocolError as error:
            raise self._break(str(error)) from None

    def _next(self) -> tuple[int, Frame] | None:
        while self.state is not Handshake.CLOSED and not self._judging:
            header = self._buffer.header()
            if header is None:
                break
            kind, flags, channel, length = header
            if (
                (bulk := self._bulk.get(kind)) is not None
                and self.state is Handshake.OPEN
                and not flags
                and channel
                and length <= DATA_MAX
            ):  # most frames; what is wrong with others is told below
                data = self._buffer.take(length, here=True)
                if data is None:
                    break
                found = self.session.receive_data(channel, bulk, data)
                if found is not None:
                    return channel, found
                continue
            frame_type = judge(kind, flags, channel, length, greeting=self.state in _STRANGER)
            after = self._after(frame_type)
            if self.state is after is Handshake.REFUSED:
                self._buffer.skip(length)
                continue
            payload = self._buffer.take(length)
            if payload is None:
                break
            assert isinstance(payload, bytes)
            frame = self._follow(frame_type, after, channel, payload)
            if frame is not None:
                return channel, frame
        self._buffer.settle()
        return None

    @property
    def _judging(self) -> bool:
        return self.role is Role.SERVER and self.state in _WAITING

    def _after(self, frame_type: type[Frame] | None) -> Handshake:
        """Judge a frame by its type alone, before its body is kept."""
        if frame_type is None:
            return self.state
        after = HANDSHAKE.get((self.state, self.role.other, frame_type))
        if after is None:
            raise RemoteProtocolError(f"{frame_type.__name__} in state {self.state.value}")
        if frame_type is Proof and self.proofs >= PROOFS_MAX:
            raise RemoteProtocolError("too many proofs")
        return after

    def _follow(
        self, frame_type: type[Frame] | None, after: Handshake, channel: int, payload: bytes
    ) -> Frame | None:
        """Take one whole frame; return it, or None where it is to be dropped."""
        if channel:
            self.session.count(HEADER_SIZE + len(payload))
        if frame_type is None:
            return None
        frame = frame_type.decode(payload)
        if channel:
            return frame if self.session.receive(channel, frame) else None
        if (flaw := _flaw(frame)) is not None:
            raise RemoteProtocolError(flaw)
        self.state = after
        if isinstance(frame, Ack):
            self.session.acknowledged(frame.received)
            return None
        self._note(frame, payload)
        return frame

    def _break(self, why: str) -> RemoteProtocolError:
        """Note that the peer cannot be understood any more; nothing of it is kept or parsed."""
        self._broken = why
        self._buffer.clear()
        return RemoteProtocolError(why)

    # --- both ---------------------------------------------------------------------------------

    def _note(self, frame: Frame, payload: bytes) -> None:
        """Keep what a frame of the connection says, whoever sent it."""
        match frame:
            case ClientHello():
                self.client_hello = payload
                self._peer_received = frame.received
                self._offer(frame.features)
            case ServerHello():
                self.server_hello = payload
                self._offer(frame.features)
            case Proof():
                self.proofs += 1
            case Refused() if self.role is Role.CLIENT:
                self._refused()
            case Welcome() if self.role is Role.CLIENT:
                self._welcomed(frame)
            case Goodbye():
                self._buffer.clear()
            case _:
                pass

    def _offer(self, features: tuple[str, ...]) -> None:
        """Agree on the features that both hellos list; until then a client keeps all it might need."""
        if self._offered is None:
            self._offered = frozenset(features)
        else:
            self.features = self._offered & frozenset(features)
        self.session.set_keep(
            RESUME in (self.features if self.server_hello and self.client_hello else features)
        )

    def _refused(self) -> None:
        """Forget what stood behind the proof, but not what an earlier connection left to be resumed."""
        self._early = 0
        self._held.clear()
        if not self.resuming:
            self.session.forget()

    def _welcomed(self, welcome: Welcome) -> None:
        if welcome.resumed:
            if not self.resuming or RESUME not in self.features:
                raise RemoteProtocolError("a session was resumed that we did not ask for")
            self.session.acknowledged(welcome.received)
            self._held = [self.session.unacknowledged()]
        elif self.resuming:  # the server does not know the session any more: its commands are lost
            self.resuming = False
            self.session.forget()


def _flaw(frame: Frame) -> str | None:
    """Say what is wrong with a hello beyond what its types tell."""
    match frame:
        case ClientHello() if len(frame.session) != SESSION_ID:
            return f"session id of {len(frame.session)} bytes"
        case ServerHello() if len(frame.nonce) != NONCE:
            return f"nonce of {len(frame.nonce)} bytes"
        case _:
            return None
