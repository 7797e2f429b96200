"""Rows of patterns, and how they take an argument vector."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.limits import MATCHED_MAX
from rexec.policy.accept import Options
from rexec.policy.arguments import (
    DASHES,
    FREE,
    Dashes,
    Free,
    Literal,
    Miss,
    Pattern,
    Span,
    match,
    miss,
    reach,
    wants,
)
from rexec.policy.patterns import read_patterns
from rexec.policy.tokens import scan
from rexec.policy.typed import Typed
from tests.policy.fakes import policy_of

WORDS = st.lists(st.sampled_from(["", "a", "b", "--", "..."]), max_size=5)


def row(text: str) -> tuple[Pattern, ...]:
    return read_patterns(scan(text), True, {"SET": ("a", "b")})


def said(text: str, *words: str, base: str = "/") -> str:
    patterns = row(text)
    assert match(patterns, ["x", *words]) is None
    return miss(patterns, ["x", *words], base).said(["x", *words])


def test_a_relative_word_is_told_with_the_directory_that_it_was_seen_from() -> None:
    said_of = said("{path:/srv/** ro file}", "a", base="/root")
    assert said_of == 'argument 1 is "a" (seen from /root), not a file /srv/**'
    assert said("{path:/srv/** ro}", "/etc/x", base="/root") == 'argument 1 is "/etc/x", not a path /srv/**'
    assert said("{int}", "a", base="/root") == 'argument 1 is "a", not a whole number'


def test_a_literal_is_never_taken_for_a_free_tail() -> None:
    assert Literal(FREE.expected) != FREE


def test_each_pattern_has_its_span() -> None:
    words = ["x", "-a", "1", "2", "end"]
    assert match(row("[-a -b] {int}* end"), words) == [Span(1, 2), Span(2, 4), Span(4, 5)]
    assert match(row("..."), ["x"]) == [Span(1, 1)]
    assert match((), ["x"]) == []
    many = [*"a" * 100, "-a", "1"]
    single = [Span(place, place + 1) for place in range(1, 101)]
    assert match(row(" ".join("a" * 100)), ["x", *"a" * 100]) == single
    assert match(row(" ".join("a" * 100) + " [-a] {int}*"), ["x", *many]) == [
        *single,
        Span(101, 102),
        Span(102, 103),
    ]


def test_only_what_takes_one_argument_judges_one_by_itself() -> None:
    single = [pattern for pattern in row("a {int} {int}? {int}* [-a] -- ...") if pattern.is_single]
    assert single == [*row("a {int}")]
    assert [pattern.takes("1", "/") for pattern in row("1 a {int} {port} {date}")] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert not any(pattern.takes("-a", "/") for pattern in row("[-a] -- ..."))


def test_where_an_argument_could_belong_to_two_the_earlier_one_has_it() -> None:
    assert match(row("{int}? {int}? {int}?"), ["x", "1"]) == [Span(1, 2), Span(2, 2), Span(2, 2)]
    assert match(row("{any}* {any}*"), ["x", "1", "2"]) == [Span(1, 3), Span(3, 3)]
    assert match(row("{any}* {any}+"), ["x", "1", "2"]) == [Span(1, 2), Span(2, 3)]
    assert match(row("[-a]* [-a]*"), ["x", "-a", "-a"]) == [Span(1, 3), Span(3, 3)]
    assert match(row("[-a] [-a]"), ["x", "-a", "-a"]) == [Span(1, 2), Span(2, 3)]


def test_dashes_are_taken_as_if_they_stood_there_unless_the_caller_wrote_some() -> None:
    """security.md, Around the allow list: "Option injection ... by a file name that starts with `-`"."""
    assert match(row("-- {name}"), ["x", "a"]) == [Span(1, 1), Span(1, 2)]
    assert match(row("-- {name}"), ["x", "--", "a"]) == [Span(1, 2), Span(2, 3)]
    assert match(row("-- {any} {any}"), ["x", "a", "--"]) is None


@pytest.mark.parametrize(
    ("patterns", "words", "text"),
    [
        ("a b", ["a"], 'missing argument "b"'),
        ("a b", ["a", "c"], 'argument 2 is "c", not "b"'),
        ("a b", ["a", "b", "c", "d"], 'extra argument "c"'),
        ("[]", [""], 'extra argument ""'),
        ("a ...", ["b"], 'argument 1 is "b", not "a"'),
        ("{int:1..5}", ["0"], 'argument 1 is "0", not a whole number from 1 to 5'),
        ("{int}", [], "missing argument a whole number"),
        ("{int}? end", ["x"], 'argument 1 is "x", not a whole number or "end"'),
        ("{int}? end", [], 'missing argument "end"'),
        ("{int}+ end", ["1", "2"], 'missing argument "end"'),
        ("{int}+ end", ["1", "x"], 'argument 2 is "x", not a whole number or "end"'),
        ("[-a] -- {int}", ["x"], 'argument 1 is "x", not an option of [-a] or a whole number'),
        ("[-a] -- {int}", ["x", "--"], 'argument 1 is "x", not an option of [-a] or "--"'),
        ("[-n={int}] -- {name}", ["-n", "x", "y"], 'argument 2 is "x", not a whole number'),
        ("[-n={int}] {name}*", ["-n"], "missing argument a whole number"),
        ("a {SET}", ["a", "c"], 'argument 2 is "c", not a|b'),
        (
            "{int}? {port}? {date}? {uuid}? end",
            ["x"],
            'argument 1 is "x", not a whole number, a port from 1 to 65535, a date YYYY-MM-DD, a UUID, or'
            " other things",
        ),
    ],
)
def test_a_miss_names_the_first_argument_that_failed_and_what_was_expected(patterns, words, text) -> None:
    assert said(patterns, *words) == text


def test_the_furthest_place_counts() -> None:
    assert miss(row("{any}* a b"), ["x", "a", "c"]) == Miss(3, 'any printable ASCII or "a"')
    assert miss(row("[-n={int}] {any} end"), ["x", "-n", "y"]) == Miss(2, 'a whole number or "end"')


def test_the_reach_is_how_far_the_words_are_taken() -> None:
    assert reach(row("a b c"), ["x", "a", "b", "d"]) == 3
    assert reach(row("{any}* z"), ["x", "a", "b"]) == 3
    assert reach((), ["x", "a"]) == 1


def test_the_work_is_bounded_by_patterns_times_arguments() -> None:
    """security.md, Around the allow list: "catastrophic backtracking": rows of repeats are swept."""
    asked = 0

    class Counted(str):
        __slots__ = ()

        def isascii(self) -> bool:
            nonlocal asked
            asked += 1
            return super().isascii()

    words = ["x", *(Counted("a") for _ in range(200)), "!"]
    patterns = row(" ".join(["{any}*"] * 20) + " end")
    assert match(patterns, words) is None
    assert 0 < asked <= len(words) * len(patterns)


@settings(max_examples=200)
@given(WORDS, WORDS)
def test_an_exact_rule_takes_exactly_its_words(rule: list[str], words: list[str]) -> None:
    taken = match([Literal(word) for word in rule], ["x", *words]) is not None
    assert taken == (rule == words)


@settings(max_examples=200)
@given(WORDS, WORDS)
def test_a_free_tail_takes_whatever_follows_its_words(rule: list[str], words: list[str]) -> None:
    taken = match([*(Literal(word) for word in rule), FREE], ["x", *words]) is not None
    assert taken == (words[: len(rule)] == rule)


# --- against a matcher that tries everything --------------------------------------------------------

PATTERNS = [
    *("a", "-a", "--", "'--'", "{int}", "{int}?", "{int}*", "{int}+", "{any}", "{any}?", "{any}*", "{any}+"),
    *("{a|b}", "{SET}*", "[-a -b]", "[-a -(bc)]*", "[-n={int}]", "[-n={int} --l={a|b} --s {any}]*"),
]
SAID = ["a", "b", "c", "1", "-a", "-b", "-bc", "-n", "-n1", "--l=a", "--s", "--", "-"]


def naive(patterns: tuple[Pattern, ...], words: list[str], base: str = "/") -> bool:
    """Try every way in which the patterns could take the words."""
    if not patterns:
        return not words
    first, rest = patterns[0], patterns[1:]
    return any(naive(rest, words[count:], base) for count in counts(first, words))


def counts(pattern: Pattern, words: list[str]) -> Iterator[int]:
    """Give each number of words that a pattern could take, by its definition."""
    match pattern:
        case Literal(text):
            yield from [1] if words[:1] == [text] else []
        case Dashes():
            yield from [1] if words[:1] == [DASHES] else []
        case Free():
            yield len(words)
        case Typed():
            if pattern.modifier in ("?", "*"):
                yield 0
            for count in range(
                1, len(words) + 1 if pattern.modifier in ("*", "+") else min(2, len(words) + 1)
            ):
                if all(pattern.type.takes(word, "/") for word in words[:count]):
                    yield count
        case Options():
            yield from (len(taken) for taken in lists(pattern, words, frozenset()))


def lists(options: Options, words: list[str], used: frozenset[str]) -> Iterator[list[str]]:
    """Give each beginning of the words that is a list of these options."""
    yield []
    for option in options.options:
        forms = [[option.name]] if option.type is None else []
        for value in words[:2] if option.type else []:
            if option.apart and option.type.takes(value, "/"):
                forms.append([option.name, value])
        if option.attached and words and words[0].startswith(option.name + option.joined):
            value = words[0].removeprefix(option.name + option.joined)
            if value and option.type.takes(value, "/"):
                forms.append([words[0]])
        for form in forms:
            if words[: len(form)] == form and (options.repeats or option.name not in used):
                for more in lists(options, words[len(form) :], used | {option.name}):
                    yield form + more
    for letters in options.bundles:
        said = words[0][1:] if words and words[0][:1] == "-" else ""
        if said and all(letter in letters for letter in said):
            fresh = len(set(said)) == len(said) and used.isdisjoint(said)
            if options.repeats or fresh:
                for more in lists(options, words[1:], used | set(said)):
                    yield [words[0], *more]


@settings(max_examples=1500)
@given(
    st.lists(st.sampled_from(PATTERNS), max_size=4),
    st.lists(st.sampled_from(SAID), max_size=5),
    st.booleans(),
)
def test_the_matcher_takes_what_a_naive_one_takes(texts: list[str], words: list[str], tail: bool) -> None:
    kept = [text for index, text in enumerate(texts) if text != "--" or "--" not in texts[:index]]
    patterns = row(" ".join([*kept, *(["..."] if tail or not kept else [])]))
    expected = naive(patterns, words)
    if DASHES not in words and Dashes() in patterns:
        expected = any(naive(patterns, [*words[:at], DASHES, *words[at:]]) for at in range(len(words) + 1))
    spans = match(patterns, ["x", *words])
    assert (spans is not None) == expected
    if spans is None:
        found = miss(patterns, ["x", *words])
        assert 1 <= found.position <= len(words) + 1
        assert found.said(["x", *words]).isprintable()
    else:
        ends = [1, *(span.end for span in spans)]
        assert [span.start for span in spans] == ends[:-1]
        assert ends[-1] == len(words) + 1


@pytest.mark.parametrize("pattern", ["{any}*", "[-a]* {any}*"])
def test_a_row_that_looks_at_each_argument_takes_no_endless_row_of_them(pattern: str) -> None:
    """security.md, Around the allow list: "100,000 arguments ...: a clear error, the server lives"."""
    patterns = read_patterns(scan(pattern), False, {})
    words = ["x"] * (MATCHED_MAX + 1)
    assert match(patterns, words) is not None
    words.append("x")
    assert match(patterns, words) is None
    assert miss(patterns, words).said(words) == "more than 4,096 arguments"
    assert reach(patterns, words) == len(words)
    assert list(wants(patterns, words, "/")) == []
    assert match((FREE,), words) is not None


def test_a_policy_uses_the_same_rows() -> None:
    assert policy_of("%strict\nx {int} ...").rules[0].patterns == row("{int} ...")
