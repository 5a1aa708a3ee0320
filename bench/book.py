"""What was measured: every figure of every round, and what is made of them.

Laws:
1. A figure is kept as it was measured, with its round. Medians, spreads and ratios are made of those at the end.
2. A ratio is made within a round, of two figures that were measured one soon after the other; then comes the median.
3. What could not be measured is told, with the reason. Nothing stands for it.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

RATE, P50, P99 = "/s", "p50 ms", "p99 ms"
"""Of most loads: how many a second, and how long each took."""


class Key(NamedTuple):
    """Names a figure: what was done, by whom, and what is told of it."""

    part: str
    load: str
    subject: str
    unit: str


class Asked(NamedTuple):
    """A figure as so many times another one, or by itself. `asked`: what is wanted; `aim`: what it shall become."""

    what: str
    of: Key
    to: Key | None
    asked: str = ""
    aim: str = ""


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Spread(NamedTuple):
    """Of several rounds."""

    median: float
    lowest: float
    highest: float
    rounds: int


def spread(values: Sequence[float]) -> Spread | None:
    """None: nothing was measured."""
    return Spread(statistics.median(values), min(values), max(values), len(values)) if values else None


class Book:
    """All figures of a run. `path`: a CSV file to which each is added at once, so that none is lost."""

    def __init__(self, path: Path | None = None) -> None:
        self.figures: dict[Key, dict[int, float]] = {}
        self.failures: dict[str, str] = {}
        """What was not measured, and why."""
        self._path = path
        if path is not None:
            self._append(("part", "load", "subject", "unit", "round", "value"), mode="w")

    def add(self, key: Key, round_: int, value: float) -> None:
        """Keep a figure."""
        self.figures.setdefault(key, {})[round_] = value
        if self._path is not None:
            self._append((*key, round_, f"{value:.6g}"))

    def _append(self, row: Sequence[object], mode: str = "a") -> None:
        assert self._path is not None
        with self._path.open(mode, newline="") as file:
            csv.writer(file).writerow(row)

    def fail(self, what: str, why: str) -> None:
        """Something could not be measured; the first reason is kept."""
        self.failures.setdefault(what, why)

    def spread(self, key: Key) -> Spread | None:
        """Of all rounds of a figure."""
        return spread([*self.figures.get(key, {}).values()])

    def answer(self, asked: Asked) -> Spread | None:
        """Of the rounds in which both were measured; None: there was none."""
        if asked.to is None:
            return self.spread(asked.of)
        of, to = self.figures.get(asked.of, {}), self.figures.get(asked.to, {})
        return spread([of[round_] / to[round_] for round_ in of if to.get(round_)])

    def lines(self) -> Iterator[tuple[str, str, str]]:
        """Part, load and subject of every line of the table, in the order in which they were measured first."""
        yield from dict.fromkeys((key.part, key.load, key.subject) for key in self.figures)
