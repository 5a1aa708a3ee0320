"""Phase 1 of one ballot: collecting promises until a quorum has told all of its votes."""

from __future__ import annotations

from collections.abc import Collection

from paxosd.core.decrees import Decree, decree_of, is_decree
from paxosd.core.messages import Promise
from paxosd.core.plausible import VOTES_ABOVE_WATERMARK_MAX
from paxosd.core.types import NO_BALLOT, NO_DISK, Ballot, DiskId, NodeId, Slot, Vote
from paxosd.core.voters import Count


class PhaseOne:
    """What the acceptors told about the slots from `from_slot` on, page by page.

    An acceptor counts once it told its last page, with the disk that `count` names and in this ballot only; before
    the birth, any one disk of each. A page is not taken if it holds a vote that its acceptor cannot have: outside the
    page, or beyond any window above its own watermark.
    Below an acceptor's floor its silence says nothing; every slot there is chosen, so a floor is taken for a watermark.
    """

    def __init__(self, ballot: Ballot, from_slot: Slot, acceptors: Collection[NodeId], count: Count) -> None:
        self.ballot = ballot
        self.watermark = from_slot
        self.disks: dict[NodeId, DiskId] = {}
        self.pasts: dict[NodeId, bytes] = {}
        self._count = count
        self._everybody = frozenset(acceptors)
        self._next_page: dict[NodeId, Slot] = dict.fromkeys(acceptors, from_slot)
        self._done: set[NodeId] = set()
        self._highest: dict[Slot, Vote] = {}

    def take(self, source: NodeId, promise: Promise) -> bool:
        """Add a page; False if it is not the one that is awaited from this acceptor."""
        awaited = (
            promise.ballot == self.ballot
            and self._is_awaited_disk(source, promise.disk)
            and source not in self._done
            and self._next_page.get(source) == promise.from_slot
            and promise.stop >= promise.from_slot
            and all(promise.from_slot <= vote.slot < _stop_of(promise) for vote in promise.votes)
        )
        if not awaited:
            return False
        # "the value of the highest-numbered proposal among the responses" (Paxos Made Simple, 2.2)
        for vote in promise.votes:
            known = self._highest.get(vote.slot)
            if known is None or vote.ballot > known.ballot:
                self._highest[vote.slot] = vote
        self.disks[source], self.pasts[source] = promise.disk, promise.past
        self._next_page[source] = promise.stop
        self.watermark = max(self.watermark, promise.watermark, promise.floor)
        if promise.end:
            self._done.add(source)
        return True

    def _is_awaited_disk(self, source: NodeId, disk: DiskId) -> bool:
        if self._count.voters.are_named:
            return self._count.counts(source, disk)
        return disk != NO_DISK and self.disks.get(source, disk) == disk

    @property
    def done(self) -> set[NodeId]:
        """Who has told everything."""
        return set(self._done)

    def missing(self) -> dict[NodeId, Slot]:
        """Who has not told everything, and from which slot on."""
        return {acceptor: slot for acceptor, slot in self._next_page.items() if acceptor not in self._done}

    @property
    def complete(self) -> bool:
        if not self._count.voters.are_named:
            return self._done >= self._everybody  # `voters.py`, law 6
        return self._count.quorum.can_prepare(self._done)

    @property
    def stop(self) -> Slot:
        """No slot from here on has a vote, nor is any below the watermark."""
        return max(max(self._highest, default=0) + 1, self.watermark)

    @property
    def known_stop(self) -> Slot:
        """Of every slot from the watermark up to here a vote was told."""
        stop = self.watermark
        while stop in self._highest:
            stop += 1
        return stop

    def value(self, slot: Slot) -> bytes | None:
        """What must be proposed in this slot; None: the proposer is free to choose."""
        vote = self._highest.get(slot)
        if vote is None or (is_decree(vote.value) and self._is_passed_over(vote)):
            return None
        return vote.value

    def _is_passed_over(self, decree: Vote) -> bool:
        """Whether a higher ballot proposed above this decree: it was not chosen, and never will be (`voters.py`, law
        5)."""
        above = (vote.ballot for slot, vote in self._highest.items() if slot > decree.slot)
        return max(above, default=NO_BALLOT) > decree.ballot

    def decree(self, first: Slot) -> tuple[Slot, Decree] | None:
        """The first decree that must be proposed from this slot on."""
        for slot in sorted(slot for slot in self._highest if slot >= first):
            value = self.value(slot)
            decree = None if value is None else decree_of(value)
            if decree is not None:
                return slot, decree
        return None

    def votes(self) -> list[Vote]:
        """The highest vote of each slot that has one, in no order."""
        return list(self._highest.values())


def _stop_of(promise: Promise) -> Slot:
    return min(promise.stop, promise.watermark + VOTES_ABOVE_WATERMARK_MAX)
