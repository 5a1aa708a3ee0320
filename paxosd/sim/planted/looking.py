"""Where a bug may show: in seeds, in scripted scenarios, in every interleaving of a small world.

Imported only once a bug is planted (see `planting.py`), and in a process of its own.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from paxosd.sim.explore.search import explore
from paxosd.sim.explore.world import WORLDS
from paxosd.sim.plan import draw
from paxosd.sim.run import run
from paxosd.sim.scenarios.catalogue import play, stagings

SEED = 0
"""Of every scenario that is played here."""


class Found(NamedTuple):
    """Where something broke, and what."""

    where: str
    violation: str


def in_seeds(first: int, stop: int, until: float) -> Found | None:
    """Play these seeds until one fails, or until this time of the monotonic clock, in seconds."""
    for seed in range(first, stop):
        if time.monotonic() > until:
            return None
        violation = run(draw(seed)).violation
        if violation:
            return Found(f"seed {seed}", violation)
    return None


def in_scenarios(until: float) -> Found | None:
    """Play every scripted scenario in every layout once, until one fails or it is late."""
    for name, layout in stagings():
        if time.monotonic() > until:
            return None
        row = play(name, layout, (SEED,))
        if row.failed:
            return Found(f"{name}, {layout}", row.failed[SEED].partition(":")[0])
    return None


def in_every_interleaving(world: str, states_max: int) -> Found | None:
    """Visit so many states of this small world."""
    report = explore(WORLDS[world], states_max)
    if report.violation is None:
        return None
    return Found(f"{world}, {report.distinct_states:,} states", report.violation.law)
