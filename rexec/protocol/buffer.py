"""Bytes from the wire, cut into frames: every length is judged on its header, before its body is kept."""

from __future__ import annotations

import struct

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import CHANNEL_MAX, CONTROL_MAX, HEADER_SIZE, KIB
from rexec.protocol.frames import FRAMES, IGNORABLE, SESSION_CODES, Frame

HEADER = struct.Struct("!BBHI")  # type, flags, channel, length
_LARGE = 16 * KIB  # bytes of a payload that are better not copied


def pack(frame: Frame, channel: int) -> bytes:
    """Return header and payload; raises `LocalProtocolError` for what the peer would not take."""
    payload = frame.encode()
    if len(payload) > frame.limit:
        raise LocalProtocolError(f"{type(frame).__name__} is too long: {len(payload)} bytes")
    if not 0 <= channel <= CHANNEL_MAX:
        raise LocalProtocolError(f"there is no channel {channel}")
    return HEADER.pack(frame.code, frame.flags, channel, len(payload)) + payload


class FrameBuffer:
    """Received bytes that are not frames yet.

    At most one frame is incomplete, so that the memory of a connection is bounded by the largest
    frame its peer may send in its present state, plus what one read brought.

    Bytes are copied as seldom as can be: frames are cut where the bytes were received (`lend`), and of a
    large frame that came in part the rest is received where it belongs (`place`).
    """

    __slots__ = ("_data", "_end", "_lent", "_missing", "_start")

    def __init__(self) -> None:
        self._data: bytearray | memoryview = bytearray()
        self._start = self._end = 0  # of the bytes that came; a large frame has room behind them
        self._lent = False  # it is the memory of somebody else
        self._missing = 0  # bytes still to come of a frame that is skipped

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def inside(self) -> bool:
        """Whether what came so far ends in the middle of a frame."""
        return self._missing > 0 or self._end > self._start

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take a copy of bytes."""
        data = self._wanted(data)
        self.settle()
        own = self._data
        assert isinstance(own, bytearray)
        if self._end < len(own):
            came = min(len(data), len(own) - self._end)
            own[self._end : self._end + came] = data[:came]
            self._end += came
            if came == len(data):
                return
            own, data = bytearray(own), data[came:]  # a view of the room may still be in use
        elif self._start:
            del own[: self._start]
        own += data
        self._hold(own)

    def lend(self, data: memoryview) -> None:
        """Take bytes where they are: until `settle`, or in the `place` that was given for them."""
        if data.obj is self._data:
            self._end += len(data)
        elif self._end > self._start or self._missing:
            self.feed(data)
        else:
            self._data, self._start, self._end, self._lent = data, 0, len(data), True

    def settle(self) -> None:
        """Keep what is left of memory that was lent."""
        if self._lent:
            self._hold(bytearray(self._data[self._start : self._end]))

    @property
    def place(self) -> memoryview | None:
        """Where the rest of a large frame is to be received, if one came in part."""
        return None if self._end == len(self._data) else memoryview(self._data)[self._end :]

    def header(self) -> tuple[int, int, int, int] | None:
        """Return type, flags, channel and length of the next frame, or None."""
        if self._end - self._start < HEADER_SIZE:
            return None
        return HEADER.unpack_from(self._data, self._start)

    def take(self, length: int, *, here: bool = False) -> bytes | memoryview | None:
        """Return the payload of the next frame and forget the frame, or None while it is incomplete.

        `here`: a large one may be a view, which is good until more is received, and gets room for its rest.
        """
        begin = self._start + HEADER_SIZE
        end = begin + length
        if end > self._end:
            if here and length >= _LARGE:
                self._make_room(HEADER_SIZE + length)
            return None
        view = memoryview(self._data)[begin:end]
        payload = view if here and length >= _LARGE and (self._lent or end == self._end) else bytes(view)
        self._forget(end)
        return payload

    def skip(self, length: int) -> None:
        """Forget the next frame, also what of it is still to come: nothing of its body is kept."""
        end = self._start + HEADER_SIZE + length
        self._missing = max(0, end - self._end)
        self._forget(end)

    def clear(self) -> None:
        self._hold(bytearray())
        self._missing = 0

    def _wanted(self, data: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
        """Return bytes without those of a frame that is skipped."""
        if self._missing:
            skipped = min(self._missing, len(data))
            self._missing -= skipped
            data = memoryview(data)[skipped:]
        return data

    def _hold(self, data: bytearray) -> None:
        self._data, self._start, self._end, self._lent = data, 0, len(data), False

    def _make_room(self, size: int) -> None:
        """Have memory for a frame of `size` bytes, and what came of it in the beginning."""
        if self._lent or self._start or len(self._data) != size:
            came = self._end - self._start
            data = bytearray(size)
            data[:came] = self._data[self._start : self._end]
            self._hold(data)
            self._end = came

    def _forget(self, end: int) -> None:
        if end < self._end:
            self._start = end
        else:
            self._hold(bytearray())


def judge(kind: int, flags: int, channel: int, length: int, *, greeting: bool) -> type[Frame] | None:
    """Return the class of the frame that a header announces, or None where it is to be skipped.

    Raises `RemoteProtocolError` for a header that no peer may send. `greeting` says that the peer
    is not authenticated yet.
    """
    frame = FRAMES.get(kind)
    if flags & ~IGNORABLE or (flags and greeting):
        raise RemoteProtocolError(f"unknown header flags 0x{flags:02x}")
    if frame is None and not flags:
        raise RemoteProtocolError(f"unknown frame type {kind}")
    name, limit = (frame.__name__, frame.limit) if frame else (f"frame of type {kind}", CONTROL_MAX)
    if length > limit:
        raise RemoteProtocolError(f"{name} is too long: {length} bytes, at most {limit}")
    if (channel != 0) != (kind >= SESSION_CODES):
        raise RemoteProtocolError(f"{name} on channel {channel}")
    return frame


def is_session_frame(frame: type[Frame]) -> bool:
    """Tell frames of a channel (counted, kept) from frames of the connection."""
    return frame.code >= SESSION_CODES
