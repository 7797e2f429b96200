"""The log: one record is one line, whatever its values hold, and can be read back."""

from __future__ import annotations

import json
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.audit.log import Log, line, quoted

TABLE = {
    "alice": "alice",
    "cmds.txt:4": "cmds.txt:4",
    "SHA256:ab/c+d": "SHA256:ab/c+d",
    "": "-",
    "two words": '"two words"',
    'a"b': '"a\\"b"',
    "a'b": '"a\'b"',
    "a=b": '"a=b"',
    "a\\b": '"a\\\\b"',
    "a`b": '"a`b"',
    "a\nb": '"a\\nb"',
    "\x7f": '"\\u007f"',
    "\x1b[2J": '"\\u001b[2J"',
    "\u202eabc": '"\\u202eabc"',
    "\xe9": '"\\u00e9"',
    "\udcff": '"\\udcff"',
}


@pytest.mark.parametrize("value", TABLE)
def test_a_value_is_quoted_where_it_is_not_plain(value: str) -> None:
    assert quoted(value) == TABLE[value]


def test_what_is_no_text_has_its_own_form() -> None:
    assert quoted(None) == "-"
    assert quoted(0) == "0"
    assert quoted(["a b", "\n"]) == '["a b","\\n"]'
    assert quoted(()) == "[]"


FIELD = re.compile(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "]+(?= |$)|\[(?:[^"\]]|"(?:[^"\\]|\\.)*")*\])')


def parsed(text: str) -> dict[str, object]:
    """Read a line as a reader of logs would."""
    found: dict[str, object] = {}
    rest = text.partition(": ")[2].partition(" ")[2]
    for name, value in FIELD.findall(" " + rest):
        found[name] = json.loads(value) if value[0] == '"' or name == "argv" else value
    return found


@given(
    st.text(min_size=2),
    st.lists(st.text()),
    st.text(alphabet="\n\r\x1b\x85\u2028\u202e \"'\\=[]", min_size=2),
)
@settings(max_examples=200)
def test_one_record_is_one_line_and_reads_back(user: str, argv: list[str], why: str) -> None:
    """security.md, People's terminals: "Control characters, escape sequences, newlines, bidi marks in
    user names, argv, denials ...: one record is one line"."""
    text = line("deny", {"user": user, "argv": argv, "why": why})
    assert text.isascii()
    assert text.isprintable()
    assert text.splitlines() == [text]
    assert parsed(text) == {"user": user, "argv": argv, "why": why}


def test_an_event_is_written_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    Log().event("refused", from_="192.0.2.1", why="end of file")
    assert capfd.readouterr().err == 'rexec-server: refused from=192.0.2.1 why="end of file"\n'


def test_a_log_that_cannot_be_written_is_no_reason_to_stop() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    Log(writing).event("reload")
    os.close(writing)
    Log(writing).event("reload")


def test_text_that_is_not_unicode_is_written_too() -> None:
    reading, writing = os.pipe()
    Log(writing).text("made /tmp/\udcff\n")
    assert os.read(reading, 99) == b"made /tmp/\\udcff\n"
    os.close(reading)
    os.close(writing)
