"""Argument patterns."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.policy.arguments import FREE, Literal, Miss, match, read_patterns
from rexec.policy.tokens import scan

WORDS = st.lists(st.sampled_from(["", "a", "b", "--", "..."]), max_size=5)


def test_nothing_means_any_arguments_and_none_under_strict() -> None:
    assert read_patterns([], strict=False) == (FREE,)
    assert read_patterns([], strict=True) == ()


def test_an_empty_list_means_no_arguments() -> None:
    assert read_patterns(scan("[]"), strict=False) == ()


def test_words_are_literal_and_dots_are_a_free_tail() -> None:
    assert read_patterns(scan("a '...' -- ..."), strict=True) == (
        Literal("a"),
        Literal("..."),
        Literal("--"),
        FREE,
    )


def test_a_literal_is_never_taken_for_a_free_tail() -> None:
    assert Literal(FREE.expected) != FREE


def test_a_miss_says_where_and_what() -> None:
    patterns = (Literal("a"), Literal("b"))
    assert match(patterns, ["x", "a", "b"]) is None
    assert match(patterns, ["x"]) == Miss(1, 'missing argument "a"')
    assert match(patterns, ["x", "a", "c"]) == Miss(2, 'argument 2 is "c", not "b"')
    assert match(patterns, ["x", "a", "b", "c", "d"]) == Miss(3, 'extra argument "c"')
    assert match((), ["x", ""]) == Miss(1, 'extra argument ""')
    assert match((Literal("a"), FREE), ["x", "b"]) == Miss(1, 'argument 1 is "b", not "a"')


@settings(max_examples=200)
@given(WORDS, WORDS)
def test_an_exact_rule_takes_exactly_its_words(rule: list[str], words: list[str]) -> None:
    taken = match([Literal(word) for word in rule], ["x", *words]) is None
    assert taken == (rule == words)


@settings(max_examples=200)
@given(WORDS, WORDS)
def test_a_free_tail_takes_whatever_follows_its_words(rule: list[str], words: list[str]) -> None:
    taken = match([*(Literal(word) for word in rule), FREE], ["x", *words]) is None
    assert taken == (words[: len(rule)] == rule)
