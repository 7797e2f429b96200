"""The style of each character of a line."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.cli.prompt.colours import STYLES, is_own, paint
from rexec.cli.prompt.rules import Verdict
from rexec.cli.prompt.words import Line

YES, NO = Verdict(True, "", "yes"), Verdict(False, "", "yes")
PAINTED: list[tuple[str, Verdict | None, str]] = [
    ("ls -l", None, "ls -l"),
    ("ls -l", YES, "allowed:ls| |allowed:-l"),
    ("ls 'a b'", NO, "denied:ls| |denied:'a b'"),
    ("help ls", None, "own:help| ls"),
    ("'help' ls", NO, "denied:'help'| |denied:ls"),
    ("ls | wc -l", YES, "allowed:ls| |operator:||local: wc -l"),
    ("ls > f &", YES, "allowed:ls| |operator:>| |local:f| |operator:&"),
    ("!ls", None, "operator:!|local:ls"),
    (" # x", None, " |comment:# x"),
    ("ls a;b", None, "ls a|wrong:;b"),
    ("ls 'a", None, "ls|open: 'a"),
    ("", None, ""),
]


@pytest.mark.parametrize(("text", "verdict", "painted"), PAINTED)
def test_each_part_has_its_style(text: str, verdict: Verdict | None, painted: str) -> None:
    styles = paint(text, verdict, {"help"})
    runs = []
    for style, group in groupby(zip(styles, text, strict=True), key=lambda pair: pair[0]):
        part = "".join(char for _, char in group)
        runs.append(f"{style.removeprefix('class:')}:{part}" if style else part)
    assert "|".join(runs) == painted


@given(st.text(st.sampled_from("ab'\"\\|<>&;$#! \n")))
@settings(max_examples=150)
def test_every_text_has_one_known_style_a_character(text: str) -> None:
    styles = paint(text, YES, {"a"})
    assert len(styles) == len(text)
    assert {style.removeprefix("class:") for style in styles} <= {"", *STYLES}


def test_only_a_plain_first_word_is_the_prompts_own() -> None:
    assert is_own(Line(("exit",)), {"exit"})
    assert not is_own(Line(("exit",), plain=False), {"exit"})
    assert not is_own(Line(), {"exit"})
