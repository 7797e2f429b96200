"""Public keys: OpenSSH's blobs and lines, the SubjectPublicKeyInfo of certificates, fingerprints.

A key has one spelling: whatever is read is read strictly, so that two keys are equal exactly when
their blobs are. No cryptography happens here.
"""

from __future__ import annotations

from _hashlib import openssl_sha256 as sha256  # what `hashlib` has, without all that it looks for

from rexec.auth import der
from rexec.auth.blob import (
    BlobReader,
    Malformed,
    Unsupported,
    decode_base64,
    encode_base64,
    mpint,
    string,
)
from rexec.auth.der import DerReader, spki_of
from rexec.limits import KEY_FILE_MAX, RSA_BITS_MAX, RSA_BITS_MIN, RSA_EXPONENT_BITS_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ALGORITHMS",
    "CURVES",
    "Malformed",
    "PublicKey",
    "Unsupported",
    "from_spki",
    "is_key_type",
    "parse_public_line",
    "spki_of",
]

ED25519 = "ssh-ed25519"
RSA = "ssh-rsa"
ED25519_SIZE = 32  # bytes of a public key and of a seed (RFC 8032)

# algorithm -> name of the curve in SSH (RFC 5656), bytes of a coordinate, hash (5656, 6.2.1), curve's OID
CURVES: dict[str, tuple[str, int, str, bytes]] = {
    "ecdsa-sha2-nistp256": ("nistp256", 32, "SHA256", bytes.fromhex("06082a8648ce3d030107")),
    "ecdsa-sha2-nistp384": ("nistp384", 48, "SHA384", bytes.fromhex("06052b81040022")),
    "ecdsa-sha2-nistp521": ("nistp521", 66, "SHA512", bytes.fromhex("06052b81040023")),
}
_OID_ED25519 = bytes.fromhex("06032b6570")
_OID_EC = bytes.fromhex("06072a8648ce3d0201")
_OID_RSA = bytes.fromhex("06092a864886f70d010101")
_NULL = b"\5\0"


class PublicKey:
    """A public key, equal to another one exactly when the blobs are; made by the functions below."""

    __slots__ = ("algorithm", "blob")

    def __init__(self, algorithm: str, blob: bytes) -> None:
        self.algorithm = algorithm
        self.blob = blob  # RFC 4253, 6.6

    @classmethod
    def from_blob(cls, blob: bytes) -> PublicKey:
        """Return the key that `blob` is, all of it. Raises `Malformed`, `Unsupported` for other kinds."""
        reader = BlobReader(blob)
        algorithm = reader.string().decode("ascii", "replace")
        check = ALGORITHMS.get(algorithm)
        if check is None:
            raise Unsupported(f"key type {algorithm} is not known")
        check(reader, algorithm)
        reader.finish()
        return cls(algorithm, blob)

    def fingerprint(self) -> str:
        """Return what `ssh-keygen -l` shows: SHA256 and the hash in base64 without padding."""
        return "SHA256:" + encode_base64(sha256(self.blob).digest()).rstrip("=")

    def line(self, comment: str = "") -> str:
        """Return the key as a line of a `.pub` file, without its end."""
        # A comment is anybody's text: one line stays one line, and steers no terminal.
        shown = "".join(char if char.isprintable() else "?" for char in comment).strip()
        return f"{self.algorithm} {encode_base64(self.blob)} {shown}".rstrip()

    def fields(self) -> BlobReader:
        """Return a reader behind the algorithm's name."""
        reader = BlobReader(self.blob)
        reader.string()
        return reader

    def bits(self) -> int:
        """Return the size that `ssh-keygen -l` shows."""
        if self.algorithm == RSA:
            return self.rsa_numbers()[1].bit_length()
        curve = CURVES.get(self.algorithm)
        return int(curve[0].removeprefix("nistp")) if curve else 8 * ED25519_SIZE

    def rsa_numbers(self) -> tuple[int, int]:
        """Return exponent and modulus of an RSA key."""
        reader = self.fields()
        return reader.mpint(), reader.mpint()

    def point(self) -> bytes:
        """Return the point of an elliptic key: 32 bytes for Ed25519, uncompressed for ECDSA."""
        reader = self.fields()
        if self.algorithm in CURVES:
            reader.string()
        return reader.string()

    def spki(self) -> bytes:
        """Return the SubjectPublicKeyInfo in DER (RFC 8410, 4; RFC 5480, 2; RFC 3279, 2.3.1)."""
        if self.algorithm == ED25519:
            return _spki(_OID_ED25519, self.point())
        if self.algorithm == RSA:
            exponent, modulus = self.rsa_numbers()
            numbers = der.element(der.SEQUENCE, der.integer(modulus) + der.integer(exponent))
            return _spki(_OID_RSA + _NULL, numbers)
        return _spki(_OID_EC + CURVES[self.algorithm][3], self.point())

    def spki_sha256(self) -> bytes:
        """Return the hash that a transcript names this key by."""
        return sha256(self.spki()).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.blob == other.blob

    def __hash__(self) -> int:
        return hash(self.blob)

    def __repr__(self) -> str:
        return f"PublicKey({self.algorithm} {self.fingerprint()})"


def _spki(algorithm: bytes, key: bytes) -> bytes:
    return der.element(der.SEQUENCE, der.element(der.SEQUENCE, algorithm) + der.bits(key))


def _check_ed25519(reader: BlobReader, algorithm: str) -> None:
    if len(reader.string()) != ED25519_SIZE:
        raise Malformed(f"an {algorithm} key has {ED25519_SIZE} bytes")


def _check_rsa(reader: BlobReader, algorithm: str) -> None:
    exponent, modulus = reader.mpint(), reader.mpint()
    size = modulus.bit_length()
    if not RSA_BITS_MIN <= size <= RSA_BITS_MAX:
        raise Unsupported(f"an {algorithm} key of {size} bits is not from {RSA_BITS_MIN} to {RSA_BITS_MAX}")
    if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > RSA_EXPONENT_BITS_MAX:
        raise Unsupported(f"the exponent of an {algorithm} key is even, 1 or too large")
    if modulus % 2 == 0:
        raise Malformed(f"the modulus of an {algorithm} key is even")


def _check_ecdsa(reader: BlobReader, algorithm: str) -> None:
    curve, size, _, _ = CURVES[algorithm]
    if reader.string() != curve.encode():
        raise Malformed(f"an {algorithm} key names another curve")
    point = reader.string()
    if len(point) != 1 + 2 * size or point[0] != 4:
        raise Malformed(f"the point of an {algorithm} key is not uncompressed")


ALGORITHMS: dict[str, Callable[[BlobReader, str], None]] = {
    ED25519: _check_ed25519,
    RSA: _check_rsa,
    **dict.fromkeys(CURVES, _check_ecdsa),
}


def is_key_type(word: str) -> bool:
    """Say whether a word names a kind of key of OpenSSH's, one of ours or not."""
    base = word.removesuffix("@openssh.com").removesuffix("-cert-v01")
    return base in ALGORITHMS or base in ("ssh-dss", "sk-ssh-ed25519", "sk-ecdsa-sha2-nistp256")


def parse_public_line(text: str) -> tuple[PublicKey, str]:
    """Return key and comment of a line such as `ssh-ed25519 AAAA... alice@laptop`. Raises `Malformed`."""
    line = text.strip()
    if "\n" in line or "\r" in line:
        raise Malformed("it is more than one line")
    words = line.split(None, 2)
    if len(words) < 2:
        raise Malformed("not a public key: a type and base64 are wanted")
    return parse_key_words(words[0], words[1]), words[2] if len(words) > 2 else ""


def parse_key_words(algorithm: str, encoded: str) -> PublicKey:
    """Return the key that a type and its base64 are. Raises `Malformed`."""
    if algorithm not in ALGORITHMS:
        raise Unsupported(f"key type {algorithm} is not known")
    if len(encoded) > KEY_FILE_MAX:
        raise Malformed("it is too long for a key")
    key = PublicKey.from_blob(decode_base64(encoded))
    if key.algorithm != algorithm:
        raise Malformed(f"it says {algorithm} and holds a key of type {key.algorithm}")
    return key


def from_spki(info: bytes) -> PublicKey:
    """Return the key of a SubjectPublicKeyInfo in DER. Raises `Malformed`."""
    outer = DerReader(info)
    parts = outer.enter(der.SEQUENCE)
    algorithm = parts.content(der.SEQUENCE)
    key = PublicKey.from_blob(_blob_of(algorithm, parts.octets()))
    if key.spki() != info:  # whatever else could differ: one key, one spelling
        raise Malformed("not a public key in DER")
    return key


def _blob_of(algorithm: bytes, key: bytes) -> bytes:
    """Return the SSH blob for the algorithm identifier and key bytes of a SubjectPublicKeyInfo."""
    if algorithm == _OID_ED25519:
        return string(ED25519.encode()) + string(key)
    if algorithm == _OID_RSA + _NULL:
        numbers = DerReader(key).enter(der.SEQUENCE)
        modulus, exponent = numbers.number(), numbers.number()
        return string(RSA.encode()) + mpint(exponent) + mpint(modulus)
    for name, (curve, _, _, oid) in CURVES.items():
        if algorithm == _OID_EC + oid:
            return string(name.encode()) + string(curve.encode()) + string(key)
    raise Unsupported("the key is neither Ed25519 nor ECDSA on a NIST curve nor RSA")
