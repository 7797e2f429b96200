"""The body of a proof, and the context it is judged in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth.blob import Malformed
from rexec.auth.proof import Body, Context, binding_field
from rexec.auth.transcript import NONCE, TLS_FINISHED, nonce_binding

FRESH = bytes(range(32))


def context(dialled=None, **bindings):
    kinds = {TLS_FINISHED: b"finished", NONCE: FRESH}
    return Context(bindings=kinds, dialled=dialled, spki_sha256=bytes(32), hello=b"", user="", **bindings)


@given(st.text(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_a_body_is_read_as_it_was_written(dialled, key, signature):
    body = Body.decode(Body(NONCE, dialled, key, signature).encode())
    assert (body.kind, body.dialled, body.key, body.signature) == (NONCE, dialled, key, signature)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "too early"),
        (Body(0, "", b"", b"").encode(), "no such kind"),
        (Body(3, "", b"", b"").encode(), "no such kind"),
        (Body(TLS_FINISHED, "a:1", b"", b"").encode(), "does not have"),
        (Body(NONCE, "", b"", b"").encode() + b"x", "left over"),
    ],
)
def test_a_body_that_is_not_whole_is_refused(body, why):
    with pytest.raises(Malformed, match=why):
        Body.decode(body)


def test_the_binding_is_that_of_the_kind():
    assert context().binding(TLS_FINISHED, "") == b"finished"
    assert context().binding(NONCE, "any:1") == nonce_binding(FRESH, "any:1")


def test_a_kind_that_does_not_belong_to_the_transport_is_refused():
    clear = Context(bindings={NONCE: FRESH}, dialled="a:1", spki_sha256=bytes(32), hello=b"", user="")
    with pytest.raises(Malformed, match="does not belong"):
        clear.binding(TLS_FINISHED, "")


def test_in_the_clear_the_client_must_have_dialled_this_address():
    """security.md, Protocol: relay (a proof for another port of the same machine)."""
    assert context("127.0.0.1:1").binding(NONCE, "127.0.0.1:1")
    with pytest.raises(Malformed, match="another address"):
        context("127.0.0.1:1").binding(NONCE, "127.0.0.1:2")


def test_signer_and_judge_agree_on_the_binding():
    assert binding_field(TLS_FINISHED, b"finished", "") == context().binding(TLS_FINISHED, "")
    assert binding_field(NONCE, FRESH, "a:1") == context("a:1").binding(NONCE, "a:1")
