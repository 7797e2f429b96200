"""What may stand next."""

from __future__ import annotations

import pytest

from rexec.policy.offers import Offer, offers
from tests.policy.fakes import policy_of

TEXT = "%set UNIT = nginx redis\n"
TEXT += "svc [-q -n={int:1..9} --as {root|joe}] {start|stop} {u=UNIT}+ -- {path:/srv/** ro}"


def offered(*words: str, text: str = TEXT) -> list[tuple[str, str]]:
    return [(offer.kind, offer.text) for offer in offers(policy_of(text).rules[0], ("svc", *words))]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ["-q", "-n", "--as", "start", "stop"]),
        (("-q",), ["-n", "--as", "start", "stop"]),
        (("--as",), ["root", "joe"]),
        (("--as", "joe"), ["-q", "-n", "start", "stop"]),
        (("start",), ["nginx", "redis"]),
        (("nothing",), []),
        (("start", "nothing"), []),
    ],
)
def test_words_are_offered(words: tuple[str, ...], expected: list[str]) -> None:
    assert offered(*words) == [("word", text) for text in expected]


def test_a_value_that_cannot_be_counted_is_described() -> None:
    rule = policy_of(TEXT).rules[0]
    assert offers(rule, ("svc", "-n")) == (Offer("", "a whole number from 1 to 9", "value"),)
    assert offers(policy_of("x ...").rules[0], ("x", "y")) == (Offer("", "anything", "value"),)


def test_a_path_is_offered_by_its_root() -> None:
    assert offered("start", "nginx", "--") == [("path", "/srv")]
    assert offered("start", "nginx") == [
        ("word", "nginx"),
        ("word", "redis"),
        ("word", "--"),
        ("path", "/srv"),
    ]
    assert offered("start", "nginx", "--", "/srv/x") == []


def test_an_option_with_a_value_behind_an_equals_sign_is_offered_with_it() -> None:
    assert offered(text="svc [--color={auto|never} --file={text}]") == [
        ("word", "--color=auto"),
        ("word", "--color=never"),
        ("word", "--file="),
    ]
