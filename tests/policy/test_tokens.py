"""One line into tokens. What is refused stands in tests/vectors/policy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.policy.problems import Flaw
from rexec.policy.tokens import Kind, scan, scan_rule


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("# all comment", []),
        (" \t ", []),
        ("ls", [(Kind.WORD, "ls", 1)]),
        ("ls -l # x", [(Kind.WORD, "ls", 1), (Kind.WORD, "-l", 4)]),
        ("x ... =", [(Kind.WORD, "x", 1), (Kind.FREE, "...", 3), (Kind.EQUALS, "=", 7)]),
        ("x --", [(Kind.WORD, "x", 1), (Kind.WORD, "--", 3)]),
        (
            "'a b' \"c\\\"\\\\\" ''",
            [(Kind.QUOTED, "a b", 1), (Kind.QUOTED, 'c"\\', 7), (Kind.QUOTED, "", 15)],
        ),
        ("'#' '...'", [(Kind.QUOTED, "#", 1), (Kind.QUOTED, "...", 5)]),
        ("[ -a  -n={int} ]*", [(Kind.LIST, "-a  -n={int}", 1)]),
        ("[]", [(Kind.LIST, "", 1)]),
        ("{re:'a} #'}+ {x \"]\"}", [(Kind.BRACE, "re:'a} #'", 1), (Kind.BRACE, 'x "]"', 14)]),
        ("['a]' -b]", [(Kind.LIST, "'a]' -b", 1)]),
        ("größe", [(Kind.WORD, "größe", 1)]),
    ],
)
def test_a_line_has_these_tokens(line: str, expected: list[tuple[Kind, str, int]]) -> None:
    assert [(token.kind, token.text, token.column) for token in scan(line)] == expected


def test_modifiers_belong_to_their_bracket() -> None:
    assert [token.modifier for token in scan("{a}? {b}+ [c]* [d]")] == ["?", "+", "*", ""]


@pytest.mark.parametrize(
    ("line", "column", "text", "hint"),
    [
        ("ls *.c", 4, '"*" must be quoted', "quote it: '*.c' (nothing is expanded"),
        ("ls a#b", 5, '"#" must be quoted', "quote it: 'a#b'"),
        ("ls a*'b", 5, '"*" must be quoted', 'quote it in "..."'),
        ("ls a'b", 5, "a quote in the middle of a word", "quote the word"),
        ("ls 'a'b", 7, "a blank is missing here", "one token"),
        ("ls 'a'#", 7, "a blank is missing here", "one token"),
        ('ls "a\\n"', 6, "only \\", "in '...'"),
        ('ls "a\\', 6, "only \\", "in '...'"),
        ("[a", 1, '"[" is never closed', "a literal one"),
        ("{a 'b}'", 1, '"{" is never closed', "a literal one"),
        ("ls }", 4, '"}" must be quoted', "quote it"),
    ],
)
def test_a_flaw_names_its_column_and_the_way_out(line: str, column: int, text: str, hint: str) -> None:
    with pytest.raises(Flaw) as caught:
        scan(line)
    assert caught.value.column == column
    assert caught.value.text.startswith(text)
    assert caught.value.suggestion is not None
    assert caught.value.suggestion.startswith(hint)


def test_options_may_have_a_star_in_a_bare_word() -> None:
    assert [token.text for token in scan("env pass LC_*", also="*")] == ["env", "pass", "LC_*"]


@settings(max_examples=150)
@given(st.text(max_size=60))
def test_any_text_gives_tokens_or_a_flaw_within_the_line(line: str) -> None:
    column = 1
    try:
        ends = [token.end for token in scan(line)]
    except Flaw as flaw:
        column, ends = flaw.column, []
    assert 1 <= column <= len(line) + 1
    assert ends == sorted(ends)


@settings(max_examples=100)
@given(st.lists(st.text(st.characters(blacklist_characters="'\n", codec="utf-8"), max_size=10), max_size=6))
def test_a_quoted_word_arrives_as_it_was_written(words: list[str]) -> None:
    line = " ".join(f"'{word}'" for word in words)
    assert [token.text for token in scan(line)] == words


@pytest.mark.parametrize(
    ("line", "said", "started"),
    [
        ("ls -l", ["ls", "-l"], None),
        ("x '=' y", ["x", "=", "y"], None),
        ("x = y", ["x"], [(Kind.WORD, "y")]),
        ("x =  # nothing", ["x"], []),
        ("= y", [], [(Kind.WORD, "y")]),
        (
            "x = 'a b' -- = ...",
            ["x"],
            [(Kind.QUOTED, "a b"), (Kind.WORD, "--"), (Kind.EQUALS, "="), (Kind.FREE, "...")],
        ),
        ("x = {a} u-{a}.{b}", ["x"], [(Kind.ASSEMBLED, "{a}"), (Kind.ASSEMBLED, "u-{a}.{b}")]),
    ],
)
def test_a_rule_is_split_at_its_lone_equals_sign(line: str, said: list[str], started) -> None:
    found, served = scan_rule(line)
    assert [token.text for token in found] == said
    assert (served and [(token.kind, token.text) for token in served]) == started


@pytest.mark.parametrize(("line", "column"), [("x = [a]", 5), ("x = {a", 5), ("x = a*b", 6), ("x = 'a'b", 8)])
def test_a_server_command_has_words_and_names_only(line: str, column: int) -> None:
    with pytest.raises(Flaw) as caught:
        scan_rule(line)
    assert caught.value.column == column


def test_the_text_in_brackets_has_a_column() -> None:
    assert [token.inner for token in scan("{a} [  -b ]")] == [2, 8]
