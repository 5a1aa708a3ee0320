"""Bugs to plant, each a small change to the real source, to see that the simulator finds them.

A simulator that has never been seen to fail proves little. `hunt` runs in a fresh process: it changes the source of
the modules as they are imported, and searches until an invariant breaks. Nothing is changed on disk.

This file imports nothing of paxosd at its head but the list: what it shall change must not be imported before.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import logging
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import TypeAlias

from paxosd.sim.planted.bugs import BUGS, Bug, Change


@dataclass(frozen=True, slots=True)
class Hunt:
    """What a hunt came to: where which invariant broke; both are empty if none did."""

    bug: str
    where: str
    violation: str


@dataclass(frozen=True, slots=True)
class Seeds:
    """Search in the seeds from `first` to below `stop`."""

    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Scenarios:
    """Search in every scripted scenario in every layout."""


@dataclass(frozen=True, slots=True)
class Interleavings:
    """Search in so many states of a small world, breadth first."""

    world: str
    states_max: int


Search: TypeAlias = Seeds | Scenarios | Interleavings


BY_NAME: Mapping[str, Bug] = {bug.name: bug for bug in BUGS}


# ---- planting ----------------------------------------------------------------------------------


class _Loader(SourceFileLoader):
    """Loads a module from its source with the changes, past any cached bytecode."""

    def __init__(self, name: str, path: str, changes: Sequence[Change]) -> None:
        super().__init__(name, path)
        self._changes = changes

    def path_stats(self, path: str) -> Mapping[str, object]:
        raise OSError("no cache for a changed module")

    def get_data(self, path: str) -> bytes:
        text = super().get_data(path).decode()
        for module, old, new in self._changes:
            if text.count(old) != 1:
                raise LookupError(
                    f"{old!r} stands {text.count(old)} times in {module}: bring the planted bug up to date"
                )
            text = text.replace(old, new)
        return text.encode()


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        changes = [change for change in self._bug.changes if change[0] == name]
        spec: ModuleSpec | None = PathFinder.find_spec(name, path, target) if changes else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin, changes)
        return spec


def plant(bug: Bug) -> None:
    """Change the source of this bug's modules when they are imported; raises if one is already."""
    for module, _, _ in bug.changes:
        if module in sys.modules:
            raise RuntimeError(f"{module} is imported already: plant in a fresh process")
    sys.meta_path.insert(0, _Finder(bug))


def hunt(name: str, search: Search, until: float = math.inf) -> Hunt:
    """Plant this bug in this process, for good, and search for it, unless it is later than `until` on the monotonic
    clock, and until then at most."""
    if time.monotonic() > until:
        return Hunt(name, "", "")
    plant(BY_NAME[name])
    looking = importlib.import_module("paxosd.sim.planted.looking")
    logging.disable(logging.CRITICAL)
    match search:
        case Seeds(first, stop):
            found = looking.in_seeds(first, stop, until)
        case Scenarios():
            found = looking.in_scenarios(until)
        case Interleavings(world, states_max):
            found = looking.in_every_interleaving(world, states_max)
    return Hunt(name, *(found or ("", "")))
