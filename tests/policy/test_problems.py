"""Problems, as people see them."""

from __future__ import annotations

from rexec.errors import ConfigError
from rexec.policy.problems import PolicyRefused, Problem, Severity


def problem(text: str = "wrong", hint: str | None = None, severity: Severity = Severity.ERROR) -> Problem:
    return Problem("cmds.txt", 3, 4, severity, text, "df\t*\x1b", hint)


def test_a_problem_is_shown_with_its_line_a_caret_and_a_hint() -> None:
    assert problem(hint="quote it").lines() == [
        "cmds.txt:3:4: error: wrong",
        "    df *\\x1b",
        "       ^",
        "    hint: quote it",
    ]


def test_the_caret_stands_below_the_place_behind_characters_that_are_shown_by_number() -> None:
    shown = Problem("f", 1, 3, Severity.NOTE, "here", "\x1b x").lines()
    assert shown == ["f:1:3: note: here", "    \\x1b x", "         ^"]


def test_a_refusal_is_its_first_error_in_one_line() -> None:
    refused = PolicyRefused([problem("look", severity=Severity.NOTE), problem("one"), problem("two")])
    assert isinstance(refused, ConfigError)
    assert refused.exit_code == 2
    assert str(refused) == "cmds.txt:3:4: one"
    assert refused.hint == "1 more: rexec-server check shows them all"
    assert len(refused.problems) == 3


def test_the_hint_of_a_refusal_is_that_of_its_error() -> None:
    assert PolicyRefused([problem(hint="quote\nit")]).hint == "quote\\x0ait"
    assert PolicyRefused([problem()]).hint is None
