"""Both ends of a TLS connection in memory, with a certificate made for the test."""

from __future__ import annotations

from rexec.auth.private import PrivateKey, generate
from rexec.server.certificate import self_signed
from rexec.transport.secure import TlsLayer, client_context
from rexec.transport.tls import server_context


def server_layer(key: PrivateKey | None = None) -> TlsLayer:
    key = key or generate()
    return TlsLayer(server_context(self_signed(key), key.pkcs8_pem(), "test"), server_side=True)


def client_layer() -> TlsLayer:
    return TlsLayer(client_context(), server_side=False)


def shake(client: TlsLayer, server: TlsLayer) -> None:
    """Carry bytes to and fro until both ends are ready."""
    while not (client.ready and server.ready):
        for one, other in ((client, server), (server, client)):
            if not one.ready:
                one.handshake()
            other.feed(memoryview(one.write(b"")))


def pair(key: PrivateKey | None = None) -> tuple[TlsLayer, TlsLayer]:
    """Return a client and a server that shook hands."""
    client, server = client_layer(), server_layer(key)
    shake(client, server)
    return client, server


def drain(layer: TlsLayer, size: int = 65_536) -> bytes | None:
    """Read what can be read now; None at the end."""
    buffer = memoryview(bytearray(size))
    count = layer.read(buffer)
    return None if count is None else bytes(buffer[:count])
