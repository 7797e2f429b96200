"""The self-signed certificate around a host key: TLS wants one, clients look only at its key."""

from __future__ import annotations

import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rexec.auth.blob import Malformed
from rexec.auth.der import spki_of
from rexec.auth.keys import ED25519, from_spki
from rexec.errors import ConfigError

if TYPE_CHECKING:
    from rexec.auth.keys import PublicKey
    from rexec.auth.private import PrivateKey

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


def self_signed(key: PrivateKey) -> bytes:
    """Return a certificate in PEM that never expires and names nobody: the key alone is what counts."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    private = load_pem_private_key(key.pkcs8_pem(), None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rexec")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))  # RFC 5280, 4.1.2.5: no expiry
    )
    digest = None if key.public.algorithm == ED25519 else SHA256()
    return builder.sign(private, digest).public_bytes(Encoding.PEM)  # type: ignore[arg-type]


def certified_key(pem: bytes, name: str) -> PublicKey:
    """Return the key of the first certificate of a PEM file. Raises `ConfigError`."""
    spki = certified_spki(pem, name)
    try:
        return from_spki(spki)
    except Malformed as error:
        raise ConfigError(f"{name}: {error}") from None


def certified_spki(pem: bytes, name: str) -> bytes:
    """Return the same key as it stands there (RFC 5280, 4.1). Raises `ConfigError`."""
    try:
        return spki_of(pem_to_der(pem, name))
    except Malformed as error:
        raise ConfigError(f"{name}: not a certificate: {error}") from None


def pem_to_der(pem: bytes, name: str) -> bytes:
    """Return the first certificate of a PEM file in DER."""
    start = pem.find(_BEGIN)
    end = pem.find(_END, start)
    if start < 0 or end < 0:
        raise ConfigError(f"{name}: no certificate in PEM")
    try:
        return binascii.a2b_base64(pem[start + len(_BEGIN) : end])
    except binascii.Error:
        raise ConfigError(f"{name}: no certificate in PEM") from None
