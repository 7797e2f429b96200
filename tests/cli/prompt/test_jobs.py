"""Names of signals, and words for how a command ended."""

from __future__ import annotations

import pytest

from rexec.cli.prompt.jobs import _whole_lines, ending, signal_name
from rexec.client.result import Result
from rexec.errors import UsageError


@pytest.mark.parametrize(
    ("text", "name"), [("KILL", "KILL"), ("SIGTERM", "TERM"), ("hup", "HUP"), ("9", "KILL"), ("15", "TERM")]
)
def test_a_signal_has_a_name_or_a_number(text: str, name: str) -> None:
    assert signal_name(text) == name


@pytest.mark.parametrize("text", ["", "FROB", "0", "999", "\u0661", "-9", "_DFL", "\x1b"])
def test_what_is_no_signal_is_an_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        signal_name(text)
    assert str(caught.value).isprintable()


def test_whole_lines_are_taken_and_the_rest_waits() -> None:
    partial = bytearray(b"a\nb\nc")
    assert _whole_lines(partial) == b"a\nb\n"
    assert partial == b"c"
    assert _whole_lines(partial) == b""
    partial += b"x" * 70_000
    assert len(_whole_lines(partial)) == 70_002
    assert partial == b""


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (Result("ok", 0), "done"),
        (Result("failed", 3), "exit 3"),
        (Result("signal", 143, signal="TERM"), "died by TERM"),
        (Result("denied", 126, error="no rule"), "denied: no rule"),
        (Result("lost", 255, error="connection lost"), "connection lost"),
    ],
)
def test_an_ending_in_words(result: Result, words: str) -> None:
    assert ending(result) == words
