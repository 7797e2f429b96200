"""TLS 1.3 and nothing older, ALPN checked by hand, no tickets, no certificate authorities.

Trust is not decided here: a server is known by its public key, which the caller compares. `TlsLayer`
is TLS over memory, for an event loop: ciphertext in, plaintext out, and the other way round.
"""

from __future__ import annotations

import os
import ssl

from rexec.errors import ConfigError, RemoteProtocolError

ALPN = "rexec/1"


def client_context() -> ssl.SSLContext:
    """Return a context that takes any certificate: the caller compares its key before it says a word."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _common(context)


def server_context(certificate: bytes, key: bytes, name: str) -> ssl.SSLContext:
    """Return a context that serves a certificate; both in PEM, `name` for errors."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    # The ssl module loads keys from files alone; a memory file leaves none on the disk.
    descriptor = os.memfd_create("rexec-host-key", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(key.rstrip(b"\n") + b"\n" + certificate)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except ssl.SSLError as error:
        raise ConfigError(f"{name}: not a certificate and its key: {error.reason or error}") from None
    finally:
        os.close(descriptor)
    return _common(context)


def _common(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([ALPN])
    return context


def check_alpn(tls: ssl.SSLObject) -> None:
    """Refuse a peer that did not agree on `rexec/1`: the handshake itself does not mind."""
    if tls.selected_alpn_protocol() != ALPN:
        raise RemoteProtocolError(f"peer does not speak {ALPN}")


class TlsLayer:
    """One TLS connection over memory."""

    __slots__ = ("_broken", "_incoming", "_object", "_outgoing", "is_cut", "ready")

    def __init__(self, context: ssl.SSLContext, *, server_side: bool) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self.ready = False
        self.is_cut = False  # the handshake broke off, and nobody said why
        self._broken: ssl.SSLError | None = None  # what ended it, while bytes before it were handed over

    def feed(self, data: bytes | memoryview) -> None:
        """Take ciphertext from the wire."""
        self._incoming.write(data)

    def handshake(self) -> bool:
        """Go on with the handshake; True once it is done. Raises `RemoteProtocolError`."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            self.is_cut = isinstance(error, ssl.SSLEOFError)
            raise RemoteProtocolError(f"tls: {reason(error)}") from None
        check_alpn(self._object)
        self.ready = True
        return True

    def read(self, buffer: memoryview) -> int | None:
        """Decrypt into `buffer`; return how many bytes, 0 for none now, None at the end."""
        total = 0
        while total < len(buffer):
            if self._broken is not None:
                _check_end(self._broken)
                return None
            if total and not self.has_more:
                return total
            try:
                size = self._object.read(len(buffer) - total, buffer[total:])
            except ssl.SSLWantReadError:
                return total
            except ssl.SSLError as error:
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
        waits = self._incoming.pending or self._incoming.eof or self._object.pending()
        return bool(waits) or self._broken is not None

    def write(self, data: bytes | memoryview) -> bytes:
        """Encrypt, and return what is to go to the wire."""
        if data:
            try:
                self._object.write(data)
            except ssl.SSLEOFError:
                pass  # the peer is gone, as who reads hears
        return self._outgoing.read()

    def close(self) -> bytes:
        """Return the close_notify."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            pass
        return self._outgoing.read()

    def eof(self) -> None:
        """Note that no more ciphertext comes."""
        self._incoming.write_eof()

    @property
    def binding(self) -> bytes | None:
        """The client's Finished of this handshake: fresh, and the same at both ends."""
        return self._object.get_channel_binding("tls-unique")

    def certificate(self) -> bytes | None:
        """Return the peer's certificate in DER."""
        return self._object.getpeercert(binary_form=True)

    @property
    def version(self) -> str | None:
        return self._object.version()


def _check_end(error: ssl.SSLError) -> None:
    """Return if this is how a connection may end."""
    if not isinstance(error, ssl.SSLZeroReturnError | ssl.SSLEOFError):
        raise RemoteProtocolError(f"tls: {reason(error)}")


def reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason in words."""
    words = error.reason or str(error).removeprefix("[SSL] ").partition(" (_ssl.c")[0]
    return words.lower().replace("_", " ")
