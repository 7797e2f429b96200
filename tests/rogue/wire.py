"""The bytes of the protocol, written a second time: nothing here is taken from rexec.

Headers, frames, transcripts and signatures are packed by hand with `struct`, so that a mistake that
both ends of rexec share would show, and so that anything at all can be sent.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CLIENT_HELLO, SERVER_HELLO, PROOF, WELCOME, REFUSED, ACK, PING, PONG, GOODBYE = range(1, 10)
EXEC, QUERY, STARTED, DENIED, FAILED, EXIT = range(16, 22)
RECEIPT = 23
STDIN, STDOUT, STDERR, EOF, STOP, CREDIT, SIGNAL, RESIZE = range(24, 32)
OF_THE_CONNECTION = range(CLIENT_HELLO, GOODBYE + 1)
OF_A_CHANNEL = (*range(EXEC, EXIT + 1), *range(STDIN, RESIZE + 1))
HEADER = struct.Struct("!BBHI")
TLS_FINISHED, NONCE = 1, 2


def string(data: bytes) -> bytes:
    """Write a length of four bytes and so many bytes: both the frames and SSH have it so."""
    return struct.pack("!I", len(data)) + data


def strings(items: Sequence[bytes]) -> bytes:
    return struct.pack("!I", len(items)) + b"".join(map(string, items))


def optional(data: bytes | None) -> bytes:
    return b"\0" if data is None else b"\1" + data


def frame(
    kind: int, body: bytes = b"", *, channel: int = 0, flags: int = 0, length: int | None = None
) -> bytes:
    """Make one frame; `length` is what the header says of it, the truth unless told otherwise."""
    return HEADER.pack(kind, flags, channel, len(body) if length is None else length) + body


def client_hello(session: bytes | None = None, *, features: Sequence[bytes] = (), received: int = 0) -> bytes:
    """Make the payload of a client's hello."""
    session = os.urandom(16) if session is None else session
    return string(session) + struct.pack("!Q", received) + string(b"rogue") + strings(features)


def server_hello(nonce: bytes, host_key: bytes = b"", features: Sequence[bytes] = ()) -> bytes:
    return string(nonce) + string(host_key) + string(b"rogue") + strings(features)


def proof(method: bytes, user: bytes, body: bytes) -> bytes:
    return string(method) + string(user) + string(body)


def welcome(user: bytes, host_proof: bytes = b"", *, resumed: int = 0, received: int = 0) -> bytes:
    return string(user) + struct.pack("!BQ", resumed, received) + string(host_proof)


def variables(named: Iterable[tuple[bytes, bytes]]) -> bytes:
    pairs = tuple(named)
    return struct.pack("!I", len(pairs)) + b"".join(string(a) + string(b) for a, b in pairs)


def exec_(
    number: int,
    *words: bytes,
    form: int = 0,
    env: Iterable[tuple[bytes, bytes]] = (),
    cwd: bytes | None = None,
    timeout_ms: int | None = None,
    stdin: int = 1,
    pty: bytes | None = None,
    stdout_from: int = 0,
    receipt: int = 0,
    confirm: bytes | None = None,
    offered: Iterable[tuple[bytes, bytes]] = (),
    detach: int = 0,
) -> bytes:
    """Make the payload of an Exec."""
    return b"".join(
        [
            struct.pack("!QB", number, form),
            strings(words),
            variables(env),
            optional(None if cwd is None else string(cwd)),
            optional(None if timeout_ms is None else struct.pack("!Q", timeout_ms)),
            struct.pack("!B", stdin),
            optional(pty),
            optional(None if confirm is None else string(confirm)),
            struct.pack("!BQQB", detach, stdout_from, 0, receipt),
            variables(offered),
        ]
    )


def query(subject: bytes, *words: bytes) -> bytes:
    return string(subject) + strings(words) + b"\0\0" + strings(())  # no terminal, directory, variables


def started(rule: bytes = b"cmds.txt:1") -> bytes:
    return string(rule) + b"\0"


def denied(message: bytes) -> bytes:
    return string(message) + b"\0\0"


def failed(code: int, message: bytes) -> bytes:
    return struct.pack("!B", code) + string(message) + string(b"cmds.txt:1")


def exit_(
    cause: int = 0,
    status: int = 0,
    *,
    signal: bytes = b"",
    message: bytes = b"",
    stdout: int = 0,
    stderr: int = 0,
) -> bytes:
    """Make the payload of an Exit."""
    front = struct.pack("!BB", cause, status) + string(signal) + string(message)
    return front + struct.pack("!QQBBBQQQQ", stdout, stderr, 0, 0, 1, 0, 0, 0, 0)


def credit(stream: int, offset: int) -> bytes:
    return struct.pack("!BQ", stream, offset)


def goodbye(reason: int = 0, message: bytes = b"") -> bytes:
    return struct.pack("!B", reason) + string(message)


def first_string(body: bytes) -> bytes:
    """Read the string that a body begins with."""
    (length,) = struct.unpack_from("!I", body)
    return body[4 : 4 + length]


class Exit:
    """What an Exit says, so far as the tests want to know."""

    def __init__(self, body: bytes) -> None:
        self.cause, self.status = struct.unpack_from("!BB", body)
        self.signal = first_string(body[2:])
        self.message = first_string(body[6 + len(self.signal) :])
        rest = body[10 + len(self.signal) + len(self.message) :]
        self.stdout, self.stderr, self.truncated, self.lingered = struct.unpack_from("!QQBB", rest)


class Key:
    """An Ed25519 key that signs by hand."""

    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.generate()
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.blob = string(b"ssh-ed25519") + string(raw)

    @property
    def spki_sha256(self) -> bytes:
        der = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).digest()

    def sign(
        self, message: bytes, *, namespace: bytes = b"rexec-auth-v1", named: bytes | None = None
    ) -> bytes:
        """Return an SSHSIG blob (OpenSSH, PROTOCOL.sshsig); `named` is the key that it names."""
        head = b"SSHSIG"
        tail = string(namespace) + string(b"") + string(b"sha512")
        digest = hashlib.sha512(message).digest()
        raw = self.private.sign(head + tail + string(digest))
        signature = string(string(b"ssh-ed25519") + string(raw))
        return head + struct.pack("!I", 1) + string(named or self.blob) + tail + signature


def transcript(
    key: bytes,
    *,
    kind: int,
    binding: bytes,
    spki_sha256: bytes,
    hello: bytes,
    user: bytes,
    role: bytes = b"client",
) -> bytes:
    """Return what is signed."""
    front = string(b"rexec-transcript-v1") + string(role) + bytes([kind])
    return front + b"".join(map(string, (binding, spki_sha256, hello, user, key)))


def proof_body(kind: int, dialled: bytes, key: bytes, signature: bytes) -> bytes:
    return bytes([kind]) + string(dialled) + string(key) + string(signature)
