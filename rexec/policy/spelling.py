"""How words are written in an allow list: the other direction of `tokens.scan`."""

from __future__ import annotations

from rexec.policy.problems import Flaw
from rexec.policy.source import refuse_controls
from rexec.policy.tokens import is_bare

_IN_BRACES = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:*,-")
_SPECIAL = frozenset(("...", "=", "--"))  # bare words that are no literals


def spelled(word: str) -> str:
    """Write a word so that it is a literal of one rule."""
    bare = word and word not in _SPECIAL and all(map(is_bare, word))
    return word if bare and word[0] not in "%@" else in_quotes(word)


def in_braces(value: str) -> str:
    """Write a value of a type, such as the path of ``{path:...}``."""
    return value if value and all(char in _IN_BRACES for char in value) else in_quotes(value)


def in_quotes(word: str) -> str:
    if "'" not in word:
        return f"'{word}'"
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_writable(word: str) -> bool:
    """Tell whether a file may hold the word at all: there is no escape for what no line may hold."""
    try:
        refuse_controls(word)
    except (Flaw, UnicodeEncodeError):
        return False
    return "\n" not in word and "\t" not in word
