"""Private keys: read, used, made, written."""

import sys
from types import ModuleType

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from rexec.auth.container import LABEL, Container, armour, write_ed25519
from rexec.auth.keys import from_spki
from rexec.auth.private import (
    PassphraseNeeded,
    generate,
    parse_private,
    peek_public,
    serialize_private,
)
from rexec.auth.signature import check_signature
from rexec.errors import ConfigError
from tests.auth.samples import KINDS, PASSPHRASE, pem, private, public, raw


def pkcs8(key, passphrase=None):
    how = s.BestAvailableEncryption(passphrase) if passphrase else s.NoEncryption()
    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, how)


@pytest.mark.parametrize("kind", [*KINDS, "edenc"])
def test_a_key_of_ssh_keygen_s_is_read_and_signs(kind):
    key = private(kind)
    assert key.public == public(kind)
    check_signature(key.public, b"x", key.sign(b"x"))


def test_the_comment_is_kept_where_it_is_not_encrypted():
    assert [private(kind).comment for kind in ("ed", "rsa", "edenc")] == ["alice@laptop", "rsa@laptop", ""]


def test_a_key_with_a_passphrase_asks_for_it():
    with pytest.raises(PassphraseNeeded, match="id: the key has a passphrase"):
        parse_private(pem("edenc"), None, "id")


@pytest.mark.parametrize("passphrase", [b"", b"wrong"])
def test_a_wrong_passphrase_is_one_line(passphrase):
    with pytest.raises(ConfigError, match=r"^id: wrong passphrase, or a damaged key$"):
        parse_private(pem("edenc"), passphrase, "id")


def test_a_passphrase_nobody_asked_for_does_no_harm():
    for kind in ("ed", "rsa"):
        assert parse_private(pem(kind), b"x", "id").public == public(kind)


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["ed25519", "ecdsa", "rsa"],
)
def test_pem_is_read_with_and_without_a_passphrase(key):
    plain, sealed = pkcs8(key), pkcs8(key, PASSPHRASE)
    info = key.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    for data, passphrase in ((plain, None), (plain, b"unasked"), (sealed, PASSPHRASE)):
        found = parse_private(data, passphrase, "id")
        assert found.public == from_spki(info)
        check_signature(found.public, b"x", found.sign(b"x"))
        assert pkcs8(s.load_pem_private_key(found.pkcs8_pem(), None)) == plain
    with pytest.raises(PassphraseNeeded):
        parse_private(sealed, None, "id")
    with pytest.raises(ConfigError, match="wrong passphrase"):
        parse_private(sealed, b"wrong", "id")


def test_the_pem_of_an_ed25519_key_is_what_the_library_writes():
    loaded = s.load_ssh_private_key(pem("ed"), None)
    assert private("ed").pkcs8_pem() == pkcs8(loaded)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (dsa.generate_private_key(1024), "neither Ed25519 nor ECDSA nor RSA"),
        (ec.generate_private_key(ec.SECP256K1()), "the key is neither"),
        (rsa.generate_private_key(65537, 1024), "1024 bits"),
    ],
    ids=["dsa", "another curve", "short rsa"],
)
def test_keys_that_rexec_does_not_take_say_so(key, why):
    with pytest.raises(ConfigError, match=f"id: not a private key that rexec can read: .*{why}"):
        parse_private(pkcs8(key), None, "id")


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\0", b"-----BEGIN CERTIFICATE-----\n"])
def test_what_is_no_key_says_so(data):
    for read in (lambda: parse_private(data, None, "id"), lambda: peek_public(data, "id")):
        with pytest.raises(ConfigError, match=r"^id: not a private key that rexec can read$"):
            read()


def test_a_damaged_key_says_so():
    flawed = raw("ed.key").replace(b"ssh-ed25519", b"ssh-ed25518")
    for read in (parse_private, lambda data, _, name: peek_public(data, name)):
        with pytest.raises(
            ConfigError, match="id: not a private key that rexec can read: key type ssh-ed25518"
        ):
            read(armour(LABEL, flawed), None, "id")


def test_a_damaged_secret_says_so():
    for kind in ("ed", "rsa"):
        flawed = raw(f"{kind}.key")[:-1] + b"\xff"
        with pytest.raises(ConfigError, match="padding is wrong"):
            parse_private(armour(LABEL, flawed), None, "id")


def test_two_halves_of_different_keys_are_refused():
    one, two = public("ec256"), generate_ecdsa()
    mixed = raw("ec256.key").replace(one.blob, two.blob)
    with pytest.raises(ConfigError, match="id: not a private key"):
        parse_private(armour(LABEL, mixed), None, "id")


def generate_ecdsa():
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return from_spki(key.public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo))


def test_an_encrypted_key_under_the_name_of_another_is_refused():
    mixed = raw("edenc.key").replace(public("edenc").blob, public("ed").blob)
    with pytest.raises(ConfigError, match=r"damaged key|do not belong together"):
        parse_private(armour(LABEL, mixed), PASSPHRASE, "id")


def test_a_seed_of_another_key_never_signs():
    container = armour(LABEL, write_ed25519(public("ed"), bytes(32), ""))
    with pytest.raises(ConfigError, match="does not belong to the public key"):
        parse_private(container, None, "id").sign(b"x")


def test_the_public_half_is_seen_without_a_passphrase():
    assert peek_public(pem("edenc"), "id") == public("edenc")
    assert peek_public(pkcs8(ed25519.Ed25519PrivateKey.generate()), "id") is None


@pytest.mark.parametrize("passphrase", [None, b"", b"secret"])
def test_a_new_key_is_written_and_read_back(passphrase):
    key = generate("me@here")
    data = serialize_private(key, passphrase)
    again = parse_private(data, passphrase, "id")
    assert again.public == key.public
    assert again.comment == ("" if passphrase else "me@here")
    assert Container.decode(raw("ed.key")).encrypted is False
    assert s.load_ssh_private_key(data, passphrase or None)
    check_signature(key.public, b"x", again.sign(b"x"))


@pytest.mark.parametrize("kind", ["rsa", "ec384"])
def test_other_kinds_are_written_too(kind):
    data = serialize_private(private(kind), None)
    assert parse_private(data, None, "id").public == public(kind)


def test_a_passphrase_that_the_format_does_not_take_is_refused():
    with pytest.raises(ConfigError, match="this passphrase cannot be used: "):
        serialize_private(private("ed"), b"x" * 10_000)


def test_a_private_key_does_not_show_itself():
    assert repr(private("ed")) == f"PrivateKey({public('ed').fingerprint()})"


def test_a_library_that_has_its_keys_elsewhere_signs_too(monkeypatch):
    """The short way to them is the library's own; the way that it promises is always there."""
    key = generate()
    read = parse_private(serialize_private(key, None), None, "key")
    name = "cryptography.hazmat.bindings._rust"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    check_signature(key.public, b"data", read.sign(b"data"))
