"""37: whoever is told that it has something, has it by its own clock, and as long as nobody else may.

A holder asks its own clock, which runs as it likes within what clocks do. The checker sees all holders and all that is
chosen at one time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from paxosd.client.leases import HeldLease, KeyHold
from paxosd.core.types import Instant, Revision
from paxosd.sim.check.invariants import ensure
from paxosd.sim.check.replay import Replay

LAW = "37 turns"
GUARDED = b"guarded/"
"""What holders write to, under the condition that they hold: their fence."""


@dataclass(eq=False)
class HeldTurn:
    """Somebody has, by the key `key`, one of `room` turns of the line `line`; alone, or beside others that are no more
    alone than itself."""

    client: str
    line: bytes
    room: int
    alone: bool
    key: bytes
    fence: Revision
    hold: KeyHold
    lease_now: Callable[[], Instant]
    given_back: bool = False

    @property
    def is_believed(self) -> bool:
        """Whether its holder, if it asked now, would be told that it has it."""
        return not self.given_back and not self.hold.is_lost(self.lease_now()) and not self.hold.lease.is_over


class HeldTurns:
    """All of one history."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._turns: list[HeldTurn] = []
        self._fences: dict[bytes, Revision] = {}  # by line, the highest that was told
        self._guarded: dict[bytes, int] = {}
        self._looked_at: Revision = 0
        self.count = 0

    def take(self, turn: HeldTurn) -> None:
        """Somebody is told that it has its turn."""
        self._replay.at(turn.fence)
        made = self._replay.keys.states[turn.fence].get(turn.key)
        is_so = made is not None and made.create_revision == turn.fence
        ensure(is_so, LAW, f"{turn.client} has the fence {turn.fence}, which did not make {turn.key!r}")
        if not turn.is_believed:
            return
        others = [other for other in self._turns if other.line == turn.line and other.is_believed]
        for other in others:
            is_apart = not (turn.alone or other.alone)
            ensure(is_apart, LAW, f"{turn.client} and {other.client} both have {turn.line!r}")
        ensure(
            len(others) < turn.room, LAW, f"{len(others) + 1} have {turn.line!r}, where there is room for {turn.room}"
        )
        if turn.alone:
            last = self._fences.get(turn.line, 0)
            ensure(turn.fence > last, LAW, f"{turn.client} has {turn.line!r} with fence {turn.fence} after {last}")
            self._fences[turn.line] = turn.fence
        self._turns = [*(other for other in self._turns if other.is_believed), turn]
        self.count += 1

    def look(self) -> None:
        """More is chosen: who is believed to have something still has its key, and no late write came through."""
        keys = self._replay.keys.now
        for turn in self._turns:
            kv = keys.get(turn.key)
            gone = kv is None or kv.create_revision != turn.fence
            what = f"{turn.client} is told that it has {turn.line!r}, and its key is gone"
            ensure(not (gone and turn.is_believed), LAW, what)
        for revision in range(self._looked_at + 1, self._replay.revision + 1):
            if self._replay.keys.states[revision] is not self._replay.keys.states[revision - 1]:
                self._look_at_guarded(revision)
        self._looked_at = self._replay.revision

    def _look_at_guarded(self, revision: Revision) -> None:
        for event in self._replay.keys.events_of(revision):
            if event.key.startswith(GUARDED) and event.kv is not None:
                fence, last = int(event.kv.value), self._guarded.get(event.key, 0)
                ensure(fence >= last, LAW, f"{event.key!r} was written with fence {fence} after {last}")
                self._guarded[event.key] = fence

    def check_lease(self, client: str, lease: HeldLease, lease_now: Instant) -> None:
        """A lease that its holder takes for its own is there."""
        if lease.id not in self._replay.keys.leases:
            ensure(lease.is_lost(lease_now), "38 leases", f"{client} has the lease {lease.id}, and it is gone")
