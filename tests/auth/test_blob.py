"""The data types of SSH."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth.blob import BlobReader, Malformed, decode_base64, encode_base64, mpint, string, u32


@given(st.binary(max_size=40))
def test_a_string_is_read_as_it_was_written(value):
    reader = BlobReader(string(value))
    assert reader.string() == value
    reader.finish()


@given(st.integers(min_value=1, max_value=2**300))
def test_a_number_is_read_as_it_was_written(value):
    reader = BlobReader(mpint(value))
    assert reader.mpint() == value
    reader.finish()


def test_numbers_are_written_as_rfc_4251_shows_them():
    assert mpint(0) == bytes.fromhex("00000000")
    assert mpint(0x80) == bytes.fromhex("000000020080")
    assert mpint(0x9A378F9B2E332A7) == bytes.fromhex("0000000809a378f9b2e332a7")


@pytest.mark.parametrize("raw", [b"", b"\0", b"\0\x01", b"\x80", b"\xff\xff"])
def test_a_number_has_one_spelling_and_is_positive(raw):
    with pytest.raises(Malformed, match="not positive, or not in its shortest form"):
        BlobReader(string(raw)).mpint()


def test_a_length_beyond_the_end_is_refused():
    """security.md, Protocol: length 0xFFFFFFFF judged before allocation."""
    with pytest.raises(Malformed, match="ends too early"):
        BlobReader(b"\xff\xff\xff\xff").string()


def test_leftovers_are_refused():
    with pytest.raises(Malformed, match="left over"):
        BlobReader(b"x").finish()


def test_a_text_must_be_utf_8():
    assert BlobReader(string("ä".encode())).text() == "ä"
    with pytest.raises(Malformed, match="UTF-8"):
        BlobReader(string(b"\xff")).text()


def test_the_rest_is_all_that_is_left():
    reader = BlobReader(u32(7) + b"rest")
    assert (reader.u32(), reader.rest(), reader.rest()) == (7, b"rest", b"")


@given(st.binary(max_size=40))
def test_base64_is_read_as_it_was_written(value):
    assert decode_base64(encode_base64(value)) == value


@pytest.mark.parametrize("text", ["a", "ab=", "ab==x", "a b=", "ä===", "=", "aGk", "aGl=", "aGk=\n"])
def test_base64_has_one_spelling(text):
    with pytest.raises(Malformed, match="not base64"):
        decode_base64(text)
