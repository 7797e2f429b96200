"""What outlives a connection: the channels, the counts, and the frames that were not acknowledged.

Only session frames (those of a channel) count. Where both sides offered `resume`, each keeps what
it sent until the peer's `Ack`, so that a new connection can go on exactly where the old one broke.
"""

from __future__ import annotations

from rexec.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from rexec.limits import (
    ACK_BYTES,
    ACK_FRAMES,
    CHANNELS_PER_SESSION,
    HEADER_SIZE,
    RETAIN_BYTES,
    RETAIN_FRAMES,
    UNANSWERED_BYTES,
    UNANSWERED_FRAMES,
    WINDOW_TOTAL,
)
from rexec.protocol.channel import ChannelState
from rexec.protocol.frames import Credit, Data, Frame, Stream
from rexec.protocol.state import OPENERS, Channel, Role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
else:
    from _collections import deque  # without the classes around it


class Session:
    """One authenticated conversation as one side sees it."""

    def __init__(self, role: Role, *, keep: bool = False) -> None:
        self.role = role
        self.keep = keep
        self.channels: dict[int, ChannelState] = {}
        self.sent = 0  # session frames, ever
        self.received = 0  # session frames, ever
        self.told = 0  # of those received, how many the peer was told of
        self.confirmed = 0  # of those sent, how many the peer acknowledged
        self._untold_bytes = 0
        self._grown = 0  # bytes by which all windows have grown
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0

    # --- frames out ---------------------------------------------------------------------------

    def send(self, channel: int, frame: Frame) -> bool:
        """Follow a frame of ours; False says that it must not be sent."""
        state = self.channels.get(channel) or self._fresh(LocalProtocolError, frame)
        if not state.send(self.role, frame):
            return False
        self._settle(channel, state)
        return True

    def send_data(self, channel: int, stream: Stream, size: int) -> bool:
        """Follow a data frame of ours whose bytes the caller packs itself."""
        state = self.channels.get(channel)
        return state is not None and state.send_data(self.role, stream, size)

    def set_keep(self, keep: bool) -> None:
        """Keep unacknowledged frames from now on, or none at all."""
        self.keep = keep
        if not keep:
            self._kept.clear()
            self._kept_bytes = 0

    def retain(self, data: bytes | memoryview) -> bytes:
        """Count one frame that goes out, and keep it where the session can be resumed; return what lasts."""
        self.sent += 1
        lasting = bytes(data)
        if self.keep:
            self._kept.append(lasting)
            self._kept_bytes += len(lasting)
        return lasting

    @property
    def kept(self) -> int:
        """How many bytes are kept for the peer."""
        return self._kept_bytes

    @property
    def full(self) -> bool:
        """Whether so much is unacknowledged that nothing new may be read from a child."""
        return self._kept_bytes >= RETAIN_BYTES or len(self._kept) >= RETAIN_FRAMES

    def acknowledged(self, count: int) -> None:
        """Forget the frames that the peer has; `count` is of all that it ever received."""
        if not self.confirmed <= count <= self.sent:
            raise RemoteProtocolError(
                f"{count} frames acknowledged of {self.sent} sent, after {self.confirmed} before"
            )
        self.confirmed = count
        while len(self._kept) > self.sent - count:
            self._kept_bytes -= len(self._kept.popleft())

    def unacknowledged(self) -> bytes:
        """Return all frames that the peer has not, to be sent again once and in order."""
        return b"".join(self._kept)

    # --- frames in ----------------------------------------------------------------------------

    def receive(self, channel: int, frame: Frame) -> bool:
        """Follow a frame of the peer; False says that it is to be dropped."""
        state = self.channels.get(channel) or self._fresh(RemoteProtocolError, frame)
        wanted = state.receive(self.role.other, frame)
        self._settle(channel, state)
        return wanted

    def receive_data(self, channel: int, kind: type[Data], data: bytes | memoryview) -> Data | None:
        """Count and follow a data frame of the peer; None says that it is dropped."""
        self.count(HEADER_SIZE + len(data))
        state = self.channels.get(channel)
        if state is None:
            state = self._fresh(RemoteProtocolError, kind(data))
        return kind(data) if state.receive_data(self.role.other, kind, len(data)) else None

    def count(self, size: int) -> None:
        """Count one received session frame of `size` bytes, dropped or not.

        What a server keeps grows by what its client asks for (a denial, a credit), so a client that
        goes on asking and acknowledges nothing is at fault. Of its own a client keeps what it likes.
        """
        self.received += 1
        self._untold_bytes += size
        unanswered = self._kept_bytes > UNANSWERED_BYTES or len(self._kept) > UNANSWERED_FRAMES
        if unanswered and self.role is Role.SERVER:
            raise RemoteProtocolError("nothing is acknowledged")

    def consume(self, channel: int, stream: Stream, size: int) -> Credit | None:
        """Note that received bytes were taken away; return the credit to send, or None."""
        state = self.channels.get(channel)
        if state is None:
            return None
        before = state.grown
        offset = state.consume(self.role, stream, size, WINDOW_TOTAL - self._grown)
        self._grown += state.grown - before
        return None if offset is None else Credit(stream, offset)

    @property
    def ack_pending(self) -> bool:
        """Whether the peer keeps frames that we have."""
        return self.keep and self.told < self.received

    @property
    def ack_due(self) -> bool:
        """Whether an Ack should go out without waiting for its timer."""
        untold = self.received - self.told
        return self.keep and (self._untold_bytes >= ACK_BYTES or untold >= ACK_FRAMES)

    def tell(self) -> int:
        """Return the count for an Ack that is now sent."""
        self.told = self.received
        self._untold_bytes = 0
        return self.received

    # --- both ---------------------------------------------------------------------------------

    def _fresh(self, blame: type[ProtocolError], frame: Frame) -> ChannelState:
        """Return a closed channel; the client counts at least as many open ones as the server does."""
        if isinstance(frame, OPENERS) and len(self.channels) >= CHANNELS_PER_SESSION:
            raise blame(f"more than {CHANNELS_PER_SESSION} channels")
        return ChannelState(self.role)

    def _settle(self, channel: int, state: ChannelState) -> None:
        if state.state is not Channel.CLOSED:
            self.channels[channel] = state
        elif self.channels.pop(channel, None) is not None:
            self._grown -= state.grown

    def room(self, channel: int, stream: Stream) -> int:
        """Return how many bytes may be sent now on a stream of ours; 0 on a closed channel."""
        state = self.channels.get(channel)
        if state is None or stream not in state.outgoing:
            return 0
        return state.outgoing[stream].room

    def forget(self) -> None:
        """Start anew: the proof that these frames stood behind was refused, or the session is gone."""
        if self.role is Role.SERVER and self.channels:
            raise LocalProtocolError("a server does not forget commands that run")
        self.__init__(self.role, keep=self.keep)  # type: ignore[misc]
