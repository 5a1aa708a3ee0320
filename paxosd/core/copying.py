"""What a new disk of an acceptor has to know before it votes.

The decree in slot t named it. It asks the other voters for their votes in every slot up to t; from a prepare quorum of
them it takes the highest vote of each slot, and the highest promise that any of them told.

Why that is enough. Each of these slots is chosen. An accept quorum voted for what is chosen, and if the disk that
this one stands for was of it, a prepare quorum without it still has another one of it in common. So the highest vote
that these tell is at least as high as the ballot in which the value was chosen, and has that value: this disk can
tell learners all that the one before could. What the disk before promised matters no longer: it promised to ballots
that counted with older voters, and these propose nothing above t any more (`voters.py`, b). But the ballots with the
new voters have to be higher than the one that chose the decree; the highest promise sees to that (`voters.py`, c).

Below a floor that one of them tells nothing needs to be known (`floor.py`): every slot there is chosen, and enough
learners have it. The new disk begins at the highest floor, and has it, too.

If the others are no prepare quorum without this one, it never votes again: only the disk that is lost knew.
"""

from __future__ import annotations

from paxosd.core.messages import (
    FetchedVotes,
    FetchVotes,
)
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, NodeId, Slot, Vote
from paxosd.core.voters import Count, Voters


class Copying:
    """One question at a time, to all other voters; `first` is the first slot of which nothing is copied yet."""

    def __init__(self, node_id: NodeId, voters: Voters, first: Slot) -> None:
        own = voters.voter(node_id)
        assert own is not None
        self.first = first
        self.stop = own.since + 1
        self.others = tuple(voter.node for voter in voters.named if voter.node != node_id)
        self.floor: Slot = FIRST_SLOT
        self.promised: Ballot = NO_BALLOT
        self.is_done = False
        self._count = Count(voters)
        self._answers: dict[NodeId, FetchedVotes] = {}

    @property
    def question(self) -> FetchVotes:
        """What to ask all others now."""
        return FetchVotes(self.first, self.stop)

    def take(self, source: NodeId, answer: FetchedVotes) -> list[Vote] | None:
        """Count an answer; with a prepare quorum of them, the votes to copy, in order. They may end before `stop`."""
        if source not in self.others or not self._count.counts(source, answer.disk):
            return None
        if (answer.first, answer.asked_stop) != (self.first, self.stop):
            return None
        if answer.floor > self.floor:
            self.floor = answer.floor
            if self.floor > self.first:
                self.first, self._answers = min(self.floor, self.stop), {}
                return []
        self._answers[source] = answer
        if not self._count.quorum.can_prepare(self._answers):
            return None
        self.promised = max(told.promised for told in self._answers.values())
        found = self._highest(min(self.stop, *(told.stop for told in self._answers.values())))
        self._answers = {}
        self.first += len(found)
        self.is_done = self.first >= self.stop
        return found

    def _highest(self, stop: Slot) -> list[Vote]:
        highest: dict[Slot, Vote] = {}
        for answer in self._answers.values():
            for vote in answer.votes:
                known = highest.get(vote.slot)
                if known is None or vote.ballot > known.ballot:
                    highest[vote.slot] = vote
        found: list[Vote] = []
        for slot in range(self.first, stop):
            if slot not in highest:
                break  # cannot be for a chosen slot; whatever it is, nothing may be left out here
            found.append(highest[slot])
        return found
