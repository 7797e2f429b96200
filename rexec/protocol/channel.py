"""One channel: its state, and for each stream how far both sides may go.

Offsets are absolute and 64 bit. A window starts at `WINDOW_START` without a word; each `Credit` moves
it on. The receiver grants as its consumer takes bytes away, and grows a window whose sender keeps
running into the limit although the consumer keeps up: there the line, not the reader, is what the
window has to cover.

An `Exec` may ask for output from an offset on (`stdout_from`): its streams then begin there.
"""

from __future__ import annotations

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import CREDIT_MAX, WINDOW_MAX, WINDOW_START
from rexec.protocol import frames as f
from rexec.protocol.frames import DATA, Frame, Stream
from rexec.protocol.state import CHANNEL, Channel, Role


class Outgoing:
    """A stream that we send: how much went out, how far the peer lets us go."""

    __slots__ = ("ended", "limit", "sent", "stopped")

    def __init__(self) -> None:
        self.sent = 0
        self.limit = WINDOW_START
        self.ended = False
        self.stopped = False  # the peer reads no more of it

    @property
    def room(self) -> int:
        """Bytes that may be sent now."""
        return 0 if self.ended else self.limit - self.sent

    def begin(self, offset: int) -> None:
        """Go on at `offset`: a command that is attached again sends from there."""
        self.sent = offset
        self.limit = offset + WINDOW_START

    def advance(self, size: int) -> None:
        if self.ended:
            raise LocalProtocolError("data after the end of its stream")
        if not 0 < size <= self.limit - self.sent:
            raise LocalProtocolError(f"{size} bytes where the window has {self.limit - self.sent}")
        self.sent += size

    def stop(self) -> None:
        if self.stopped:
            raise RemoteProtocolError("a stream is stopped twice")
        self.stopped = True

    def credited(self, offset: int) -> None:
        if offset < self.limit:
            raise RemoteProtocolError("credit went backwards")
        if offset > self.sent + CREDIT_MAX:
            raise RemoteProtocolError("credit is beyond the maximum")
        self.limit = offset


class Incoming:
    """A stream that we receive: how much came, how much was consumed and granted."""

    __slots__ = ("consumed", "ended", "granted", "received", "stopped", "window")

    def __init__(self) -> None:
        self.received = 0
        self.consumed = 0
        self.granted = WINDOW_START
        self.window = WINDOW_START
        self.ended = False
        self.stopped = False  # we read no more of it

    def arrived(self, size: int) -> None:
        if self.ended:
            raise RemoteProtocolError("data after the end of its stream")
        if not size:
            raise RemoteProtocolError("empty data frame")
        if self.received + size > self.granted:
            raise RemoteProtocolError("data beyond the window")
        self.received += size

    def finish(self) -> None:
        if self.ended:
            raise RemoteProtocolError("a stream ends twice")
        self.ended = True

    def begin(self, offset: int) -> None:
        """Go on at `offset`: what stands before it was had on an earlier channel."""
        self.received = self.consumed = offset
        self.granted = offset + WINDOW_START

    def grant(self, offset: int) -> None:
        """Note a credit that goes out."""
        if not self.granted <= offset <= self.received + CREDIT_MAX:
            raise LocalProtocolError(f"credit up to {offset} where {self.granted} was granted")
        self.granted = offset

    def take(self, size: int) -> None:
        """Note that `size` bytes were taken away."""
        if not 0 <= size <= self.received - self.consumed:
            raise LocalProtocolError("consumed more than was received")
        self.consumed += size

    def consume(self, size: int, may_grow: int) -> int | None:
        """Note that `size` bytes were taken away; return the offset to grant, or None for not yet.

        `may_grow` is how many bytes this window may still grow by.
        """
        self.take(size)
        if self.consumed + self.window - self.granted < self.window // 2 or self.ended or self.stopped:
            return None
        starved = self.granted - self.received < self.window // 4
        keeping_up = self.consumed == self.received
        if starved and keeping_up:
            self.window += min(self.window, may_grow, WINDOW_MAX - self.window)
        self.granted = self.consumed + self.window
        return self.granted


class ChannelState:
    """One channel as one side sees it."""

    __slots__ = ("grown", "incoming", "outgoing", "state")

    def __init__(self, role: Role) -> None:
        self.state = Channel.CLOSED
        self.grown = 0  # bytes by which the windows of this channel have grown
        ours = (Stream.STDIN,) if role is Role.CLIENT else (Stream.STDOUT, Stream.STDERR)
        theirs = (Stream.STDOUT, Stream.STDERR) if role is Role.CLIENT else (Stream.STDIN,)
        self.outgoing = {stream: Outgoing() for stream in ours}
        self.incoming = {stream: Incoming() for stream in theirs}

    def send(self, role: Role, frame: Frame) -> bool:
        """Follow a frame of ours; False says that it is late and must not be sent."""
        after = CHANNEL.get((self.state, role, type(frame)))
        if after is None:
            raise LocalProtocolError(f"{type(frame).__name__} in state {self.state.value}")
        if self.state is after is Channel.CLOSED:
            return False
        match frame:
            case f.Data():
                return self.send_data(role, frame.stream, len(frame.data))
            case f.Eof():
                stream = self._ours(frame.stream)
                if stream.ended:
                    return False
                stream.ended = True
            case f.Stop():
                theirs = self._theirs(frame.stream)
                if theirs.stopped:
                    return False
                theirs.stopped = True
            case f.Credit():
                self._theirs(frame.stream).grant(frame.offset)
            case f.Exec():
                self._begin(frame)
            case _:
                pass
        self.state = after
        return True

    def send_data(self, role: Role, stream: Stream, size: int) -> bool:
        """Account for bytes of ours; False says that nobody reads them."""
        if (self.state, role, DATA[stream]) not in CHANNEL:
            raise LocalProtocolError(f"{stream.name.lower()} in state {self.state.value}")
        ours = self._ours(stream)
        if ours.stopped:
            return False
        ours.advance(size)
        return True

    def consume(self, role: Role, stream: Stream, size: int, may_grow: int) -> int | None:
        """Note that bytes were taken away; return the offset to grant, or None for not now."""
        theirs = self._theirs(stream)
        if (self.state, role, f.Credit) in CHANNEL:
            before = theirs.window
            offset = theirs.consume(size, may_grow)
            self.grown += theirs.window - before
            return offset
        theirs.take(size)
        return None

    def receive(self, sender: Role, frame: Frame) -> bool:
        """Follow a frame of the peer; False says that it is to be dropped."""
        after = CHANNEL.get((self.state, sender, type(frame)))
        if after is None:
            raise RemoteProtocolError(f"{type(frame).__name__} in state {self.state.value}")
        if self.state is after is Channel.CLOSED:
            return False
        self.state = after
        match frame:
            case f.Data():
                return self.receive_data(sender, type(frame), len(frame.data))
            case f.Eof():
                self._peers(frame.stream).finish()
            case f.Stop():
                self._peers_reading(frame.stream).stop()
            case f.Credit():
                self._peers_reading(frame.stream).credited(frame.offset)
            case f.Exec():
                self._begin(frame)
            case _:
                pass
        return True

    def receive_data(self, sender: Role, kind: type[f.Data], size: int) -> bool:
        """Account for bytes of the peer; False says that nobody reads them."""
        if (self.state, sender, kind) not in CHANNEL:
            raise RemoteProtocolError(f"{kind.__name__} in state {self.state.value}")
        if self.state is Channel.CLOSED:
            return False
        theirs = self.incoming[kind.stream]
        theirs.arrived(size)
        return not theirs.stopped

    def _begin(self, frame: f.Exec) -> None:
        """Set where the output of the command goes on, on whichever side we are."""
        for stream, offset in ((Stream.STDOUT, frame.stdout_from), (Stream.STDERR, frame.stderr_from)):
            (self.incoming.get(stream) or self.outgoing[stream]).begin(offset)

    def _ours(self, stream: Stream) -> Outgoing:
        if stream not in self.outgoing:
            raise LocalProtocolError(f"{stream.name.lower()} is not ours to send")
        return self.outgoing[stream]

    def _theirs(self, stream: Stream) -> Incoming:
        if stream not in self.incoming:
            raise LocalProtocolError(f"{stream.name.lower()} is not ours to receive")
        return self.incoming[stream]

    def _peers(self, stream: Stream) -> Incoming:
        if stream not in self.incoming:
            raise RemoteProtocolError(f"{stream.name.lower()} is not the peer's to send")
        return self.incoming[stream]

    def _peers_reading(self, stream: Stream) -> Outgoing:
        if stream not in self.outgoing:
            raise RemoteProtocolError(f"{stream.name.lower()} is not the peer's to receive")
        return self.outgoing[stream]
