"""How a proposer comes to lead: it follows, canvasses, and prepares. What a leader does is in `proposer.py`.

    FOLLOWING --silence--> CANVASSING --quorum would promise--> PREPARING --quorum promised--> LEADING
        ^                      |                                    |                             |
        +------ refused, or a quorum is silent, or a higher ballot is about, or it resigns -------+

Laws:
1. The round of a ballot is durable before the first Prepare of that ballot leaves, and every life of a
   proposer uses rounds above all that it made durable: no ballot is used twice. The first one of each life is above by
   a random step, for its directory may be new, or an older one.
2. A ballot counts with the voters that are known when it prepares (`voters.py`, law 1). Before the birth it needs every
   acceptor of the membership file, but those that an operator left out, and says whom it waits for.
3. Phase 1 happens once per leadership and covers every slot from `from_slot` on.
4. Whatever a leader says shows that it leads, also what it says to the acceptor beside us.
5. Nobody is punished for our own pause. A timer that fires late tells that we did not listen, so silence counts only
   after we have listened once more, for as long as two heartbeats take.
6. It does not lead if learners know more to be chosen than those that promised (`loss.py`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable
from enum import Enum
from random import Random

from paxosd.core.agent import Agent, Timer, require
from paxosd.core.log_time import LogTime
from paxosd.core.loss import ToldChosen, first_lost, told_loss
from paxosd.core.membership import Membership
from paxosd.core.messages import (
    Heartbeat,
    Nack,
    Outdated,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
)
from paxosd.core.options import Timing
from paxosd.core.phase1 import PhaseOne
from paxosd.core.plausible import ROUND_MAX
from paxosd.core.records import Record, Round
from paxosd.core.standstill import told_lost
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, NO_DISK, Ballot, DiskId, Instant, NodeId, Slot
from paxosd.core.voters import NO_VOTERS, Count

ELECTION_SPREAD = 0.4
"""Campaigns start after 1 to 1 + this many election timeouts of silence, at random, so that few collide."""


FIRST_STEP_MAX = 2**15
"""How far above what it knows a proposer's first round in a life may be: half of what others take at once."""


class Phase(Enum):
    """Where a proposer is in its life."""

    FOLLOWING = "following"
    CANVASSING = "canvassing"
    PREPARING = "preparing"
    LEADING = "leading"


class Candidate(Agent):
    """Campaigns when nobody leads. `without`: acceptors that need not be heard for a birth."""

    def __init__(
        self,
        node_id: NodeId,
        membership: Membership,
        timing: Timing,
        random: Random,
        without: Collection[NodeId] = (),
    ) -> None:
        super().__init__(node_id)
        self._acceptors = membership.acceptors
        self._asked_to_support = tuple(dict.fromkeys((*membership.acceptors, *membership.learners)))
        self._founders = tuple(node for node in membership.acceptors if node not in without)
        self._file_quorum = membership.quorum
        self._count = Count(NO_VOTERS)  # of the ballot in which we canvass, prepare or lead
        self._timing = timing
        self._random = random
        self.phase = Phase.FOLLOWING
        self.ballot: Ballot = NO_BALLOT  # ours while canvassing, preparing or leading; the one we follow otherwise
        self.watermark: Slot = FIRST_SLOT
        self._round = 0  # the highest round of ours that is durable
        self._step = 1  # by how much our next round is above what is known (law 1)
        self._highest: Ballot = NO_BALLOT  # the highest ballot seen anywhere
        self._log_time = LogTime()
        self._supporters: set[NodeId] = set()  # who would promise our ballot (canvassing)
        self._canvassed_at: Instant = 0.0
        self._silent: set[NodeId] = set(self._founders)  # who did not answer the latest canvass yet
        self._disks: dict[NodeId, DiskId] = {}  # with which ones acceptors answered last
        self._phase1: PhaseOne | None = None
        self._told_chosen = ToldChosen()
        self._must_know: Slot = FIRST_SLOT  # what was told to be chosen, when the ballot of `_phase1` began
        self.loss = ""  # why this proposer must not lead, though a quorum promised; empty: it may
        self.lost = ""  # which disks are lost, so that nobody can lead
        self._renewing = False  # we led until now, and prepare anew for new voters
        self._is_born = False  # as far as was known when this was looked at last
        self._draining = False
        self._pause_forgiven = False  # since we heard from those whose silence counts (law 5)

    @property
    def leading(self) -> bool:
        return self.phase is Phase.LEADING

    @abstractmethod
    def _lead(self, phase1: PhaseOne, now: Instant) -> None:
        """A quorum promised."""

    @abstractmethod
    def _stop_leading(self, why: str) -> None:
        """Let go of all that only a leader has."""

    def restore(self, records: Iterable[Record], now: Instant) -> None:
        records = tuple(records)
        self.known.restore(records)
        for record in records:
            if isinstance(record, Round):
                self._round = record.round
        self._count = Count(self.voters)
        self._is_born = self.voters.are_named
        self._step = self._random.randint(1, FIRST_STEP_MAX)
        if self._round >= ROUND_MAX:
            self.warn("rounds.exhausted", round=self._round, advice="this node can lead no more; see plausible.py")
        # With nobody leading yet there is nothing to wait for, except for the others not to start at once too.
        self.arm(Timer.ELECTION, now + self._random.uniform(0.1, 1.0) * self._timing.election_s)

    # ---- following ----

    def _on_heartbeat(self, source: NodeId, message: Heartbeat, now: Instant) -> None:
        if source != message.ballot.proposer:
            return self.ignore("message of a foreign ballot")
        if message.ballot < self.ballot and self.phase is not Phase.CANVASSING:  # a canvassed ballot is only a wish
            return self.ignore("heartbeat of an old leader")
        self._see(message.ballot)
        if source == self.node_id:
            return
        self._learn_voters(message.voters, now)
        if message.voters.age < self.voters.age:
            return self.ignore("heartbeat with older voters")
        if self.phase is not Phase.FOLLOWING:
            self._follow(f"{source} leads", now)
        self.ballot, self.loss, self.lost = message.ballot, "", ""
        self.watermark = max(self.watermark, message.watermark)
        if not self._log_time.hear(message.ballot, message.log_time_ms, now):
            self.ignore("log time far above what is known")
        self._await_silence(now)

    def _on_leaders_word(self, source: NodeId, ballot: Ballot, now: Instant) -> None:
        """What the acceptor beside us is told shows as well as a heartbeat that its sender leads."""
        if self.phase is Phase.FOLLOWING and source == ballot.proposer and ballot == self.ballot:
            self._await_silence(now)

    def _listens_once_more(self, timer: Timer, now: Instant) -> bool:
        """Whether this timer is put off because we paused ourselves (law 5)."""
        if self._pause_forgiven or self.late_s(timer, now) <= self._timing.heartbeat_s:
            return False
        self._pause_forgiven = True
        self.arm(timer, now + 2 * self._timing.heartbeat_s)
        return True

    def _await_silence(self, now: Instant) -> None:
        self._pause_forgiven = False
        spread = self._random.uniform(1.0, 1.0 + ELECTION_SPREAD)
        self.arm(Timer.ELECTION, now + spread * self._timing.election_s)

    def _on_resign(self, source: NodeId, ballot: Ballot, now: Instant) -> None:
        if source == ballot.proposer and ballot == self.ballot and self.phase is Phase.FOLLOWING:
            self.arm(Timer.ELECTION, now + self._random.uniform(0.0, 0.2) * self._timing.election_s)

    def _see(self, ballot: Ballot) -> None:
        self._highest = max(self._highest, ballot)

    def _follow(self, why: str, now: Instant) -> None:
        """Stop whatever leads to leading, and wait."""
        if self.leading or self._renewing:
            self._stop_leading(why)
            self._log_time.end(now)
        self.phase, self._renewing = Phase.FOLLOWING, False
        self.ballot = NO_BALLOT
        self._phase1 = None
        self.disarm(Timer.PREPARE)
        self._await_silence(now)

    # ---- who votes ----

    def _notice_voters(self, now: Instant) -> None:
        if self.voters.are_named and not self._is_born:
            self._is_born = True
            self._forget_what_was_heard(now)
        self.watermark = max(self.watermark, self.known.watermark)
        if self.phase is not Phase.FOLLOWING and self._count.voters is not self.voters:
            self._follow("others vote by now", now)
            self.arm(Timer.ELECTION, now + self._random.uniform(0.0, 0.2) * self._timing.election_s)

    def _forget_what_was_heard(self, now: Instant) -> None:
        """It may have been about another history than the one that we join (`newcomers.py`, law 4)."""
        self.watermark = FIRST_SLOT
        self._told_chosen = ToldChosen()
        self._log_time.forget()

    def _on_outdated(self, message: Outdated, now: Instant) -> None:
        self._see(message.promised)
        self._learn_voters(message.voters, now)

    @property
    def waits_for(self) -> tuple[NodeId, ...]:
        """The acceptors without which the cluster cannot be born, and which are not heard; empty once it is."""
        return () if self.voters.history else tuple(node for node in self._founders if node in self._silent)

    # ---- getting elected ----

    def _canvass(self, now: Instant) -> None:
        """Ask whether a quorum would follow, before a ballot is used up and a working leader disturbed."""
        if self._draining or self._next_ballot().round > ROUND_MAX:
            return
        if self.phase is not Phase.FOLLOWING:
            self._follow("no quorum in time", now)
        self._note_lost_disks()
        self.phase = Phase.CANVASSING
        self.ballot = self._next_ballot()
        self._count = Count(self.voters)
        self._supporters, self._canvassed_at = set(), now
        self._silent = set(self._founders)
        for node in self._asked_to_support:  # acceptors whether they would promise, learners what is chosen
            self.send_early(node, PreVote(self.ballot, self.known.told))
        self._await_silence(now)

    def _note_lost_disks(self) -> None:
        """Say once what the answers of acceptors show, if they show that nobody can lead."""
        before, self.lost = self.lost, told_lost(self.voters, self._disks)
        if self.lost and not before:
            self.warn("disk.quorum_lost", what=self.lost)

    def _next_ballot(self) -> Ballot:
        return Ballot(max(self._round, self._highest.round) + self._step, self.node_id)

    def _on_pre_vote_reply(self, source: NodeId, message: PreVoteReply, now: Instant) -> None:
        self._see(message.promised)
        self._learn_voters(message.voters, now)
        voters = self.voters
        is_of_ours = message.voters.history == voters.history  # who has no history tells nothing of the log of one
        if is_of_ours and message.voters.decreed <= voters.decreed and not self.leading:
            self.watermark = max(self.watermark, message.watermark)
        if self.phase is not Phase.CANVASSING or message.ballot != self.ballot:
            return self.ignore("pre-vote that does not count")
        self._silent.discard(source)
        self._disks[source] = message.disk
        if not message.granted or not self._may_count(source, message.disk):
            return self.ignore("pre-vote that does not count")
        if now - self._canvassed_at >= self._timing.election_s:  # somebody may lead by now: we stood still meanwhile
            return self.ignore("pre-vote that comes too late")
        self._supporters.add(source)
        # A leader needs accept quorums too; without one it would be elected again and again, in vain.
        if self._has_support():
            self._prepare(now)

    def _may_count(self, source: NodeId, disk: DiskId) -> bool:
        return self._count.counts(source, disk) if self._count.voters.are_named else disk != NO_DISK

    def _has_support(self) -> bool:
        if self.voters.are_named:
            quorum, supporters = self._count.quorum, self._supporters
            return quorum.can_prepare(supporters) and quorum.can_accept(supporters)
        quorum = self._file_quorum
        everybody = self._supporters.issuperset(self._founders)  # `voters.py`, law 6
        enough = quorum.can_prepare(self._founders) and quorum.can_accept(self._founders)
        return everybody and enough and not self.voters.history

    def _prepare(self, now: Instant) -> None:
        self.ballot = self._next_ballot()
        require(self.ballot.round > self._round, f"round {self.ballot.round} was used before")
        self._round, self._step = self.ballot.round, 1
        self.record(Round(self._round))
        self.phase = Phase.PREPARING
        self._count = Count(self.voters)
        # One slot below the watermark, so that a quorum tells a stamp of log time even if nothing is in flight.
        from_slot = max(FIRST_SLOT, self.watermark - 1)
        asked = self._acceptors if self.voters.are_named else self._founders
        self._phase1 = PhaseOne(self.ballot, from_slot, asked, self._count)
        self._must_know = self._told_chosen.stop if self.voters.are_named else FIRST_SLOT
        self._ask_promises()
        self.arm(Timer.PREPARE, now + self._timing.retry_s)
        self._await_silence(now)

    def _ask_promises(self) -> None:
        assert self._phase1 is not None
        for acceptor, slot in self._phase1.missing().items():
            self.send(acceptor, Prepare(self.ballot, slot, self._count.voters))

    def _on_promise(self, source: NodeId, message: Promise, now: Instant) -> None:
        phase1 = self._phase1
        if self.phase is not Phase.PREPARING or phase1 is None or not phase1.take(source, message):
            return self.ignore("promise that is not awaited")
        if phase1.complete:
            if not self._misses_something(phase1, now):
                return self._lead(phase1, now)
            if self._phase1 is None:
                return None
        if not message.end:
            self.send(source, Prepare(self.ballot, message.stop, self._count.voters))
        return self._await_silence(now)  # pages are coming in: no reason to begin again

    def _misses_something(self, phase1: PhaseOne, now: Instant) -> bool:
        """Whether what is chosen is unknown to those that promised. Others may know it: they are waited for."""
        if not self.voters.are_named:
            return False
        first, before = first_lost(phase1, self._must_know), self.loss
        if first is None and first_lost(phase1, self._told_chosen.stop) is not None:
            self._follow("learners know more by now than those that promised", now)  # `loss.py`, law 4
            return True
        if first is None:
            self.loss = ""
            return False
        stop, missing = self._must_know, phase1.missing()
        self.loss = told_loss(first, stop, self._told_chosen.by(stop), phase1.done, missing)
        if not before:
            self.warn("disk.quorum_went_back", first=first, last=stop - 1, what=self.loss)
        return True

    def _on_nack(self, message: Nack, now: Instant) -> None:
        self._see(message.promised)
        if self.phase in (Phase.PREPARING, Phase.LEADING) and message.ballot == self.ballot < message.promised:
            self._follow(f"ballot {message.promised} is about", now)
