"""One connection in an event loop: plaintext bytes to and from whoever owns it, over TLS or in the clear.

Everything is a callback in the loop's own thread, so that the receive buffers can be shared by all
links of one loop and an idle connection costs its TLS state and little else.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Protocol, cast

from rexec.errors import RemoteProtocolError, RexecError
from rexec.limits import KEEPALIVE_TIMEOUT, KIB, TLS_RECORDS, WRITE_HIGH_WATER
from rexec.transport.heap import keep_freed

if TYPE_CHECKING:
    from rexec.transport.secure import TlsLayer

_NOWHERE = memoryview(bytearray())
_AT_ONCE = 256 * KIB  # bytes that are encrypted at once: a data frame
FLOOD = 4 * WRITE_HIGH_WATER  # bytes of answers a peer may leave unread before we read no more of it


class Owner(Protocol):
    """Who is told what happens on a link."""

    def opened(self) -> None:
        """The link is ready: TLS is done, ALPN is checked."""

    @property
    def place(self) -> memoryview | None:
        """Where the next plaintext is to go; None: anywhere."""

    def received(self, data: memoryview) -> None:
        """Plaintext came; the view is valid during this call alone, but for what lies in `place`."""

    def ended(self) -> None:
        """The peer sends no more."""

    def writable(self, yes: bool) -> None:
        """The link's buffer filled up, or is low again."""

    def lost(self, error: Exception | None) -> None:
        """The link is gone; nothing can be written any more."""


class Buffers:
    """The receive buffers that all links of one loop share."""

    __slots__ = ("plain", "wire")

    def __init__(self, size: int = 256 * KIB) -> None:
        self.wire = memoryview(bytearray(size + TLS_RECORDS))
        self.plain = memoryview(bytearray(size))
        keep_freed()


class Link(asyncio.BufferedProtocol):
    """A socket in the loop; `owner` may change while it lives."""

    def __init__(self, buffers: Buffers, tls: TlsLayer | None) -> None:
        self.owner: Owner | None = None
        self.tls = tls
        self.here: object = None  # both ends as the socket had them at first; a reset takes them away
        self.peer: object = None
        self._buffers = buffers
        self._transport: asyncio.Transport | None = None
        self._paused_reading = False
        self._is_unwanted = False  # aborted, maybe before there was anything to abort
        self._patience: asyncio.TimerHandle | None = None
        self._place = _NOWHERE  # where the loop receives into just now

    # --- for the owner ------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send plaintext. A loop may keep what it is given until the socket takes it: from Python 3.12 on."""
        transport = self._transport
        if transport is None or transport.is_closing() or not data:
            return
        if self.tls is None:
            self._put(transport, data)
        elif len(data) <= _AT_ONCE:
            self._put(transport, self.tls.write(data))
        else:  # what a session kept for its client: TLS would hold as much memory ever after
            for start in range(0, len(data), _AT_ONCE):
                if not transport.is_closing():
                    self._put(transport, self.tls.write(data[start : start + _AT_ONCE]))

    def close(self) -> None:
        """Send what is queued, then end."""
        if self._transport is not None and not self._transport.is_closing():
            if self.tls is not None and self.tls.ready:
                self._transport.write(self.tls.close())
            self._finish(self._transport)

    def abort(self) -> None:
        """End at once; what is queued is lost."""
        self._is_unwanted = True
        if self._transport is not None:
            self._transport.abort()

    def mute(self) -> None:
        """Hear no more and tell nobody, but leave the connection open."""
        self.owner = Nobody()
        if self._transport is not None:
            self._transport.pause_reading()

    def drop(self) -> None:
        """End at once, and tell nobody: the owner has no use for it any more."""
        self.owner = Nobody()
        self.abort()

    @property
    def socket(self) -> socket.socket:
        assert self._transport is not None
        return cast(socket.socket, self._transport.get_extra_info("socket"))

    # --- for the loop -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._is_unwanted:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self.here, self.peer = map(transport.get_extra_info, ("sockname", "peername"))
        if self.tls is None:
            self._owner.opened()
        else:
            self._guard(self._handshake)

    def get_buffer(self, sizehint: int) -> memoryview:
        room = self._owner.place if self.tls is None else None
        self._place = self._buffers.wire if room is None else room
        return self._place

    def buffer_updated(self, nbytes: int) -> None:
        data, self._place = self._place[:nbytes], _NOWHERE
        if self.tls is None:
            self._owner.received(data)
        else:
            self.tls.feed(data)
            self._guard(self._decrypt)

    def eof_received(self) -> bool:
        if self.tls is not None:
            self.tls.eof()
            self._guard(self._decrypt)
        else:
            self._owner.ended()
        return True

    def pause_writing(self) -> None:
        self._owner.writable(False)

    def resume_writing(self) -> None:
        if self._paused_reading and self._transport is not None:
            self._paused_reading = False
            self._transport.resume_reading()
        self._owner.writable(True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._patience is not None:
            self._patience.cancel()
        self._owner.lost(exc)
        self.owner = Nobody()  # nothing of it outlives this by being part of a ring

    @property
    def _owner(self) -> Owner:
        assert self.owner is not None
        return self.owner

    def _guard(self, step: object) -> None:
        """Run one step of TLS; a peer that breaks it loses the connection, after the alert is sent."""
        try:
            step()  # type: ignore[operator]
        except RemoteProtocolError as error:
            self._flush()
            transport, self._transport = self._transport, None
            if transport is not None:
                self._finish(transport)
            self._owner.lost(error)
            self.owner = Nobody()

    def _handshake(self) -> bool:
        assert self.tls is not None
        ready = self.tls.handshake()
        self._flush()
        if ready:
            self._owner.opened()
        return ready

    def _decrypt(self) -> None:
        assert self.tls is not None
        if not self.tls.ready and not self._handshake():
            return
        while self.tls.has_more:
            place = self._owner.place
            if place is None:
                place = self._buffers.plain
            size = self.tls.read(place)
            if size is None:
                self._owner.ended()
                return
            if not size:
                break
            self._owner.received(place[:size])
        if self.tls.has_answer:  # to a key update
            self._flush()

    def _flush(self) -> None:
        if self.tls is not None and self._transport is not None:
            data = self.tls.write(b"")
            if data:
                self._put(self._transport, data)

    def _put(self, transport: asyncio.Transport, data: bytes) -> None:
        """Send to the wire; who lets our answers pile up, those of TLS itself too, is not read any more."""
        transport.write(data)
        if transport.get_write_buffer_size() > FLOOD and not self._paused_reading:
            self._paused_reading = True
            transport.pause_reading()

    def _finish(self, transport: asyncio.Transport) -> None:
        """Close after what is queued; a peer that never reads it holds the socket only so long."""
        transport.close()
        self._patience = asyncio.get_running_loop().call_later(KEEPALIVE_TIMEOUT, transport.abort)


class Nobody:
    """The owner of a link that is over."""

    place = None

    def opened(self) -> None:
        pass

    def received(self, data: memoryview) -> None:
        pass

    def ended(self) -> None:
        pass

    def writable(self, yes: bool) -> None:
        pass

    def lost(self, error: Exception | None) -> None:
        pass


def mapped(error: Exception | None) -> str:
    """Return why a connection was lost, in words."""
    if error is None:
        return "connection closed"
    if isinstance(error, RexecError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
