"""Places in which a planted bug is looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seeds from `first` to below `stop`, of one family of faults or of all."""

    first: int
    stop: int
    profile: str = "swarm"


@dataclass(frozen=True, slots=True)
class Scenarios:
    """Scripted scenarios by name, in one layout or in all in which they make sense; without names, all of them."""

    names: tuple[str, ...] = ()
    layout: str = ""
    seeds: int = 1


@dataclass(frozen=True, slots=True)
class Interleavings:
    """So many states of a small world, breadth first."""

    world: str
    states_max: int


@dataclass(frozen=True, slots=True)
class KeyLogs:
    """Logs of random commands for the keys, of the seeds from `first` to below `stop`; no cluster takes part."""

    first: int
    stop: int


Search: TypeAlias = Seeds | Scenarios | Interleavings | KeyLogs
