"""Rules made of every kind of pattern, against a matcher that tries all ways; and how much work it was."""

from __future__ import annotations

import re

from rexec.policy.accept import Options
from rexec.policy.arguments import Span, match, miss, reach
from rexec.policy.decide import decide
from rexec.policy.offers import offers
from rexec.policy.problems import PolicyRefused
from rexec.policy.rules import Deny, Permit, Rule
from tests.fuzz.given import Given
from tests.fuzz.reference import Item, Part, Value, first_served, ways
from tests.policy.fakes import policy_of, request_of

SEEDS = (b"",)
_PLAIN = "a b ab 1 7 12 01 +5 - é /srv /srv/a /srv/a/b ../a s:a"
_SHORT = "-a -b -n -ab -ba -aa -n1 -nab -abn1 -an -na -n-a -abnn1 -bb1 -all"
_LONG = "--all --al --num --num=1 --num=ab --num= --nu=1 -- --- --all=1"
WORDS = (*_PLAIN.split(), "", "x y", "1\n", *_SHORT.split(), *_LONG.split())


def _form(pattern: str) -> Value:
    kind, form = pattern.split(" ", 1)
    return Value(kind, lambda word: re.fullmatch(form, word, re.ASCII) is not None)


VALUES = (
    _form("int 0|[1-9][0-9]*"),
    _form("int:1..10 [1-9]|10"),
    _form("word [A-Za-z0-9_][A-Za-z0-9_.:@+-]*"),
    _form("text [ !-,.-~][ -~]{0,1023}"),
    _form("any [ -~]{0,1024}"),
    _form("a|ab|7 a|ab|7"),
    _form("re:'(a|b)+' [ab]+"),
    _form("hex:2 [0-9a-fA-F]{2}"),
    _form("path:/srv/** /srv(/[^./]+)*/?"),
)


def _items(value: Value) -> tuple[Item, ...]:
    braces = f"{{{value.text}}}"
    return (
        Item("-a", "-a"),
        Item("-b", "-b"),
        Item("--all", "--all"),
        Item("-all", "-all"),
        Item("-n", "-n"),
        Item("--num", "--num"),
        Item("-(ab)", letters="ab"),
        Item("-(n)", letters="n"),
        Item(f"-n={braces}", "-n", "", value, True, ""),
        Item(f"-n {braces}", "-n", "", value, True),
        Item(f"--num={braces}", "--num", "", value, False, "="),
        Item(f"--num {braces}", "--num", "", value, True),
        Item(f"-(ab)n={braces}", "-n", "ab", value, True, ""),
        Item(f"-(a)b={braces}", "-b", "a", value, True, ""),
    )


def _part(given: Given) -> Part:
    match given.number(5):
        case 0:
            word = given.one_of(WORDS[:9])
            return Part("literal", word)
        case 1:
            return Part("dashes", "--")
        case 2 | 3:
            value, modifier = given.one_of(VALUES), given.one_of(("", "?", "*", "+"))
            return Part("value", f"{{{value.text}}}{modifier}", value, modifier)
        case _:
            items = [given.one_of(_items(given.one_of(VALUES))) for _ in range(1 + given.number(3))]
            modifier = given.one_of(("", "*"))
            text = " ".join(item.text for item in items)
            return Part("list", f"[{text}]{modifier}", None, modifier, tuple(items))


def _said(part: Part, given: Given) -> list[str]:
    """Make words that the part may well take."""
    match part.kind:
        case "literal":
            return [part.text]
        case "dashes":
            return given.some_of(["--"], 1)
        case "value":
            assert part.value is not None
            return given.some_of([word for word in WORDS if part.value.takes(word)], 2)
        case "list":
            return given.some_of([word for word in WORDS if word.startswith("-")], 3)
        case _:
            return given.some_of(WORDS, 2)


def _sample(given: Given) -> tuple[tuple[Part, ...], list[str]]:
    parts = [_part(given) for _ in range(given.number(5))]
    if given.number(7) == 7:
        parts.append(Part("free", "..."))
    words = [word for part in parts for word in _said(part, given)][:7]
    for _ in range(given.number(2)):
        at = given.number(len(words))
        words[at : at + given.number(1)] = given.some_of(WORDS, 1)
    return tuple(parts), ["x", *words]


def _rule(parts: tuple[Part, ...]) -> str:
    written = [f"'{part.text}'" if part.kind == "literal" else part.text for part in parts]
    return " ".join(["x", *(written or ["[]"])])


def try_it(data: bytes) -> None:
    """Match made-up words by a made-up rule; the reference and every other view of it must agree."""
    parts, words = _sample(Given(data))
    try:
        policy = policy_of(_rule(parts))
    except PolicyRefused:
        return  # a list that can be read in two ways, -- twice
    (rule,) = policy.rules
    found = ways(parts, words)
    spans = match(rule.patterns, words)
    place = f"{rule.text} <- {words}"
    assert (spans is None) == (not found), place
    if spans is not None:
        assert spans == [Span(*span) for span in first_served(found)], place
    decision = decide(policy, request_of(*words))
    assert isinstance(decision, Permit if found else Deny), place
    _tell(rule, words, bool(found))
    _count(rule, words)


def _tell(rule: Rule, words: list[str], is_matched: bool) -> None:
    """Ask for what is said of words: it is sound for those that match and for those that do not."""
    assert 1 <= reach(rule.patterns, words) <= len(words)
    if not is_matched:
        found = miss(rule.patterns, words)
        assert 1 <= found.position <= len(words)
        assert found.said(words).isprintable()
    for offer in offers(rule, words):
        assert offer.kind in ("word", "path", "value")


def _count(rule: Rule, words: list[str]) -> None:
    """Count the values that are judged: no more than patterns times words times what one word may say."""
    judged = 0
    most = 0

    def counting(judge):  # type: ignore[no-untyped-def]
        def count(word: str) -> bool:
            nonlocal judged
            judged += 1
            return judge(word)

        return count

    for pattern in rule.patterns:
        per_word = len(pattern.options) + 1 if isinstance(pattern, Options) else 1
        most += len(words) * per_word
        for one in pattern.types:
            object.__setattr__(one, "judge", counting(one.judge))
    match(rule.patterns, words)
    assert judged <= most, f"{rule.text} <- {words}: {judged} judged, more than {most}"
