"""What makes an acceptor's disk one of the voters: whose ballots it may take part in, and how a new disk comes to vote.

Laws: those of `standing.py` and `copying.py`, and of `voters.py` the second and the seventh.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from random import Random

from paxosd.core.agent import Agent, Timer
from paxosd.core.copying import Copying
from paxosd.core.messages_catchup import FetchedVotes
from paxosd.core.messages_voters import Outdated
from paxosd.core.options import Timing
from paxosd.core.standing import Standing
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, Instant, NodeId, Slot, Vote, disk_text
from paxosd.core.voters import Voters


class Participant(Agent):
    """An acceptor, as far as it is about who votes."""

    def __init__(self, node_id: NodeId, timing: Timing, random: Random) -> None:
        super().__init__(node_id)
        self._timing = timing
        self.standing = Standing(node_id, random)
        self.promised: Ballot = NO_BALLOT
        self.watermark: Slot = FIRST_SLOT
        self._noticed: Voters | None = None  # the voters that were known when this was looked at last
        self._copying: Copying | None = None

    @abstractmethod
    def _promise(self, ballot: Ballot) -> None:
        """Promise this ballot, which is higher than the promise that stands."""

    @abstractmethod
    def _copy(self, votes: Sequence[Vote], stop: Slot, floor: Slot) -> None:
        """Take up these votes of others, which are all of the slots below `stop`; below `floor` none is needed."""

    @property
    def may_vote(self) -> bool:
        """Whether this disk may promise and vote in ballots of the voters that it knows."""
        return self.standing.votes(self.voters)

    # ---- whose ballots it takes part in ----

    def _takes_part(self, source: NodeId, ballot: Ballot, voters: Voters, now: Instant) -> bool:
        """Whether this disk may promise a ballot of these voters (`voters.py`, law 2)."""
        self._learn_voters(voters, now)
        if voters != self.voters:
            self.send(source, Outdated(ballot, self.promised, self.voters))
            return False
        if not self.may_vote:
            self.ignore("prepare at a disk that does not vote")
            return False
        return True

    def _votes_with(self, source: NodeId, ballot: Ballot, decreed: Slot) -> bool:
        """The same of a vote: the slot of their decree says which voters they are."""
        if decreed < self.voters.decreed:
            self.send(source, Outdated(ballot, self.promised, self.voters))
            return False
        if decreed > self.voters.decreed:
            self.ignore("accept with voters that are not known yet")
            return False
        if not self.may_vote:
            self.ignore("accept at a disk that does not vote")
            return False
        return True

    def _learn_voters(self, voters: Voters, now: Instant) -> None:
        self.take_up(voters)
        self._notice_voters(now)

    def _notice_voters(self, now: Instant) -> None:
        """Another role of this process may have learned of new voters, too."""
        voters = self.voters
        if voters is self._noticed:
            return
        self._noticed = voters
        self.watermark = max(self.watermark, self.known.watermark)
        if self.standing.is_outlived(voters):
            self.report("disk.replaced", node=self.node_id, disk=disk_text(self.standing.disk))
            self.standing.draw()
            self.record(self.standing.record)
        self._copying = None
        if self.standing.must_copy(voters):
            self._copying = Copying(self.node_id, voters, FIRST_SLOT)
            self._ask_others(now)
        elif voters.are_named and not self.may_vote:
            self.report("disk.guest", node=self.node_id, disk=disk_text(self.standing.disk))

    # ---- a new disk ----

    def _ask_others(self, now: Instant) -> None:
        if self._copying is not None:
            for other in self._copying.others:
                self.send_early(other, self._copying.question)
            self.arm(Timer.FETCH, now + self._timing.retry_s)

    def _on_fetched_votes(self, source: NodeId, message: FetchedVotes, now: Instant) -> None:
        copying = self._copying
        found = None if copying is None else copying.take(source, message)
        if copying is None or found is None:
            return self.ignore("votes that are not awaited")
        if copying.promised > self.promised:
            self._promise(copying.promised)
        self._copy(found, copying.first, copying.floor)
        if not copying.is_done:
            return self._ask_others(now)
        self._copying = None
        self.disarm(Timer.FETCH)
        self.standing.copied = True
        self.record(self.standing.record)
        self.report("disk.copied", node=self.node_id, disk=disk_text(self.standing.disk), slots=copying.stop - 1)
