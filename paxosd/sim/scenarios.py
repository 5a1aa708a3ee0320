"""Partial connectivity, measured: how fast a cluster serves again when some of its links are gone, over many seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from paxosd.sim.invariants import Violation
from paxosd.sim.scenarios_links import (
    any_links,
    n01_leader_in_minority,
    n02_quorum_loss,
    n04_chained,
    n06_one_way,
    n11_flapping,
)
from paxosd.sim.scenarios_props import LAYOUTS, Report

Scenario: TypeAlias = Callable[[int, str], Report]
"""Takes a seed and a layout, and raises `Violation` if its expectation fails."""

PARTIAL: Mapping[str, Scenario] = {
    "N01": n01_leader_in_minority,
    "N02": n02_quorum_loss,
    "N04": n04_chained,
    "N06": n06_one_way,
    "N11": n11_flapping,
    "N*": any_links,
}
"""The scenarios of partial connectivity, by id."""


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario in one layout over all seeds: the slowest recovery in election timeouts, the most leaders that were
    elected in a run, the most rounds that the ballots grew by, and what failed, by seed."""

    id: str
    what: str
    layout: str
    seeds: int
    recovered_t_e: float
    leader_changes: int
    ballots: int
    failed: Mapping[int, str]


def table(seeds: Iterable[int], on_row: Callable[[Row], None] = lambda row: None) -> list[Row]:
    """Play every scenario of partial connectivity in every layout with these seeds; `on_row` is told each row."""
    tried = tuple(seeds)
    rows: list[Row] = []
    for name in PARTIAL:
        for layout in LAYOUTS:
            rows.append(play(name, layout, tried))
            on_row(rows[-1])
    return rows


def play(name: str, layout: str, seeds: Iterable[int]) -> Row:
    """One row of the table."""
    scenario = PARTIAL[name]
    reports: list[Report] = []
    failed: dict[int, str] = {}
    for seed in seeds:
        try:
            reports.append(scenario(seed, layout))
        except Violation as violation:
            failed[seed] = str(violation)
    return Row(
        name,
        " ".join((scenario.__doc__ or "").split(":")[0].split()),
        layout,
        len(reports) + len(failed),
        max((report.recovered_t_e for report in reports), default=0.0),
        max((report.leader_changes for report in reports), default=0),
        max((report.ballots for report in reports), default=0),
        failed,
    )
