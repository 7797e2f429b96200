"""The types of values. What each takes and refuses stands in tests/vectors/policy/arguments."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.limits import VALUE_MAX
from rexec.policy.braces import read_braces
from rexec.policy.regular import Automaton
from rexec.policy.rules import PathCheck
from rexec.policy.types import TYPES, Type, choice

WRITTEN = [
    *sorted(TYPES.keys() - {"path", "re", "url"}),
    *(
        "int:1..10",
        "hex:4",
        "url:https",
        "re:'.*'",
        "re:'[^a]+'",
        "path:/** rw",
        "path:/srv/*/x",
        "a|b|c",
        "SET",
    ),
]
ANYTHING = (
    st.text()
    | st.text(string.printable)
    | st.text(string.ascii_letters + string.digits + "-./:@%", max_size=20)
)


def type_of(text: str) -> Type:
    return read_braces(text, 1, {"SET": ("nginx", "redis")})[1]


@pytest.mark.parametrize("text", WRITTEN)
@settings(max_examples=150)
@given(word=ANYTHING)
def test_what_a_type_takes_is_short_ascii_without_a_leading_dash(text: str, word: str) -> None:
    """security.md, Around the allow list: "by a file name that starts with `-`"; "Unicode digits"."""
    if type_of(text).takes(word, "/"):
        assert word.isascii()
        assert word.isprintable()
        assert len(word) <= VALUE_MAX
        assert text == "any" or (word and word[0] != "-")


@pytest.mark.parametrize("text", ["int", "num", "word", "name", "text", "any", "hex", "path:/**", "re:.*"])
def test_a_value_has_a_length(text: str) -> None:
    start = "/" if text.startswith("path") else "1" if text in ("int", "num", "hex") else "a"
    assert type_of(text).takes(start + "1" * (VALUE_MAX - 1), "/")
    assert not type_of(text).takes(start + "1" * VALUE_MAX, "/")
    assert not type_of(text).takes(start + "1" * 3_000_000, "/")


def test_an_expression_sees_no_word_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """security.md, Around the allow list: "catastrophic backtracking": the length is looked at first."""
    seen: list[int] = []

    def takes(self: Automaton, word: str) -> bool:
        seen.append(len(word))
        return True

    monkeypatch.setattr(Automaton, "takes", takes)
    found = type_of("re:'(.*,){0,100}.*'")
    assert found.takes("," * VALUE_MAX, "/")
    assert not found.takes("," * (VALUE_MAX + 1), "/")
    assert not found.takes("," * 2_000_000, "/")
    assert seen == [VALUE_MAX]


def test_types_are_equal_when_they_take_the_same() -> None:
    assert type_of("int:1..5") == type_of("int:1..5") != type_of("int:1..6")
    assert type_of("path:/srv ro") != type_of("path:/srv rw")
    assert len({type_of("word"), type_of("word"), type_of("name")}) == 2


def test_words_to_choose_from_are_offered() -> None:
    assert type_of("start|'re start'").choices == ("start", "re start")
    assert type_of("SET").choices == ("nginx", "redis")
    assert choice("X", ["a"], 1).takes("a", "/")
    assert type_of("int").choices == ()


def test_what_is_expected_is_short_and_printable() -> None:
    for text in WRITTEN:
        assert type_of(text).expected.isprintable()
    assert len(type_of("|".join(f"word{number}" for number in range(500))).expected) < 300


# --- places -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "root", "writing", "kind"),
    [
        ("path:/var/log/** ro", "/var/log", False, ""),
        ("path:/srv/*/x rw file", "/srv", True, "file"),
        ("path:/srv/a dir", "/srv/a", False, "dir"),
        ("path:/srv/in/** new", "/srv/in", True, "new"),
        ("path:/srv/in/a rw new", "/srv/in", True, "new"),
        ("path:/a new", "/", True, "new"),
        ("path:/**", "/", False, ""),
        ("path:/", "/", False, ""),
    ],
)
def test_a_path_has_a_place(text: str, root: str, writing: bool, kind: str) -> None:
    place = type_of(text).place
    assert place is not None
    assert (place.root, place.writing, place.kind) == (root, writing, kind)


def test_a_relative_path_is_seen_from_the_directory_of_the_command() -> None:
    place = type_of("path:/srv/** ro file").place
    assert place is not None
    assert place.check("a/./b", "/srv/x") == PathCheck("/srv/x/a/b", "/srv/**", "file", False, "a/./b")
    assert place.check("a", "/etc") is None
    assert place.check("../a", "/srv/x") is None
    assert type_of("path:/srv/**").takes("a", "/srv")
    assert not type_of("path:/srv/**").takes("a", "/etc")
