"""One line -> its tokens.

A token ends at a blank outside quotes, brackets and braces. A ``#`` at the start of a line or after
a blank begins a comment. A bare word has only characters that no shell gives a meaning to; all else
is quoted, so that nobody reads an expansion into a file that has none.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from rexec.policy.problems import Flaw
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLANK = " \t"
BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+:,./=^-")
_MODIFIERS = "?+*"


class Kind(Enum):
    """What a token is, by its first character or its spelling."""

    WORD = "word"
    QUOTED = "quoted word"  # always a literal
    FREE = "..."
    EQUALS = "="
    LIST = "[...]"
    BRACE = "{...}"
    ASSEMBLED = "word with {names}"  # of a server command


class Token(NamedTuple):
    """One token: `text` without quotes and brackets, `column` from 1, `end` the index behind it."""

    kind: Kind
    text: str
    column: int
    end: int
    modifier: str = ""  # behind a bracket or brace
    inner: int = 0  # the column of `text` in brackets or braces

    @property
    def is_literal(self) -> bool:
        return self.kind in (Kind.WORD, Kind.QUOTED)

    def is_word(self, text: str) -> bool:
        """Tell whether this is the bare word `text`."""
        return self.kind is Kind.WORD and self.text == text


_SPECIAL = {"...": Kind.FREE, "=": Kind.EQUALS}


def scan(line: str, start: int = 0, also: str = "") -> list[Token]:
    """Split `line`, from the index `start`, into tokens; raise `Flaw` at the first bad place.

    `also` are characters that a bare word may have besides: options have globs of their own.
    """
    return list(_tokens(line, start, lambda at: _next_token(line, at, also)))


def scan_rule(line: str) -> tuple[list[Token], list[Token] | None]:
    """Split the line of a rule at its lone ``=``: what the client says, and what is started instead."""
    said: list[Token] = []
    for token in _tokens(line, 0, lambda at: _next_token(line, at, "")):
        if token.kind is Kind.EQUALS:
            return said, list(_tokens(line, token.end, lambda at: _next_served(line, at)))
        said.append(token)
    return said, None


def _tokens(line: str, start: int, read: Callable[[int], Token]) -> Iterator[Token]:
    at = start
    while (at := _skip_blanks(line, at)) < len(line) and line[at] != "#":
        token = read(at)
        if token.end < len(line) and line[token.end] not in BLANK:
            raise Flaw(token.end + 1, "a blank is missing here", "one token is quoted whole, or not at all")
        yield token
        at = token.end


def _next_token(line: str, at: int, also: str) -> Token:
    reader = _READERS.get(line[at])
    return reader(line, at) if reader else _read_word(line, at, also)


def _next_served(line: str, at: int) -> Token:
    reader = QUOTES.get(line[at], _read_assembled)
    return reader(line, at)


def _skip_blanks(line: str, at: int) -> int:
    while at < len(line) and line[at] in BLANK:
        at += 1
    return at


def _read_word(line: str, start: int, also: str) -> Token:
    end = start
    while end < len(line) and line[end] not in BLANK:
        if line[end] not in also and not is_bare(line[end]):
            raise _unquoted(line, start, end)
        end += 1
    text = line[start:end]
    return Token(_SPECIAL.get(text, Kind.WORD), text, start + 1, end)


def is_bare(char: str) -> bool:
    """Tell whether a bare word may have this character."""
    return char in BARE or (char > "\x7f" and char.isprintable())


def _unquoted(line: str, start: int, at: int) -> Flaw:
    end = start
    while end < len(line) and line[end] not in BLANK:
        end += 1
    word = line[start:end]
    if line[at] in "'\"":
        return Flaw(at + 1, "a quote in the middle of a word", "quote the word from its start to its end")
    hint = f"quote it: '{word}'" if "'" not in word else 'quote it in "..."'
    if line[at] in "*?[~$`|&;<>()\\!{}":
        hint += " (nothing is expanded: the program gets it as it stands)"
    return Flaw(at + 1, f"{quoted(line[at])} must be quoted", hint)


def _read_raw(line: str, start: int) -> Token:
    end = line.find("'", start + 1)
    if end < 0:
        raise Flaw(start + 1, "the quote ' is never closed")
    return Token(Kind.QUOTED, line[start + 1 : end], start + 1, end + 1)


def _read_quoted(line: str, start: int) -> Token:
    text: list[str] = []
    at = start + 1
    while at < len(line) and line[at] != '"':
        if line[at] == "\\":
            at += 1
            if line[at : at + 1] not in ('"', "\\"):
                raise Flaw(at, 'only \\" and \\\\ stand behind a backslash', "in '...' a backslash is itself")
        text.append(line[at])
        at += 1
    if at == len(line):
        raise Flaw(start + 1, 'the quote " is never closed')
    return Token(Kind.QUOTED, "".join(text), start + 1, at + 1)


def _read_list(line: str, start: int) -> Token:
    return _enclosed(Kind.LIST, line, start, closing_of(line, start, "]"))


def _read_brace(line: str, start: int) -> Token:
    return _enclosed(Kind.BRACE, line, start, closing_of(line, start, "}"))


def _enclosed(kind: Kind, line: str, start: int, closing: int) -> Token:
    end = closing + 1
    modifier = line[end] if end < len(line) and line[end] in _MODIFIERS else ""
    inner = _skip_blanks(line, start + 1) + 1
    text = line[start + 1 : closing].strip(BLANK)
    return Token(kind, text, start + 1, end + len(modifier), modifier, inner)


def closing_of(line: str, start: int, bracket: str) -> int:
    """Find the bracket that closes; quoted words and braces in between are passed over whole."""
    at = start + 1
    while at < len(line) and line[at] != bracket:
        reader = _NESTED.get(line[at])
        at = reader(line, at).end if reader else at + 1
    if at == len(line):
        raise Flaw(start + 1, f"{quoted(line[start])} is never closed", f"a literal one is '{line[start]}'")
    return at


def _read_assembled(line: str, start: int) -> Token:
    """Read a word of a server command: bare characters and names in braces, in any order."""
    end = start
    while end < len(line) and line[end] not in BLANK:
        if line[end] == "{":
            end = closing_of(line, end, "}") + 1
        elif is_bare(line[end]):
            end += 1
        else:
            raise _unquoted(line, start, end)
    text = line[start:end]
    kind = Kind.ASSEMBLED if "{" in text else _SPECIAL.get(text, Kind.WORD)
    return Token(kind, text, start + 1, end)


QUOTES: dict[str, Callable[[str, int], Token]] = {"'": _read_raw, '"': _read_quoted}
_READERS: dict[str, Callable[[str, int], Token]] = {
    **QUOTES,
    "[": _read_list,
    "{": _read_brace,
}
_NESTED = {**QUOTES, "{": _read_brace}
