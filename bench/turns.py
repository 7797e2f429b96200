"""Contestants that take turns, so that whatever the machine does meanwhile is done to all of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.figures import OURS, Row

if TYPE_CHECKING:
    from bench.figures import Target

Run = Callable[[], float]  # one sample
Prepare = Callable[[], Run]


class Absent(Exception):
    """A contestant is not there, or does not do this; the text says why."""


class Contest:
    """One work that several do; who is absent, or fails, is a line that says so."""

    def __init__(self, work: str, unit: str, *targets: Target) -> None:
        self._work, self._unit, self._targets = work, unit, targets
        self._runs: dict[str, Run] = {}
        self._samples: dict[str, list[float]] = {}
        self._absent: dict[str, str] = {}

    def enter(self, name: str, prepare: Prepare) -> None:
        """Let somebody take part; `prepare` raises `Absent` where that cannot be."""
        try:
            self._runs[name] = prepare()
        except Absent as why:
            self._absent[name] = str(why)

    def leave(self, name: str, why: str) -> None:
        """Note that somebody cannot take part."""
        self._absent[name] = why

    def hold(self, rounds: int, warm_up: int = 1) -> None:
        """Let all take their turns; each round begins with another one."""
        for number in range(-warm_up, rounds):
            names = list(self._runs)
            shift = number % len(names) if names else 0
            for name in names[shift:] + names[:shift]:
                self._turn(name, counts=number >= 0)

    def _turn(self, name: str, *, counts: bool) -> None:
        try:
            sample = self._runs[name]()
        except (Absent, OSError, subprocess.SubprocessError) as error:
            if name == OURS:
                raise
            self._absent[name] = f"failed: {error}"
            self._runs.pop(name)
            self._samples.pop(name, None)
            return
        if counts:
            self._samples.setdefault(name, []).append(sample)

    def row(self) -> Row:
        return Row(self._work, self._unit, self._samples, self._absent, self._targets)
