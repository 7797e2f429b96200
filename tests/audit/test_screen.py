"""What a recording may do to a terminal: show, and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.audit.screen import AGAIN, Filter

PASSES = [
    "plain \u00e4 \u4e2d text",
    "a\tb\r\nc\bd",
    "\x1b[1;31mred\x1b[0m",
    "\x1b[38:2:1:2:3m",
    "\x1b[10;20H\x1b[2J\x1b[K\x1b[3A\x1b[5L\x1b[2;20r",
    "\x1b7\x1b8\x1bM\x1bD\x1bE\x1b=\x1b>",
    "\x1b(0lqk\x1b(B\x0e\x0f",
    "\x1b[?25l\x1b[?1049h\x1b[?7h",
]
DROPPED = {
    "device attributes": "\x1b[c",
    "more device attributes": "\x1b[>0c",
    "status": "\x1b[6n",
    "a mode": "\x1b[?1$p",
    "window title": "\x1b]0;evil\x07",
    "window title, other end": "\x1b]2;evil\x1b\\",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "link": "\x1b]8;;http://x/\x1b\\",
    "DCS": '\x1bP$q"p\x1b\\',
    "APC": "\x1b_Gi=1;AAAA\x1b\\",
    "PM": "\x1b^x\x1b\\",
    "SOS": "\x1bXx\x1b\\",
    "mouse": "\x1b[?1000h\x1b[?1006h",
    "paste": "\x1b[?2004h",
    "a good and a bad mode": "\x1b[?25;1000h",
    "window operation": "\x1b[21t",
    "reset": "\x1bc",
    "soft reset": "\x1b[!p",
    "media copy": "\x1b[5i",
    "leds": "\x1b[1q",
    "bell": "\x07",
    "answerback": "\x05",
    "c1 csi": "\x9b6n"[:1],
    "nul": "\x00",
    "del": "\x7f",
    "another charset": "\x1b(A\x1b(K"[3:],
    "8 bit controls": "\x1b G",
    "sequence that is cut off by another": "\x1b[6",
}


@pytest.mark.parametrize("text", PASSES)
def test_what_shows_passes(text: str) -> None:
    assert Filter().feed(text) == text


@pytest.mark.parametrize("name", DROPPED)
def test_what_steers_is_dropped(name: str) -> None:
    """security.md, People's terminals: what rexec itself prints is neutralised."""
    assert Filter().feed(f"a{DROPPED[name]}\x1b[mb") == "a\x1b[mb"


@pytest.mark.parametrize("text", [*PASSES, *DROPPED.values()])
def test_it_makes_no_difference_how_it_is_cut(text: str) -> None:
    whole, pieces = Filter(), Filter()
    assert whole.feed(text) == "".join(pieces.feed(char) for char in text)


def test_a_string_without_an_end_swallows_until_it_is_cancelled() -> None:
    screen = Filter()
    assert screen.feed("\x1b]0;" + "x" * 10_000) == ""
    assert screen.feed("\x18seen") == "seen"


def test_an_endless_sequence_is_none() -> None:
    assert Filter().feed("\x1b[" + "1" * 100 + "c").count("\x1b") == 0


def test_the_terminal_is_given_back() -> None:
    screen = Filter()
    assert screen.finish() == AGAIN
    screen.feed("\x1b[?1049h")
    assert screen.finish() == "\x1b[?1049l" + AGAIN
    screen.feed("\x1b[?1049l")
    assert screen.finish() == AGAIN


SAFE = re.compile(
    r"(?:[^\x00-\x1f\x7f-\x9f]|[\t\n\r\b\x0e\x0f]|\x1b\[[0-9;:]*[A-Za-z@`]|\x1b\[\?[0-9;]+[hl]|\x1b[78DEM=>]"
    r"|\x1b[()][0AB])*"
)


@given(st.text(st.sampled_from("\x1b[]?;:0123456789$ !()PXc^_\\hlmnpqtR\x07\x18\x9c\x9bAB\n"), max_size=60))
def test_nothing_passes_but_what_is_listed(text: str) -> None:
    passed = Filter().feed(text)
    assert SAFE.fullmatch(passed), passed
    assert not re.search(r"\x1b\[[0-9;:]*[cnpqtR]", passed)
