"""TLS 1.3 and nothing older, over memory: ciphertext in, plaintext out, and the other way round.

Made of `_ssl` and not of `ssl`: what that adds, such as `re` and `enum`, costs the one-shot client 14 ms, and
is more than its handshake (docs/decisions/0012). Trust is not decided here: a server is known by its public
key, which the caller compares.
"""

from __future__ import annotations

import _ssl

from rexec.errors import RemoteProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALPN = "rexec/1"


def client_context() -> Any:
    """Return a context that takes any certificate: the caller compares its key before it says a word."""
    context: Any = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = _ssl.CERT_NONE
    return restricted(context)


def restricted(context: Any) -> Any:
    """Return a context, of `_ssl` or of `ssl`, that speaks TLS 1.3 and offers `rexec/1`."""
    context.minimum_version = _ssl.PROTO_TLSv1_3
    context._set_alpn_protocols(bytes((len(ALPN),)) + ALPN.encode())
    return context


class TlsLayer:
    """One TLS connection over memory."""

    __slots__ = ("_broken", "_incoming", "_object", "_outgoing", "is_cut", "ready")

    def __init__(self, context: Any, *, server_side: bool) -> None:
        self._incoming: Any = _ssl.MemoryBIO()
        self._outgoing: Any = _ssl.MemoryBIO()
        self._object: Any = context._wrap_bio(self._incoming, self._outgoing, server_side)
        self.ready = False
        self.is_cut = False  # the handshake broke off, and nobody said why
        self._broken: _ssl.SSLError | None = None  # what ended it, while bytes before it were handed over

    def feed(self, data: bytes | memoryview) -> None:
        """Take ciphertext from the wire."""
        self._incoming.write(data)

    def handshake(self) -> bool:
        """Go on with the handshake; True once it is done. Raises `RemoteProtocolError`."""
        try:
            self._object.do_handshake()
        except _ssl.SSLWantReadError:
            return False
        except _ssl.SSLError as error:
            self.is_cut = isinstance(error, _ssl.SSLEOFError)
            raise RemoteProtocolError(f"tls: {reason(error)}") from None
        if self._object.selected_alpn_protocol() != ALPN:  # the handshake itself does not mind
            raise RemoteProtocolError(f"peer does not speak {ALPN}")
        self.ready = True
        return True

    def read(self, buffer: memoryview) -> int | None:
        """Decrypt into `buffer`; return how many bytes, 0 for none now, None at the end."""
        total = 0
        while total < len(buffer) and (self.has_more or not total):
            if self._broken is not None:
                _check_end(self._broken)
                return None
            try:
                size = self._object.read(len(buffer) - total, buffer[total:] if total else buffer)
            except _ssl.SSLWantReadError:
                return total
            except _ssl.SSLError as error:
                self._broken = error  # OpenSSL itself says it only once
                if total:  # what came before the end is handed over first
                    return total
                continue
            if not size:
                return total or None
            total += int(size)
        return total

    @property
    def has_more(self) -> bool:
        """Whether another read could bring something."""
        came = self._incoming
        return bool(came.pending or self._object.pending() or came.eof or self._broken is not None)

    @property
    def has_answer(self) -> bool:
        """Whether TLS has something to send that nobody wrote."""
        return bool(self._outgoing.pending)

    def write(self, data: bytes | memoryview) -> bytes:
        """Encrypt, and return what is to go to the wire."""
        if data:
            try:
                self._object.write(data)
            except _ssl.SSLError:
                pass  # the peer is gone, or what it sent was broken, as who reads hears
        found: bytes = self._outgoing.read()
        return found

    def close(self) -> bytes:
        """Return the close_notify."""
        try:
            self._object.shutdown()
        except _ssl.SSLError:
            pass
        return self.write(b"")

    def eof(self) -> None:
        """Note that no more ciphertext comes."""
        self._incoming.write_eof()

    @property
    def binding(self) -> bytes | None:
        """The client's Finished of this handshake: fresh, and the same at both ends."""
        found: bytes | None = self._object.get_channel_binding("tls-unique")
        return found

    def certificate(self) -> bytes | None:
        """Return the peer's certificate in DER."""
        found: bytes | None = self._object.getpeercert(True)
        return found

    @property
    def version(self) -> str | None:
        found: str | None = self._object.version()
        return found


def _check_end(error: _ssl.SSLError) -> None:
    """Return if this is how a connection may end."""
    if not isinstance(error, _ssl.SSLZeroReturnError | _ssl.SSLEOFError):
        raise RemoteProtocolError(f"tls: {reason(error)}")


def reason(error: _ssl.SSLError) -> str:
    """Return OpenSSL's reason in words."""
    words: str = error.reason or str(error).removeprefix("[SSL] ").partition(" (_ssl.c")[0]
    return words.lower().replace("_", " ")
