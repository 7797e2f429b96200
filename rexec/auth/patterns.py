"""OpenSSH's patterns: `*` for any characters, `?` for one, a list with commas, `!` in front to exclude."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def matches(text: str, pattern: str) -> bool:
    """Say whether all of `text` is what `pattern` describes, in time that patterns cannot blow up."""
    at = piece = 0
    star, resume = -1, 0
    while at < len(text):
        # A star first: it may stand for a star in the text, too.
        if piece < len(pattern) and pattern[piece] == "*":
            star, resume = piece, at
            piece += 1
        elif piece < len(pattern) and pattern[piece] in ("?", text[at]):
            at, piece = at + 1, piece + 1
        elif star >= 0:  # let the last star take one character more
            resume += 1
            at, piece = resume, star + 1
        else:
            return False
    return not pattern[piece:].strip("*")


def list_matches(items: Iterable[str], one: Callable[[str], bool]) -> bool:
    """Say whether a list takes something: an item does, and no item behind a `!` does."""
    found = False
    for item in items:
        if not one(item.removeprefix("!")):
            continue
        if item.startswith("!"):
            return False
        found = True
    return found
