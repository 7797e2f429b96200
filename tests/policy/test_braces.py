"""What stands in braces. What is refused stands in tests/vectors/policy."""

from __future__ import annotations

import pytest

from rexec.policy.braces import read_braces
from rexec.policy.problems import Flaw

SETS = {"UNIT": ("nginx", "redis")}


@pytest.mark.parametrize(
    ("text", "name", "type_text", "choices"),
    [
        ("int", "", "int", ()),
        ("n=int:1..5", "n", "int:1..5", ()),
        ("UNIT", "", "UNIT", ("nginx", "redis")),
        ("u=UNIT", "u", "UNIT", ("nginx", "redis")),
        ("a|b|c", "", "a|b|c", ("a", "b", "c")),
        ("'a|b'|\"c d\"", "", "a|b|c d", ("a|b", "c d")),
        ("'int'|word", "", "int|word", ("int", "word")),
        ("http:80|https:443", "", "http:80|https:443", ("http:80", "https:443")),
        ("int|auto", "", "int|auto", ("int", "auto")),
        ("p=path:/srv/** ro file", "p", "path:/srv/** ro file", ()),
        ("path:'/srv/a b/**'   rw", "", "path:/srv/a b/** rw", ()),
        ("re:'a{2} #'", "", "re:a{2} #", ()),
        ("re:a|b", "", "re:a|b", ()),
        ("re:'[a=]'*", "", "re:[a=]*", ()),
    ],
)
def test_braces_hold_a_name_and_a_type(text, name, type_text, choices) -> None:
    found_name, found = read_braces(text, 1, SETS)
    assert (found_name, found.text, found.choices) == (name, type_text, choices)


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("n=itn", 12, "did you mean int?"),
        ("UNTI", 10, "did you mean UNIT?"),
        ("HOSTS", 10, "above it: %set HOSTS = WORD..."),
        ("int:1..5 x*", 10, "a path has ro rw file dir new"),
        ("a&b|c", 11, "such as {re:'[a-z]+'}"),
        ("'a' ", 10, "a literal stands without braces"),
        ("'int':5", 10, "a literal stands without braces"),
    ],
)
def test_a_flaw_names_its_column_and_the_way_out(text: str, column: int, hint: str) -> None:
    with pytest.raises(Flaw) as caught:
        read_braces(text, 10, SETS)
    assert (caught.value.column, caught.value.suggestion) == (column, hint)
