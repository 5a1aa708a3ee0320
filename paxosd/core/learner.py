"""The learner: collects chosen values and hands them on in slot order.

Laws:
1. It takes a value as chosen on the word of the latest leader that it hears, of another learner that it asked, of the
   acceptor beside it, or from a prepare quorum of acceptors in a slot that it knows to be chosen (see `catchup.py`).
   Never from less. A leader that is silent for an election timeout is the latest no longer, whatever its ballot.
2. Slots are handed on in order, without a gap, each once per life, from the slot of the kept state on; a gap is waited
   for and asked for, never skipped.
3. It may take up the state of another learner as a whole (see `snapshots.py`), and goes on from there.
4. What it records may be lost: others can tell it again. Now and then it has all of it synced, and then tells the
   proposers how far that goes: the floor rests on it (see `floor.py`), and so does what `loss.py` finds.
5. What it handed on and is told again is the same, or it says so and serves nothing any more (`loss.py` has why).
6. It knows every decree below its watermark (`voters.py`, law 4): it takes a watermark up only from who knows no decree
   that it does not know itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, nextafter
from random import Random
from typing import get_args

from paxosd.core.agent import Timer, require
from paxosd.core.ahead import Ahead
from paxosd.core.catchup import ACCEPTORS, CatchUp
from paxosd.core.decrees import after, decree_of
from paxosd.core.floor import SYNC_EVERY_BYTES, SYNC_EVERY_S, SYNC_EVERY_SLOTS
from paxosd.core.helper import Helper
from paxosd.core.loss import KEEP_THE_LOG, has_another
from paxosd.core.membership import Membership
from paxosd.core.messages import (
    Chosen,
    DiskSpace,
    Durable,
    Fetch,
    Fetched,
    FetchedVotes,
    FetchSnapshot,
    FetchVotes,
    Heartbeat,
    LearnerInbound,
    Message,
    PreVote,
    SnapshotPart,
    Watermark,
)
from paxosd.core.newcomers import BEFORE_THE_BIRTH
from paxosd.core.options import Limits, Timing
from paxosd.core.pace import Pace
from paxosd.core.records import Learned, Record, SnapshotDropped, SnapshotInstalled, Synced
from paxosd.core.snapshots import Shelf, Taking, is_worth_it
from paxosd.core.space import NO_ROOM, Allowance, space_of
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, Instant, NodeId, Slot, Source
from paxosd.core.voters import NO_VOTERS, Voters

NO_GAP: Slot = 0
"""Nothing is missing, as far as was known when it was looked at last."""


class Learner(Helper):
    """Learns every chosen value; knows the watermark, and so what it misses."""

    inbound = get_args(LearnerInbound)

    def __init__(
        self, node_id: NodeId, membership: Membership, timing: Timing, limits: Limits, history: Shelf, random: Random
    ) -> None:
        super().__init__(node_id, membership, limits, history)
        self._timing = timing
        self._catchup = CatchUp(node_id, membership, random)
        self._pace = Pace()
        self._proposers = membership.proposers
        self.ballot: Ballot = NO_BALLOT  # the latest leadership heard of
        self._noticed: Voters = NO_VOTERS  # the voters that were known when this was looked at last
        self._ahead = Ahead()
        self._allowance = Allowance()
        self._leader_heard_at: Instant | None = None
        self._gap_seen: Slot = NO_GAP  # where the gap was when the timer was armed
        self._told_gone: Slot = 0  # of which slot that was told
        self._synced: Slot = FIRST_SLOT  # what is below is durable
        self._unsynced_bytes = 0  # of values that were recorded since
        self._taking = Taking(history, timing.retry_s)

    def restore(self, records: Iterable[Record], now: Instant) -> None:
        self.known.restore(records)
        self.next_slot = self._history.kept_slot()
        self._stored_stop = self._synced = self._history.learned_stop()  # what is read at the start is durable
        require(self.next_slot <= self._stored_stop, "the kept state is ahead of what was learned")
        self.watermark = max(self._stored_stop, self.known.watermark)
        self.arm(Timer.SYNC, now + SYNC_EVERY_S)
        self._go_on_replaying(now)
        if self._history.incoming() is not None:  # all of it came in, or it is asked for on
            self._take_snapshot("", now)

    def receive(self, source: Source, message: Message, now: Instant) -> None:
        assert isinstance(source, str)
        self._notice_voters(now)
        if not self.voters.are_named and not isinstance(message, BEFORE_THE_BIRTH):
            return self.ignore("word of a history that is not joined yet")  # `newcomers.py`, law 4
        match message:
            case Chosen(slot, value):
                self._on_chosen(source, slot, value)
            case Heartbeat(ballot, _, watermark, _, voters):
                self._learn_voters(voters, now)
                self._hear_leader(source, ballot, watermark, voters.decreed, now)
            case PreVote(_, voters):
                self._learn_voters(voters, now)
                if self._synced > FIRST_SLOT:
                    self.send(source, Durable(self._synced))
            case Watermark(ballot, watermark, decreed):
                self._hear_leader(source, ballot, watermark, decreed, now)
            case Fetch(first):
                self._on_fetch(source, first, now)
            case Fetched():
                self._on_fetched(source, message, now)
            case FetchedVotes():
                self._on_fetched_votes(source, message, now)
            case DiskSpace(space) if source == self.node_id:
                self._allowance.hear(space_of(space))
            case FetchSnapshot():
                self._on_fetch_snapshot(source, message, now)
            case SnapshotPart():
                self._on_snapshot_part(source, message, now)

    def on_timer(self, timer: Timer, now: Instant) -> None:
        match timer:
            case Timer.REPLAY:
                self._replay(now)
            case Timer.FETCH:
                self._look_for_gap(now)
            case Timer.PAGE:
                self._ask_on(now)
            case Timer.SYNC:
                self._sync(now)
            case Timer.SNAPSHOT:
                self._go_on_taking(now)
            case Timer.OFFER:
                self._telling.tick(now)
                self._await_questions()
            case Timer.ANSWER:
                pass  # the turn that it brings about is all it is for

    def tick(self, now: Instant) -> None:
        self._notice_voters(now)
        super().tick(now)
        if self._fetches or self._telling:
            self._answer(now)
        if self.next_slot - self._synced >= SYNC_EVERY_SLOTS or self._unsynced_bytes >= SYNC_EVERY_BYTES:
            self._sync(now)

    # ---- learning ----

    def _on_chosen(self, source: NodeId, slot: Slot, value: bytes) -> None:
        if source not in (self.node_id, self.ballot.proposer):
            return self.ignore("chosen value told by a node that does not lead")
        if slot < self.next_slot and not self.known.difference and has_another(self._history, slot, value):
            what = self.known.differ(f"slot {slot} holds another value here than {source} tells to be chosen")
            self.warn("log.differs", what=what, advice=KEEP_THE_LOG)
        self._learn(slot, value)

    def _learn(self, slot: Slot, value: bytes) -> None:
        if slot < max(self.next_slot, self._stored_stop) or slot in self._ahead:
            return self.ignore("chosen value that is known")
        if slot != self.next_slot and not self._ahead.may_hold(self.next_slot, slot, value):
            return self.ignore("chosen value too far ahead")
        if not self._allowance.takes(value):
            return self.ignore(NO_ROOM)
        self._ahead.add(slot, value)
        self._unsynced_bytes += len(value)
        self.record(Learned(slot, value))
        self._hand_on()

    def _hand_on(self) -> None:
        if self._replaying:
            return
        while (value := self._ahead.pop(self.next_slot)) is not None:
            self._pass_on(self.next_slot, value)
        self.watermark = max(self.watermark, self.next_slot)

    def _pass_on(self, slot: Slot, value: bytes) -> None:
        self._output.chosen.append((slot, value))
        self.next_slot = slot + 1
        if (decree := decree_of(value)) is not None and slot > self.voters.decreed:
            self.take_up(after(self.voters, slot, decree))

    @property
    def _replaying(self) -> bool:
        return self.next_slot < self._stored_stop

    def _replay(self, now: Instant) -> None:
        """Hand on a page of what an earlier life learned, and go on in the next turn."""
        for slot, value in self._history.learned(self.next_slot, self._stored_stop, self._limits.page_bytes_max):
            require(slot == self.next_slot, f"the history skips from slot {self.next_slot} to {slot}")
            self._pass_on(slot, value)
        self._hand_on()
        self._go_on_replaying(now)

    def _go_on_replaying(self, now: Instant) -> None:
        """Nobody is asked for what the own disk has: looking for gaps begins after it."""
        if self._replaying:
            self.arm(Timer.REPLAY, now)
        else:
            self.arm(Timer.FETCH, now + self._timing.election_s)
            self._note_watermark(self.watermark, self.voters.decreed, now)

    # ---- knowing what is missing ----

    def _notice_voters(self, now: Instant) -> None:
        if self.voters is not self._noticed:
            self._noticed = self.voters
            self._catchup.count_with(self.voters)
            self._note_watermark(self.known.watermark, self.voters.decreed, now)

    def _hear_leader(self, source: NodeId, ballot: Ballot, watermark: Slot, decreed: Slot, now: Instant) -> None:
        if source != ballot.proposer:
            return self.ignore("message of a foreign ballot")
        if ballot >= self.ballot or self._hears_nobody(now):
            if ballot != self.ballot and watermark < self._synced:  # it may not know what is chosen (`loss.py`)
                self.send(source, Durable(self._synced))
            self.ballot, self._leader_heard_at = ballot, now
        self._note_watermark(watermark, decreed, now)

    def _hears_nobody(self, now: Instant) -> bool:
        return self._leader_heard_at is None or now - self._leader_heard_at >= self._timing.election_s

    def _raise_watermark(self, watermark: Slot, decreed: Slot) -> None:
        if self.voters.are_named and decreed <= self.voters.decreed:
            self.watermark = max(self.watermark, watermark)

    def _note_watermark(self, watermark: Slot, decreed: Slot, now: Instant) -> None:
        self._raise_watermark(watermark, decreed)
        if self.next_slot < self.watermark and self._gap_seen != self.next_slot and not self._replaying:
            # Its value may be on its way: a gap is one only if it is still at the same slot in a while.
            self._gap_seen = self.next_slot
            self.arm(Timer.FETCH, now + self._timing.retry_s / 4)

    def _look_for_gap(self, now: Instant) -> None:
        behind = self.next_slot < self.watermark
        if self._taking.teller is not None:
            return  # looked at again when that has ended
        if self._allowance.is_spent:  # what is fetched now has no place
            self.arm(Timer.FETCH, now + self._timing.election_s)
        elif behind and self._gap_seen != self.next_slot:
            self._note_watermark(self.watermark, self.voters.decreed, now)
        elif behind or self._hears_nobody(now):  # who hears no leader asks the others how far they are
            self._tell_what_is_gone()
            leader = "" if self._hears_nobody(now) else self.ballot.proposer
            self._ask(self._catchup.target(self.next_slot, self.watermark, leader), now)
        if not behind:
            self._gap_seen = NO_GAP
            self.arm(Timer.FETCH, now + self._timing.election_s)

    @property
    def gone(self) -> str:
        """That nobody who is heard can tell what is missing here, and what to do; empty if that is not so."""
        is_stuck = self.next_slot < self.watermark and self._taking.teller is None
        return self._catchup.gone(self.next_slot) if is_stuck else ""

    def _tell_what_is_gone(self) -> None:
        if (what := self.gone) and self._told_gone != self.next_slot:
            self._told_gone = self.next_slot
            self.warn("log.gone", what=what)

    def _ask(self, target: NodeId, now: Instant, early: bool = False) -> None:
        """Ask this one. `early`: at once, while the page before is written; else after that: clients need the disk and
        the cores, too."""
        self._gap_seen = self.next_slot
        if target != ACCEPTORS:
            self._catchup.ask_learner(target, self.next_slot)
            (self.send_early if early else self.send)(target, Fetch(self.next_slot))
        elif self.voters.are_named:  # see `catchup.py`
            for acceptor in self._catchup.ask_acceptors(self.next_slot, self.watermark):
                self.send_early(acceptor, FetchVotes(self.next_slot, self.watermark))
        self.arm(Timer.FETCH, now + self._catchup.await_from(self.next_slot, self.watermark) * self._timing.retry_s)

    # ---- what is durable ----

    def _sync(self, now: Instant) -> None:
        """Have what was learned synced with this turn's commit, and tell the leader after it."""
        if self.next_slot > self._synced:
            self._synced = self.next_slot
            self.record(Synced(self._synced))
        self._unsynced_bytes = 0
        incoming = None if self._output.installed else self._history.incoming()  # that one is taken up in this turn
        if incoming is not None and incoming.snapshot.slot <= self.next_slot and self._taking.teller is None:
            self.record(SnapshotDropped(incoming.snapshot.id))  # the log was faster
        if self._synced > FIRST_SLOT:
            for proposer in self._proposers:  # each of them may lead next, and must know what is chosen (`loss.py`)
                self.send(proposer, Durable(self._synced))
        self.arm(Timer.SYNC, now + SYNC_EVERY_S)

    # ---- catching up ----

    def _on_fetched(self, source: NodeId, message: Fetched, now: Instant) -> None:
        if not self._catchup.take_learner(source, message):
            return self.ignore("fetched values that were not asked for")
        self._learn_voters(message.voters, now)
        self._raise_watermark(message.watermark, message.decreed)
        if self._taking.teller is None and is_worth_it(self.next_slot, self.watermark, message.floor):
            return self._take_snapshot(source, now)
        before = self.next_slot
        for slot, value in enumerate(message.values, message.first):
            if slot == self.next_slot:  # one message may bring more than is held ahead: each is handed on at once
                self._learn(slot, value)
        self._raise_watermark(message.watermark, message.decreed)
        self._go_on(source, self.next_slot > before, now)

    def _on_fetched_votes(self, source: NodeId, message: FetchedVotes, now: Instant) -> None:
        self._raise_watermark(message.watermark, message.decreed)
        if (found := self._catchup.take_votes(source, message)) is None:
            return
        before = self.next_slot
        for slot, value in found:
            self._learn(slot, value)
        self._go_on(ACCEPTORS, self.next_slot > before, now)

    def _go_on(self, target: NodeId, progress: bool, now: Instant) -> None:
        """Ask the same one for the next page while that helps; the timer turns to the next one."""
        if self._taking.teller is not None or self.next_slot >= self.watermark:
            return
        if not progress:
            self.arm(Timer.FETCH, now + self._timing.retry_s / 4)
        elif self._pace.page_came(target, self.next_slot, self.watermark, now):
            self.arm(Timer.PAGE, nextafter(now, inf))  # in the next turn: then this page is written and applied
        else:
            self._ask(target, now, early=True)  # no time to rest is no time to wait for the disk, either

    def _ask_on(self, now: Instant) -> None:
        if (until := self._pace.rests_until(now)) > now:
            self._gap_seen = self.next_slot
            self.arm(Timer.PAGE, until)
            self.arm(Timer.FETCH, until + self._timing.retry_s)
        elif self._taking.teller is None and self.next_slot < self.watermark:
            self._ask(self._pace.teller, now)

    # ---- the state of another learner ----

    def _take_snapshot(self, teller: NodeId, now: Instant) -> None:
        """Take a snapshot of this learner; of nobody (empty): only go on with what came in already."""
        self._taking.begin(teller)
        self.report("snapshot.asked", teller=teller or "nobody", behind=self.watermark - self.next_slot)
        self._go_on_taking(now)

    def _on_snapshot_part(self, source: NodeId, part: SnapshotPart, now: Instant) -> None:
        if not self._taking.awaits(source, part, self.next_slot):
            return self.ignore("part of a snapshot that is not awaited")
        if not self._allowance.takes(part.data):
            return self.ignore(NO_ROOM)
        self.take_up(part.voters)
        if (record := self._taking.take(part, self.next_slot)) is not None:
            self.record(record)
        if record is not None or self._taking.teller is None:
            self._go_on_taking(now)

    def _go_on_taking(self, now: Instant) -> None:
        self.disarm(Timer.SNAPSHOT)
        if self._taking.teller is None:
            return self.arm(Timer.FETCH, now + self._timing.retry_s / 4)
        step = self._taking.step(self.next_slot, now)
        if step.message is not None:
            self.send_early(self._taking.teller, step.message)
        if isinstance(step.record, SnapshotInstalled):
            self._take_up(step.record, now)
        elif isinstance(step.record, SnapshotDropped):
            self.report("snapshot.dropped", why=step.why)
        if step.record is not None:
            self.record(step.record)
        self.arm(Timer.SNAPSHOT, step.again_at)

    def _take_up(self, installed: SnapshotInstalled, now: Instant) -> None:
        """From this turn's commit on the kept state is another one, far above what was handed on by now."""
        require(installed.slot > self.next_slot, "the state of a snapshot is not above the own one")
        self.report("snapshot.installed", slot=installed.slot, before=self.next_slot)
        self._taking.end()
        self._output.chosen.clear()
        self._output.installed = True
        self.next_slot = self._stored_stop = self._synced = installed.slot
        self._ahead.drop_below(installed.slot)
        self._hand_on()
        self.arm(Timer.FETCH, now)
