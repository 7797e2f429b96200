"""What stands in braces: ``name=type:argument modifier ...`` -> a captured name and a type."""

from __future__ import annotations

import re
from typing import NamedTuple

from rexec.policy.problems import Flaw
from rexec.policy.tokens import BLANK, QUOTES
from rexec.policy.types import TYPES, Spec, choice
from rexec.policy.wording import closest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rexec.policy.types import Type

    Sets = Mapping[str, tuple[str, ...]]

_NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=")
_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:|*,-")


class _Piece(NamedTuple):
    """A part of a value; what was quoted means itself."""

    text: str
    bare: bool


def read_braces(text: str, column: int, sets: Sets) -> tuple[str, Type]:
    """Read what stands between braces, from `column` on; the name is "" where none is given."""
    named = _NAMED.match(text)
    start = named.end() if named else 0
    column += start
    value, *modifiers = _split(text[start:], column) or [[]]
    return named[1] if named else "", _type_of(value, modifiers, column, sets)


def _type_of(value: list[_Piece], modifiers: list[list[_Piece]], column: int, sets: Sets) -> Type:
    if not value:
        raise Flaw(column, "a type is missing", f"one of {' '.join(TYPES)}, a set, or words A|B")
    kind, colon, rest = value[0].text.partition(":") if value[0].bare else ("", "", "")
    if kind in TYPES and (colon or len(value) == 1):
        return _typed(kind, rest + _text(value[1:]) if colon else None, modifiers, column)
    if modifiers:
        raise Flaw(
            column, f"{quoted(_text(modifiers[0]))} stands behind no path", "blanks are quoted in braces"
        )
    members = _members(value)
    if len(members) > 1:
        _refuse_union(value, members, column)
        return choice("|".join(members), members, column)
    if value[0].bare and len(value) == 1 and not colon:
        return _set(value[0].text, column, sets)
    what = f"{quoted(kind)} is no type" if colon else "one quoted word is no pattern"
    raise Flaw(column, what, _near(kind, sets) if colon else "a literal stands without braces")


def _typed(kind: str, argument: str | None, modifiers: list[list[_Piece]], column: int) -> Type:
    spec = Spec(kind, argument, tuple(map(_text, modifiers)), column)
    for modifier in spec.modifiers:
        if kind != "path" or modifier not in ("ro", "rw", "file", "dir", "new"):
            raise spec.flaw(f"{quoted(modifier)} says nothing about {kind}", "a path has ro rw file dir new")
    return TYPES[kind](spec)


def _refuse_union(value: list[_Piece], members: list[str], column: int) -> None:
    """Refuse what reads like one of several types, and would be their names."""
    if all(piece.bare for piece in value) and all(member in TYPES for member in members):
        text = f"{quoted(_text(value))} would be these very words, not values of these types"
        raise Flaw(column, text, "quote one of them if the words are meant")


def _set(name: str, column: int, sets: Sets) -> Type:
    if name not in sets:
        raise Flaw(column, f"{quoted(name)} is neither a type nor a %set above", _near(name, sets))
    return choice(name, sets[name], column)


def _near(name: str, sets: Sets) -> str:
    near = closest(name, [*sets, *TYPES])
    if near or not name.isupper():
        return f"did you mean {near}?" if near else f"types are {' '.join(TYPES)}"
    return f"above it: %set {name} = WORD..."


# --- words ----------------------------------------------------------------------------------------


def _split(text: str, column: int) -> list[list[_Piece]]:
    """Split at the blanks that are not quoted, each word into its bare and quoted pieces."""
    words: list[list[_Piece]] = []
    at = 0
    while at < len(text):
        if text[at] in BLANK:
            at += 1
            continue
        word: list[_Piece] = []
        while at < len(text) and text[at] not in BLANK:
            piece, at = _piece(text, at, column)
            word.append(piece)
        words.append(word)
    return words


def _piece(text: str, start: int, column: int) -> tuple[_Piece, int]:
    if text[start] in QUOTES:
        token = QUOTES[text[start]](text, start)  # `scan` has seen that it is sound
        return _Piece(token.text, False), token.end
    at = start
    while at < len(text) and text[at] not in BLANK and text[at] not in QUOTES:
        if text[at] not in _BARE:
            raise Flaw(column + at, f"{quoted(text[at])} must be quoted", "such as {re:'[a-z]+'}")
        at += 1
    return _Piece(text[start:at], True), at


def _text(word: list[_Piece]) -> str:
    return "".join(piece.text for piece in word)


def _members(word: list[_Piece]) -> list[str]:
    """Split at the bars that are not quoted."""
    members = [""]
    for text, bare in word:
        first, *others = text.split("|") if bare else [text]
        members[-1] += first
        members += others
    return members
