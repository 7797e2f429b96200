"""Connecting, blocking: for the one-shot client, which has no time for an event loop."""

from __future__ import annotations

import os
import socket
import ssl
import struct

from rexec.errors import ConnectError, ConnectionLost, RemoteProtocolError
from rexec.limits import KIB
from rexec.transport.address import Address
from rexec.transport.heap import keep_freed
from rexec.transport.tls import binding_of, check_alpn, client_context, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.transport.passage import Passage, Via

_BULK = 8 * KIB  # a read that brings as much is followed by another


class Wire:
    """A connected socket, with or without TLS; after `unblock`, `send` and `receive` never wait."""

    __slots__ = ("_buffer", "_full", "_waits", "passage", "socket", "tls")

    def __init__(
        self, plain: socket.socket, tls: ssl.SSLSocket | None, passage: Passage | None = None
    ) -> None:
        self.passage = passage  # the program that carries it
        self.socket: socket.socket = tls or plain
        self.tls = tls
        self._buffer = memoryview(bytearray(64 * KIB))
        keep_freed()
        self._waits = True
        self._full = True  # the last read may have left something

    @property
    def binding(self) -> bytes | None:
        return binding_of(self.tls) if self.tls is not None else None

    def certificate(self) -> bytes | None:
        """Return the server's certificate in DER; None in the clear."""
        return self.tls.getpeercert(binary_form=True) if self.tls is not None else None

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, data: bytes | memoryview) -> int:
        """Send some of `data`; return how many bytes, 0 where it would have to wait."""
        try:
            return self.socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except ssl.SSLEOFError:
            raise ConnectionLost("connection lost: the server closed it") from None
        except OSError as error:
            raise ConnectionLost(f"connection lost: {words(error)}") from None

    def put(self, data: bytes, timeout: float) -> None:
        """Send all of it, waiting. Raises `ConnectionLost`, `TimeoutError`."""
        self.socket.settimeout(timeout)
        try:
            self.socket.sendall(data)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise ConnectionLost(f"connection lost: {words(error)}") from None

    def receive(self) -> memoryview | None:
        """Return bytes that came, valid until the next call; empty: none now, None: the end."""
        total = 0
        self._full = True
        try:
            while total < len(self._buffer):
                size = self.socket.recv_into(self._buffer[total:])
                if not size:
                    return self._buffer[:total] if total else None
                total += size
                if self.tls is None or self._waits:
                    break
                if size < _BULK and not self.tls.pending():
                    self._full = False  # what comes next is announced by a poll
                    break
        except (BlockingIOError, ssl.SSLWantReadError):
            self._full = False
        except ssl.SSLEOFError:
            return self._buffer[:total] if total else None
        except OSError as error:
            if not total:
                raise ConnectionLost(f"connection lost: {words(error)}") from None
        return self._buffer[:total]

    def pending(self) -> bool:
        """Whether TLS holds plaintext that no poll will announce."""
        return self._full and self.tls is not None and self.tls.pending() > 0

    def unblock(self) -> None:
        self._waits = False
        self.socket.setblocking(False)

    def close(self) -> None:
        """Close, after what was sent; no waiting for the peer's close_notify."""
        try:
            if self.tls is not None:
                self.tls.setblocking(False)
                self.tls.unwrap()
        except OSError:
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
    """Connect, blocking, within `timeout` seconds in all; raises `ConnectError`."""
    passage: Passage | None = None
    if via is None:
        plain = _connect(address, timeout)
    else:
        from rexec.transport.passage import open_passage

        plain, passage = open_passage(via)
        plain.settimeout(timeout)
    if not tls:
        return Wire(plain, None, passage)
    try:
        return Wire(plain, _secured(plain), passage)
    except ConnectError as error:
        if passage is None:
            raise
        why = passage.failure(error)
        passage.close()
        raise why from None
    except BaseException:
        if passage is not None:
            passage.close()
        raise


def _secured(plain: socket.socket) -> ssl.SSLSocket:
    """Shake hands over a connected socket, which is closed where that fails."""
    wrapped = client_context().wrap_socket(plain, do_handshake_on_connect=False)
    try:
        wrapped.do_handshake()
        check_alpn(wrapped)
    except (ssl.SSLError, RemoteProtocolError) as error:
        wrapped.close()
        why = reason(error) if isinstance(error, ssl.SSLError) else str(error)
        hint = "the server may have been started with --no-tls" if "wrong version" in why else None
        found = ConnectError(f"tls: {why}", hint=hint)
        found.is_lost = isinstance(error, ssl.SSLEOFError)
        raise found from None
    except OSError as error:
        wrapped.close()
        found = ConnectError(f"tls: {words(error)}")
        found.is_lost = isinstance(error, ConnectionError)
        raise found from None
    return wrapped


def _connect(address: Address, timeout: float | None) -> socket.socket:
    if address.path:
        return _try(address, lambda: _unix(address.path, timeout))
    plain = _try(address, lambda: socket.create_connection((address.host, address.port), timeout))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plain


def _unix(path: str, timeout: float | None) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _try(address: Address, connect: Callable[[], socket.socket]) -> socket.socket:
    try:
        return connect()
    except OSError as error:
        raise no_connection(address, error) from None
    except UnicodeError:
        raise ConnectError("not a host name") from None


def no_connection(address: Address, error: OSError) -> ConnectError:
    """Return an error of connecting as ours, with the way out of the commonest one."""
    hint = None
    if isinstance(error, ConnectionRefusedError):
        hint = f"nothing listens on {address}: is rexec-server running, with --listen where others reach it?"
    found = ConnectError(words(error), hint=hint)
    found.is_refused = isinstance(error, ConnectionRefusedError | FileNotFoundError)
    return found


def words(error: OSError) -> str:
    """Return an operating system's error in words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLError):
        return reason(error)
    if error.errno is not None and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
