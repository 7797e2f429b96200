"""Lists of options. What they take and refuse stands in tests/vectors/policy/arguments/options.txt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.policy.accept import Options, Reading
from rexec.policy.arguments import Span
from rexec.policy.rules import PathCheck
from tests.policy.test_arguments import row
from tests.policy.test_types import type_of

TEXT = "[-a -(xyz) -n={int} --long --level={low|high} --user {word} -f={path:/srv/**}]"


def options(text: str = TEXT) -> Options:
    (found,) = row(text)
    assert isinstance(found, Options)
    return found


@pytest.mark.parametrize(
    ("word", "names", "value"),
    [
        ("-a", ("-a",), None),
        ("-zx", ("-z", "-x"), None),
        ("-n", ("-n",), None),
        ("-n5", ("-n",), "5"),
        ("-nx", ("-n",), "x"),
        ("--long", ("--long",), None),
        ("--level=low", ("--level",), "low"),
        ("--level=", ("--level",), ""),
        ("--user", ("--user",), None),
    ],
)
def test_a_word_has_one_reading(word: str, names: tuple[str, ...], value: str | None) -> None:
    found = options().reading(word)
    assert found is not None
    assert (found.names, found.value) == (names, value)


@pytest.mark.parametrize(
    "word",
    [
        *("", "-", "--", "a", "-b", "-ab", "-xx", "-xa", "--lon", "--longer", "--long=1", "--level", "--use"),
        *("--user=x", "---a", "-a\n", "-а", "−a", "--level\n=low"),  # a Cyrillic letter, a minus sign
    ],
)
def test_what_is_not_spelled_so_has_none(word: str) -> None:
    """security.md, Around the allow list: "Option injection ..., by abbreviation ..., by bundling, by
    attached value, by a file name that starts with `-`"."""
    assert options().reading(word) is None


def test_a_bundle_may_end_with_a_value_where_it_is_written() -> None:
    found = options("[-(vl)e={word}]")
    assert 2 not in found.ends(["x", "-vle.x"], {1}, "/")
    assert 2 in found.ends(["x", "-vlex"], {1}, "/")
    assert found.reading("-vlex") == Reading(("-v", "-l", "-e"), type_of("word"), "x")
    assert found.reading("-ex") == Reading(("-e",), type_of("word"), "x")
    assert found.reading("-vle") is None
    assert found.reading("-vx") is None
    assert found.reading("-vvex") is None


@settings(max_examples=300)
@given(st.text("-axyznlog=5 vehiu", max_size=8))
def test_a_list_never_takes_a_word_that_it_does_not_spell(word: str) -> None:
    ends = options().ends(["x", word], {1}, "/")
    spelled = word in ("-a", "--long") or (word[:1] == "-" and set(word[1:]) <= set("xyz") and len(word) > 1)
    valued = (word[:2] == "-n" and word[2:].isdigit()) or word in ("--level=low", "--level=high")
    assert 2 not in ends or spelled or valued


def test_each_option_is_said_once_unless_the_list_repeats() -> None:
    assert dict(options("[-a -b]").ends(["x", "-a", "-b", "-a"], {1}, "/")) == {1: 1, 2: 1, 3: 1}
    assert dict(options("[-a -b]*").ends(["x", "-a", "-b", "-a"], {1}, "/")) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert dict(options("[-a -n={int}]*").ends(["x", "-n", "1", "-a"], {1, 3}, "/")) == {1: 1, 3: 3, 4: 3}


def test_values_that_are_paths_are_questions_to_the_disk() -> None:
    words = ["x", "-a", "-f", "/srv/a", "-n5", "-fb"]
    assert list(options("[-a -n={int} -f={path:/srv/**}]*").checks(words, Span(1, 6), "/srv")) == [
        PathCheck("/srv/a", "/srv/**", "", False, "/srv/a"),
        PathCheck("/srv/b", "/srv/**", "", False, "b"),
    ]


def test_a_list_tells_its_types_and_words() -> None:
    assert options().types == tuple(map(type_of, ("int", "low|high", "word", "path:/srv/**")))
    assert options("[-a -(xy) --l={low|high} --file={text} --user {a|b}]").choices == (
        *("-a", "--l=low", "--l=high", "--file=", "--user", "-x", "-y"),
        *("low", "high", "a", "b"),
    )
    assert options().name == ""


def wanted(text: str, *words: str) -> list[tuple[int, str]]:
    found = options(text).wants(["x", *words], {1}, "/")
    return [(want.position, want.what.expected) for want in found]


def test_what_is_wanted_is_what_was_not_said() -> None:
    assert wanted("[-a -(xy) --l={int}]", "-x", "z") == [
        (1, "an option of [-a --l={int} -(xy)]"),
        (2, "an option of [-a --l={int} -(y)]"),
    ]
    assert wanted("[-a]", "-a") == [(1, "an option of [-a]")]
    assert wanted("[-a]*", "-a") == [(1, "an option of [-a]"), (2, "an option of [-a]")]


def test_a_long_list_is_not_told_whole() -> None:
    (want,) = wanted("[-a -b -c -d -e -f -g -h -i]")
    assert want == (1, "an option of [-a -b -c -d -e -f -g -h ...]")


def test_a_value_is_wanted_behind_its_option() -> None:
    assert wanted("[-n={int}]", "-n") == [(2, "a whole number"), (1, "an option of [-n={int}]")]
    assert wanted("[-n={int}]", "-nx") == [(1, "-n with a whole number")]
    assert wanted("[-n={int} -a]", "-n", "1", "-n") == [
        (2, "a whole number"),
        (1, "an option of [-n={int} -a]"),
        (3, "an option of [-a]"),
    ]


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        (["-ab", "-e.x"], True),
        (["-abe.x"], True),
        (["-e", ".x"], True),
        (["-abe"], False),
        (["-abe", ".x"], False),
        (["-aae.x"], False),
        (["-azbe.x"], False),
        (["-abe.X"], False),
        (["-abe.x", "-a"], False),
        (["-abe.x", "-e.x"], False),
    ],
)
def test_a_bundle_may_end_in_an_option_with_its_value(words: list[str], taken: bool) -> None:
    """security.md, Around the allow list: "Option injection ... by bundling, by attached value"."""
    found = options("[-(abc)e={re:'[.][a-z]+'}]").ends(["x", *words], {1}, "/")
    assert (1 + len(words) in found) is taken


def test_a_bundle_with_a_value_may_repeat_where_the_list_does() -> None:
    assert 3 in options("[-(ab)e={word}]*").ends(["x", "-aabe1", "-e2"], {1}, "/")
