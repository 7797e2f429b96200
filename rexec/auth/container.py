"""OpenSSH's file of a private key (its PROTOCOL.key): armour, container, and the section with the secret.

Read strictly, without a library: the one-shot client's usual key is an Ed25519 key without a
passphrase, and the loaders of a cryptography library would cost it more than all else at its start.
"""

from __future__ import annotations

from rexec.auth.blob import BlobReader, Malformed, decode_base64, encode_base64, string, u32
from rexec.auth.keys import CURVES, ED25519, ED25519_SIZE, RSA, PublicKey

LABEL = "OPENSSH PRIVATE KEY"
_MAGIC = b"openssh-key-v1\0"
_BLOCK = 8  # bytes that an unencrypted section is padded to
_LINE = 70  # characters of base64 in a line, as ssh-keygen writes them
_SECRET_STRINGS = {ED25519: 2, RSA: 6, **dict.fromkeys(CURVES, 3)}  # between type and comment


def first_line(label: str) -> str:
    """Return the line that opens a block of PEM."""
    return f"-----BEGIN {label}-----"


def _last_line(label: str) -> str:
    return f"-----END {label}-----"


def armour(label: str, data: bytes, width: int = _LINE) -> bytes:
    """Return one block of PEM (RFC 7468)."""
    encoded = encode_base64(data)
    lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
    return ("\n".join((first_line(label), *lines, _last_line(label))) + "\n").encode()


def unarmour(label: str, text: bytes) -> bytes:
    """Return what the one block of PEM in `text` holds. Raises `Malformed`."""
    lines = text.decode("ascii", "replace").strip().splitlines()
    if len(lines) < 3 or lines[0].strip() != first_line(label) or lines[-1].strip() != _last_line(label):
        raise Malformed("its first or last line is not that of a private key")
    return decode_base64("".join(line.strip() for line in lines[1:-1]))


class Container:
    """What a key file shows without its passphrase; `secret` is readable when not `encrypted`."""

    __slots__ = ("encrypted", "public", "secret")

    def __init__(self, public: PublicKey, secret: bytes, *, encrypted: bool) -> None:
        self.public = public
        self.secret = secret
        self.encrypted = encrypted

    @classmethod
    def decode(cls, data: bytes) -> Container:
        """Return the container that `data` is. Raises `Malformed`."""
        reader = BlobReader(data)
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise Malformed("it is not an OpenSSH private key")
        cipher, derivation = reader.string(), reader.string()
        reader.string()  # options of the derivation
        if reader.u32() != 1:
            raise Malformed("it does not hold exactly one key")
        public = PublicKey.from_blob(reader.string())
        secret = reader.string()
        tag = reader.rest()  # of an authenticated cipher
        encrypted = (cipher, derivation) != (b"none", b"none")
        if tag and not encrypted:
            raise Malformed("bytes are left over at its end")
        return cls(public, secret, encrypted=encrypted)

    def open(self) -> tuple[list[bytes], str]:
        """Return the strings of an unencrypted secret, and the comment. Raises `Malformed`."""
        if len(self.secret) % _BLOCK:
            raise Malformed("its secret is cut off")
        reader = BlobReader(self.secret)
        if reader.u32() != reader.u32():
            raise Malformed("its check numbers differ")
        if reader.string() != self.public.algorithm.encode():
            raise Malformed("its two halves are of different types")
        secrets = [reader.string() for _ in range(_SECRET_STRINGS[self.public.algorithm])]
        comment = reader.string().decode("utf-8", "replace")
        padding = reader.rest()
        # Up to a whole block: OpenSSH stops where the secret is aligned, the `cryptography` library adds one.
        if len(padding) > _BLOCK or padding != bytes(range(1, len(padding) + 1)):
            raise Malformed("its padding is wrong")
        return secrets, comment


def ed25519_seed(container: Container) -> tuple[bytes, str]:
    """Return seed and comment of an unencrypted Ed25519 key. Raises `Malformed`."""
    (point, secret), comment = container.open()
    seed, copy = secret[:ED25519_SIZE], secret[ED25519_SIZE:]
    if len(seed) != ED25519_SIZE or not container.public.point() == point == copy:
        raise Malformed("its two halves do not belong together")
    return seed, comment


def write_ed25519(public: PublicKey, seed: bytes, comment: str) -> bytes:
    """Return a container without a passphrase."""
    point = public.point()
    check = public.blob[-4:]  # any number written twice: it tells a wrong passphrase, and there is none
    fields = (ED25519.encode(), point, seed + point, comment.encode("utf-8", "replace"))
    secret = check + check + b"".join(map(string, fields))
    secret += bytes(range(1, -len(secret) % _BLOCK + 1))
    front = (b"none", b"none", b"")
    return _MAGIC + b"".join(map(string, front)) + u32(1) + string(public.blob) + string(secret)
