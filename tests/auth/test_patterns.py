"""OpenSSH's patterns, compared with fnmatch where the two agree."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth.patterns import list_matches, matches


@given(st.text("ab*?", max_size=8), st.text("ab*?", max_size=6))
def test_star_and_question_mark_mean_what_they_mean_elsewhere(text, pattern):
    assert matches(text, pattern) is fnmatchcase(text, pattern)


def test_brackets_are_letters_like_any_other():
    assert matches("[a]:1", "[?]:*")
    assert not matches("a", "[a]")


def test_a_pattern_cannot_take_long():
    """security.md, Around the allow list: catastrophic backtracking."""
    assert not matches("a" * 2_000, "*a" * 20 + "b")


@pytest.mark.parametrize(
    ("items", "found"),
    [
        (["a*"], True),
        (["b"], False),
        (["a*", "!abc"], False),
        (["!abc", "a*"], False),
        (["!x", "a*"], True),
        (["!x"], False),
    ],
)
def test_an_exclusion_wins_wherever_it_stands(items, found):
    assert list_matches(items, lambda item: matches("abc", item)) is found
