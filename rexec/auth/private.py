"""Private keys: read from the files of OpenSSH and from PEM, made, written, and used to sign.

An Ed25519 key without a passphrase is read by `container`, all others by the loaders of the
`cryptography` library, which is imported where it is needed and not before.
"""

from __future__ import annotations

from rexec.auth.blob import Malformed
from rexec.auth.container import (
    LABEL,
    Container,
    armour,
    ed25519_seed,
    first_line,
    unarmour,
    write_ed25519,
)
from rexec.auth.keys import ED25519, RSA, PublicKey, from_spki
from rexec.auth.signature import ecdsa_hash, ecdsa_raw, signature_blob
from rexec.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    Loaded = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey

# RFC 8410, 7: version, algorithm and the two headers of a PKCS #8 key; the seed follows.
_PKCS8_ED25519 = bytes.fromhex("302e020100300506032b657004220420")
_PEM_WIDTH = 64  # characters in a line (RFC 7468, 2)
_ENCRYPTED = (b"-----BEGIN ENCRYPTED ", b"Proc-Type: 4,ENCRYPTED")  # PKCS #8, and OpenSSL's own form
_NOT_A_KEY = "not a private key that rexec can read"


class PassphraseNeeded(ConfigError):
    """The key is encrypted and no passphrase was given."""


class PrivateKey:
    """A private key; `seed` is there for Ed25519, `loaded` for all others."""

    __slots__ = ("_loaded", "_seed", "comment", "public")

    def __init__(
        self,
        public: PublicKey,
        comment: str = "",
        *,
        seed: bytes | None = None,
        loaded: Loaded | None = None,
    ) -> None:
        self.public = public
        self.comment = comment
        self._seed = seed
        self._loaded = loaded

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.fingerprint()})"  # and nothing that is secret

    def sign(self, data: bytes) -> bytes:
        """Return a signature of `data` as an SSH blob: algorithm, then its bytes."""
        return signature_blob(self.public, self._sign(data))

    def _sign(self, data: bytes) -> bytes:
        key: Any = self.library_key()  # each kind signs with other arguments
        if self.public.algorithm == ED25519:
            raw: bytes = key.sign(data)
        elif self.public.algorithm == RSA:
            from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
            from cryptography.hazmat.primitives.hashes import SHA512

            raw = key.sign(data, PKCS1v15(), SHA512())
        else:
            raw = ecdsa_raw(key.sign(data, ecdsa_hash(self.public)))
        return raw

    def library_key(self) -> Loaded:
        """Return the key as the `cryptography` library knows it."""
        if self._loaded is None:
            assert self._seed is not None
            self._loaded = _ed25519(self._seed)
            if self._loaded.public_key().public_bytes_raw() != self.public.point():
                raise ConfigError("the private key does not belong to the public key in its file")
        return self._loaded

    def pkcs8_pem(self) -> bytes:
        """Return the key without a passphrase in PEM, as `ssl` takes it."""
        if self._seed is not None:
            return armour("PRIVATE KEY", _PKCS8_ED25519 + self._seed, _PEM_WIDTH)
        from cryptography.hazmat.primitives import serialization as s

        return self.library_key().private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())

    def openssh_pem(self, passphrase: bytes | None) -> bytes:
        """Return the key as OpenSSH's file of it."""
        if self._seed is not None and not passphrase:
            return armour(LABEL, write_ed25519(self.public, self._seed, self.comment))
        from cryptography.hazmat.primitives import serialization as s

        how = s.BestAvailableEncryption(passphrase) if passphrase else s.NoEncryption()
        return self.library_key().private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, how)


def load_library() -> None:
    """Import what signs with an Ed25519 key, while there is nothing else to do."""
    try:
        import cryptography.hazmat.bindings._rust  # noqa: F401
    except ImportError:
        pass  # who signs will say so


def _ed25519(seed: bytes) -> Ed25519PrivateKey:
    """Return the library's key for a seed, past its classes, which cost a client 8 ms and do no more."""
    try:
        from cryptography.hazmat.bindings._rust import openssl

        return openssl.ed25519.from_private_bytes(seed)
    except (ImportError, AttributeError):  # it is not where versions 42 to 50 have it
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(seed)


def generate(comment: str = "") -> PrivateKey:
    """Return a new Ed25519 key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return _from_library(Ed25519PrivateKey.generate(), comment)


def serialize_private(key: PrivateKey, passphrase: bytes | None) -> bytes:
    """Return OpenSSH's file of a key; an encrypted one carries no comment.

    Raises `ConfigError` for a passphrase that the format does not take.
    """
    try:
        return key.openssh_pem(passphrase)
    except ValueError as error:
        raise ConfigError(f"this passphrase cannot be used: {error}") from None


def peek_public(data: bytes, name: str) -> PublicKey | None:
    """Return the public half of a key file as far as it stands there in the clear, else None.

    No passphrase is needed. Raises `ConfigError` for what is not a private key.
    """
    if _is_openssh(data):
        return _container(data, name).public
    _check_pem(data, name)
    return None


def parse_private(data: bytes, passphrase: bytes | None, name: str) -> PrivateKey:
    """Return the key that a file holds; `name` is the file's, for errors.

    Raises `PassphraseNeeded`, or `ConfigError` for a wrong passphrase or anything that is no key.
    """
    if not _is_openssh(data):
        _check_pem(data, name)
        return _load(data, passphrase, name, encrypted=any(mark in data for mark in _ENCRYPTED))
    container = _container(data, name)
    if container.encrypted:
        return _load(data, passphrase, name, encrypted=True, expected=container.public)
    try:
        if container.public.algorithm == ED25519:
            seed, comment = ed25519_seed(container)
            return PrivateKey(container.public, comment, seed=seed)
        _, comment = container.open()
    except Malformed as error:
        raise ConfigError(f"{name}: {_NOT_A_KEY}: {error}") from None
    return _load(data, None, name, encrypted=False, comment=comment, expected=container.public)


def _is_openssh(data: bytes) -> bool:
    return data.lstrip().startswith(first_line(LABEL).encode())


def _container(data: bytes, name: str) -> Container:
    try:
        return Container.decode(unarmour(LABEL, data))
    except Malformed as error:
        raise ConfigError(f"{name}: {_NOT_A_KEY}: {error}") from None


def _check_pem(data: bytes, name: str) -> None:
    if b"-----BEGIN " not in data or b"PRIVATE KEY-----" not in data:
        raise ConfigError(f"{name}: {_NOT_A_KEY}")


def _load(
    data: bytes,
    passphrase: bytes | None,
    name: str,
    *,
    encrypted: bool,
    comment: str = "",
    expected: PublicKey | None = None,
) -> PrivateKey:
    """Read a key with the library's loaders."""
    if encrypted and passphrase is None:
        raise PassphraseNeeded(
            f"{name}: the key has a passphrase", hint="give it on a terminal, or use an agent"
        )
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as s

    load = s.load_ssh_private_key if _is_openssh(data) else s.load_pem_private_key
    try:
        key = _from_library(load(data, passphrase if encrypted else None), comment)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = "wrong passphrase, or a damaged key" if encrypted else f"{_NOT_A_KEY}: {error}"
        raise ConfigError(f"{name}: {why}") from None
    except Exception:  # `InternalError`, `NotImplementedError`: what else its loaders say of a damaged key
        raise ConfigError(f"{name}: {_NOT_A_KEY}") from None
    if expected is not None and key.public != expected:
        raise ConfigError(f"{name}: {_NOT_A_KEY}: its two halves do not belong together")
    return key


def _from_library(key: object, comment: str) -> PrivateKey:
    """Return a key of the library's as ours. Raises `Malformed` for kinds that rexec does not take."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey):
        raise Malformed("it is neither Ed25519 nor ECDSA nor RSA")
    info = key.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    seed = key.private_bytes_raw() if isinstance(key, Ed25519PrivateKey) else None
    return PrivateKey(from_spki(info), comment, seed=seed, loaded=key)
