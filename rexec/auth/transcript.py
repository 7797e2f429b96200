"""What is signed: one unambiguous string of bytes for all that a proof depends on.

A transcript is these fields one after another. `string` is a length in four bytes, big-endian, and
then so many bytes (RFC 4251, 5), so that no two different sets of fields give the same bytes::

    string  context      "rexec-transcript-v1"
    string  role         "client" or "server": who signs, so that a proof cannot be reflected
    byte    kind         1 tls-finished, 2 nonce
    string  binding      what is fresh and belongs to this connection alone, see below
    string  spki         SHA-256 (32 bytes) of the server's SubjectPublicKeyInfo in DER, as the signer
                         saw it: a relay with a certificate of its own cannot pass the proof on
    string  hello        client: the payload of its own hello; server: see below
    string  user         UTF-8; empty when the key decides
    string  key          the signer's public key (RFC 4253, 6.6)

The payload of a hello is what stands behind the header of its frame, byte for byte as it was sent.

Binding of kind 1: the client's Finished of the TLS handshake (`tls-unique`).

Binding of kind 2, for connections in the clear and for those without access to the Finished::

    byte[32]  nonce      of the server's hello
    string    dialled    the address that the client dialled, as text, such as 127.0.0.1:5512

The server's hello field names both hellos, its own and the client's. Its own alone would not be
enough: a proof that the server once made for somebody else could then be played again to this client
by whoever took the server's port; the session id in the client's hello is what is fresh to a client::

    string    server     the payload of the server's hello
    string    client     the payload of the client's hello
"""

from __future__ import annotations

from rexec.auth.blob import string
from rexec.limits import NONCE as NONCE_SIZE

CONTEXT = b"rexec-transcript-v1"
CLIENT = "client"
SERVER = "server"
TLS_FINISHED = 1
NONCE = 2
SPKI_SHA256_SIZE = 32  # bytes


def transcript(
    role: str,
    binding_kind: int,
    binding: bytes,
    spki_sha256: bytes,
    hello: bytes,
    user: str,
    public_blob: bytes,
) -> bytes:
    """Return the bytes described above. Raises `ValueError` for a field that could not be meant."""
    if role not in (CLIENT, SERVER) or binding_kind not in (TLS_FINISHED, NONCE):
        raise ValueError("no such role or kind of binding")
    if not binding or len(spki_sha256) != SPKI_SHA256_SIZE:
        raise ValueError("a binding and a SHA-256 are wanted")  # an empty binding would bind nothing
    front = string(CONTEXT) + string(role.encode()) + bytes((binding_kind,))
    fields = (binding, spki_sha256, hello, user.encode(), public_blob)
    return front + b"".join(map(string, fields))


def nonce_binding(nonce: bytes, dialled: str) -> bytes:
    """Return the binding of kind 2. Raises `ValueError` for a nonce of another size."""
    if len(nonce) != NONCE_SIZE:
        raise ValueError(f"a nonce has {NONCE_SIZE} bytes")
    return nonce + string(dialled.encode())


def both_hellos(server_hello: bytes, client_hello: bytes) -> bytes:
    """Return the hello field of a server's transcript."""
    return string(server_hello) + string(client_hello)
