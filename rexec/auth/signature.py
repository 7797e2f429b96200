"""Signatures as SSH writes them: the name of the algorithm, then its bytes (RFC 4253, 6.6).

For RSA that is `rsa-sha2-512` (RFC 8332) and nothing else: never SHA-1.
"""

from __future__ import annotations

from rexec.auth.blob import BlobReader, Malformed, mpint, string
from rexec.auth.keys import CURVES, ED25519, RSA, PublicKey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

RSA_SIGNATURE = "rsa-sha2-512"
ED25519_SIGNATURE_SIZE = 64  # bytes (RFC 8032)


class BadSignature(Exception):
    """A signature that does not hold, or is not even one; `tried`: the work of a verification was done."""

    def __init__(self, message: str, *, tried: bool = False) -> None:
        super().__init__(message)
        self.tried = tried


def signature_name(public: PublicKey) -> str:
    """Return the name of the only algorithm by which a key of this kind signs."""
    return RSA_SIGNATURE if public.algorithm == RSA else public.algorithm


def signature_blob(public: PublicKey, raw: bytes) -> bytes:
    """Return the blob for the bytes of a signature."""
    return string(signature_name(public).encode()) + string(raw)


def ecdsa_raw(der_signature: bytes) -> bytes:
    """Return r and s as SSH writes them (RFC 5656, 3.1.2)."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(der_signature)
    return mpint(r) + mpint(s)


def ecdsa_hash(public: PublicKey) -> ECDSA:
    """Return ECDSA with the hash that belongs to the key's curve (RFC 5656, 6.2.1)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    return ECDSA(getattr(hashes, CURVES[public.algorithm][2])())


def check_signature(public: PublicKey, data: bytes, blob: bytes) -> None:
    """Return when `blob` is a signature of `data` by this key. Raises `BadSignature` for anything else."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        reader = BlobReader(blob)
        if reader.string() != signature_name(public).encode():
            raise BadSignature("another algorithm than the key's")
        raw = reader.string()
        reader.finish()
        _CHECKS.get(public.algorithm, _check_ecdsa)(public, data, raw)
    except InvalidSignature:
        raise BadSignature("it does not verify", tried=True) from None
    except (ValueError, UnsupportedAlgorithm) as error:  # malformed, or a point that is not on its curve
        raise BadSignature(str(error)) from None


def _check_ed25519(public: PublicKey, data: bytes, raw: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(raw) != ED25519_SIGNATURE_SIZE:
        raise Malformed("a signature of another size")
    Ed25519PublicKey.from_public_bytes(public.point()).verify(raw, data)


def _check_rsa(public: PublicKey, data: bytes, raw: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from cryptography.hazmat.primitives.hashes import SHA512

    exponent, modulus = public.rsa_numbers()
    if len(raw) != (modulus.bit_length() + 7) // 8:  # RFC 8017, 8.2.2
        raise Malformed("a signature of another size")
    RSAPublicNumbers(exponent, modulus).public_key().verify(raw, data, PKCS1v15(), SHA512())


def _check_ecdsa(public: PublicKey, data: bytes, raw: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    reader = BlobReader(raw)
    r, s = reader.mpint(), reader.mpint()
    reader.finish()
    curve: ec.EllipticCurve = getattr(ec, CURVES[public.algorithm][0].replace("nistp", "SECP") + "R1")()
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, public.point())
    key.verify(encode_dss_signature(r, s), data, ecdsa_hash(public))


_CHECKS = {ED25519: _check_ed25519, RSA: _check_rsa}
