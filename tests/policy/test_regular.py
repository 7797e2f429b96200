"""Regular expressions in linear time. What is refused stands in tests/vectors/policy/re-*.txt."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rexec.limits import EXPRESSION_DEPTH, EXPRESSION_MAX, EXPRESSION_STATES
from rexec.policy.regular import Automaton, Irregular, automaton

ATOMS = st.sampled_from(
    ["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", r"\w", r"\d", r"\D", r"\W", r"\.", "[-b]"]
)
REPEATS = st.sampled_from(["", "?", "*", "+", "{2}", "{1,3}", "{0,2}", "{2,}", "{0,}"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    rows = st.lists(inner, min_size=1, max_size=3).map("".join)
    groups = st.tuples(
        st.sampled_from(["(", "(?:"]), st.lists(rows, min_size=1, max_size=3).map("|".join), REPEATS
    )
    return st.tuples(inner, REPEATS).map(lambda pair: f"(?:{pair[0]}){pair[1]}") | groups.map(
        lambda parts: f"{parts[0]}{parts[1]}){parts[2]}"
    )


@settings(max_examples=1000)
@given(
    st.recursive(ATOMS, _larger, max_leaves=6),
    st.lists(st.text("abc1.-", min_size=1, max_size=7), max_size=6),
)
def test_an_expression_takes_what_the_library_takes(text: str, words: list[str]) -> None:
    try:
        found = automaton(text)
    except Irregular as exc:
        assume("too long" not in str(exc))
        raise
    for word in words:
        assert found.takes(word) == (re.fullmatch(text, word, re.ASCII) is not None), (text, word)


@pytest.fixture
def leaps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets each set of places whose followers are computed, not remembered."""
    made: list[int] = []
    leap = Automaton.leap

    def counted(self: Automaton, here: int) -> int:
        made.append(here)
        return leap(self, here)

    monkeypatch.setattr(Automaton, "leap", counted)
    return made


@pytest.mark.parametrize(
    "text", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*a){20}b", "(a?){50}a{50}b", "((a*)*)*b", "(.*)*(.*)*b"]
)
def test_nothing_is_tried_twice(text: str, leaps: list[int]) -> None:
    """security.md, Around the allow list: "catastrophic backtracking": a character is one step at most."""
    found = automaton(text)
    assert not found.takes("a" * 1000 + "c")
    assert len(leaps) <= 1001
    assert len(found.follow) <= EXPRESSION_MAX


@pytest.mark.parametrize(("text", "sets"), [("(.*,)*.*", 2), ("(.*,){0,100}.*", 202), ("(.*a){100}", 202)])
def test_a_long_row_of_words_computes_each_set_of_places_once(text: str, sets: int, leaps: list[int]) -> None:
    """security.md, Around the allow list: "catastrophic backtracking": also not word by word."""
    found = automaton(text)
    words = [f"{number:b}".translate({48: "a", 49: ","}) * 80 for number in range(500)]
    for word in words:
        found.takes(word)
    assert len(leaps) == len(set(leaps)) <= sets
    before = len(leaps)
    for word in words:
        found.takes(word)
    assert len(leaps) == before


def test_what_is_remembered_is_bounded_and_forgotten_at_once(leaps: list[int]) -> None:
    found = automaton("[ab]*a[ab]{12}")  # every row of 13 letters is a set of places of its own
    for number in range(1 << 13):
        word = f"{number:013b}".translate({48: "a", 49: "b"})
        assert found.takes(word) == (word[0] == "a")
        assert len(found._states) <= EXPRESSION_STATES
    assert len(set(leaps)) > EXPRESSION_STATES


@pytest.mark.parametrize(("text", "ways"), [(".*a.{200}", 2), ("(.*a){100}", 3), ("x{0,500}", 1)])
def test_repeats_go_few_ways(text: str, ways: int) -> None:
    """A copy is followed by the next one, not by all that are left: a step costs no more than the ways."""
    assert len(automaton(text)._jumps) == ways


@settings(max_examples=300)
@given(st.recursive(ATOMS, _larger, max_leaves=8), st.integers(0, (1 << EXPRESSION_MAX) - 1))
def test_both_ways_to_leap_lead_to_the_same_places(text: str, places: int) -> None:
    try:
        found = automaton(text)
    except Irregular:
        assume(False)
    here = places & ((1 << len(found.follow)) - 1)
    alone = [found.follow[place] for place in range(len(found.follow)) if here >> place & 1]
    expected = 0
    for following in alone:
        expected |= following
    assert found.leap(here) == expected


def test_a_step_touches_no_more_than_the_places_of_the_expression() -> None:
    found = automaton("(.|.|.){100}x")
    assert len(found.follow) == 301
    assert max(found.follow).bit_length() <= 301
    assert max(found.accepts).bit_length() <= 301


def test_the_longest_expression_is_read_and_a_longer_one_is_not() -> None:
    assert automaton(f"a{{{EXPRESSION_MAX}}}").takes("a" * EXPRESSION_MAX)
    with pytest.raises(Irregular, match="too long"):
        automaton(f"a{{{EXPRESSION_MAX + 1}}}")


def test_groups_are_not_endlessly_deep() -> None:
    deep = "(" * EXPRESSION_DEPTH + "a" + ")" * EXPRESSION_DEPTH
    assert automaton(deep).takes("a")
    with pytest.raises(Irregular, match="deep"):
        automaton(f"({deep})")


@pytest.mark.parametrize(
    "text", ["[\\d-a]", "[a-\\d]", "[^\\w\\W]", "[b-a]", "a**", "(?P<n>a)", "a{", "\\", "\\n"]
)
def test_what_is_not_of_the_subset_is_refused(text: str) -> None:
    with pytest.raises(Irregular):
        automaton(text)


def test_signs_are_meant_literally_behind_a_backslash_and_in_classes() -> None:
    assert automaton(r"\^\$\*\{\[a\]\}\\").takes("^$*{[a]}\\")
    assert automaton(r"[.$*()+?|{}]+").takes(".$*()+?|{}")
    assert automaton(r"[\]\[^-]+").takes("][^-")
    assert automaton("a||b").takes("b")


@settings(max_examples=300)
@given(st.text("ab()[]{}|?*+.\\^$-,0123456789d", max_size=20))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        found = automaton(text)
    except Irregular:
        return
    assert isinstance(found.takes("ab"), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the library will read [||] otherwise one day
        assert re.compile(text)
