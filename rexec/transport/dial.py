"""Connecting, blocking: for the one-shot client, which has no time for an event loop."""

from __future__ import annotations

import _socket as socket
import struct
import time

from rexec.errors import ConnectError, ConnectionLost, RemoteProtocolError
from rexec.limits import KIB, TLS_RECORDS
from rexec.transport.address import Address
from rexec.transport.approach import Approach, words
from rexec.transport.heap import keep_freed
from rexec.transport.secure import TlsLayer, client_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from rexec.transport.passage import Passage, Via
else:
    import posix as os

_SMALL = 16 * KIB  # bytes read at once, until a read fills it
_LARGE = 256 * KIB  # and from then on: one frame of bulk


class Wire:
    """A connected socket, with or without TLS; after `unblock`, `send` and `receive` never wait."""

    __slots__ = ("_cipher", "_plain", "_waits", "_wire", "passage", "socket", "tls")

    def __init__(self, plain: socket.socket, tls: TlsLayer | None, passage: Passage | None = None) -> None:
        self.passage = passage  # the program that carries it
        self.socket = plain
        self.tls = tls
        self._cipher = memoryview(b"")  # encrypted, and not taken by the socket yet
        self._plain = memoryview(bytearray(_SMALL))
        self._wire = memoryview(bytearray(_SMALL))
        keep_freed()
        self._waits = True

    @property
    def binding(self) -> bytes | None:
        return self.tls.binding if self.tls is not None else None

    def certificate(self) -> bytes | None:
        """Return the server's certificate in DER; None in the clear."""
        return self.tls.certificate() if self.tls is not None else None

    def fileno(self) -> int:
        return self.socket.fileno()

    # --- out ----------------------------------------------------------------------------------

    @property
    def is_unsent(self) -> bool:
        """Whether something that was taken waits for the socket."""
        return len(self._cipher) > 0

    def send(self, data: bytes | memoryview) -> int:
        """Take some of `data` to send it; return how many bytes, 0 where it would have to wait."""
        if self.tls is None:
            return self._send(data)
        if not self.push():
            return 0
        self._cipher = memoryview(self.tls.write(data))
        self.push()
        return len(data)

    def push(self) -> bool:
        """Send what was taken before; True once there is nothing of it."""
        while self._cipher:
            sent = self._send(self._cipher)
            if not sent:
                return False
            self._cipher = self._cipher[sent:]
        return True

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ConnectionLost(f"connection lost: {words(error)}") from None

    def put(self, data: bytes, timeout: float) -> None:
        """Send all of it, waiting. Raises `ConnectionLost`, `TimeoutError`."""
        self.socket.settimeout(timeout)
        try:
            self.socket.sendall(data if self.tls is None else self.tls.write(data))
        except ConnectionError as error:
            raise ConnectionLost(f"connection lost: {words(error)}") from None

    # --- in -----------------------------------------------------------------------------------

    def receive(self, room: memoryview | None = None) -> memoryview | None:
        """Return bytes that came, in `room` if that is given; empty: none now, None: the end.

        They are good until the next call, and in `room` for as long as that is.
        """
        try:
            self.push()
        except ConnectionLost:
            pass  # who sends next hears of it: what came before that is read first
        place = self._plain if room is None else room
        try:
            size = self._take(place) if self.tls is None else self._decrypt(self.tls, place)
        except OSError as error:
            raise ConnectionLost(f"connection lost: {words(error)}") from None
        except RemoteProtocolError as error:  # of TLS: what the line made of it
            raise ConnectionLost(f"connection lost: {error}") from None
        return None if size is None else place[:size]

    def _take(self, place: memoryview) -> int | None:
        """Return how many bytes the socket gave, 0 for none now, None at the end."""
        try:
            size = self.socket.recv_into(place)
        except BlockingIOError:
            return 0
        if size == len(place) == _SMALL:
            self._grow()
        return size or None

    def _decrypt(self, tls: TlsLayer, place: memoryview) -> int | None:
        """Fill `place` as far as can be without waiting; where we wait, with what comes first, if it does."""
        total, is_drained = 0, False
        try:
            while True:
                if tls.has_more:
                    size = tls.read(place[total:] if total else place)
                    if size is None:
                        return total or None
                    total += size
                if is_drained or total == len(place) or (total and self._waits):
                    return total
                came = self._take(wire := self._wire)
                if came is None:
                    tls.eof()
                else:
                    is_drained = came < len(wire) or self._waits
                    tls.feed(wire[:came])
        except (OSError, RemoteProtocolError):
            if not total:
                raise
            return total  # what came before the end is handed over first

    def _grow(self) -> None:
        """Read more at once from now on: this is bulk."""
        self._plain = memoryview(bytearray(_LARGE))
        if self.tls is not None:
            self._wire = memoryview(bytearray(_LARGE + TLS_RECORDS))

    def pending(self) -> bool:
        """Whether TLS holds plaintext that no poll will announce."""
        return self.tls is not None and self.tls.has_more

    # --- both ---------------------------------------------------------------------------------

    def unblock(self) -> None:
        self._waits = False
        self.socket.setblocking(False)

    def close(self) -> None:
        """Close, after what was sent; no waiting for the peer's close_notify."""
        try:
            if self.tls is not None:
                self.socket.setblocking(False)
                if self.push():  # a record that was cut off has no end
                    self.socket.send(self.tls.close())
        except (OSError, ConnectionLost):
            pass
        self.socket.close()
        if self.passage is not None:
            self.passage.close()

    def leave(self) -> None:
        """Give the socket up without a word: another process goes on with it."""
        os.close(self.socket.detach())

    def names(self) -> tuple[str, str]:
        """Return our and the peer's end as text, as both ends write them. Raises `ConnectionLost`."""
        try:
            return name_of(self.socket.getsockname()), name_of(self.socket.getpeername())
        except OSError as error:  # it was there, and is gone
            raise ConnectionLost(f"connection lost: {words(error)}") from None

    def peer_uid(self) -> int:
        """Return the uid at the other end of a Unix socket (unix(7), SO_PEERCRED)."""
        return peer_uid(self.socket)


def peer_uid(connection: socket.socket) -> int:
    """Return the uid at the other end of a Unix socket (unix(7), SO_PEERCRED)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def name_of(name: object) -> str:
    """Return a socket's name as text: `127.0.0.1:5512`, `[::1]:5512`, `unix:/path`."""
    if isinstance(name, tuple):
        return str(Address(str(name[0]).partition("%")[0], name[1]))
    return f"unix:{name.decode(errors='replace') if isinstance(name, bytes) else name}"


def dial(address: Address, *, timeout: float | None, tls: bool = True, via: Via | None = None) -> Wire:
    """Connect, blocking, within `timeout` seconds for each step; raises `ConnectError`."""
    return arrive(Approach(address, timeout, via), tls=tls)


def speaks_tls(address: Address, timeout: float) -> bool:
    """Whether who listens there answers TLS, with a handshake record (RFC 8446, 5.1)."""
    way = Approach(address, timeout)
    way.hail()
    try:
        plain = way.connected()
    except ConnectError:
        return False
    try:
        return plain.recv(1) == b"\x16"
    except OSError:
        return False
    finally:
        plain.close()


def arrive(way: Approach, *, tls: bool) -> Wire:
    """Wait for a connection that was begun, and shake hands. Raises `ConnectError`."""
    try:
        plain = way.connected()
        if not tls:
            return Wire(plain, None, way.passage)
        layer = way.tls or TlsLayer(client_context(), server_side=False)
        _shake(plain, layer)
        return Wire(plain, layer, way.passage)
    except ConnectError as error:
        if way.passage is None:
            raise
        why = way.passage.failure(error)
        way.passage.close()
        raise why from None
    except BaseException:
        if way.passage is not None:
            way.passage.close()
        raise


def _shake(plain: socket.socket, tls: TlsLayer) -> None:
    """Shake hands over a connected socket, which is closed where that fails."""
    try:
        _exchange(plain, tls)
    except RemoteProtocolError as error:
        plain.close()
        hint = (
            "another service is there, or a server with --no-tls" if "wrong version" in str(error) else None
        )
        found = ConnectError(str(error), hint=hint)
        found.is_lost = tls.is_cut
        raise found from None
    except OSError as error:
        plain.close()
        found = ConnectError(f"tls: {words(error)}")
        found.is_lost = isinstance(error, ConnectionError)
        raise found from None


def _exchange(plain: socket.socket, tls: TlsLayer) -> None:
    """Shake hands within the timeout of the socket, however little comes at a time."""
    timeout = plain.gettimeout()
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        while not tls.handshake():
            plain.sendall(tls.write(b""))
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                plain.settimeout(left)
            if data := plain.recv(_SMALL):
                tls.feed(data)
            else:
                tls.eof()
    except RemoteProtocolError:
        try:
            plain.sendall(tls.write(b""))  # why there is none
        except OSError:
            pass  # nobody is there to read it
        raise
    plain.sendall(tls.write(b""))  # our Finished
