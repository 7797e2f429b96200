"""What most readers of options ask of their line. The flaws stand in tests/vectors/policy."""

from __future__ import annotations

import pytest

from rexec.policy.optionlines import OptionLine, absolute
from rexec.policy.problems import Flaw
from rexec.policy.tokens import scan
from tests.policy.fakes import FakeDisk


def line(text: str) -> OptionLine:
    word, *values = scan(text)
    return OptionLine(word, values, FakeDisk())


def test_a_line_gives_its_values() -> None:
    assert [token.text for token in line("env A B").some("names")] == ["A", "B"]
    assert line("about x").only("a text").text == "x"
    assert line("pty no").choice("no", "yes") == "no"
    line("noexec").bare()


@pytest.mark.parametrize(
    ("text", "column"), [("pty", 4), ("pty no no", 8), ("pty maybe", 5), ("pty {x}", 5), ("pty [x]", 5)]
)
def test_a_flaw_is_where_it_is(text: str, column: int) -> None:
    with pytest.raises(Flaw) as flaw:
        line(text).choice("no", "yes")
    assert flaw.value.column == column


@pytest.mark.parametrize("path", ["srv", "/srv/", "//srv", "/srv/../x", "/./srv", ""])
def test_a_path_has_one_spelling(path: str) -> None:
    assert absolute(scan("/srv/x")[0], "a path") == "/srv/x"
    with pytest.raises(Flaw):
        absolute(scan(f"'{path}'")[0], "a path")
