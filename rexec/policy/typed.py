"""The pattern of values: ``{type}``, ``{name=type}``, and how often it may be taken: ``?`` ``+`` ``*``."""

from __future__ import annotations

from dataclasses import dataclass, field

from rexec.policy.arguments import Want

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from rexec.policy.arguments import Span
    from rexec.policy.rules import PathCheck
    from rexec.policy.types import Type


@dataclass(frozen=True, slots=True)
class Typed:
    """Arguments of one type; patterns that differ in the name alone take the same."""

    type: Type
    modifier: str = ""
    name: str = field(default="", compare=False)

    @property
    def choices(self) -> tuple[str, ...]:
        return self.type.choices

    @property
    def types(self) -> tuple[Type, ...]:
        return (self.type,)

    @property
    def is_single(self) -> bool:
        return not self.modifier

    def takes(self, word: str, base: str) -> bool:
        return self.type.takes(word, base)

    def ends(self, words: Sequence[str], starts: Collection[int], base: str) -> Mapping[int, int]:
        if self.modifier in ("+", "*"):
            return self._ends_of_runs(words, starts, base)
        count = len(words)
        takes = self.type.takes
        found = {start + 1: start for start in starts if start < count and takes(words[start], base)}
        if self.modifier:
            found.update((start, start) for start in starts)
        return found

    def _ends_of_runs(self, words: Sequence[str], starts: Collection[int], base: str) -> Mapping[int, int]:
        """Sweep once: behind each word that is taken a run may end, whichever start it came from."""
        found: dict[int, int] = {}
        origin: int | None = None  # the last start from which all words so far are taken
        at, last = min(starts), max(starts)
        while at <= len(words) and (origin is not None or at <= last):
            if origin is not None:
                found[at] = origin
            if at in starts:
                origin = at
                if self.modifier == "*":
                    found[at] = at
            if origin is not None and at < len(words) and not self.type.takes(words[at], base):
                origin = None
            at += 1
        return found

    def wants(self, words: Sequence[str], starts: Collection[int], base: str) -> Iterator[Want]:
        yield from (Want(start, self.type) for start in starts)
        if self.modifier in ("+", "*"):
            yield from (Want(end, self.type) for end in self.ends(words, starts, base) if end not in starts)

    def checks(self, words: Sequence[str], span: Span, base: str) -> Iterator[PathCheck]:
        place = self.type.place
        if place is not None:
            yield from filter(None, (place.check(word, base) for word in words[span.start : span.end]))
