"""Words by those that could be meant to be them: found without looking at all of them.

Two words are one slip apart only if they are equal once each has lost one letter, or none. So every word
stands under its own such remainders, and under its last part, which it shares with other directories'.
"""

from __future__ import annotations

from rexec.policy.wording import CLOSEST_MAX, is_close

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Neighbours:
    """Known words, the later ones first; their index is made when somebody first asks."""

    __slots__ = ("_known", "_letters", "_names")

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(known)
        self._names: dict[str, list[int]] = {}
        self._letters: dict[str, list[int]] = {}

    def of(self, word: str) -> Iterator[str]:
        """Give the known words that are close to a word, without itself."""
        if not 1 < len(word) <= CLOSEST_MAX:
            return
        if not self._names:
            self._index()
        found = set(self._names.get(_name(word), ()))
        letters = self._letters
        for remainder in letters.keys() & _remainders(word):
            found.update(letters[remainder])
        for place in sorted(found, reverse=True):
            if is_close(word, self._known[place]):
                yield self._known[place]

    def _index(self) -> None:
        for place, word in enumerate(self._known):
            self._names.setdefault(_name(word), []).append(place)
            if len(word) <= CLOSEST_MAX + 1:
                for remainder in set(_remainders(word)):
                    self._letters.setdefault(remainder, []).append(place)


def _name(word: str) -> str:
    return word.rpartition("/")[2]


def _remainders(word: str) -> list[str]:
    return [word, *[word[:at] + word[at + 1 :] for at in range(len(word))]]
