"""Any bytes as a private key, a line of a public one, a key of SSH, a certificate: a key, or a reason."""

from __future__ import annotations

from collections.abc import Callable

from rexec.auth.blob import Malformed
from rexec.auth.container import LABEL, armour, unarmour
from rexec.auth.keys import ED25519, PublicKey, from_spki, parse_public_line, spki_of
from rexec.auth.private import PassphraseNeeded, PrivateKey, parse_private, peek_public, serialize_private
from rexec.auth.signature import BadSignature, check_signature
from rexec.errors import ConfigError
from rexec.server.certificate import certified_key
from tests.auth.samples import KINDS, VALUES, pem, raw
from tests.fuzz.strangers import ALICE

_PKCS8 = ALICE.pkcs8_pem()
_X448 = bytes.fromhex("302e020100300506032b656f042204 20") + bytes(32)  # in 32 bytes, which it has not
_CURVED = unarmour(LABEL, pem("ec256"))  # with a point, in its second half, that is not uncompressed
_CURVED = b"\x41\x24".join(_CURVED.rsplit(b"\x41\x04", 1))
SEEDS = (
    b"\5" + _CURVED,
    b"\0" + armour("PRIVATE KEY", _X448),
    *(b"\0" + pem(name) for name in ("ed", "ec256", "edenc")),
    b"\0" + _PKCS8,
    *(b"\1" + VALUES[f"{name}.pub"].encode() for name in KINDS),
    *(b"\2" + PublicKey.from_blob(parse_public_line(VALUES[f"{name}.pub"])[0].blob).blob for name in KINDS),
    b"\3" + raw("ed.cert"),
    b"\4" + raw("ed.spki"),
    *(b"\4" + parse_public_line(VALUES[f"{name}.pub"])[0].spki() for name in KINDS),
    b"\5" + unarmour(LABEL, pem("ed")),
    b"\6" + raw("ed.sig"),
)
WORDS = (
    b"ssh-ed25519",
    b"openssh-key-v1\0",
    b"none",
    b"\0\0\0\0\x04none",
    b"\x30\x2a",
    b"\x06\x03\x2b\x65\x70",
    b"\x03\x21\0",
)


def try_it(data: bytes) -> None:
    """Read the bytes as what the first of them says."""
    readers: tuple[Callable[[bytes], None], ...] = (
        _private, _line, _blob, _certificate, _info, _armoured, _signature,
    )  # fmt: skip
    readers[data[0] % len(readers) if data else 0](data[1:])


def _is_a_key(found: PublicKey) -> None:
    """See that a key has one spelling in each of its forms."""
    assert PublicKey.from_blob(found.blob) == found
    assert parse_public_line(found.line("a\nb"))[0] == found
    assert from_spki(found.spki()) == found
    assert found.fingerprint().startswith("SHA256:")
    assert found.bits() >= 256


def _private(data: bytes) -> None:
    try:
        public = peek_public(data, "key")
    except ConfigError as error:
        assert str(error).startswith("key: ")
        public = None
    try:
        found = parse_private(data, None, "key")
    except PassphraseNeeded:
        return
    except ConfigError as error:
        assert str(error).startswith("key: ")
        return
    assert public in (None, found.public), "what is shown without a passphrase is another key"
    _works(found)


def _works(found: PrivateKey) -> None:
    _is_a_key(found.public)
    if found.public.algorithm == ED25519:
        try:
            check_signature(found.public, b"data", found.sign(b"data"))
        except ConfigError:  # the seed is another key's, which is seen before anything is signed
            return
        assert parse_private(serialize_private(found, None), None, "again").public == found.public


def _line(data: bytes) -> None:
    try:
        found, comment = parse_public_line(data.decode("utf-8", "replace"))
    except Malformed:
        return
    _is_a_key(found)
    assert found.line(comment).isprintable()


def _blob(data: bytes) -> None:
    try:
        found = PublicKey.from_blob(data)
    except Malformed:
        return
    assert found.blob == data
    _is_a_key(found)


def _certificate(data: bytes) -> None:
    try:
        info = spki_of(data)
    except Malformed:
        return
    assert info in data
    _info(info)


def _info(data: bytes) -> None:
    try:
        found = from_spki(data)
    except Malformed:
        return
    assert found.spki() == data
    _is_a_key(found)


def _armoured(data: bytes) -> None:
    """Read a container in its armour, whose base64 would hide it from whoever changes bytes."""
    _private(armour(LABEL, data))
    try:
        certified_key(armour("CERTIFICATE", data), "cert")
    except ConfigError as error:
        assert str(error).startswith("cert: ")


def _signature(data: bytes) -> None:
    """Verify a signature by SSH's form, which must be of what was signed and for what it was made for."""
    from rexec.auth import sshsig

    try:
        key = sshsig.verify(data, sshsig.NAMESPACE, b"message")
    except BadSignature:
        return
    assert key.blob in data
    assert data in (
        raw("ed.sig"),
        raw("ed256.sig"),
        raw("rsa.sig"),
        *(raw(f"ec{n}.sig") for n in (256, 384, 521)),
    )
