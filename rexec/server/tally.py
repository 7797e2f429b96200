"""How many commands each rule has at once and lately, whoever asked: `parallel` and `rate`.

A rule is known by its text and by whom it is for, so that a reload with an edit elsewhere in the file
gives nobody a fresh start.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.policy.rules import Permit, Rule

_PERIODS = {1: "a second", 60: "a minute", 3_600: "an hour", 86_400: "a day"}


class Count:
    """What is counted of one rule."""

    __slots__ = ("running", "seconds", "starts")

    def __init__(self) -> None:
        self.running = 0
        self.seconds = 0  # that a start counts
        self.starts: deque[float] = deque()  # times of the last so many

    def forget(self, now: float) -> None:
        """Drop the starts that do not count any more."""
        while self.starts and self.starts[0] <= now - self.seconds:
            self.starts.popleft()


class Tally:
    """The counts of all rules that ask for one; a plain rule has none."""

    def __init__(self, elsewhere: Callable[[Rule], int] = lambda _: 0) -> None:
        """`elsewhere` says how many commands of a rule run that are not counted here."""
        self._elsewhere = elsewhere
        self._counts: dict[tuple[object, ...], Count] = {}

    def admit(self, permit: Permit, now: float) -> str | None:
        """Count a command that is about to start; or say why it may not, and count nothing.

        `now` is of a clock that nobody sets back.
        """
        grant, rule = permit.grant, permit.rule
        if grant.parallel is None and grant.rate is None:
            return None
        count = self._counts.setdefault(_key(rule), Count())
        if grant.parallel is not None and count.running + self._elsewhere(rule) >= grant.parallel:
            return f"{rule.label} runs at most {grant.parallel} at once: wait until one has ended"
        if grant.rate is not None:
            starts, count.seconds = grant.rate
            count.forget(now)
            if len(count.starts) >= starts:
                period = _PERIODS.get(count.seconds, f"in {count.seconds} s")
                wait = ceil(count.starts[-starts] + count.seconds - now)
                return f"{rule.label} starts at most {starts} {period}: try again in {wait} s"
            count.starts.append(now)
        if grant.parallel is not None:
            count.running += 1
        return None

    def over(self, permit: Permit) -> None:
        """Note that an admitted command has ended, or could not be started."""
        if permit.grant.parallel is not None:
            self._counts[_key(permit.rule)].running -= 1

    def tidy(self, now: float) -> None:
        """Drop the counts that say nothing any more, such as those of rules that are gone."""
        for key, count in list(self._counts.items()):
            count.forget(now)
            if not count.running and not count.starts:
                del self._counts[key]


def _key(rule: Rule) -> tuple[object, ...]:
    return rule.name, rule.text, rule.section, rule.grant.whom
