"""Terminal modes keep their meaning on the way (RFC 4254, 8)."""

from __future__ import annotations

import os
import termios
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.process.modes import CHARACTERS, LOCAL, apply_modes, decode_modes, encode_modes


@pytest.fixture(scope="module")
def attributes() -> list[Any]:
    """What a new terminal has."""
    master, slave = os.openpty()
    try:
        return termios.tcgetattr(slave)
    finally:
        os.close(master)
        os.close(slave)


def test_modes_arrive_as_they_were(attributes: list[Any]) -> None:
    wanted = [*attributes[:CHARACTERS], list(attributes[CHARACTERS])]
    wanted[LOCAL] &= ~termios.ECHO
    wanted[CHARACTERS][termios.VINTR] = b"\x18"
    wanted[CHARACTERS][termios.VERASE] = b"\x08"
    wanted[CHARACTERS][termios.VQUIT] = b"\x00"  # switched off
    assert apply_modes(attributes, decode_modes(encode_modes(wanted))) == wanted


def test_a_character_may_be_a_number(attributes: list[Any]) -> None:
    """In raw mode tcgetattr gives VMIN and its like as numbers."""
    wanted = [*attributes[:CHARACTERS], [c[0] for c in attributes[CHARACTERS]]]
    assert encode_modes(wanted) == encode_modes(attributes)


def test_what_is_not_known_is_passed_over(attributes: list[Any]) -> None:
    unknown = bytes((99, 0, 0, 0, 1)) + bytes((129, 0, 0, 37, 128))
    assert apply_modes(attributes, decode_modes(unknown)) == attributes


@pytest.mark.parametrize("data", [b"", b"\0", b"\x35\0\0\0", b"\xa0\0\0\0\1\x35\0\0\0\1", b"\0\x35\0\0\0\1"])
def test_parsing_stops_where_the_sense_does(data: bytes) -> None:
    assert decode_modes(data) == []


@given(st.binary(max_size=200))
def test_no_bytes_are_an_error(data: bytes) -> None:
    """security.md, Protocol: modes are a list from a hostile peer."""
    master, slave = os.openpty()
    try:
        apply_modes(termios.tcgetattr(slave), decode_modes(data))
    finally:
        os.close(master)
        os.close(slave)


def test_a_mode_this_system_has_not_is_left_out(
    attributes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encode_modes(attributes)
    monkeypatch.delattr(termios, "VLNEXT")
    monkeypatch.delattr(termios, "ONOCR")
    fewer = encode_modes(attributes)
    assert len(whole) - len(fewer) == 10
    assert apply_modes(attributes, decode_modes(whole)) == attributes
