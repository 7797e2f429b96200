"""Bytes from the wire, cut into frames: every length is judged on its header, before its body is kept."""

from __future__ import annotations

import struct

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import CHANNEL_MAX, CONTROL_MAX, HEADER_SIZE
from rexec.protocol.frames import FRAMES, IGNORABLE, SESSION_CODES, Frame

HEADER = struct.Struct("!BBHI")  # type, flags, channel, length


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
    """

    __slots__ = ("_data", "_missing", "_start")

    def __init__(self) -> None:
        self._data = bytearray()
        self._start = 0
        self._missing = 0  # bytes still to come of a frame that is skipped

    def __len__(self) -> int:
        return len(self._data) - self._start

    @property
    def inside(self) -> bool:
        """Whether what came so far ends in the middle of a frame."""
        return self._missing > 0 or len(self) > 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        if self._start:
            del self._data[: self._start]
            self._start = 0
        if self._missing:
            skipped = min(self._missing, len(data))
            self._missing -= skipped
            data = memoryview(data)[skipped:]
        self._data += data

    def header(self) -> tuple[int, int, int, int] | None:
        """Return type, flags, channel and length of the next frame, or None."""
        if len(self) < HEADER_SIZE:
            return None
        return HEADER.unpack_from(self._data, self._start)

    def take(self, length: int) -> bytes | None:
        """Return the payload of the next frame and forget the frame, or None while it is incomplete."""
        begin = self._start + HEADER_SIZE
        end = begin + length
        if end > len(self._data):
            return None
        with memoryview(self._data) as view:
            payload = bytes(view[begin:end])
        self._forget(end)
        return payload

    def skip(self, length: int) -> None:
        """Forget the next frame, also what of it is still to come: nothing of its body is kept."""
        end = self._start + HEADER_SIZE + length
        self._missing = max(0, end - len(self._data))
        self._forget(end)

    def clear(self) -> None:
        self._data = bytearray()
        self._start = self._missing = 0

    def _forget(self, end: int) -> None:
        if end < len(self._data):
            self._start = end
        else:
            self._data = bytearray()
            self._start = 0


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
