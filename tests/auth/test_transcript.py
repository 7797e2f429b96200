"""What is signed, byte by byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.auth.transcript import CLIENT, NONCE, SERVER, TLS_FINISHED, both_hellos, nonce_binding, transcript

SPKI = bytes(32)

FIELDS = st.tuples(
    st.sampled_from([CLIENT, SERVER]),
    st.sampled_from([TLS_FINISHED, NONCE]),
    st.binary(min_size=1, max_size=6),
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=6),
    st.text(max_size=4),
    st.binary(max_size=6),
)


def test_the_bytes_are_those_of_the_docstring():
    assert transcript(CLIENT, TLS_FINISHED, b"fin", SPKI, b"hi", "bob", b"key") == (
        b"\0\0\0\x13rexec-transcript-v1"
        b"\0\0\0\x06client"
        b"\x01"
        b"\0\0\0\x03fin"
        b"\0\0\0\x20" + SPKI + b"\0\0\0\x02hi"
        b"\0\0\0\x03bob"
        b"\0\0\0\x03key"
    )


@given(FIELDS, FIELDS)
@settings(max_examples=200)
def test_two_different_sets_of_fields_give_different_bytes(one, other):
    assert (transcript(*one) == transcript(*other)) is (one == other)


def test_bytes_moved_from_one_field_to_the_next_are_another_transcript():
    """security.md, Protocol: user changed half way."""
    one = transcript(CLIENT, NONCE, b"b", SPKI, b"ab", "c", b"")
    assert one != transcript(CLIENT, NONCE, b"b", SPKI, b"a", "bc", b"")


@pytest.mark.parametrize(
    "fields",
    [
        ("peer", 1, b"b", SPKI, b"", "", b""),
        (CLIENT, 3, b"b", SPKI, b"", "", b""),
        (CLIENT, 1, b"", SPKI, b"", "", b""),
        (CLIENT, 1, b"b", b"", b"", "", b""),
    ],
)
def test_a_field_that_binds_nothing_is_refused(fields):
    with pytest.raises(ValueError, match=r"wanted|no such"):
        transcript(*fields)


def test_the_binding_of_a_nonce_names_the_address():
    assert nonce_binding(bytes(32), "[::1]:1") == bytes(32) + b"\0\0\0\x07[::1]:1"
    with pytest.raises(ValueError, match="32 bytes"):
        nonce_binding(bytes(31), "")


def test_both_hellos_stay_apart():
    assert both_hellos(b"ab", b"c") != both_hellos(b"a", b"bc")
