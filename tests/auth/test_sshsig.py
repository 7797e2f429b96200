"""SSHSIG blobs, compared with those of `ssh-keygen -Y sign`."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth.blob import encode_base64, string, u32
from rexec.auth.sshsig import NAMESPACE, BadSignature, signed_data, verify, wrap
from tests.auth.samples import KINDS, MESSAGE, private, public, raw

NAME, HASH = NAMESPACE.encode(), b"sha512"


@pytest.mark.parametrize("kind", KINDS)
def test_what_ssh_keygen_signed_verifies(kind):
    assert verify(raw(f"{kind}.sig"), NAMESPACE, MESSAGE) == public(kind)


def test_sha256_is_taken_too():
    assert verify(raw("ed256.sig"), NAMESPACE, MESSAGE) == public("ed")


def test_ed25519_gives_the_same_bytes_as_ssh_keygen():
    signature = private("ed").sign(signed_data(NAMESPACE, MESSAGE))
    assert wrap(public("ed"), NAMESPACE, signature) == raw("ed.sig")


@pytest.mark.parametrize("kind", KINDS)
def test_what_we_sign_verifies_and_nothing_else_does(kind):
    signature = private(kind).sign(signed_data(NAMESPACE, MESSAGE))
    blob = wrap(public(kind), NAMESPACE, signature)
    assert verify(blob, NAMESPACE, MESSAGE) == public(kind)
    with pytest.raises(BadSignature):
        verify(blob, NAMESPACE, b"other")


def test_a_signature_for_another_purpose_is_refused():
    with pytest.raises(BadSignature, match="another purpose"):
        verify(raw("edfile.sig"), NAMESPACE, MESSAGE)
    assert verify(raw("edfile.sig"), "file", MESSAGE) == public("ed")


def test_a_signature_renamed_to_our_purpose_is_refused():
    blob = raw("edfile.sig").replace(string(b"file"), string(NAME))
    with pytest.raises(BadSignature):
        verify(blob, NAMESPACE, MESSAGE)


def parts(**changes):
    """Return a blob, valid but for what is changed."""
    key = private("ed")
    fields = {
        "magic": b"SSHSIG",
        "version": u32(1),
        "key": string(key.public.blob),
        "namespace": string(NAME),
        "reserved": string(b""),
        "hash": string(HASH),
        "signature": string(key.sign(signed_data(NAMESPACE, MESSAGE))),
        "end": b"",
    }
    return b"".join({**fields, **changes}.values())


def test_the_parts_are_valid_when_nothing_is_changed():
    assert verify(parts(), NAMESPACE, MESSAGE) == public("ed")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"magic": b"SSHSIX"}, "this version"),
        ({"version": u32(2)}, "this version"),
        ({"key": string(b"")}, "too early"),
        ({"key": string(public("rsa").blob)}, "another algorithm"),
        ({"namespace": string(b"")}, "another purpose"),
        ({"namespace": string(b"\xff")}, "UTF-8"),
        ({"reserved": string(b"x")}, "reserved"),
        ({"hash": string(b"md5")}, "neither sha512"),
        ({"hash": string(b"sha256")}, "does not verify"),
        ({"end": b"x"}, "left over"),
    ],
)
def test_one_flaw_is_enough(change, why):
    with pytest.raises(BadSignature, match=why):
        verify(parts(**change), NAMESPACE, MESSAGE)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_bad_signature(blob):
    with pytest.raises(BadSignature):
        verify(blob, NAMESPACE, MESSAGE)


@given(st.integers(min_value=0, max_value=len(raw("ed.sig")) - 1), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_is_a_bad_signature(at, change):
    blob = bytearray(raw("ed.sig"))
    blob[at] ^= change
    with pytest.raises(BadSignature):
        verify(bytes(blob), NAMESPACE, MESSAGE)


@pytest.mark.system
@pytest.mark.parametrize("kind", KINDS)
def test_ssh_keygen_verifies_what_we_sign(kind, tmp_path):
    blob = wrap(public(kind), NAMESPACE, private(kind).sign(signed_data(NAMESPACE, MESSAGE)))
    signature, allowed = tmp_path / "sig", tmp_path / "allowed"
    signature.write_text(
        f"-----BEGIN SSH SIGNATURE-----\n{encode_base64(blob)}\n-----END SSH SIGNATURE-----\n"
    )
    allowed.write_text(f"me {public(kind).line()}\n")
    command = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-n",
        NAMESPACE,
        "-I",
        "me",
        "-f",
        str(allowed),
        "-s",
        str(signature),
    ]
    subprocess.run(command, input=MESSAGE, capture_output=True, check=True)
