"""Every world that a small cluster can come to, breadth first, each held against the laws.

Where the simulator draws, this walks: messages lost, late, repeated and out of order, timers at any time, and crashes
at any point of the real roles, until there is nothing new or enough was seen.

Laws:
1. A world is visited once, however many ways lead there. Its steps are those of `steps.py`, which puts off or
   takes at once what nobody can tell apart; so a world stands for many interleavings.
2. The first world, or turn, that breaks a law is found by a fewest number of steps, and given as a trace.
3. A search in which nothing interesting was seen proves nothing: `Exploration.seen` says what was, and how deep.

Not explored: reads, learners and catching up, resigning; the contents of pre-votes (a campaign is always granted, by
acceptors that tell nothing); two messages in one turn of an acceptor; pages of promises; time, except as a choice of
what is due (see `node.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from paxosd.sim.explore.bounds import Configuration
from paxosd.sim.explore.decreed import VOTERS_LAWS, VOTERS_MARKS
from paxosd.sim.explore.laws import WORLD_LAWS, WORLD_MARKS, Judge, LawBroken
from paxosd.sim.explore.steps import Move, Worlds
from paxosd.sim.explore.trace import trace

Progress = Callable[[int, int], None]
"""Told the depth that is done and the number of distinct states so far."""


CLOCK_EVERY = 1000
"""Worlds, between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A shortest way to a broken law: one line per event."""

    law: str
    text: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exploration:
    """What a search came to. `complete`: there are no other worlds. `seen`: the depth of each mark; None: never."""

    distinct_states: int
    transitions: int
    depth: int
    complete: bool
    seen: Mapping[str, int | None]
    violation: Trace | None


def explore(
    configuration: Configuration,
    states_max: int = 1 << 62,
    progress: Progress = lambda depth, states: None,
    laws: Collection[str] | None = None,
    until: float = math.inf,
) -> Exploration:
    """Visit worlds until there are no more, `states_max` were seen, it is `until` on the monotonic clock, or a law is
    broken (of those named; None: any)."""
    judge = judge_of(configuration, laws)
    search = _BreadthFirst(Worlds(configuration, judge), judge)
    violation = None
    try:
        complete = search.run(states_max, progress, until)
    except LawBroken as broken:
        complete = False
        violation = Trace(broken.law, str(broken), search.trace(broken))
    return Exploration(len(search.came_from), search.transitions, search.depth, complete, dict(judge.seen), violation)


def judge_of(configuration: Configuration, laws: Collection[str] | None = None) -> Judge:
    """Who holds the worlds of this configuration against its laws."""
    if configuration.is_about_voters:
        return Judge(configuration.window_slots, laws, VOTERS_LAWS, VOTERS_MARKS)
    return Judge(configuration.window_slots, laws, WORLD_LAWS, WORLD_MARKS)


class _BreadthFirst:
    """One breadth-first search."""

    def __init__(self, worlds: Worlds, judge: Judge) -> None:
        self.came_from: dict[int, int] = {}
        self.transitions = 0
        self.depth = 0
        self._worlds = worlds
        self._judge = judge
        self._at = 0  # the world whose steps are taken
        self._last: Move | None = None  # the step to a world that is held against the laws

    def run(self, states_max: int, progress: Progress, until: float) -> bool:
        """True if there are no other worlds."""
        for world in self._worlds.opening():
            self.came_from[world] = self._at if self.came_from else world
            self._at = world
        self._worlds.check(self._at)
        frontier = [self._at]
        while frontier:
            self.depth += 1
            self._judge.depth = self.depth
            following: list[int] = []
            for number, world in enumerate(frontier):
                self._visit(world, following)
                if len(self.came_from) >= states_max:
                    return False
                if number % CLOCK_EVERY == 0 and time.monotonic() > until:
                    return False
            frontier = following
            progress(self.depth, len(self.came_from))
        return True

    def _visit(self, world: int, following: list[int]) -> None:
        self._at = world
        take, came_from = self._worlds.take, self.came_from
        for move in self._worlds.moves(world):
            self.transitions += 1
            after = take(world, move) if move.asks else world + move.step
            if after in came_from:
                continue
            came_from[after] = world
            following.append(after)
            if move.asks or move.tells:
                self._last = move
                self._worlds.check(after)
                self._last = None

    def trace(self, broken: LawBroken) -> tuple[str, ...]:
        """How the world came about in which this law was broken, one event a line."""
        way = [self._at]
        while self.came_from[way[-1]] != way[-1]:
            way.append(self.came_from[way[-1]])
        return trace(self._worlds, way[::-1], self._last, broken)
