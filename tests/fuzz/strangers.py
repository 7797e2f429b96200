"""Keys, hellos and proofs of the fuzzed handshakes: always the same, so that a sample means one thing."""

from __future__ import annotations

import hashlib

from rexec.auth import publickey
from rexec.auth.authorized import parse_authorized
from rexec.auth.blob import string
from rexec.auth.keys import ED25519, PublicKey
from rexec.auth.private import PrivateKey
from rexec.auth.transcript import NONCE, TLS_FINISHED
from rexec.protocol import frames as f

NOW = 1_900_000_000.0
NONCE_BYTES = bytes(range(32))
FINISHED = bytes(range(48))
SESSION = bytes(range(16))
HERE = "127.0.0.1:5512"
PEER = "127.0.0.1"


def made(word: str) -> PrivateKey:
    """Make the key of a word."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = hashlib.sha256(word.encode()).digest()
    point = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return PrivateKey(PublicKey(ED25519, string(ED25519.encode()) + string(point)), seed=seed)


HOST, OTHER_HOST = made("host"), made("other host")
ALICE, EXPIRED, AWAY, NOBODY = made("alice"), made("expired"), made("away"), made("nobody")
PEOPLE = (ALICE, EXPIRED, AWAY, NOBODY)
AUTHORIZED = parse_authorized(
    f'user="alice,deploy" {ALICE.public.line()}\n'
    f'user="alice",expiry-time="20200101Z" {EXPIRED.public.line()}\n'
    f'user="alice",from="192.0.2.0/24" {AWAY.public.line()}\n',
    "authorized_keys",
    "alice",
)


def proof(key: PrivateKey, hello: bytes, user: str, *, tls: bool) -> f.Proof:
    """Make the proof of an honest client that sent this hello."""
    body = publickey.prove(
        key.sign,
        key.public,
        kind=TLS_FINISHED if tls else NONCE,
        binding=FINISHED if tls else NONCE_BYTES,
        dialled="" if tls else HERE,
        spki_sha256=HOST.public.spki_sha256(),
        hello=hello,
        user=user,
    )
    return f.Proof(publickey.NAME, user, body)


def host_proof(server_hello: bytes, client_hello: bytes, nonce: bytes, user: str) -> bytes:
    """Make the proof of an honest host in the clear."""
    return publickey.prove_host(
        HOST.sign,
        HOST.public,
        nonce=nonce,
        dialled=HERE,
        server_hello=server_hello,
        client_hello=client_hello,
        user=user,
    )
