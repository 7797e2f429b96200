"""How words that came from outside are shown, and which known word was probably meant.

Whatever is shown here may stand on a terminal or in a log: it is one line, without control
characters, escapes or marks that reorder text, and short however much was sent.
"""

from __future__ import annotations

from rexec.limits import POLICY_SHOWN_MAX
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

CLOSEST_MAX = 64  # characters: no name that somebody mistyped is longer
_QUOTING = frozenset(" '\"\\")  # characters for which a word that is shown needs quotes


def shown(text: str) -> str:
    """Show text as it was written, so far as it fits."""
    return _short(neutral(text[: POLICY_SHOWN_MAX + 1]), cut=False)


def quoted(word: str) -> str:
    """Show one word in double quotes."""
    clear = word[:POLICY_SHOWN_MAX].replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _short(neutral(clear), cut=len(word) > POLICY_SHOWN_MAX) + '"'


def show(words: Iterable[str]) -> str:
    """Show an argument vector as one would type it, so far as it fits."""
    typed: list[str] = []
    length = 0
    for word in words:
        if length > POLICY_SHOWN_MAX:  # more words than anybody reads: their number costs nothing
            break
        typed.append(_typed(word[: POLICY_SHOWN_MAX + 1]))
        length += len(typed[-1]) + 1
    return _short(" ".join(typed), cut=False)


def _typed(word: str) -> str:
    if word and _QUOTING.isdisjoint(word):
        return neutral(word)
    return "'" + neutral(word.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def _short(text: str, *, cut: bool) -> str:
    if cut or len(text) > POLICY_SHOWN_MAX:
        return text[:POLICY_SHOWN_MAX] + "..."
    return text


def closest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that is one slip of the fingers away, or has another directory in front."""
    if not 1 < len(word) <= CLOSEST_MAX:
        return None
    return next((candidate for candidate in known if is_close(word, candidate)), None)


def is_close(word: str, other: str) -> bool:
    """Tell whether one of two different words may be meant where the other was typed."""
    return word != other and (
        other.rpartition("/")[2] == word.rpartition("/")[2] or _is_one_slip(word, other)
    )


def _is_one_slip(word: str, other: str) -> bool:
    """Tell whether one letter is missing, extra, wrong or two neighbours are swapped."""
    if abs(len(word) - len(other)) > 1:
        return False
    start = 0
    for mine, theirs in zip(word, other, strict=False):
        if mine != theirs:
            break
        start += 1
    left, right = word[start:], other[start:]
    if len(left) == len(right):
        if left[1::-1] == right[:2] and left[2:] == right[2:]:
            return True
        left, right = left[1:], right[1:]
    elif len(left) > len(right):
        left = left[1:]
    else:
        right = right[1:]
    return left == right and min(len(word), len(other)) > 2
