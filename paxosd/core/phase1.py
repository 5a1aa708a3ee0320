"""Phase 1 of one ballot: collecting promises until a quorum has told all of its votes."""

from __future__ import annotations

from collections.abc import Sequence

from paxosd.core.messages import Promise
from paxosd.core.plausible import VOTES_ABOVE_WATERMARK_MAX
from paxosd.core.quorum import Quorum
from paxosd.core.types import Ballot, NodeId, Slot, Vote


class PhaseOne:
    """What the acceptors told about the slots from `from_slot` on, page by page.

    An acceptor counts once it told its last page, under its own name and in this ballot only. A page is not taken if
    it holds a vote that its acceptor cannot have: outside the page, or beyond any window above its own watermark.
    Below an acceptor's floor its silence says nothing; every slot there is chosen, so a floor is taken for a watermark.
    """

    def __init__(self, ballot: Ballot, from_slot: Slot, acceptors: Sequence[NodeId], quorum: Quorum) -> None:
        self.ballot = ballot
        self.watermark = from_slot
        self._quorum = quorum
        self._next_page: dict[NodeId, Slot] = dict.fromkeys(acceptors, from_slot)
        self._done: set[NodeId] = set()
        self._highest: dict[Slot, Vote] = {}

    def take(self, source: NodeId, promise: Promise) -> bool:
        """Add a page; False if it is not the one that is awaited from this acceptor."""
        awaited = (
            promise.ballot == self.ballot
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
        self._next_page[source] = promise.stop
        self.watermark = max(self.watermark, promise.watermark, promise.floor)
        if promise.end:
            self._done.add(source)
        return True

    def missing(self) -> dict[NodeId, Slot]:
        """Who has not told everything, and from which slot on."""
        return {acceptor: slot for acceptor, slot in self._next_page.items() if acceptor not in self._done}

    @property
    def complete(self) -> bool:
        return self._quorum.can_prepare(self._done)

    @property
    def stop(self) -> Slot:
        """No slot from here on has a vote, nor is any below the watermark."""
        return max(max(self._highest, default=0) + 1, self.watermark)

    def value(self, slot: Slot) -> bytes | None:
        """What must be proposed in this slot; None: the proposer is free to choose."""
        vote = self._highest.get(slot)
        return None if vote is None else vote.value

    def values(self) -> list[bytes]:
        """All values that were told, in no order."""
        return [vote.value for vote in self._highest.values()]


def _stop_of(promise: Promise) -> Slot:
    return min(promise.stop, promise.watermark + VOTES_ABOVE_WATERMARK_MAX)
