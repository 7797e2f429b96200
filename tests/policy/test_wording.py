"""How outside words are shown, and which known word was meant."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.limits import POLICY_SHOWN_MAX
from rexec.policy.wording import closest, quoted, show, shown
from rexec.text import neutral


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é", "plain é"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\x7f\x9b", "a\\x0ab\\x7f\\x9b"),
        ("\u202egpj", "\\u202egpj"),
        ("\U000e0041", "\\U000e0041"),
        ("\udcff", "\\xff"),
    ],
)
def test_what_cannot_be_printed_is_shown_as_its_number(text: str, expected: str) -> None:
    """security.md, People's terminals, logs and files: "Control characters, escape sequences, newlines,
    bidi marks in ... argv, denials"."""
    assert neutral(text) == expected


def test_an_argument_vector_is_shown_as_one_would_type_it() -> None:
    assert show(["df", "-h", "", "a b", "it's", "\\", '"', "\n"]) == (
        "df -h '' 'a b' 'it\\'s' '\\\\' '\"' \\x0a"
    )


def test_one_word_is_shown_in_double_quotes() -> None:
    assert quoted('a"\\\n') == '"a\\"\\\\\\x0a"'


def test_long_words_are_cut() -> None:
    assert quoted("x" * 10_000) == '"' + "x" * POLICY_SHOWN_MAX + '..."'
    assert show(["x" * 3_000_000]) == "x" * POLICY_SHOWN_MAX + "..."
    assert shown("y" * 10_000) == "y" * POLICY_SHOWN_MAX + "..."
    assert len(show(["\x00" * 1000] * 3)) < POLICY_SHOWN_MAX + 4


def test_many_words_are_cut_before_they_are_looked_at() -> None:
    looked_at = []
    words = (looked_at.append(index) or "word" for index in range(100_000))
    assert show(words).endswith("...")
    assert len(looked_at) < 100


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=50), max_size=20))
def test_whatever_is_shown_is_one_short_printable_line(raw: list[bytes]) -> None:
    words = [word.decode("utf-8", "surrogateescape") for word in raw]
    assert show(words).isprintable()
    assert len(show(words)) <= POLICY_SHOWN_MAX + 3
    assert all(quoted(word).isprintable() for word in words)


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("sl", ["ls"], "ls"),
        ("timout", ["about", "timeout"], "timeout"),
        ("timeeout", ["timeout"], "timeout"),
        ("tineout", ["timeout"], "timeout"),
        ("itmeout", ["timeout"], "timeout"),
        ("/bin/ls", ["ls"], "ls"),
        ("ls", ["/bin/ls"], "/bin/ls"),
        ("ps", ["ls"], None),
        ("ls", ["ls"], None),
        ("l", ["ls"], None),
        ("abcd", ["abxy"], None),
        ("systemctl", ["ls"], None),
        ("x" * 65, ["x" * 64], None),
    ],
)
def test_the_closest_word_is_one_slip_away(word: str, known: list[str], expected: str | None) -> None:
    assert closest(word, known) == expected
