"""What makes an acceptor's disk one of the voters: whose ballots it may take part in, and how a new disk comes to vote.

Laws: those of `standing.py` and `copying.py`, of `voters.py` the second and the seventh, and:
1. A disk that went back in time (put back from a copy, say) would vote as if it had promised less. Every node
   remembers how many durable commits each disk told (`seen.py`). A process that finds a disk asks all nodes before it
   votes; acceptors who with it could choose a value must have answered, for only these may have counted its votes.
   If anybody has seen more commits than there are, also if that is told later, the disk is given up: it gets another
   id, and is a guest. Of a disk that the voters do not name nothing is remembered: acceptors and proposers that know
   later ones tell these, and nobody vouches for it.
2. That notices what somebody remembered. It cannot notice a disk that went back by less than a heartbeat, or whose
   witnesses lost what they had seen: no disk is meant to go back at all. One word is enough, for often one node alone
   is left that has seen it; so a member that lies can make guests, which costs a decree and no value.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from random import Random

from paxosd.core.agent import Agent, Timer
from paxosd.core.copying import Copying
from paxosd.core.history import History
from paxosd.core.messages import (
    FetchedVotes,
    Outdated,
    Recall,
    Recalled,
    SeenCommits,
)
from paxosd.core.options import Timing
from paxosd.core.records import Record, Seen
from paxosd.core.seen import Memory, hear, recalled
from paxosd.core.standing import COPIES, Standing
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, Instant, NodeId, Slot, Vote, disk_text
from paxosd.core.voters import Voters


class Participant(Agent):
    """An acceptor, as far as it is about who votes."""

    def __init__(
        self, node_id: NodeId, nodes: Collection[NodeId], timing: Timing, history: History, random: Random
    ) -> None:
        super().__init__(node_id)
        self._others = tuple(node for node in nodes if node != node_id)
        self._timing = timing
        self._history = history
        self._commits_found = 0  # by this process, when it started
        self._recalled: set[NodeId] = set()  # who has seen no more of our disk
        self._memory = Memory()
        self.standing = Standing(node_id, random)
        self.promised: Ballot = NO_BALLOT
        self.watermark: Slot = FIRST_SLOT
        self._noticed: Voters | None = None  # the voters that were known when this was looked at last
        self._copying: Copying | None = None

    @abstractmethod
    def _promise(self, ballot: Ballot) -> None:
        """Promise this ballot, which is higher than the promise that stands."""

    @abstractmethod
    def _forget(self) -> None:
        """Have voted for nothing."""

    @abstractmethod
    def _copy(self, votes: Sequence[Vote], stop: Slot, floor: Slot) -> None:
        """Take up these votes of others, which are all of the slots below `stop`; below `floor` none is needed."""

    def _restore_standing(self, records: Sequence[Record]) -> None:
        self.known.restore(records)
        if not self.standing.restore(records):
            self.record(self.standing.record)
        self._commits_found = self._history.commits
        for record in records:
            if isinstance(record, Seen):
                self._memory.restore(record, self.known)

    @property
    def may_vote(self) -> bool:
        """Whether this disk may promise and vote in ballots of the voters that it knows."""
        return self.standing.votes(self.voters)

    @property
    def standing_text(self) -> str:
        """Whether its disk votes, for people."""
        copying = self._copying
        if copying is not None:
            return f"{COPIES} {copying.first} of {copying.stop - 1}"
        return self.standing.text(self.voters)

    # ---- whose ballots it takes part in ----

    def _takes_part(self, source: NodeId, ballot: Ballot, voters: Voters, now: Instant) -> bool:
        """Whether this disk may promise a ballot of these voters (`voters.py`, law 2)."""
        self._learn_voters(voters, now)
        if voters != self.voters:
            self.send(source, Outdated(ballot, self.promised, self.known.told))
            return False
        if not self.may_vote:
            self.ignore("prepare at a disk that does not vote")
            return False
        return True

    def _votes_with(self, source: NodeId, ballot: Ballot, decreed: Slot) -> bool:
        """The same of a vote: the slot of their decree says which voters they are."""
        if decreed < self.voters.decreed:
            self.send(source, Outdated(ballot, self.promised, self.known.told))
            return False
        if decreed > self.voters.decreed:
            self.ignore("accept with voters that are not known yet")
            return False
        if not self.may_vote:
            self.ignore("accept at a disk that does not vote")
            return False
        return True

    def _notice_voters(self, now: Instant) -> None:
        voters = self.voters
        if voters is self._noticed:
            return
        self._noticed = voters
        self.watermark = max(self.watermark, self.known.watermark)
        if self.standing.is_outlived(voters):
            self.warn("disk.replaced", node=self.node_id, disk=disk_text(self.standing.disk))
            self._be_another_disk()
        self._copying = None
        if self.standing.is_named(voters) and not self.standing.sure:
            self._recalled = set()
            return self._ask_what_was_seen(now)
        if self.standing.must_copy(voters):
            self._copying = Copying(self.node_id, voters, FIRST_SLOT)
            self._ask_others(now)
        elif voters.are_named and not self.may_vote:
            self.warn("disk.guest", node=self.node_id, disk=disk_text(self.standing.disk))

    def _be_another_disk(self) -> None:
        """With another id, as if it were blank (`standing.py`, law 4)."""
        self.standing.draw()
        self.record(self.standing.record)
        self._forget()

    # ---- a disk that is found ----

    def _be_no_guest_that_was_found(self) -> None:
        """A leader asks which disk this is, and knows no voters that name it (`standing.py`, law 4)."""
        if self.voters.are_named and not self.standing.sure and not self.standing.is_named(self.voters):
            self._be_another_disk()

    def _hear_seen(self, source: NodeId, seen: Iterable[SeenCommits], now: Instant) -> None:
        for told in seen:
            if told[0] == self.standing.disk and told[1] > self._history.commits:
                self._on_recalled(source, Recalled(*told), now)
            elif (answer := hear(self.known, told)) is not None and answer[0] != self.node_id:
                self.send_early(*answer)

    def _remember_seen(self, now: Instant) -> None:
        seen = self._memory.record(self.known, now)
        if seen is not None:
            self.record(seen)

    def _ask_what_was_seen(self, now: Instant) -> None:
        if self.standing.sure or not self.standing.is_named(self.voters):
            return
        for node in self._others:
            self.send_early(node, Recall(self.standing.disk, self.voters.decreed))
        self.arm(Timer.RECALL, now + self._timing.retry_s)
        self._trust_if_enough_answered(now)

    def _on_recall(self, source: NodeId, asked: Recall) -> None:
        answer = recalled(self.known, asked)
        if answer is None or (isinstance(answer, Recalled) and not self.standing.is_named(self.voters)):
            return self.ignore("recall at who knows nothing of that disk")  # a guest may have forgotten what it saw
        return self.send_early(source, answer)

    def _on_recalled(self, source: NodeId, message: Recalled, now: Instant) -> None:
        if message.disk != self.standing.disk:
            return self.ignore("recalled of another disk")
        has = self._history.commits if self.standing.sure else self._commits_found
        if message.commits > has:
            text = disk_text(self.standing.disk)
            self.warn("disk.rolled_back", disk=text, has=has, seen=message.commits, by=source)
            self._be_another_disk()
            return self._look_again(now)
        if self.standing.sure:
            return self.ignore("recalled of a disk that is sure")
        self._recalled.add(source)
        self._trust_if_enough_answered(now)

    def _trust_if_enough_answered(self, now: Instant) -> None:
        if self.voters.quorum.can_accept({self.node_id, *self._recalled}):
            self.standing.sure = True
            self._look_again(now)

    def _look_again(self, now: Instant) -> None:
        self.disarm(Timer.RECALL)
        self._noticed = None
        self._notice_voters(now)

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
