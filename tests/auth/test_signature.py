"""Signatures: one algorithm for each kind of key, and nothing else verifies."""

import pytest

from rexec.auth.blob import string
from rexec.auth.keys import PublicKey
from rexec.auth.signature import BadSignature, check_signature, signature_blob
from tests.auth.samples import KINDS, private, public

DATA = b"data"


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_key_signs_verifies_for_these_bytes_and_this_key_alone(kind):
    signature = private(kind).sign(DATA)
    check_signature(public(kind), DATA, signature)
    with pytest.raises(BadSignature):
        check_signature(public(kind), DATA + b"x", signature)
    for other in KINDS:
        if other != kind:
            with pytest.raises(BadSignature):
                check_signature(public(other), DATA, signature)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flaw", ["leftover", "cut", "empty", "short", "long"])
def test_a_signature_that_is_not_whole_is_refused(kind, flaw):
    signature = private(kind).sign(DATA)
    raw = signature[len(string(signature_name(kind))) + 4 :]
    flawed = {
        "leftover": signature + b"x",
        "cut": signature[:-1],
        "empty": b"",
        "short": signature_blob(public(kind), raw[:-1]),
        "long": signature_blob(public(kind), raw + b"\0"),
    }
    with pytest.raises(BadSignature):
        check_signature(public(kind), DATA, flawed[flaw])


def signature_name(kind):
    return {"rsa": b"rsa-sha2-512"}.get(kind, public(kind).algorithm.encode())


@pytest.mark.parametrize("name", [b"ssh-rsa", b"rsa-sha2-256", b"ssh-ed25519"])
def test_rsa_signs_by_sha2_512_or_not_at_all(name):
    signature = private("rsa").sign(DATA)
    raw = signature[len(string(b"rsa-sha2-512")) :]
    with pytest.raises(BadSignature, match="another algorithm"):
        check_signature(public("rsa"), DATA, string(name) + raw)


def test_a_point_off_its_curve_verifies_nothing():
    point = b"\4" + bytes(63) + b"\1"
    blob = string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(point)
    with pytest.raises(BadSignature):
        check_signature(PublicKey.from_blob(blob), DATA, private("ec256").sign(DATA))
