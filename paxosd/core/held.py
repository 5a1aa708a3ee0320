"""The votes that an acceptor holds in memory, so that it seldom reads its disk.

Laws:
1. Every vote from `first` on is held. What it let go of below is on the disk, unless the floor took it.
2. A vote of this turn is not on the disk yet, and is not let go of: whoever asks in the same turn must be told of it,
   also where it is one that was copied, far below `first`.
3. What is held is bounded: the votes that are not chosen yet, and of the chosen ones so many slots and bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from paxosd.core.history import ROW_BYTES, known_slots
from paxosd.core.types import FIRST_SLOT, Slot, Vote

VOTES_KEPT_BELOW_WATERMARK = 128
"""How many chosen slots stay in memory; a new leader and a learner beside us rarely ask for older ones."""
VOTES_KEPT_BYTES_MAX = 16 * 1024 * 1024
"""When all votes in memory hold more than this, no chosen slot stays."""


class HeldVotes:
    """Votes by slot, at most one for each."""

    def __init__(self) -> None:
        self.first: Slot = FIRST_SLOT  # votes below this slot are read from the history
        self.stop: Slot = FIRST_SLOT  # no vote at or above this slot, held or not
        self.size_bytes = 0  # what their values hold, and `ROW_BYTES` for each
        self._votes: dict[Slot, Vote] = {}
        self._new: set[Slot] = set()  # of this turn, not yet in the history
        self._written: set[Slot] = set()  # of the turn before, and below `first`

    def __len__(self) -> int:
        return len(self._votes)

    def __iter__(self) -> Iterator[Vote]:
        return iter(self._votes.values())

    def knows(self, slot: Slot) -> bool:
        """Whether `get` tells the vote in this slot, or that there is none."""
        return slot >= self.first or slot in self._votes

    def get(self, slot: Slot) -> Vote | None:
        """The vote that is held for this slot."""
        return self._votes.get(slot)

    def within(self, first: Slot, stop: Slot) -> list[Vote]:
        """The votes that are held in [first, stop), in order of their slots."""
        return [self._votes[slot] for slot in known_slots(self._votes, first, stop)]

    def restore(self, vote: Vote) -> None:
        """Hold a vote that is on the disk."""
        self.drop(vote.slot)
        self._votes[vote.slot] = vote
        self.size_bytes += _held_bytes(vote)
        self.stop = max(self.stop, vote.slot + 1)

    def add(self, vote: Vote) -> None:
        """Hold a vote of this turn, instead of an earlier one in its slot."""
        self.restore(vote)
        self._new.add(vote.slot)

    def drop(self, slot: Slot) -> None:
        """Hold no vote in this slot."""
        old = self._votes.pop(slot, None)
        if old is not None:
            self.size_bytes -= _held_bytes(old)

    def end_turn(self, watermark: Slot) -> None:
        """Let go of old votes, now and then, and of those below `first` once they are on the disk."""
        for slot in self._written - self._new:
            self.drop(slot)
        self._forget_old(watermark)
        self._written = {slot for slot in self._new if slot < self.first}
        self._new.clear()

    def _forget_old(self, watermark: Slot) -> None:
        keep_from = watermark - VOTES_KEPT_BELOW_WATERMARK
        if self.size_bytes > VOTES_KEPT_BYTES_MAX:
            keep_from = watermark
        elif keep_from < self.first + VOTES_KEPT_BELOW_WATERMARK:  # now and then is enough
            return
        for old in [slot for slot in self._votes if slot < keep_from and slot not in self._new]:
            self.drop(old)
        self.first = keep_from


def _held_bytes(vote: Vote) -> int:
    return len(vote.value) + ROW_BYTES
