"""Lists of options, ``[-a -(xyz) -n={int} --long={word}]``: what may be said, by exact spelling.

Each word has one reading at most, which is seen to when the list is read: so what is taken is
decided word by word, and never by trying. What the list does not spell is not taken: abbreviations,
other bundles, a value in the other form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rexec.policy.arguments import Want

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from rexec.policy.arguments import Span
    from rexec.policy.rules import PathCheck
    from rexec.policy.types import Type

_SHOWN_MAX = 8  # options that a denial names


class Option(NamedTuple):
    """One option of a list; `name` is what stands at most once, ``-n`` or ``--long``."""

    name: str
    written: str
    type: Type | None = None
    apart: bool = True  # its value may be the next word
    joined: str = ""  # what stands between name and value in one word: nothing for -nV, = for --long=V
    attached: bool = False  # its value may stand in the same word

    @property
    def form(self) -> str:
        """Give what tells its words from those of others: --long and --long=V may stand side by side."""
        return self.name if self.apart else self.name + self.joined


class Reading(NamedTuple):
    """What one word says: options, and the type of a value, which is the next word where it is None."""

    names: tuple[str, ...]
    type: Type | None = None
    value: str | None = None


class _Expected(NamedTuple):
    """An option with the value that it lacks."""

    expected: str
    choices: tuple[str, ...] = ()


class _Remaining(NamedTuple):
    """The options that may still be said; nobody spells them out who only asks where they may be said."""

    options: tuple[Option, ...]
    letters: tuple[str, ...]  # of bundles

    @property
    def expected(self) -> str:
        written = [option.written for option in self.options] + [f"-({letters})" for letters in self.letters]
        more = ["..."] if len(written) > _SHOWN_MAX else []  # who sees more looks into the file
        return f"an option of [{' '.join(written[:_SHOWN_MAX] + more)}]"

    @property
    def choices(self) -> tuple[str, ...]:
        words = [word for option in self.options for word in _spellings(option)]
        return (*words, *(f"-{letter}" for letters in self.letters for letter in letters))


@dataclass(frozen=True, slots=True)
class Options:
    """A list; `bundles` are the groups ``-(xyz)``, whose letters are options of their own too.

    `tails` are those of ``-(xyz)n={T}``: the letter by which a bundle may end, its value in the same word.
    """

    options: tuple[Option, ...]
    bundles: tuple[str, ...] = ()
    repeats: bool = False
    tails: tuple[tuple[str, str], ...] = ()  # of letters, the last one

    @property
    def name(self) -> str:
        return ""

    @property
    def choices(self) -> tuple[str, ...]:
        return (
            *self._remaining(set()).choices,
            *(choice for found in self.types for choice in found.choices),
        )

    @property
    def is_single(self) -> bool:
        return False

    def takes(self, word: str, base: str) -> bool:
        return False

    @property
    def types(self) -> tuple[Type, ...]:
        return tuple(option.type for option in self.options if option.type is not None)

    # --- words ------------------------------------------------------------------------------------

    def reading(self, word: str) -> Reading | None:
        """Say what a word means here; None where the list does not spell it."""
        if word[:1] != "-":
            return None
        for option in self.options:
            if word == option.name:
                if option.apart:
                    return Reading((word,), option.type)
            elif option.attached and word.startswith(option.name + option.joined):
                return Reading((option.name,), option.type, word[len(option.name + option.joined) :])
        return self._bundled(word)

    def _bundled(self, word: str) -> Reading | None:
        for letters in self.bundles:
            behind = word[1:].lstrip(letters)  # each of the letters, in any order
            names = tuple(f"-{letter}" for letter in word[1 : len(word) - len(behind)])
            if not names or not (self.repeats or len(set(names)) == len(names)):
                continue
            if not behind:
                return Reading(names)
            tail = next((last for group, last in self.tails if group == letters), "")
            if tail and behind[0] == tail and len(behind) > 1:
                found = next(option.type for option in self.options if option.name == f"-{tail}")
                return Reading((*names, f"-{tail}"), found, behind[1:])
        return None

    def _at(self, words: Sequence[str], at: int) -> Reading | None:
        return self.reading(words[at]) if at < len(words) else None

    def _next(
        self, words: Sequence[str], at: int, base: str, used: set[str], reading: Reading | None
    ) -> int | None:
        """Take one option at `at`, where `reading` is; give the index behind it, and add it to `used`."""
        if reading is None or not (self.repeats or used.isdisjoint(reading.names)):
            return None
        end = at + 1
        if reading.type is not None:
            value = reading.value
            if value is None:
                if end == len(words):
                    return None
                value, end = words[end], end + 1
            if not reading.type.takes(value, base):
                return None
        used.update(reading.names)
        return end

    # --- the pattern ------------------------------------------------------------------------------

    def ends(self, words: Sequence[str], starts: Collection[int], base: str) -> Mapping[int, int]:
        if self.repeats:
            return self._ends_repeated(words, starts, base)
        found: dict[int, int] = {}
        for start in sorted(starts):
            at: int | None = start
            used: set[str] = set()
            while at is not None:
                found[at] = start
                at = self._next(words, at, base, used, self._at(words, at))
        return found

    def _ends_repeated(self, words: Sequence[str], starts: Collection[int], base: str) -> Mapping[int, int]:
        """Sweep once: where an option may be said again, what was said before makes no difference."""
        found = {start: start for start in starts}
        at, last = min(starts), max(starts)
        while at <= last:
            end = self._next(words, at, base, set(), self._at(words, at)) if at in found else None
            if end is not None:
                found[end] = max(found.get(end, 0), found[at])
                last = max(last, end)
            at += 1
        return found

    def wants(self, words: Sequence[str], starts: Collection[int], base: str) -> Iterator[Want]:
        seen: set[int] = set()
        for start in sorted(starts):
            at: int | None = start
            used: set[str] = set()
            while at is not None and not (self.repeats and at in seen):
                seen.add(at)
                reading = self._at(words, at)
                yield from self._wants_at(words, at, base, used, reading)
                at = self._next(words, at, base, used, reading)

    def _wants_at(
        self, words: Sequence[str], at: int, base: str, used: set[str], reading: Reading | None
    ) -> Iterator[Want]:
        if reading and reading.type and (self.repeats or used.isdisjoint(reading.names)):
            if reading.value is None:
                yield Want(at + 1, reading.type)
            elif not reading.type.takes(reading.value, base):
                yield Want(at, _Expected(f"{reading.names[-1]} with {reading.type.expected}"))
                return
        remaining = self._remaining(set() if self.repeats else used)
        if remaining.options or remaining.letters:
            yield Want(at, remaining)

    def _remaining(self, used: set[str]) -> _Remaining:
        if not used:
            return _Remaining(self.options, self.bundles)
        options = tuple(option for option in self.options if option.name not in used)
        left = ("".join(letter for letter in letters if f"-{letter}" not in used) for letters in self.bundles)
        return _Remaining(options, tuple(filter(None, left)))

    def checks(self, words: Sequence[str], span: Span, base: str) -> Iterator[PathCheck]:
        at = span.start
        while at < span.end:
            reading = self.reading(words[at])
            at += 1
            if reading is None or reading.type is None:
                continue
            value = reading.value
            if value is None:
                value, at = words[at], at + 1
            check = reading.type.place and reading.type.place.check(value, base)
            if check:
                yield check


def _spellings(option: Option) -> Iterator[str]:
    """Give the words that one may begin to type: a value behind = only where it can be counted."""
    if option.apart:
        yield option.name
    else:
        choices = option.type.choices if option.type else ()
        yield from (f"{option.name}={choice}" for choice in choices or ("",))
