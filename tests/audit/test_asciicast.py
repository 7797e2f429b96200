"""Recordings: asciicast v2, whatever bytes come and however they are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.audit.asciicast import INPUT, OUTPUT, Event, Writer, header, read
from rexec.errors import ConfigError


def events_of(lines: list[bytes]) -> list[tuple[str, str]]:
    _, events = read([header("x"), *lines], "x.cast")
    return [(event.kind, event.text) for event in events]


def test_the_header_is_of_version_2_and_has_the_size() -> None:
    found = json.loads(header("ls -l", "xterm", 100, 40))
    assert found.pop("timestamp") > 0
    assert found == {
        "version": 2,
        "width": 100,
        "height": 40,
        "title": "ls -l",
        "env": {"TERM": "xterm"},
    }


@pytest.mark.parametrize("size", [(), (0, 0)])
def test_a_command_that_has_no_size_gets_a_usual_one(size: tuple[int, ...]) -> None:
    found = json.loads(header("ls", None, *size))
    assert (found["width"], found["height"]) == (80, 24)
    assert "env" not in found


@given(st.binary(max_size=60), st.integers(1, 7))
def test_output_comes_back_however_it_was_cut(data: bytes, step: int) -> None:
    writer = Writer(terminal=True)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    lines = [line for piece in pieces if (line := writer.event(OUTPUT, "stdout", piece))]
    assert all(line.count(b"\n") == 1 for line in lines)
    text = "".join(text for _, text in events_of(lines))
    whole = data.decode(errors="replace")
    assert whole.startswith(text)
    assert len(whole) - len(text) <= 3  # of a character that is not complete three bytes may be here


def test_without_a_terminal_a_line_feed_is_a_new_line() -> None:
    writer = Writer(terminal=False)
    assert events_of([writer.event(OUTPUT, "stdout", b"a\nb")]) == [("o", "a\r\nb")]
    assert events_of([writer.event(INPUT, "stdin", b"a\nb")]) == [("i", "a\nb")]
    assert events_of([Writer(terminal=True).event(OUTPUT, "stdout", b"a\nb")]) == [("o", "a\nb")]


def test_two_streams_do_not_share_half_a_character() -> None:
    writer = Writer(terminal=False)
    assert writer.event(OUTPUT, "stdout", b"\xc3") == b""
    assert events_of([writer.event(OUTPUT, "stderr", b"x")]) == [("o", "x")]
    assert events_of([writer.event(OUTPUT, "stdout", b"\xa4")]) == [("o", "\xe4")]


def test_half_a_line_at_the_end_is_left_out() -> None:
    _, events = read([header("x"), b'[0.5,"o","a"]\n', b'[0.6,"o'], "x.cast")
    assert list(events) == [Event(0.5, "o", "a")]


@pytest.mark.parametrize("first", [b"", b"{}\n", b"[]\n", b'{"version":1}\n', b"x\n", b"[" * 100_000])
def test_what_is_no_recording_is_one_line(first: bytes) -> None:
    with pytest.raises(ConfigError, match=r"x\.cast:1: not a "):
        read([first], "x.cast")


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b'["0","o","a"]\n', b'[0,"o",1]\n', b"x\n"])
def test_what_is_no_event_is_named_by_its_line(line: bytes) -> None:
    _, events = read([header("x"), line], "x.cast")
    with pytest.raises(ConfigError, match=r"x\.cast:2: not a"):
        list(events)
