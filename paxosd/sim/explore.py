"""Every world that a small cluster can come to, breadth first, each held against the laws.

Where the simulator draws, this walks: all interleavings of a few messages, timers and crashes of the real roles, until
there are no more or enough. The first world that breaks a law is found by a shortest way, which is given as a trace.

Laws:
1. A way is a sequence of steps of `explore_world.py`; a world is visited once, however many ways lead there.
2. A search in which nothing interesting was seen proves nothing: `Report.seen` says what was, and how deep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from paxosd.sim.explore_laws import Judge, LawBroken
from paxosd.sim.explore_world import CRASH_BITS, PART_BITS, Configuration, Moves, Seat, Worlds

Progress = Callable[[int, int], None]
"""Told the depth that is done and the number of distinct states so far."""

_PART = (1 << PART_BITS) - 1
_CRASHES = (1 << CRASH_BITS) - 1


@dataclass(frozen=True, slots=True)
class Trace:
    """A shortest way to a broken law: one line per step."""

    law: str
    text: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a search came to. `complete`: there are no other worlds. `seen`: the depth of each mark; None: never."""

    distinct_states: int
    transitions: int
    depth: int
    complete: bool
    seen: Mapping[str, int | None]
    violation: Trace | None


@dataclass(slots=True)
class _Link:
    """Who may move at whose word, and what is known of their moves; memory is keyed by the two parts."""

    seat: Seat
    other: Seat | None
    crashing: bool
    known: dict[int, Moves]

    def key(self, world: int) -> int:
        own = world >> self.seat.shift & _PART
        return own if self.other is None else own << PART_BITS | (world >> self.other.shift & _PART)


def explore(
    configuration: Configuration, states_max: int = 1 << 62, progress: Progress = lambda depth, states: None
) -> Report:
    """Visit worlds until there are no more, `states_max` were seen, or a law is broken."""
    judge = Judge(configuration.window_slots)
    search = _Search(Worlds(configuration, judge), judge)
    try:
        complete = search.run(states_max, progress)
        violation = None
    except LawBroken as broken:
        complete, violation = False, search.trace(broken)
    return Report(len(search.came_from), search.transitions, search.depth, complete, dict(judge.seen), violation)


class _Search:
    """One breadth-first search."""

    def __init__(self, worlds: Worlds, judge: Judge) -> None:
        self.came_from: dict[int, int] = {}
        self.transitions = 0
        self.depth = 0
        self._worlds = worlds
        self._judge = judge
        self._at = 0  # the world whose next ones are looked at
        links = [(seat, other) for seat, other in worlds.links()]
        self._calm = [_Link(seat, other, False, {}) for seat, other in links]
        self._all = self._calm + [_Link(seat, other, True, {}) for seat, other in links]

    def run(self, states_max: int, progress: Progress) -> bool:
        """True if there are no other worlds."""
        first = self._worlds.first()
        self.came_from[first] = first
        frontier = [first]
        while frontier:
            self.depth += 1
            self._judge.depth = self.depth
            following: list[int] = []
            for world in frontier:
                self._visit(world, following)
                if len(self.came_from) >= states_max:
                    return False
            frontier = following
            progress(self.depth, len(self.came_from))
        return True

    def _visit(self, world: int, following: list[int]) -> None:
        self._at = world
        came_from = self.came_from
        for link in self._links(world):
            key = link.key(world)
            moves = link.known.get(key)
            if moves is None:
                moves = link.known[key] = self._worlds.moves(link.seat, link.other, world, link.crashing)
            self.transitions += len(moves.quiet) + len(moves.loud)
            for step in moves.quiet:
                if world + step not in came_from:
                    came_from[world + step] = world
                    following.append(world + step)
            for step in moves.loud:
                if world + step not in came_from:
                    came_from[world + step] = world
                    self._worlds.check(world + step)
                    following.append(world + step)

    def _links(self, world: int) -> list[_Link]:
        return self._all if world & _CRASHES < self._worlds.configuration.crashes else self._calm

    # ---- the way to a broken law ----

    def trace(self, broken: LawBroken) -> Trace:
        """How the world came about in which this law was broken last."""
        last = next(reversed(self.came_from))  # the law of a world is broken by the one that was added last
        ends_in_world = self.came_from[last] == self._at and self._breaks(last)
        way = [last if ends_in_world else self._at]
        while self.came_from[way[-1]] != way[-1]:
            way.append(self.came_from[way[-1]])
        way.reverse()
        lines = [self._line(before, after) for before, after in pairwise(way)]
        if not ends_in_world:
            lines.append(self._worlds.describe(self._worlds.step))
        return Trace(broken.law, str(broken), tuple(lines))

    def _breaks(self, world: int) -> bool:
        try:
            self._worlds.check_again(world)
        except LawBroken:
            return True
        return False

    def _line(self, before: int, after: int) -> str:
        """Any step that leads from the one world to the other."""
        return next(self._steps(before, after))

    def _steps(self, before: int, after: int) -> Iterator[str]:
        for link in self._links(before):
            here = link.seat.part_of(before)
            for step in self._worlds.steps(link.seat, link.other, before, link.crashing):
                part = self._worlds.after(link.seat, here, step)
                if before + (part - here << link.seat.shift) + link.crashing == after:
                    yield self._worlds.describe(step)
