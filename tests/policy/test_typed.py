"""Patterns of values."""

from __future__ import annotations

import pytest

from rexec.policy.arguments import Span
from rexec.policy.rules import PathCheck
from rexec.policy.typed import Typed
from tests.policy.test_types import type_of


def ends(modifier: str, words: list[str], *starts: int) -> dict[int, int]:
    return dict(Typed(type_of("int"), modifier).ends(words, set(starts), "/"))


@pytest.mark.parametrize(
    ("modifier", "starts", "expected"),
    [
        ("", [1], {2: 1}),
        ("", [1, 2, 3, 5], {2: 1, 3: 2}),
        ("?", [1, 3], {1: 1, 2: 1, 3: 3}),
        ("+", [1], {2: 1, 3: 1}),
        ("+", [1, 2], {2: 1, 3: 2}),
        ("+", [3], {}),
        ("+", [1, 4], {2: 1, 3: 1, 5: 4}),
        ("*", [1], {1: 1, 2: 1, 3: 1}),
        ("*", [3], {3: 3}),
        ("*", [5], {5: 5}),
        ("*", [1, 4, 5], {1: 1, 2: 1, 3: 1, 4: 4, 5: 5}),
    ],
)
def test_each_end_has_the_last_start_that_leads_there(modifier, starts, expected) -> None:
    assert ends(modifier, ["x", "1", "2", "a", "3"], *starts) == expected


def test_patterns_that_differ_in_the_name_alone_take_the_same() -> None:
    assert Typed(type_of("int"), "", "a") == Typed(type_of("int"), "", "b")
    assert Typed(type_of("int")) != Typed(type_of("int"), "?")


def test_a_pattern_tells_its_types_and_words() -> None:
    pattern = Typed(type_of("a|b"), "", "n")
    assert (pattern.name, pattern.types, pattern.choices) == ("n", (type_of("a|b"),), ("a", "b"))


def test_each_path_that_was_taken_is_a_question_to_the_disk() -> None:
    words = ["x", "/srv/a", "b"]
    pattern = Typed(type_of("path:/srv/** rw"), "*")
    assert list(pattern.checks(words, Span(1, 3), "/srv")) == [
        PathCheck("/srv/a", "/srv/**", "", True, "/srv/a"),
        PathCheck("/srv/b", "/srv/**", "", True, "b"),
    ]
    assert list(Typed(type_of("int")).checks(words, Span(1, 2), "/")) == []


def test_what_is_wanted_is_wanted_where_a_run_ends() -> None:
    pattern = Typed(type_of("int"), "+")
    assert sorted(want.position for want in pattern.wants(["x", "1", "2", "a"], {1}, "/")) == [1, 2, 3]
    assert [want.position for want in Typed(type_of("int")).wants(["x", "1"], {1}, "/")] == [1]
