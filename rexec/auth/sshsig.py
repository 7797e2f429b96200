"""OpenSSH's signatures of files and messages (its PROTOCOL.sshsig), in binary, without armour.

What is signed starts with `SSHSIG` and names a purpose, so that a signature made here can never be
an SSH login, nor one made for another purpose a proof to rexec; and agents that restrict their keys
know the form.
"""

from __future__ import annotations

import _hashlib

from rexec.auth.blob import BlobReader, Malformed, string, u32
from rexec.auth.keys import PublicKey
from rexec.auth.signature import BadSignature, check_signature

__all__ = ["NAMESPACE", "BadSignature", "signed_data", "verify", "wrap"]

NAMESPACE = "rexec-auth-v1"
HASH = "sha512"
_MAGIC = b"SSHSIG"
_VERSION = 1
_HASHES = ("sha512", "sha256")


def signed_data(namespace: str, message: bytes, hash_name: str = HASH) -> bytes:
    """Return the bytes that a key signs for `message`."""
    digest = _hashlib.new(hash_name, message).digest()
    reserved = string(b"")
    return _MAGIC + string(namespace.encode()) + reserved + string(hash_name.encode()) + string(digest)


def wrap(public: PublicKey, namespace: str, signature: bytes) -> bytes:
    """Return the blob that carries a signature blob over `signed_data` (with its default hash)."""
    body = (public.blob, namespace.encode(), b"", HASH.encode(), signature)
    return _MAGIC + u32(_VERSION) + b"".join(map(string, body))


def verify(blob: bytes, namespace: str, message: bytes) -> PublicKey:
    """Return the key whose signature of `message` this is. Raises `BadSignature` for anything else."""
    try:
        public, hash_name, signature = _parse(blob, namespace)
    except Malformed as error:
        raise BadSignature(str(error)) from None
    check_signature(public, signed_data(namespace, message, hash_name), signature)
    return public


def _parse(blob: bytes, namespace: str) -> tuple[PublicKey, str, bytes]:
    """Return key, hash and signature blob."""
    reader = BlobReader(blob)
    if reader.take(len(_MAGIC)) != _MAGIC or reader.u32() != _VERSION:
        raise Malformed("it is not a signature of this version")
    public = PublicKey.from_blob(reader.string())
    if reader.text() != namespace:
        raise Malformed("it was made for another purpose")
    if reader.string():
        raise Malformed("its reserved field is not empty")
    hash_name = reader.text()
    if hash_name not in _HASHES:
        raise Malformed("its hash is neither sha512 nor sha256")
    signature = reader.string()
    reader.finish()
    return public, hash_name, signature
