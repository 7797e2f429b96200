"""The plain form of TOML, in which nearly every config.toml is written, without `tomllib`.

That costs a client 12 ms, a third of all its time, because it compiles its patterns at each start. What is
read here is read as `tomllib` does; anything beyond the plain form, and anything wrong, is left to it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLANK = " \t"
_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_CONTROL = frozenset(map(chr, (*range(0x20), 0x7F))) - {"\t", "\n"}
_DIGITS_MOST = 15  # of a number; none of ours has more


class _Other(Exception):
    """It is not in the plain form."""


def read_plain(text: str) -> dict[str, Any] | None:
    """Return the tables of a text; None where `tomllib` has to read it."""
    if not _CONTROL.isdisjoint(text):
        return None
    tables: dict[str, Any] = {}
    try:
        _read(text, tables)
    except _Other:
        return None
    return tables


def _read(text: str, tables: dict[str, Any]) -> None:
    table, headers = tables, set()
    for line in text.split("\n"):
        line = line.strip(_BLANK)
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            path = _header(line)
            if path in headers:
                raise _Other
            headers.add(path)
            table = _entered(tables, path)
            continue
        key, rest = _key(line)
        rest = rest.lstrip(_BLANK)
        if not rest.startswith("=") or key in table:
            raise _Other
        rest = rest[1:].lstrip(_BLANK)
        table[key], rest = _list(rest[1:]) if rest.startswith("[") else _value(rest)
        _check_end(rest)


def _header(line: str) -> tuple[str, ...]:
    """Return the names in `[a.b]`."""
    names, rest = [], "." + line[1:]
    while rest.startswith("."):
        name, rest = _key(rest[1:])
        names.append(name)
    if not rest.startswith("]"):
        raise _Other
    _check_end(rest[1:])
    return tuple(names)


def _entered(table: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for name in path:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise _Other
    return table


def _key(text: str) -> tuple[str, str]:
    """Return a bare or quoted name, and what follows."""
    if text[:1] in ('"', "'"):
        return _string(text)
    end = next((at for at, char in enumerate(text) if char not in _BARE), len(text))
    if not end:
        raise _Other
    return text[:end], text[end:]


def _string(text: str) -> tuple[str, str]:
    quote = text[0]
    body, closing, rest = text[1:].partition(quote)
    if not closing or (quote == '"' and "\\" in body) or (not body and rest.startswith(quote)):
        raise _Other
    return body, rest


def _value(text: str) -> tuple[Any, str]:
    """Return a string, a number or a truth, and what follows."""
    if text[:1] in ('"', "'"):
        return _string(text)
    end = next((at for at, char in enumerate(text) if char in " \t#,]"), len(text))
    return _word(text[:end]), text[end:]


def _list(rest: str) -> tuple[list[Any], str]:
    found: list[Any] = []
    while not (rest := rest.lstrip(_BLANK)).startswith("]"):
        item, rest = _value(rest)
        found.append(item)
        rest = rest.lstrip(_BLANK)
        if rest.startswith(","):
            rest = rest[1:]
        elif not rest.startswith("]"):
            raise _Other
    return found, rest[1:]


def _word(word: str) -> bool | int | float:
    if word in ("true", "false"):
        return word == "true"
    whole, point, part = word.partition(".")
    digits = whole + part
    if not (digits.isascii() and whole.isdigit() and len(digits) <= _DIGITS_MOST):
        raise _Other
    if (whole[0] == "0" and whole != "0") or (point and not part.isdigit()):
        raise _Other
    return float(word) if point else int(word)


def _check_end(rest: str) -> None:
    rest = rest.lstrip(_BLANK)
    if rest and not rest.startswith("#"):
        raise _Other
