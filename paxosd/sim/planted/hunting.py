"""The search for a planted bug: in seeds, in scripted scenarios, in every interleaving of a small world."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from paxosd.sim.draw import draw
from paxosd.sim.explore.bounds import WORLDS
from paxosd.sim.explore.search import explore
from paxosd.sim.planted.bugs import BY_NAME
from paxosd.sim.run import run
from paxosd.sim.scenarios.catalogue import play, stagings

SEED = 0
"""Of every scenario that is played here."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """Search in the seeds from `first` to below `stop`, of one family of faults or of all."""

    first: int
    stop: int
    profile: str = "swarm"


@dataclass(frozen=True, slots=True)
class Scenarios:
    """Search in every scripted scenario in every layout."""


@dataclass(frozen=True, slots=True)
class Interleavings:
    """Search in so many states of a small world, breadth first."""

    world: str
    states_max: int


Search: TypeAlias = Seeds | Scenarios | Interleavings


@dataclass(frozen=True, slots=True)
class Hunt:
    """What a hunt came to: where which invariant broke; both are empty if none did."""

    bug: str
    where: str
    violation: str


class _Found(NamedTuple):
    where: str
    violation: str


def hunt(name: str, search: Search, until: float = math.inf) -> Hunt:
    """Plant this bug in this process, for good, and search for it, unless it is later than `until` on the monotonic
    clock, and until then at most."""
    if time.monotonic() > until:
        return Hunt(name, "", "")
    BY_NAME[name].plant()
    logging.disable(logging.CRITICAL)
    match search:
        case Seeds():
            found = _in_seeds(search, until)
        case Scenarios():
            found = _in_scenarios(until)
        case Interleavings():
            found = _in_every_interleaving(search)
    return Hunt(name, *(found or ("", "")))


def _in_seeds(seeds: Seeds, until: float) -> _Found | None:
    for seed in range(seeds.first, seeds.stop):
        if time.monotonic() > until:
            return None
        violation = run(draw(seed, seeds.profile)).violation
        if violation:
            family = "" if seeds.profile == "swarm" else f" of {seeds.profile}"
            return _Found(f"seed {seed}{family}", violation)
    return None


def _in_scenarios(until: float) -> _Found | None:
    for name, layout in stagings():
        if time.monotonic() > until:
            return None
        row = play(name, layout, (SEED,))
        if row.failed:
            return _Found(f"{name}, {layout}", row.failed[SEED].partition(":")[0])
    return None


def _in_every_interleaving(search: Interleavings) -> _Found | None:
    report = explore(WORLDS[search.world], search.states_max)
    if report.violation is None:
        return None
    return _Found(f"{search.world}, {report.distinct_states:,} states", report.violation.law)
