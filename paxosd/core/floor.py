"""The floor: the slot below which an acceptor's votes may be gone.

A learner tells all proposers how far its state is synced (`Durable`). The leader takes the slot that enough learners
have (`safe`), and the one that all have (`everywhere`), and tells both to the acceptors (`Trim`). Each acceptor lets go
of its votes below a floor of its own: never above `safe`, and above `everywhere` only where it would keep more than the
bounds below, so that a slow learner may still ask for them.

Laws:
1. A floor is below its acceptor's watermark, by one slot at least. So every slot below it is chosen, whoever hears a
   floor hears a watermark that is not lower, and the vote below the watermark stays, which tells a new leader the
   latest stamp of log time.
2. What is below a floor is with a majority of the learners, on synced disks, and with two of them at least, unless
   there is one acceptor only: who loses one disk loses nothing. Where there is one learner, nothing is ever let go.
3. A floor never falls, but for a power cut, which may take it together with its trimming: then the votes are back.

Why nobody takes "below the floor" for "no vote":
- A new leader. It takes each floor that a promise or a page of one tells for a watermark (law 1), and proposes nothing
  below the highest watermark that it heard. In the slots above, its whole quorum told all votes. An acceptor may trim
  between two pages: the later page tells the higher floor. An old promise is as true as it was: what it told of a slot
  below a floor of today is of no use any more.
- An old leader, or one that did not hear of the floor, still asks for a vote in a slot below. If its ballot is not
  below the promise, the acceptor votes, and lets go of that vote at once: it raises its promise and answers, and writes
  no row. That is the plain protocol, followed by a trimming that was allowed already. The slot is chosen, so a higher
  ballot has the chosen value, and a lower one finds no quorum for another (Paxos Made Simple, P2b).
- A learner that asks for votes counts only acceptors whose floors are not above the slot it needs (`catchup.py`).
- A learner that loses its disk, or puts back an old one, is behind and asks the others. What it told before was true,
  and by law 2 another one has the state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from paxosd.core.types import FIRST_SLOT, NodeId, Slot

SYNC_EVERY_S = 2.0
"""How often a learner makes what it learned durable, if it learned anything, and tells the leader how far it is."""
SYNC_EVERY_SLOTS = 8192
SYNC_EVERY_BYTES = 8 * 1024 * 1024
"""After how many slots, or bytes of values, it does not wait for that."""

NEAR_WINDOWS = 2
NEAR_BYTES = 4 * 1024 * 1024
"""How much below its newest vote an acceptor always keeps: so many windows of slots, but no more than so many bytes."""
SLOW_SLOTS = 65536
SLOW_BYTES = 16 * 1024 * 1024
"""How much it keeps for learners that are slower than the majority; of what it voted for in this life only."""

MARK_SLOTS = 64
MARK_BYTES = 256 * 1024

TOLD_AGAIN_EVERY = 64
"""After so many heartbeats acceptors are told again how far they may trim."""


class DurableSlots:
    """A leader's list: the slot below which the state of each learner is durable, as it told last."""

    def __init__(self, learners: Sequence[NodeId], acceptors: int) -> None:
        self._slots: dict[NodeId, Slot] = dict.fromkeys(learners, FIRST_SLOT)
        self._needed = max(len(learners) // 2 + 1, min(2, acceptors))
        self._told = FIRST_SLOT, FIRST_SLOT

    def tell(self, learner: NodeId, slot: Slot) -> None:
        """A learner's state is durable up to here. It may be less than before: a disk was lost."""
        self._slots[learner] = slot

    def forget(self) -> None:
        """A new leadership: what was told to an earlier one may be of a disk that was lost since."""
        self._slots = dict.fromkeys(self._slots, FIRST_SLOT)
        self._told = FIRST_SLOT, FIRST_SLOT

    def news(self, watermark: Slot, sequence: int) -> tuple[Slot, Slot] | None:
        """With this heartbeat: how far acceptors may trim (`Trim`), when it changed, and now and then for whoever
        missed it."""
        told = min(self.safe, watermark), min(self.everywhere, watermark)
        if told == self._told and (told[0] == FIRST_SLOT or sequence % TOLD_AGAIN_EVERY):
            return None
        self._told = told
        return told

    @property
    def safe(self) -> Slot:
        """What is below is with enough learners."""
        told = sorted(self._slots.values(), reverse=True)
        return told[self._needed - 1] if self._needed <= len(told) else FIRST_SLOT

    @property
    def everywhere(self) -> Slot:
        """What is below is with all of them."""
        return min(self._slots.values(), default=FIRST_SLOT)


class RecentVotes:
    """About how many bytes an acceptor voted for lately, and where: enough to keep so many of them, and no more."""

    def __init__(self) -> None:
        self._marks: deque[tuple[Slot, int]] = deque()  # from which slot on how many bytes, in order
        self._stop: Slot = FIRST_SLOT

    def add(self, slot: Slot, size: int) -> None:
        """It voted in this slot for a value that takes so many bytes on its disk."""
        self._stop = max(self._stop, slot + 1)
        if self._marks:
            first, held = self._marks[-1]
            if slot < first + MARK_SLOTS and held + size <= MARK_BYTES:
                self._marks[-1] = first, held + size
                return
        self._marks.append((max(slot, self._marks[-1][0]) if self._marks else slot, size))
        if len(self._marks) > 2 * SLOW_BYTES // MARK_BYTES + SLOW_SLOTS // MARK_SLOTS:
            self._marks.popleft()

    def start(self, slots_max: int, bytes_max: int) -> Slot:
        """From this slot on the votes of this life are no more than that."""
        start = self._stop
        for first, held in reversed(self._marks):
            bytes_max -= held
            if bytes_max < 0:
                break
            start = min(start, first)
        return max(start, self._stop - slots_max)


def floor_of(recent: RecentVotes, window_slots: int, watermark: Slot, safe: Slot, everywhere: Slot) -> Slot:
    """The floor of an acceptor with this watermark and these votes, by a leader's word."""
    for_the_slow = max(everywhere, recent.start(SLOW_SLOTS, SLOW_BYTES))
    near = recent.start(NEAR_WINDOWS * window_slots, NEAR_BYTES)
    return min(safe, watermark - 1, for_the_slow, near)
