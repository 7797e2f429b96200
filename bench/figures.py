"""The arithmetic of the table, and the table: medians, quartiles, ratios, and whether a target is reached."""

from __future__ import annotations

import statistics
from typing import NamedTuple

HEAD = ("work", "", "median", "quartiles", "rexec / it", "target", "reached")
OURS = "rexec"


class Target(NamedTuple):
    """What rexec has to reach: a ratio to a peer, or without one a figure of its own."""

    most: float | None = None
    least: float | None = None
    of: str = ""  # the peer

    def is_reached(self, value: float) -> bool:
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self) -> str:
        return f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}"


class Row(NamedTuple):
    """One work: samples of each contestant, or why it has none."""

    work: str
    unit: str
    samples: dict[str, list[float]]
    absent: dict[str, str]
    targets: tuple[Target, ...]

    def ratio(self, peer: str) -> float | None:
        """Return rexec's median by that of a peer."""
        if not (self.samples.get(OURS) and self.samples.get(peer)):
            return None
        below = statistics.median(self.samples[peer])
        return statistics.median(self.samples[OURS]) / below if below else None

    def verdict(self, target: Target) -> bool | None:
        """Say whether a target is reached; None where there is nothing to compare."""
        if target.of:
            value = self.ratio(target.of)
        else:
            value = statistics.median(self.samples[OURS]) if self.samples.get(OURS) else None
        return None if value is None else target.is_reached(value)

    def lines(self) -> list[tuple[str, ...]]:
        """Return the row's lines of the table: one for each contestant, ours first."""
        names = sorted({*self.samples, *self.absent}, key=lambda name: (name != OURS, name))
        return [
            (self.work if at == 0 else "", name, *self._figures(name), *self._judged(name))
            for at, name in enumerate(names)
        ]

    def _figures(self, name: str) -> tuple[str, str, str]:
        if name in self.absent:
            return (self.absent[name], "", "")
        median, low, high = spread(self.samples[name])
        ratio = None if name == OURS else self.ratio(name)
        return (
            f"{digits(median)} {self.unit}",
            f"{digits(low)} - {digits(high)}",
            "" if ratio is None else f"{ratio:.2f}",
        )

    def _judged(self, name: str) -> tuple[str, str]:
        mine = [target for target in self.targets if (target.of or OURS) == name]
        said = {True: "yes", False: "NO", None: "?"}
        return ", ".join(map(str, mine)), ", ".join(said[self.verdict(target)] for target in mine)


def spread(samples: list[float]) -> tuple[float, float, float]:
    """Return median, lower and upper quartile."""
    if len(samples) == 1:
        return samples[0], samples[0], samples[0]
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return median, low, high


def percentile(samples: list[float], percent: int) -> float:
    """Return the value below which `percent` of the samples are."""
    return statistics.quantiles(samples, n=100, method="inclusive")[percent - 1]


def digits(value: float) -> str:
    """Return a figure with three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(rows: list[Row]) -> str:
    """Return the rows as one table, readable as text and as Markdown."""
    lines = [HEAD, *(line for row in rows for line in row.lines())]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    made = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    return "\n".join([made[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *made[1:]])
