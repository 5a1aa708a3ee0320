"""The acceptor: promises and votes. All of Paxos' safety is in this file, the rest is about progress.

Laws:
1. It answers no ballot below the one it promised, and its promise never falls, across restarts too.
2. It votes only in its promised ballot or above; a vote raises the promise to its ballot.
3. It votes for one value per (ballot, slot).
4. Promises and votes are told only after they are on disk: they leave through `send`, never `send_early`.
5. What it does not hold in memory it reads back from its history; it never answers "no vote" for a slot
   whose record it could not read.
6. It lets go of votes only below its floor, where enough learners have the state (see `floor.py`), and tells its floor
   with every promise and page.
7. Only a disk that may vote takes part (see `standing.py`), and only in ballots of exactly the voters that it knows
   (see `voters.py`, law 2).
8. No loop and no table grows with a number that somebody claims: it walks over votes that it has. What asks for a page
   is answered at the end of the turn, one page for each asker (see `questions.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import get_args

from paxosd.core.agent import Timer, require
from paxosd.core.floor import RecentVotes, floor_of
from paxosd.core.held import HeldVotes
from paxosd.core.history import ROW_BYTES, History
from paxosd.core.membership import Membership
from paxosd.core.messages import (
    Accept,
    Accepted,
    AcceptorInbound,
    Chosen,
    DiskSpace,
    FetchedVotes,
    FetchVotes,
    Heartbeat,
    HeartbeatReply,
    Message,
    Nack,
    Outdated,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    Recall,
    Recalled,
    Resign,
    Trim,
    Watermark,
)
from paxosd.core.options import Limits, Timing
from paxosd.core.participant import Participant
from paxosd.core.plausible import ROUND_MAX
from paxosd.core.questions import Questions
from paxosd.core.records import Floor, Forgotten, Promised, Record, Told, Voted
from paxosd.core.space import NO_ROOM, Allowance, space_of
from paxosd.core.types import FIRST_SLOT, Ballot, Instant, NodeId, Slot, Source, Vote

_UNREACHABLE = (
    "no leader can have a higher ballot, so this acceptor will never vote again; it still tells its votes to learners; "
    "an earlier version took the promise from a wrong member"
)


class Acceptor(Participant):
    """Remembers promises and votes for one node of the cluster."""

    inbound = get_args(AcceptorInbound)

    def __init__(
        self,
        node_id: NodeId,
        membership: Membership,
        timing: Timing,
        limits: Limits,
        history: History,
        random: Random,
    ) -> None:
        super().__init__(node_id, membership.nodes, timing, history, random)
        self._membership = membership
        self._limits = limits
        self._has_learner = node_id in membership.learners
        self._watermark_recorded: Slot = FIRST_SLOT
        self.floor: Slot = FIRST_SLOT  # votes below may be gone
        self._recent = RecentVotes()
        self._votes = HeldVotes()
        self._recorded_this_turn = False
        self._leader: NodeId = ""
        self._leader_heard_at: Instant | None = None
        self._allowance = Allowance()
        self._prepares: Questions[Prepare] = Questions()
        self._fetches: Questions[FetchVotes] = Questions()

    def restore(self, records: Iterable[Record], now: Instant) -> None:
        records = tuple(records)
        self._restore_standing(records)
        for record in records:
            match record:
                case Promised(ballot):
                    self.promised = ballot
                case Told(watermark):
                    self.watermark = self._watermark_recorded = self._votes.first = watermark
                case Floor(slot):
                    self.floor = slot
                case Voted(slot, ballot, value):
                    self._votes.restore(Vote(slot, ballot, value))
        self.watermark = max(self.watermark, self.floor)
        if not self._votes:
            self._votes.stop = self.watermark
        for vote in self._votes:
            require(vote.ballot <= self.promised, f"the vote in slot {vote.slot} is above the promise {self.promised}")
        if self.promised.round > ROUND_MAX:
            self.warn("promise.unreachable", ballot=str(self.promised), advice=_UNREACHABLE)
        self._notice_voters(now)

    def receive(self, source: Source, message: Message, now: Instant) -> None:
        assert isinstance(source, str)
        self._notice_voters(now)
        match message:
            case PreVote():
                self._on_pre_vote(source, message, now)
            case Prepare():
                self._on_prepare(source, message, now)
            case Accept():
                self._on_accept(source, message, now)
            case Heartbeat():
                self._on_heartbeat(source, message, now)
            case Watermark(ballot, watermark, decreed):
                if self._speaks_for_leader(source, ballot, now) and decreed == self.voters.decreed:
                    self._note_watermark(ballot, watermark)
            case Trim():
                self._on_trim(source, message, now)
            case Resign(ballot):
                if source == ballot.proposer == self._leader:
                    self._leader_heard_at = None
            case FetchVotes():
                self._on_fetch_votes(source, message)
            case DiskSpace(space):
                if source == self.node_id:
                    self._allowance.hear(space_of(space))
            case FetchedVotes():
                self._on_fetched_votes(source, message, now)
            case Recall():
                self._on_recall(source, message)
            case Outdated(voters=voters):
                self._learn_voters(voters, now)
            case Recalled():
                self._on_recalled(source, message, now)

    # ---- election and phase 1 ----

    def _on_pre_vote(self, source: NodeId, message: PreVote, now: Instant) -> None:
        self._learn_voters(message.voters, now)  # those that nobody told us have to make a quorum with us
        granted = message.ballot > self.promised and not self._hears_another(source, now) and self.may_vote
        reply = PreVoteReply(
            message.ballot, granted, self.promised, self.watermark, self.standing.disk, voters=self.known.told
        )
        self.send(source, reply)

    def _hears_another(self, proposer: NodeId, now: Instant) -> bool:
        """Whether another proposer leads, as far as this acceptor hears.

        Who is told no asks again after another election timeout. An acceptor hears each Accept of a leader, and a
        proposer alone its heartbeats only: what it heard last may be older by one.
        """
        if self._leader_heard_at is None or self._leader == proposer:
            return False
        return now - self._leader_heard_at < self._timing.election_s - self._timing.heartbeat_s

    def _on_prepare(self, source: NodeId, message: Prepare, now: Instant) -> None:
        if source != message.ballot.proposer:
            return self.ignore("prepare of a foreign ballot")
        if not self._takes_part(source, message.ballot, message.voters, now):
            return
        if message.ballot < self.promised:
            return self.send(source, Nack(message.ballot, self.promised))
        # "If an acceptor receives a prepare request with number n greater than that of any prepare request
        # to which it has already responded, then it responds to the request with a promise not to accept any
        # more proposals numbered less than n and with the highest-numbered proposal (if any) that it has
        # accepted." (Paxos Made Simple, 2.2) An equal ballot is the same proposer asking again, or for more.
        if message.ballot > self.promised:
            self._promise(message.ballot)
        self._hear_leader(source, now)
        self._prepares.ask(source, message)

    def _tell_promise(self, proposer: NodeId, asked: Prepare) -> None:
        if asked.ballot < self.promised:  # another one was promised in the same turn, or while this one waited
            return self.send(proposer, Nack(asked.ballot, self.promised))
        if asked.voters != self.voters:  # newer ones came in the same turn, or while this one waited
            return self.send(proposer, Outdated(asked.ballot, self.promised, self.known.told))
        if not self.may_vote:
            return self.ignore("prepare at a disk that does not vote")
        votes, stop = self._votes_in(asked.from_slot, max(asked.from_slot, self._votes.stop))
        end = stop >= self._votes.stop
        promise = Promise(
            asked.ballot,
            asked.from_slot,
            stop,
            end,
            votes,
            self.watermark,
            floor=self.floor,
            disk=self.standing.disk,
            past=self.standing.past,
        )
        self.send(proposer, promise)

    def _promise(self, ballot: Ballot) -> None:
        require(ballot > self.promised, f"a promise may only grow: {ballot} after {self.promised}")
        self.promised = ballot
        self._recorded_this_turn = True
        self.record(Promised(ballot))
        if not self.standing.used:
            self.standing.used = True
            self.record(self.standing.record)

    # ---- phase 2 ----

    def _on_accept(self, source: NodeId, message: Accept, now: Instant) -> None:
        if not self._speaks_for_leader(source, message.ballot, now):
            return
        if not self._votes_with(source, message.ballot, message.decreed):
            return
        if not self.voters.are_named and not self.standing.may_found(message.value):
            return self.ignore("birth of a history that continues another one than this disk")
        if not FIRST_SLOT <= message.slot < message.watermark + self._limits.window_slots_max:
            return self.ignore("accept beyond the window")
        vote = None if message.slot < self.floor else self._vote_at(message.slot)
        if vote is None or vote.ballot < message.ballot:
            if not self._allowance.takes(message.value):
                return self.ignore(NO_ROOM)
            self._vote(Vote(message.slot, message.ballot, message.value))
        elif vote.ballot > message.ballot or vote.value != message.value:
            return self.ignore("accept against an own vote")
        self._note_watermark(message.ballot, message.watermark)
        self.send(source, Accepted(message.ballot, message.slot, self.standing.disk))

    def _vote(self, vote: Vote) -> None:
        if vote.ballot > self.promised:
            self._promise(vote.ballot)
        require(vote.ballot == self.promised, f"a vote in {vote.ballot} under the promise {self.promised}")
        if vote.slot < self.floor:
            return  # let go of at once: the slot is chosen, and whoever asks for votes there is told the floor
        self._votes.add(vote)
        self._recorded_this_turn = True
        self._recent.add(vote.slot, len(vote.value) + ROW_BYTES)
        self.record(Voted(vote.slot, vote.ballot, vote.value))

    # ---- the leader's word ----

    def _on_heartbeat(self, source: NodeId, message: Heartbeat, now: Instant) -> None:
        if not self._speaks_for_leader(source, message.ballot, now):
            return
        if message.voters.age < self.voters.age:
            return self.send(source, Outdated(message.ballot, self.promised, self.known.told))
        self._note_watermark(message.ballot, message.watermark)
        self._hear_seen(source, message.seen, now)
        self._learn_voters(message.voters, now)  # after it: what we voted for is told to the learner beside us before
        self._be_no_guest_that_was_found()
        # It claims nothing about our disk, and a leader that waits for it behind our commit would seem alone.
        self.send_early(
            source, HeartbeatReply(message.ballot, message.sequence, self.standing.disk, self._history.commits)
        )

    def _speaks_for_leader(self, source: NodeId, ballot: Ballot, now: Instant) -> bool:
        """Whether this ballot may still lead here; tells its proposer if not."""
        if source != ballot.proposer:
            self.ignore("message of a foreign ballot")
            return False
        if ballot < self.promised:
            self.send(source, Nack(ballot, self.promised))
            return False
        self._hear_leader(source, now)
        return True

    def _hear_leader(self, leader: NodeId, now: Instant) -> None:
        self._leader, self._leader_heard_at = leader, now

    def _note_watermark(self, ballot: Ballot, watermark: Slot) -> None:
        """Every slot below is chosen. Where our vote is of the leader's own ballot, we know with which value."""
        if watermark <= self.watermark or not self.voters.are_named:  # `newcomers.py`, law 4
            return
        if self._has_learner and ballot.proposer != self.node_id:  # beside the leader, the leader tells its values
            for vote in self._votes.within(max(self.watermark, self._votes.first), watermark):
                if vote.ballot == ballot:
                    self.send_early(self.node_id, Chosen(vote.slot, vote.value))
        self.watermark = watermark

    def _on_trim(self, source: NodeId, message: Trim, now: Instant) -> None:
        if not self._speaks_for_leader(source, message.ballot, now) or not self.voters.are_named:
            return
        window = self._limits.window_slots_max
        floor = floor_of(self._recent, window, self.watermark, message.safe, message.everywhere)
        if floor > self.floor:
            self.floor = floor
            self._recorded_this_turn = True  # the watermark goes with it: a floor is never above the one on record
            self.record(Floor(floor))

    # ---- votes, in memory and on disk ----

    def _forget(self) -> None:
        self._votes, self._recent = HeldVotes(), RecentVotes()
        self._recorded_this_turn = True
        self.record(Forgotten())

    def _copy(self, votes: Sequence[Vote], stop: Slot, floor: Slot) -> None:
        for vote in votes:
            own = None if vote.slot < self.floor else self._vote_at(vote.slot)
            if own is None or own.ballot < vote.ballot:
                self.record(Voted(*vote))
                self._votes.add(vote)
        self._votes.first = max(self._votes.first, stop)
        self._votes.stop = max(self._votes.stop, stop)
        if floor > self.floor:
            self.floor = floor
            self.record(Floor(floor))

    def _on_fetch_votes(self, source: NodeId, message: FetchVotes) -> None:
        if source not in self._membership.learners and source not in self._membership.acceptors:
            return self.ignore("fetch by a node that is no learner")
        self._fetches.ask(source, message)

    def _tell_votes(self, learner: NodeId, asked: FetchVotes) -> None:
        if not self.may_vote:
            return self.ignore("fetch at a disk that does not vote")
        votes, stop = self._votes_in(asked.first, asked.stop)
        self.send(
            learner,
            FetchedVotes(
                asked.first,
                asked.stop,
                stop,
                votes,
                self.watermark,
                self.floor,
                self.standing.disk,
                self.voters.decreed,
                self.promised,
            ),
        )

    def _vote_at(self, slot: Slot) -> Vote | None:
        if self._votes.knows(slot):
            return self._votes.get(slot)
        return next(iter(self._history.votes(slot, slot + 1, self._limits.page_bytes_max)), None)

    def _votes_in(self, first: Slot, stop: Slot) -> tuple[tuple[Vote, ...], Slot]:
        """As many votes of [first, stop) as fit a page, and the slot up to which these are all, from the floor on."""
        first = min(max(first, self.floor), stop)
        known: dict[Slot, Vote] = {}
        if first < self._votes.first:
            old = self._history.votes(first, min(stop, self._votes.first), self._limits.page_bytes_max)
            if old:
                stop = old[-1].slot + 1
            known = {vote.slot: vote for vote in old}
        known |= {vote.slot: vote for vote in self._votes.within(first, stop)}  # newer than the history
        page: list[Vote] = []
        size = 0
        for slot in sorted(known):
            size += len(known[slot].value) + ROW_BYTES
            if page and size > self._limits.page_bytes_max:
                return tuple(page), slot
            page.append(known[slot])
        return tuple(page), stop

    # ---- the end of a turn ----

    def tick(self, now: Instant) -> None:
        self._notice_voters(now)
        super().tick(now)
        if self._prepares or self._fetches:
            self._answer(now)
        if self._recorded_this_turn and self._watermark_recorded != self.watermark:
            self._watermark_recorded = self.watermark  # along with other records: by itself it is not worth a commit
            self.record(Told(self.watermark))
        self._remember_seen(now)
        self._votes.end_turn(self.watermark)
        self._recorded_this_turn = False

    def _answer(self, now: Instant) -> None:
        """Pages for those who asked, after all of this turn's promises and votes."""
        for proposer, prepare in self._prepares.take():
            self._tell_promise(proposer, prepare)
        for learner, fetch in self._fetches.take():
            self._tell_votes(learner, fetch)
        if self._prepares or self._fetches:
            self.arm(Timer.ANSWER, now)

    def on_timer(self, timer: Timer, now: Instant) -> None:
        if timer is Timer.FETCH:
            return self._ask_others(now)
        if timer is Timer.RECALL:
            return self._ask_what_was_seen(now)
        require(timer is Timer.ANSWER, f"an acceptor armed {timer}")  # the turn that it brings about is all it is for
