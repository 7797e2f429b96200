"""Tokens into patterns. What is refused stands in tests/vectors/policy."""

from __future__ import annotations

import pytest

from rexec.policy.accept import Options
from rexec.policy.arguments import FREE, Dashes, Literal
from rexec.policy.patterns import read_patterns
from rexec.policy.problems import Flaw
from rexec.policy.tokens import scan
from rexec.policy.typed import Typed
from tests.policy.test_arguments import row
from tests.policy.test_types import type_of


def test_nothing_means_any_arguments_and_none_under_strict() -> None:
    assert read_patterns([], False, {}) == (FREE,)
    assert read_patterns([], True, {}) == ()


def test_an_empty_list_means_no_arguments() -> None:
    assert read_patterns(scan("[]"), False, {}) == ()


def test_words_are_literal_and_dots_are_a_free_tail() -> None:
    assert row("a '...' '--' -- '{int}' ...") == (
        Literal("a"),
        Literal("..."),
        Literal("--"),
        Dashes(),
        Literal("{int}"),
        FREE,
    )


def test_braces_are_values_and_brackets_are_options() -> None:
    number, again, listed = row("{n=int}? {SET}* [-a]*")
    assert number == Typed(type_of("int"), "?")
    assert number.name == "n"
    assert isinstance(again, Typed)
    assert (again.modifier, again.name) == ("*", "")
    assert isinstance(listed, Options)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("... a", 1),
        ("a ... b", 3),
        ("[] a", 4),
        ("[]*", 3),
        ("a [] b", 3),
        ("-- a --", 6),
        ("{a=int} {a=int}", 9),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(text: str, column: int) -> None:
    with pytest.raises(Flaw) as caught:
        row(text)
    assert caught.value.column == column
