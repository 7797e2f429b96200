"""The strict reader of DER."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth import der
from rexec.auth.blob import Malformed
from rexec.auth.der import DerReader, spki_of
from tests.auth.samples import raw


def certificate(key, digest):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x" * 60)])
    start = datetime.datetime(2020, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(7).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=1))
    )
    return builder.sign(key, digest).public_bytes(s.Encoding.DER)


def test_the_key_of_a_certificate_by_openssl_is_found():
    assert spki_of(raw("ed.cert")) == raw("ed.spki")


@pytest.mark.parametrize(
    ("key", "digest"),
    [
        (ed25519.Ed25519PrivateKey.generate(), None),
        (ec.generate_private_key(ec.SECP384R1()), hashes.SHA256()),
    ],
    ids=["ed25519", "p384"],
)
def test_the_key_of_a_certificate_is_what_the_library_finds(key, digest):
    info = key.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    assert spki_of(certificate(key, digest)) == info


def test_a_certificate_without_a_version_is_read():
    sequence = der.element(der.SEQUENCE, b"")
    info = der.element(der.SEQUENCE, b"\5\0")
    inside = der.element(der.SEQUENCE, der.integer(1) + sequence * 4 + info)
    assert spki_of(der.element(der.SEQUENCE, inside)) == info


@given(st.integers(min_value=0, max_value=len(raw("ed.cert")) - 1))
def test_a_certificate_that_is_cut_off_is_refused(size):
    with pytest.raises(Malformed):
        spki_of(raw("ed.cert")[:size])


@given(st.integers(min_value=0, max_value=len(raw("ed.cert")) - 1), st.integers(min_value=0, max_value=255))
def test_any_bytes_give_a_key_or_malformed(at, value):
    data = bytearray(raw("ed.cert"))
    data[at] = value
    try:
        spki_of(bytes(data))
    except Malformed:
        pass


def test_bytes_behind_a_certificate_are_refused():
    with pytest.raises(Malformed, match="left over"):
        spki_of(raw("ed.cert") + b"x")


@given(st.binary(max_size=300))
def test_an_element_is_read_as_it_was_written(content):
    reader = DerReader(der.element(4, content))
    assert reader.content(4) == content
    assert reader.tag is None
    reader.finish()


@pytest.mark.parametrize(
    "data",
    [
        "30",
        "3080",
        "308100",
        "30817f" + "00" * 127,
        "30820080" + "00" * 128,
        "3085000000000100",
        "3082ff",
        "300100"[:4],
    ],
    ids=[
        "none",
        "indefinite",
        "long zero",
        "long for short",
        "leading zero",
        "five bytes",
        "cut",
        "content cut",
    ],
)
def test_a_length_that_is_not_der_is_refused(data):
    with pytest.raises(Malformed):
        DerReader(bytes.fromhex(data)).content(der.SEQUENCE)


def test_another_tag_is_refused():
    with pytest.raises(Malformed, match="shape"):
        DerReader(b"\4\0").content(der.SEQUENCE)


@pytest.mark.parametrize("value", [1, 127, 128, 255, 256, 2**64])
def test_a_number_is_read_as_it_was_written(value):
    assert DerReader(der.integer(value)).number() == value


@pytest.mark.parametrize("data", ["0200", "020100", "0201ff", "02020001"])
def test_a_number_has_one_spelling_and_is_positive(data):
    with pytest.raises(Malformed, match="number"):
        DerReader(bytes.fromhex(data)).number()


def test_a_bit_string_has_whole_bytes():
    assert DerReader(der.bits(b"ab")).octets() == b"ab"
    for data in ("0300", "030201ff"):
        with pytest.raises(Malformed, match="whole bytes"):
            DerReader(bytes.fromhex(data)).octets()
