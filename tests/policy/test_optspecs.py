"""Items of lists of options. What is refused stands in tests/vectors/policy/list-*.txt."""

from __future__ import annotations

import pytest

from rexec.policy.accept import Option
from rexec.policy.problems import Flaw
from tests.policy.test_accept import options
from tests.policy.test_types import type_of


def test_a_list_has_these_options() -> None:
    found = options("[-a  -(bc) -n={int:1..5}   --long --level={low|high} --user {word} -max {text} ]*")
    assert found.options == (
        Option("-a", "-a"),
        Option("-n", "-n={int:1..5}", type_of("int:1..5"), attached=True),
        Option("--long", "--long"),
        Option("--level", "--level={low|high}", type_of("low|high"), False, "=", True),
        Option("--user", "--user {word}", type_of("word")),
        Option("-max", "-max {text}", type_of("text")),
    )
    assert (found.bundles, found.repeats) == (("bc",), True)
    assert not options("[-a]").repeats


def test_a_list_may_have_an_option_with_and_without_a_value() -> None:
    found = options("[--color --color={auto|never}]")
    assert dict(found.ends(["x", "--color"], {1}, "/")) == {1: 1, 2: 1}
    assert dict(found.ends(["x", "--color=auto"], {1}, "/")) == {1: 1, 2: 1}
    assert dict(found.ends(["x", "--color", "--color=auto"], {1}, "/")) == {1: 1, 2: 1}


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("[-a  -b=c]", 6),
        ("[-a -n={itn}]", 9),
        ("[ -a --n={int:x}]", 11),
        ("[-(ab)c={int} -a]", 15),
        ("[-(ab)b={int}]", 2),
        ("[-(ab)c={word} -acb]", 1),
        ("[-n={word} -name]", 12),
        ("[-name -n={word}]", 8),
        ("['-a']", 2),
        ("[-a -]", 5),
    ],
)
def test_a_flaw_names_its_column(text: str, column: int) -> None:
    with pytest.raises(Flaw) as caught:
        options(text)
    assert caught.value.column == column
