"""Connecting, begun before it is waited for: a client imports and reads meanwhile what it needs next.

What goes wrong on the way is told by who waits for the end of it.
"""

from __future__ import annotations

import _socket
import select

from rexec.errors import ConnectError
from rexec.limits import POLL_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from rexec.transport.address import Address
    from rexec.transport.passage import Passage, Via
    from rexec.transport.secure import TlsLayer

    Place = tuple[int, str | tuple[object, ...]]  # a family, and what `connect` takes
else:
    import posix as os


class Approach:
    """A connection to an address; each address of a name has `timeout` seconds."""

    __slots__ = ("_address", "_error", "_places", "_plain", "_timeout", "passage", "tls")

    def __init__(self, address: Address, timeout: float | None, via: Via | None = None) -> None:
        self._address = address
        self._timeout = timeout
        self._error: ConnectError | None = None  # why there is none
        self._plain: _socket.socket | None = None
        self._places: list[Place] = []
        self.passage: Passage | None = None  # the program that carries it
        self.tls: TlsLayer | None = None  # once the handshake was begun
        try:
            if via is None:
                self._places = _places_of(address)
                self._begin()
            else:
                from rexec.transport.passage import open_passage

                self._plain, self.passage = open_passage(via)
        except ConnectError as error:
            self._error = error

    def hail(self) -> None:
        """Wait for the connection, and send the first message of TLS."""
        try:
            plain = self.connected()
        except ConnectError:
            return  # it will be told
        from rexec.transport.secure import TlsLayer, client_context

        self._plain = plain
        self.tls = TlsLayer(client_context(), server_side=False)
        self.tls.handshake()
        try:
            plain.sendall(self.tls.write(b""))
        except OSError:
            pass  # likewise

    def connected(self) -> _socket.socket:
        """Return the connected socket, which has its timeout. Raises `ConnectError`."""
        while self._error is None:
            assert self._plain is not None
            if self.tls is not None:  # it was connected: what it has to tell now is not about that
                return self._plain
            found, self._plain = self._plain, None
            error = _outcome(found, self._timeout)
            if error is None:
                found.settimeout(self._timeout)
                return found
            found.close()
            self._fail(error)
        raise self._error

    def _begin(self) -> None:
        """Begin to connect to the next place."""
        family, name = self._places.pop(0)
        try:
            plain = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        except OSError as error:  # this machine may not speak IPv6, whatever its names are
            self._fail(error)
            return
        try:
            if family == _socket.AF_UNIX:
                _join(plain, name, self._timeout)
            else:
                plain.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
                plain.setblocking(False)
                plain.connect(name)
        except BlockingIOError:
            pass  # on its way
        except UnicodeError:  # of a path, in letters that the locale does not have
            plain.close()
            self._error = ConnectError("not a path in this locale")
            return
        except OSError as error:
            plain.close()
            self._fail(error)
            return
        self._plain = plain

    def _fail(self, error: OSError) -> None:
        """Go on with the next place, or remember why there is no connection."""
        if self._places:
            self._begin()
        else:
            self._error = no_connection(self._address, error)


def _join(plain: _socket.socket, path: object, timeout: float | None) -> None:
    """Connect to a Unix socket: one with a full queue says by no poll when it has room (unix(7)).

    The call itself waits, for as long as it may (socket(7), SO_SNDTIMEO); what came by then is `EAGAIN`.
    """
    if timeout is not None:
        from struct import pack

        whole = pack("ll", int(timeout), max(1, int(timeout % 1 * 1_000_000)))  # 0 would be for ever
        plain.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, whole)
    try:
        plain.connect(path)  # type: ignore[arg-type]
    except BlockingIOError:
        raise TimeoutError from None


def _places_of(address: Address) -> list[Place]:
    """Return where to connect to. Raises `ConnectError`."""
    if address.path:
        return [(_socket.AF_UNIX, address.path)]
    try:
        found = _socket.getaddrinfo(_spelling(address.host), address.port, 0, _socket.SOCK_STREAM)
    except OSError as error:
        raise no_connection(address, error) from None
    except UnicodeError:
        raise ConnectError("not a host name") from None
    return [(family, name) for family, _, _, _, name in found]


def _spelling(host: str) -> str | bytes:
    """Return a host as `getaddrinfo` takes it. Raises `UnicodeError`."""
    if not host.isascii():
        return host  # spelt by the codec "idna", whose tables take a millisecond to load
    if any(not label for label in host.split(".")[:-1]) or any(len(label) > 63 for label in host.split(".")):
        raise UnicodeError("a label is empty or too long")  # as that codec has it (RFC 1035, 2.3.4)
    return host.encode()


def _outcome(plain: _socket.socket, timeout: float | None) -> OSError | None:
    """Wait until a socket is connected; return why it is not."""
    poll = select.poll()
    poll.register(plain.fileno(), select.POLLOUT)
    if not poll.poll(None if timeout is None else min(timeout * 1000, POLL_MAX)):
        return TimeoutError()
    number = plain.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    return OSError(number, os.strerror(number)) if number else None


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
    if error.errno is not None and not isinstance(error, _socket.gaierror):
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
