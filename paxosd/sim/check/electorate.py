"""Who votes, as the ghost state of a simulation knows it: from what is chosen, and with arithmetic of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from paxosd.core.decrees import Birth, after, decree_of
from paxosd.core.types import NO_BALLOT, Ballot, DiskId, NodeId, Slot
from paxosd.core.voters import NO_VOTERS, Voters

Reported = Mapping[Slot, tuple[Ballot, bytes]]
"""The votes that a disk had when it promised."""


class Electorate:
    """The voters of every slot and of every ballot. `weights` is what the membership file says."""

    def __init__(self, weights: Mapping[NodeId, int]) -> None:
        self._nodes = frozenset(weights)
        self._chain: list[Voters] = [NO_VOTERS]  # one for each decree that is chosen, in the order of their slots
        self.node_of: dict[DiskId, NodeId] = {}
        self.ballots: dict[Ballot, Voters] = {}

    @property
    def newest(self) -> Voters:
        return self._chain[-1]

    def at(self, slot: Slot) -> Voters:
        """Who decides this slot."""
        return next((voters for voters in reversed(self._chain) if voters.decreed < slot), NO_VOTERS)

    def chooses(self, slot: Slot, value: bytes, disks: Collection[DiskId]) -> bool:
        """Whether this value is chosen in this slot, once all of these voted for it in one ballot."""
        voters = self.at(slot)
        if not voters.named:
            decree = decree_of(value)
            if not isinstance(decree, Birth):
                return False
            voters = decree.voters(slot)
        return sum(voter.weight for voter in voters.named if voter.disk in disks) >= voters.accept

    def choose(self, slot: Slot, value: bytes) -> bool:
        """It is chosen. False: it is a decree that comes too late, for a later one is chosen already."""
        decree = decree_of(value)
        if decree is None:
            return True
        if slot <= self.newest.decreed:
            return False
        self._chain.append(after(self.newest, slot, decree))
        return True

    def may_propose(self, ballot: Ballot, disks: Collection[DiskId]) -> bool:
        """Whether these disks, by their promises, are enough for phase 1 of this ballot."""
        voters = self.ballots.get(ballot, NO_VOTERS)
        if not voters.named:
            return {self.node_of.get(disk) for disk in disks} >= self._nodes
        return sum(voter.weight for voter in voters.named if voter.disk in disks) >= voters.prepare

    def counts(self, ballot: Ballot, disk: DiskId) -> bool:
        """Whether this disk may promise and vote in this ballot."""
        voters = self.ballots.get(ballot, NO_VOTERS)
        return not voters.named or any(voter.disk == disk for voter in voters.named)

    def must_know(self, disk: DiskId) -> Slot:
        """Up to which slot this disk copied what others voted for; 0: it was there from the birth on."""
        since = (voter.since for voters in self._chain for voter in voters.named if voter.disk == disk)
        return max((slot for slot in since if slot > self._birth), default=0)

    @property
    def _birth(self) -> Slot:
        return self.newest.birth


def without_passed_over(slot: Slot, reported: Collection[Reported]) -> list[tuple[Ballot, bytes]]:
    """The vote of each report in this slot, but for decrees that a higher ballot passed over (`core/voters.py`, law
    5)."""
    above = max((vote[0] for votes in reported for at, vote in votes.items() if at > slot), default=NO_BALLOT)
    found = [votes.get(slot, (NO_BALLOT, b"")) for votes in reported]
    return [(NO_BALLOT, b"") if ballot < above and decree_of(value) else (ballot, value) for ballot, value in found]
