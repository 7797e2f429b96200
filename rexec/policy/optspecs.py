"""The items of a list of options -> what it accepts.

A list in which one word could be read in two ways is refused here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rexec.policy.accept import Option, Options
from rexec.policy.braces import read_braces
from rexec.policy.problems import Flaw
from rexec.policy.tokens import BLANK, closing_of
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.policy.braces import Sets
    from rexec.policy.tokens import Token
    from rexec.policy.types import Type

_SHORT = re.compile(r"-[A-Za-z0-9]")
_PLAIN = re.compile(r"--?[A-Za-z0-9][A-Za-z0-9_.+-]*")
_GROUP = re.compile(r"-\(([A-Za-z0-9]+)\)")
_TAILED = re.compile(r"-\(([A-Za-z0-9]+)\)([A-Za-z0-9])=")


class _Item(NamedTuple):
    """One blank-separated part of a list: a word, braces, or a word with braces at its end."""

    word: str
    braces: str | None
    column: int

    @property
    def text(self) -> str:
        return self.word if self.braces is None else f"{self.word}{{{self.braces}}}"


def read_options(token: Token, sets: Sets) -> Options:
    """Read a list; raise `Flaw` where an item is none, or where a word could be read in two ways."""
    if token.modifier not in ("", "*"):
        raise Flaw(token.end, "behind a list stands * or nothing", "nothing of a list has to be said")
    options: list[Option] = []
    bundles: list[str] = []
    tails: list[tuple[str, str]] = []
    for item in _items(token.text, token.inner):
        group = _GROUP.fullmatch(item.word)
        tailed = _TAILED.fullmatch(item.word) if item.braces is not None else None
        if group and item.braces is None:
            letters = group[1]
            _be_new(options, bundles, [f"-{letter}" for letter in letters], item)
            bundles.append(letters)
        elif tailed:
            letters, last = tailed.groups()
            _be_new(options, bundles, [f"-{letter}" for letter in letters + last], item)
            bundles.append(letters)
            tails.append((letters, last))
            written = f"-{last}={{{item.braces}}}"
            options.append(Option(f"-{last}", written, _value(item, sets), attached=True))
        elif not item.word:
            options.append(_with_value(options.pop() if options else None, item, sets))
        else:
            option = _option(item, sets)
            _be_new(options, bundles, [option.form], item)
            options.append(option)
        _be_plain(options, bundles, item)
    found = Options(tuple(options), tuple(bundles), token.modifier == "*", tuple(tails))
    _be_apart(found, token)
    return found


def _items(text: str, column: int) -> Iterator[_Item]:
    at = 0
    while at < len(text):
        start = at
        while at < len(text) and text[at] not in BLANK and text[at] != "{":
            at += 1
        word, braces = text[start:at], None
        if text[at : at + 1] == "{":
            end = closing_of(text, at, "}")
            braces, at = text[at + 1 : end].strip(BLANK), end + 1
            if at < len(text) and text[at] not in BLANK:
                raise Flaw(column + at, "a blank is missing here", "values in a list are said once each")
        if word or braces is not None:
            yield _Item(word, braces, column + start)
        else:
            at += 1


def _option(item: _Item, sets: Sets) -> Option:
    if item.braces is None and _PLAIN.fullmatch(item.word):
        return Option(item.word, item.word)
    name = item.word.removesuffix("=")
    if item.braces is None or name == item.word or not _PLAIN.fullmatch(name):
        hint = "one of -x -(xyz) -n={int} --long --long={word} --long {word}"
        raise Flaw(item.column, f"{quoted(item.text)} is no option of a list", hint)
    short = _SHORT.fullmatch(name) is not None
    if not short and not name.startswith("--"):
        raise Flaw(
            item.column,
            f"{quoted(name)} is no single letter, and its value a word of its own",
            f"{name} {{...}}",
        )
    return Option(name, item.text, _value(item, sets), short, "" if short else "=", True)


def _with_value(option: Option | None, item: _Item, sets: Sets) -> Option:
    """Give the option before its value, which is a word of its own."""
    if option is None or option.type is not None:
        raise Flaw(item.column, "a value stands behind no option", "operands stand behind the list")
    return option._replace(written=f"{option.written} {item.text}", type=_value(item, sets))


def _value(item: _Item, sets: Sets) -> Type:
    name, found = read_braces(item.braces or "", item.column + len(item.word) + 1, sets)
    if name:
        raise Flaw(item.column, f"the value of an option has no name: {quoted(name)}", "name operands only")
    return found


def _be_new(options: list[Option], bundles: list[str], forms: list[str], item: _Item) -> None:
    had = {option.form for option in options} | {f"-{letter}" for letters in bundles for letter in letters}
    if len(set(forms)) < len(forms) or not had.isdisjoint(forms):
        raise Flaw(item.column, f"{quoted(item.text)} says again what the list has")


def _be_apart(found: Options, token: Token) -> None:
    """Refuse a single-dash word that a bundle with its value could be too."""
    bundles = found if found.tails else Options(())
    for option in found.options:
        if _SHORT.fullmatch(option.name) is None and bundles._bundled(option.name) is not None:
            raise Flaw(token.column, f"{option.name} could be a bundle with a value", "leave one of them out")


def _be_plain(options: list[Option], bundles: list[str], item: _Item) -> None:
    """Refuse a list in which one word could be read as two things."""
    words = [option.name for option in options if not option.name.startswith("--")]
    for option in options:
        for word in words:
            if option.attached and not option.joined and word != option.name and word.startswith(option.name):
                raise Flaw(
                    item.column, f"{word} could be {option.name} with a value", "leave one of them out"
                )
    for letters in bundles:
        for word in words:
            if set(word[1:]) <= set(letters):
                raise Flaw(item.column, f"{word} could be a bundle of -({letters})", "leave one of them out")
