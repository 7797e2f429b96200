"""Proofs by key, each attack on them, and the server's own proof."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth import publickey, signature
from rexec.auth.proof import BadProof, Body, Context
from rexec.auth.sshsig import NAMESPACE, signed_data, wrap
from rexec.auth.transcript import CLIENT, NONCE, SERVER, TLS_FINISHED, both_hellos, nonce_binding, transcript
from tests.auth.samples import KINDS, private, public

FINISHED = b"f" * 48
FRESH = bytes(range(32))
SPKI = b"s" * 32
HELLO = b"client hello"
ADDRESS = "127.0.0.1:5512"
HERE = {
    "nonce": FRESH,
    "dialled": ADDRESS,
    "server_hello": b"server hello",
    "client_hello": HELLO,
    "user": "alice",
}


def over_tls(**changes):
    fields = {"bindings": {TLS_FINISHED: FINISHED, NONCE: FRESH}, "dialled": None, "spki_sha256": SPKI}
    return Context(**{**fields, "hello": HELLO, "user": "alice", **changes})


def in_the_clear(**changes):
    return over_tls(**{"bindings": {NONCE: FRESH}, "dialled": ADDRESS, **changes})


def proof(kind=TLS_FINISHED, key="ed", **changes):
    binding = FINISHED if kind == TLS_FINISHED else FRESH
    dialled = "" if kind == TLS_FINISHED else ADDRESS
    fields = {"kind": kind, "binding": binding, "dialled": dialled, "spki_sha256": SPKI}
    fields |= {"hello": HELLO, "user": "alice", **changes}
    return publickey.prove(private(key).sign, public(key), **fields)


BODY = proof()


@pytest.mark.parametrize("key", KINDS)
@pytest.mark.parametrize("kind", [TLS_FINISHED, NONCE])
def test_a_proof_gives_the_key_that_signed(key, kind):
    assert publickey.verify(proof(kind, key), over_tls()) == public(key)


def test_a_proof_in_the_clear_names_the_address():
    assert publickey.verify(proof(NONCE), in_the_clear()) == public("ed")


@pytest.mark.parametrize(
    "changes",
    [
        {"bindings": {TLS_FINISHED: b"g" * 48, NONCE: FRESH}},
        {"spki_sha256": b"t" * 32},
        {"hello": b"client hell"},
        {"user": "bob"},
        {"user": ""},
    ],
    ids=["replayed", "relayed", "stripped", "another user", "user taken away"],
)
def test_a_proof_made_for_another_connection_proves_nothing(changes):
    """security.md, Protocol: relay with another certificate, replayed proof, user changed half way, version
    stripped."""
    with pytest.raises(BadProof):
        publickey.verify(BODY, over_tls(**changes))


def test_a_replayed_nonce_proves_nothing():
    """security.md, Protocol: replayed proof."""
    with pytest.raises(BadProof):
        publickey.verify(proof(NONCE), in_the_clear(bindings={NONCE: bytes(32)}))


def test_a_proof_for_another_port_proves_nothing():
    """security.md, Protocol: relay."""
    with pytest.raises(BadProof, match="another address"):
        publickey.verify(proof(NONCE, dialled="127.0.0.1:5513"), in_the_clear())


def test_an_address_changed_on_the_way_proves_nothing():
    body = Body.decode(proof(NONCE, dialled="127.0.0.1:5513"))
    body.dialled = ADDRESS
    with pytest.raises(BadProof, match="does not verify"):
        publickey.verify(body.encode(), in_the_clear())


def test_a_tls_proof_is_refused_in_the_clear():
    with pytest.raises(BadProof, match="kind of binding"):
        publickey.verify(BODY, in_the_clear())


def test_a_reflected_proof_proves_nothing():
    """security.md, Protocol: reflected proof."""
    host = publickey.prove_host(private("ed").sign, public("ed"), **HERE)
    hello = both_hellos(HERE["server_hello"], HELLO)
    spki = public("ed").spki_sha256()
    with pytest.raises(BadProof):
        publickey.verify(host, in_the_clear(hello=hello, spki_sha256=spki))


def test_key_a_named_and_key_b_signing_proves_neither():
    """security.md, Protocol: key A named and key B signing."""
    body = Body.decode(BODY)
    body.key = public("ec256").blob
    with pytest.raises(BadProof):
        publickey.verify(body.encode(), over_tls())
    # even over a transcript that names A, whole but for the signer
    message = transcript(CLIENT, TLS_FINISHED, FINISHED, SPKI, HELLO, "alice", public("ec256").blob)
    signed = private("ed").sign(signed_data(NAMESPACE, message))
    body.signature = wrap(public("ed"), NAMESPACE, signed)
    with pytest.raises(BadProof, match="not the one that is named"):
        publickey.verify(body.encode(), over_tls())


@given(st.binary(max_size=80))
def test_any_bytes_are_a_bad_proof(body):
    with pytest.raises(BadProof):
        publickey.verify(body, over_tls())
    with pytest.raises(BadProof):
        publickey.verify_host(body, **HERE)


@given(st.integers(min_value=0, max_value=len(BODY) - 1), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_is_a_bad_proof(at, change):
    body = bytearray(BODY)
    body[at] ^= change
    with pytest.raises(BadProof):
        publickey.verify(bytes(body), over_tls())


def flawed(**changes):
    """Return a proof with some fields changed."""
    body = Body.decode(BODY)
    for name, value in changes.items():
        setattr(body, name, value)
    return body.encode()


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        proof(user="bob"),
        b"",
        flawed(key=b""),
        flawed(kind=NONCE, dialled="elsewhere:1"),
        flawed(signature=b""),
        flawed(signature=wrap(public("ed"), NAMESPACE, b"")),
        flawed(signature=wrap(public("rsa"), NAMESPACE, private("ed").sign(b"x"))),
    ],
    ids=[
        "good",
        "wrong signature",
        "no body",
        "no key",
        "no address",
        "no blob",
        "no signature",
        "other algorithm",
    ],
)
def test_every_proof_costs_exactly_one_verification(monkeypatch, body):
    """security.md, Protocol: unknown user, unknown key, wrong signature: same answer, same time."""
    done = []
    check = signature._CHECKS["ssh-ed25519"]
    counted = {"ssh-ed25519": lambda *arguments: (done.append(1), check(*arguments))}
    monkeypatch.setattr(signature, "_CHECKS", counted)
    context = in_the_clear() if body[:1] == bytes([NONCE]) else over_tls()
    try:
        publickey.verify(body, context)
    except BadProof:
        pass
    assert done == [1]


def test_a_user_that_no_transcript_takes_is_a_bad_proof():
    with pytest.raises(BadProof):
        publickey.verify(BODY, over_tls(user="\udc80"))


@pytest.mark.parametrize("key", KINDS)
def test_a_server_proves_its_key(key):
    body = publickey.prove_host(private(key).sign, public(key), **HERE)
    assert publickey.verify_host(body, **HERE) == public(key)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": bytes(32)},
        {"nonce": b""},
        {"dialled": "127.0.0.1:5513"},
        {"server_hello": b""},
        {"client_hello": b"another client's"},
        {"user": "bob"},
    ],
)
def test_a_server_s_proof_for_another_connection_proves_nothing(changes):
    """security.md, Protocol: replayed proof, by whoever takes the server's port."""
    body = publickey.prove_host(private("ed").sign, public("ed"), **HERE)
    with pytest.raises(BadProof):
        publickey.verify_host(body, **{**HERE, **changes})


def test_a_server_s_proof_of_another_kind_is_refused():
    hello = both_hellos(HERE["server_hello"], HELLO)
    message = transcript(SERVER, TLS_FINISHED, nonce_binding(FRESH, ADDRESS), SPKI, hello, "alice", b"")
    blob = wrap(public("ed"), NAMESPACE, private("ed").sign(signed_data(NAMESPACE, message)))
    with pytest.raises(BadProof, match="another address"):
        publickey.verify_host(Body(TLS_FINISHED, "", public("ed").blob, blob).encode(), **HERE)


def test_a_client_s_proof_is_no_server_s():
    """security.md, Protocol: reflected proof."""
    with pytest.raises(BadProof):
        publickey.verify_host(proof(NONCE), **HERE)
