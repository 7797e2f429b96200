"""Words are written so that they are read as what they were."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.policy.braces import read_braces
from rexec.policy.spelling import in_braces, is_writable, spelled
from rexec.policy.tokens import scan

ODD = "ab7/._-=%@+:,^*?[]{}()'\"\\ #$|&;~`!<>é"


@settings(deadline=None)
@given(word=st.text(alphabet=ODD, max_size=12))
def test_a_word_is_read_as_itself(word: str) -> None:
    (token,) = scan("x " + spelled(word))[1:]
    assert token.is_literal
    assert token.text == word
    assert not token.is_word("--")


@settings(deadline=None)
@given(
    word=st.text(alphabet=ODD.replace("é", ""), min_size=1, max_size=12).filter(lambda word: word[0] != "-")
)
def test_a_value_in_braces_is_read_as_itself(word: str) -> None:
    _, found = read_braces(f"{in_braces(word)}|other-word", 1, {})
    assert found.takes(word, "/")


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("ls", "ls"),
        ("a b", "'a b'"),
        ("it's", '"it\'s"'),
        ("...", "'...'"),
        ("--", "'--'"),
        ("@x", "'@x'"),
        ("", "''"),
    ],
)
def test_quotes_stand_only_where_they_must(word: str, written: str) -> None:
    assert spelled(word) == written


@pytest.mark.parametrize("word", ["a\nb", "a\tb", "\x1b[2J", "\udcff", "\u202e", "x" * 5000])
def test_what_no_line_may_hold_cannot_be_written(word: str) -> None:
    assert not is_writable(word)
    assert is_writable("a b'\"#é")
