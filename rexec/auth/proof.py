"""The body of a proof, and what the side that judges it knows of the connection.

The body of method `publickey`, in the client's `Proof` and in the server's `Welcome`::

    byte    kind         of the binding: 1 tls-finished, 2 nonce
    string  dialled      the address the client dialled, as text; empty for kind 1
    string  key          public key (RFC 4253, 6.6)
    string  signature    SSHSIG blob over the transcript, namespace rexec-auth-v1
"""

from __future__ import annotations

from rexec.auth.blob import BlobReader, Malformed, string
from rexec.auth.transcript import NONCE, TLS_FINISHED, nonce_binding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class BadProof(Exception):
    """A proof that proves nothing; the reason is for the log, never for the peer."""


class Context:
    """What the server knows of a connection on which a proof arrived.

    `bindings` holds, for each kind that this transport takes, its secret or nonce: the TLS client
    Finished for kind 1, the nonce of the server's hello for kind 2. `dialled` is the server's own
    address of this connection where the client must have dialled exactly that (in the clear), None
    where an address means nothing (behind TLS, whose key the transcript names). `hello` is the payload
    of the client's hello, as received.
    """

    __slots__ = ("bindings", "dialled", "hello", "spki_sha256", "user")

    def __init__(
        self,
        *,
        bindings: Mapping[int, bytes],
        dialled: str | None,
        spki_sha256: bytes,
        hello: bytes,
        user: str,
    ) -> None:
        self.bindings = bindings
        self.dialled = dialled
        self.spki_sha256 = spki_sha256
        self.hello = hello
        self.user = user

    def binding(self, kind: int, dialled: str) -> bytes:
        """Return the binding field for what a proof says of itself. Raises `Malformed`."""
        fresh = self.bindings.get(kind)
        if fresh is None:
            raise Malformed("this kind of binding does not belong to this connection")
        if kind == TLS_FINISHED:
            return fresh
        if self.dialled is not None and dialled != self.dialled:
            raise Malformed("the client dialled another address")
        return nonce_binding(fresh, dialled)


class Body:
    """The fields of a body, not yet believed."""

    __slots__ = ("dialled", "key", "kind", "signature")

    def __init__(self, kind: int, dialled: str, key: bytes, signature: bytes) -> None:
        self.kind = kind
        self.dialled = dialled
        self.key = key
        self.signature = signature

    def encode(self) -> bytes:
        """Return the bytes of the body."""
        fields = (self.dialled.encode(), self.key, self.signature)
        return bytes((self.kind,)) + b"".join(map(string, fields))

    @classmethod
    def decode(cls, data: bytes) -> Body:
        """Return the body that `data` is, all of it. Raises `Malformed`."""
        reader = BlobReader(data)
        body = cls(reader.take(1)[0], reader.text(), reader.string(), reader.string())
        reader.finish()
        if body.kind not in (TLS_FINISHED, NONCE) or (body.kind == TLS_FINISHED and body.dialled):
            raise Malformed("no such kind of binding, or one with an address it does not have")
        return body


def binding_field(kind: int, binding: bytes, dialled: str) -> bytes:
    """Return the binding field of the signer's transcript."""
    return binding if kind == TLS_FINISHED else nonce_binding(binding, dialled)
