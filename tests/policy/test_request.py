"""Text of the wire and back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.policy.request import bytes_of, text_of


@settings(max_examples=100)
@given(st.binary())
def test_every_byte_survives(data: bytes) -> None:
    """security.md, Around the allow list: "Bytes 1-255: unchanged"."""
    assert bytes_of(text_of(data)) == data


def test_utf_8_is_read_as_the_allow_list_is() -> None:
    assert text_of("größe".encode()) == "größe"
