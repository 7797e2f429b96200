"""One record as one line: what is read back, and what is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.audit import chain
from rexec.audit.chain import GENESIS, Head, Malformed

GOOD = {"seq": 1, "time": "2030-01-01T00:00:00.000000Z", "event": "start", "prev": GENESIS.hash}


def test_a_record_is_read_back() -> None:
    line = chain.line_of(GOOD)
    assert chain.read(line) == GOOD
    assert chain.head_of(line) == Head(1, chain.hash_of(line))
    assert str(Head(7, "ab")) == "7:ab"


@given(st.text(st.characters(exclude_categories=()), max_size=50))
def test_any_text_is_one_line_and_comes_back(text: str) -> None:
    """security.md, People's terminals, logs and files: one record is one line."""
    line = chain.line_of({**GOOD, "argv": [text]})
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert json.loads(line)["argv"] == [text]


@pytest.mark.parametrize(
    "flaw",
    [
        {"seq": 0},
        {"seq": -1},
        {"seq": True},
        {"seq": "1"},
        {"seq": 1.0},
        {"event": None},
        {"event": 1},
        {"prev": None},
        {"time": 1},
    ],
)
def test_a_record_with_a_flaw_is_none(flaw: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        chain.read(chain.line_of({**GOOD, **flaw}))


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"[]\n", b"1\n", b"{}", b"{}\n", b"[" * 100_000 + b"\n", b"\xff\n", b"\0\n"]
)
def test_a_line_that_is_no_record_is_none(data: bytes) -> None:
    with pytest.raises(Malformed):
        chain.read(data)


def test_a_moment_is_utc_with_microseconds() -> None:
    assert chain.moment(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456Z"
