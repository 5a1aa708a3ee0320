"""The search for a planted bug: in seeds, in scripted scenarios, in every interleaving of a small world."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from paxosd.sim.draw import draw
from paxosd.sim.explore.bounds import WORLDS
from paxosd.sim.explore.search import explore
from paxosd.sim.keys.playing import play as play_keys
from paxosd.sim.planted.bugs import BY_NAME
from paxosd.sim.planted.places import Interleavings, KeyLogs, Scenarios, Search, Seeds
from paxosd.sim.run import run
from paxosd.sim.scenarios.catalogue import SCENARIOS, play, stagings


@dataclass(frozen=True, slots=True)
class Hunt:
    """What a hunt came to: where which invariant broke; both are empty if none did."""

    bug: str
    where: str
    violation: str


class _Found(NamedTuple):
    where: str
    violation: str


def hunt(name: str, searches: Sequence[Search], until: float = math.inf) -> Hunt:
    """Plant this bug in this process, for good, and search for it in one place after the other, unless it is later than
    `until` on the monotonic clock, and until then at most."""
    if time.monotonic() > until:
        return Hunt(name, "", "")
    BY_NAME[name].plant()
    logging.disable(logging.CRITICAL)
    for search in searches:
        match search:
            case Seeds():
                found = _in_seeds(search, until)
            case Scenarios():
                found = _in_scenarios(search, until)
            case Interleavings():
                found = _in_every_interleaving(search, until)
            case KeyLogs():
                found = _in_key_logs(search, until)
        if found is not None:
            return Hunt(name, *found)
    return Hunt(name, "", "")


def _in_seeds(seeds: Seeds, until: float) -> _Found | None:
    for seed in range(seeds.first, seeds.stop):
        if time.monotonic() > until:
            return None
        violation = run(draw(seed, seeds.profile)).violation
        if violation:
            family = "" if seeds.profile == "swarm" else f" of {seeds.profile}"
            return _Found(f"seed {seed}{family}", violation)
    return None


def _in_scenarios(scenarios: Scenarios, until: float) -> _Found | None:
    for seed in range(scenarios.seeds):
        for name, layout in stagings(scenarios.names or tuple(SCENARIOS)):
            if scenarios.layout not in ("", layout):
                continue
            if time.monotonic() > until:
                return None
            row = play(name, layout, (seed,))
            if row.failed:
                where = f"{name}, {layout}" + (f", seed {seed}" if seed else "")
                return _Found(where, row.failed[seed].partition(":")[0])
    return None


def _in_every_interleaving(search: Interleavings, until: float) -> _Found | None:
    report = explore(WORLDS[search.world], search.states_max, until=until)
    if report.violation is None:
        return None
    return _Found(f"{search.world}, {report.distinct_states:,} states", report.violation.law)


def _in_key_logs(logs: KeyLogs, until: float) -> _Found | None:
    for seed in range(logs.first, logs.stop):
        if time.monotonic() > until:
            return None
        violation = play_keys(seed)
        if violation:
            return _Found(f"log {seed} of keys", violation)
    return None
