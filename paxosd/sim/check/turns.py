"""37: whoever is told that it has something, has it by its own clock, and as long as nobody else may.

A holder asks its own clock, which runs as it likes within what clocks do. The checker sees all holders and all that is
chosen at one time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from paxosd.client.leases import HeldLease, KeyHold
from paxosd.core.types import Instant, Revision
from paxosd.sim.check.invariants import ensure
from paxosd.sim.check.replay import Replay

LAW = "37 turns"
OF_LINES = (b"lock/", b"election/", b"semaphore/", b"rwlock/", b"party/")
AMONG_OTHERS = (b"/takers/", b"/inside/")
"""What is in the names of keys that callers make for themselves beside those of lines."""
LOCKS_OF_ENTRIES = b"/taken/"
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
    gone_since: Instant | None = None  # its key, while it is believed

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
        self._meddled_with: set[bytes] = set()  # keys that somebody removes who did not make them
        self.count = 0

    def anybodys_key(self, random: Random) -> bytes | None:
        """One of the keys of lines, to be removed by somebody who did not make it; there may be none."""
        keys = [key for key in self._replay.keys.now if is_of_one(key)]
        if not keys:
            return None
        key = random.choice(sorted(keys))
        self._meddled_with.add(key)
        return key

    def take(self, turn: HeldTurn, looked_at: Revision) -> None:
        """Somebody is told that it has its turn, after a look at this revision."""
        for revision in (turn.fence, max(turn.fence, looked_at)):
            self._replay.at(revision)
            made = self._replay.keys.states[revision].get(turn.key)
            is_so = made is not None and made.create_revision == turn.fence
            what = f"{turn.client} has the fence {turn.fence} of {turn.key!r}, and at {revision} that is {made}"
            ensure(is_so, LAW, what)
        if not turn.is_believed:
            return
        if self._is_held(turn):
            self._require_apart(turn)
        self._turns = [*(other for other in self._turns if other.is_believed), turn]
        self.count += 1

    def _require_apart(self, turn: HeldTurn) -> None:
        others = [other for other in self._turns if other.line == turn.line and self._is_held(other)]
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

    def _is_held(self, turn: HeldTurn) -> bool:
        """Whether nobody else may have it. Whose key was removed by somebody hears of it later."""
        return turn.is_believed and turn.key not in self._meddled_with

    def look(self) -> None:
        """More is chosen: who is believed to have something still has its key, and no late write came through."""
        keys = self._replay.keys.now
        for turn in self._turns:
            kv = keys.get(turn.key)
            gone = kv is None or kv.create_revision != turn.fence
            what = f"{turn.client} is told that it has {turn.line!r}, and its key is gone"
            ensure(not (gone and self._is_held(turn)), LAW, what)
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

    def check_told(self, now: Instant, patience_s: float) -> None:
        """41: in a healed cluster whose key was removed by somebody hears of it."""
        keys = self._replay.keys.now
        for turn in self._turns:
            kv = keys.get(turn.key)
            if (kv is not None and kv.create_revision == turn.fence) or not turn.is_believed:
                turn.gone_since = None
            elif turn.gone_since is None:
                turn.gone_since = now
            else:
                gone_s = now - turn.gone_since
                what = f"{turn.client} believes in its turn {turn.line!r} {gone_s:.1f} s after its key went"
                ensure(gone_s <= patience_s, "41 who lost hears of it", what)

    def check_lease(self, client: str, lease: HeldLease, lease_now: Instant) -> None:
        """A lease that its holder takes for its own is there."""
        if lease.id not in self._replay.keys.leases:
            ensure(lease.is_lost(lease_now), "38 leases", f"{client} has the lease {lease.id}, and it is gone")

    def check_left_behind(self) -> None:
        """42: who is gone has left nothing behind that was its own."""
        left = [key for key in self._replay.keys.now if is_of_one(key) or LOCKS_OF_ENTRIES in key]
        ensure(not left, "42 rest", f"nobody is there any more, and {left} are")


def is_of_one(key: bytes) -> bool:
    """Whether a caller made this key for itself, to wait, to hold something, or to be there."""
    return key.startswith(OF_LINES) or any(part in key for part in AMONG_OTHERS)
