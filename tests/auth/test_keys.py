"""Public keys, compared with what ssh-keygen says of them."""

import pytest
from cryptography.hazmat.primitives import serialization as s
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth import der
from rexec.auth.blob import BlobReader, Malformed, Unsupported, encode_base64, mpint, string
from rexec.auth.keys import PublicKey, from_spki, is_key_type, parse_public_line, spki_of
from tests.auth.samples import KINDS, VALUES, public, raw

BLOBS = {kind: public(kind).blob for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_is_read_and_written_as_ssh_keygen_writes_it(kind):
    line = VALUES[f"{kind}.pub"]
    key, comment = parse_public_line(line + "\n")
    assert key.line(comment) == line


@pytest.mark.parametrize("kind", KINDS)
def test_fingerprint_and_size_are_those_of_ssh_keygen(kind):
    size, fingerprint = VALUES[f"{kind}.fp"].split()[:2]
    assert (public(kind).bits(), public(kind).fingerprint()) == (int(size), fingerprint)


@pytest.mark.parametrize("kind", KINDS)
def test_the_spki_is_what_the_library_writes_and_is_read_back(kind):
    key = public(kind)
    loaded = s.load_ssh_public_key(VALUES[f"{kind}.pub"].encode())
    info = loaded.public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    assert key.spki() == info
    assert from_spki(info) == key
    assert len(key.spki_sha256()) == 32


def test_the_key_of_a_certificate_is_the_one_of_its_spki():
    assert from_spki(spki_of(raw("ed.cert"))).algorithm == "ssh-ed25519"


def test_keys_are_equal_when_their_blobs_are():
    assert public("ed") == PublicKey.from_blob(BLOBS["ed"])
    assert len({public("ed"), public("ed"), public("rsa")}) == 2
    assert public("ed") != BLOBS["ed"]
    assert repr(public("ed")) == f"PublicKey(ssh-ed25519 {public('ed').fingerprint()})"


@given(st.sampled_from(KINDS), st.data())
def test_a_blob_has_one_spelling(kind, data):
    blob = BLOBS[kind]
    cut = data.draw(st.integers(min_value=0, max_value=len(blob) - 1))
    for flawed in (blob[:cut], blob + b"\0"):
        with pytest.raises(Malformed):
            PublicKey.from_blob(flawed)


@given(st.binary(max_size=120))
def test_any_bytes_are_a_key_or_malformed(blob):
    for read in (PublicKey.from_blob, from_spki):
        with pytest.raises(Malformed):
            read(blob)


def test_a_blob_of_an_unknown_type_is_unsupported():
    with pytest.raises(Unsupported, match="key type ssh-dss is not known"):
        PublicKey.from_blob(string(b"ssh-dss"))


def rsa_blob(exponent: int, modulus: int) -> bytes:
    return string(b"ssh-rsa") + mpint(exponent) + mpint(modulus)


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (string(b"ssh-ed25519") + string(bytes(31)), "has 32 bytes"),
        (rsa_blob(65537, 2**2046 + 1), "2047 bits"),
        (rsa_blob(65537, 2**8192 + 1), "8193 bits"),
        (rsa_blob(1, 2**2047 + 1), "exponent"),
        (rsa_blob(4, 2**2047 + 1), "exponent"),
        (rsa_blob(2**64 + 1, 2**2047 + 1), "exponent"),
        (rsa_blob(65537, 2**2047), "even"),
        (string(b"ecdsa-sha2-nistp256") + string(b"nistp384") + string(b"\4" + bytes(64)), "another curve"),
        (string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\4" + bytes(63)), "uncompressed"),
        (string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\2" + bytes(64)), "uncompressed"),
    ],
)
def test_a_key_that_is_not_as_its_type_says_is_refused(blob, why):
    with pytest.raises(Malformed, match=why):
        PublicKey.from_blob(blob)


def test_rsa_below_2048_bits_is_unsupported():
    with pytest.raises(Unsupported, match="1024 bits is not from 2048 to 8192"):
        parse_public_line(VALUES["rsa1024.pub"])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "not a public key"),
        ("ssh-ed25519", "not a public key"),
        ("ssh-dss AAAA", "ssh-dss is not known"),
        ("ssh-ed25519 AAA", "not base64"),
        ("ssh-ed25519 " + "A" * 70_000, "too long"),
        ("ssh-rsa " + encode_base64(BLOBS["ed"]), "says ssh-rsa and holds a key of type ssh-ed25519"),
        ("ssh-ed25519 A\nssh-ed25519 B", "more than one line"),
        ("ssh-ed25519 A\rssh-ed25519 B", "more than one line"),
    ],
)
def test_a_line_that_is_no_key_says_why(line, why):
    with pytest.raises(Malformed, match=why):
        parse_public_line(line)


def test_a_line_without_a_comment_has_none():
    assert parse_public_line(public("ed").line())[1] == ""


def test_a_comment_cannot_start_a_line_or_steer_a_terminal():
    """security.md, People's terminals: control characters, newlines, bidi marks."""
    assert public("ed").line("a\nb\x1b[2J\u202ec ä").endswith(" a?b?[2J?c ä")


def test_an_spki_has_one_spelling():
    info = public("ed").spki()
    with pytest.raises(Malformed, match="in DER"):
        from_spki(info + b"\0")
    with pytest.raises(Malformed, match="in DER"):  # something behind the key, inside
        from_spki(der.element(der.SEQUENCE, info[2:] + b"\5\0"))


def test_an_spki_of_another_kind_is_unsupported():
    with pytest.raises(Unsupported, match="neither Ed25519"):
        from_spki(der.element(der.SEQUENCE, der.element(der.SEQUENCE, b"\6\1\1") + der.bits(b"x")))


def test_the_fields_of_a_key_stand_behind_its_name():
    assert isinstance(public("ed").fields(), BlobReader)
    assert public("rsa").rsa_numbers()[0] == 65537


@pytest.mark.parametrize("word", ["ssh-ed25519", "ssh-rsa", "ssh-dss", "sk-ssh-ed25519@openssh.com"])
def test_types_of_keys_are_known_by_their_names(word):
    assert is_key_type(word)
    assert is_key_type(word.removesuffix("@openssh.com") + "-cert-v01@openssh.com")
    assert not is_key_type("x" + word)
