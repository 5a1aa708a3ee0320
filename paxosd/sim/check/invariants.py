"""What must hold after every event, whatever happened; each broken one raises `Violation` with its name.

The checks keep a ghost state of their own, fed by what nodes make durable and by what they say, and count quorums of
disks with their own arithmetic (`electorate.py`). The numbers are those of the list in `docs/testing.md`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from paxosd.core.decrees import Replace, decree_of, is_decree
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    Durable,
    Fetched,
    FetchedVotes,
    Heartbeat,
    Message,
    Prepare,
    Promise,
    Refused,
    SessionOpened,
    Watermark,
)
from paxosd.core.reasons import Reason
from paxosd.core.records import Floor, Learned, Promised, Record, Round, Voted
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, DiskId, NodeId, SessionId, Slot
from paxosd.core.values import DIGESTS, MalformedValue, batches, commands
from paxosd.sim.check.electorate import Electorate, Reported, without_passed_over
from paxosd.storage.memory import MemoryStore

Life: TypeAlias = tuple[NodeId, int]
"""A node and which of its lives."""


class Violation(Exception):
    """An invariant does not hold. `name` is stable; the text says what was seen."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


def ensure(holds: bool, name: str, text: str) -> None:
    """Raise `Violation` unless it holds. Texts are built by the caller, so keep them cheap on hot paths."""
    if not holds:
        raise Violation(name, text)


class Safety:
    """The invariants of consensus itself, over all nodes of one cluster.

    `weights` maps each acceptor of the membership file to its weight; `sessions_max`: how many the log remembers.
    """

    def __init__(
        self,
        weights: Mapping[NodeId, int],
        window_slots: int,
        sessions_max: int,
        learners: Collection[NodeId] = (),
    ) -> None:
        self.electorate = Electorate(weights)
        self._acceptors = len(weights)
        self._learners = learners
        self._window_slots = window_slots
        self._sessions_max = sessions_max
        self.opened = 0  # so many sessions, by the values that are chosen
        self._told_sessions: set[SessionId] = set()  # that clients were told are open
        self.chosen: dict[Slot, bytes] = {}
        self.watermark: Slot = FIRST_SLOT  # every slot below is chosen
        self.recovered: set[Slot] = set()  # proposed again in a later ballot with a reported value
        self.submitted: set[bytes] = set()  # every command that a client ever proposed
        self._promised: dict[DiskId, Ballot] = {}
        self._rounds: dict[NodeId, int] = {}
        self._voters: dict[tuple[Ballot, Slot], set[DiskId]] = {}
        self._values: dict[tuple[Ballot, Slot], bytes] = {}
        self._reported: dict[Ballot, dict[DiskId, Reported]] = {}
        self._owners: dict[Ballot, Life] = {}
        self._seen_votes: dict[NodeId, set[tuple[Slot, Ballot]]] = {}  # what each node recorded, with whatever disk
        self._condemned: set[DiskId] = set()
        self._decrees: dict[Ballot, Slot] = {}  # in which slot a ballot proposed one
        self._told_promise: dict[DiskId, Ballot] = {}
        self._told_votes: dict[DiskId, dict[Slot, Ballot]] = {}
        self._floors: dict[DiskId, Slot] = {}  # the latest that each disk was given, synced or not
        self._durable: dict[NodeId, Slot] = {}  # how far the state of each learner ever was on its disk, synced

    # ---- what becomes durable ----

    def committed(self, node: NodeId, records: Sequence[Record], disk: MemoryStore) -> None:
        """A node's commit returned; `disk` is what is synced by now."""
        self.electorate.node_of[disk.disk] = node
        for record in records:
            match record:
                case Promised(ballot):
                    self._on_promised(disk.disk, ballot, disk)
                case Voted(slot, ballot, value):
                    self._seen_votes.setdefault(node, set()).add((slot, ballot))
                    self._on_voted(disk.disk, slot, ballot, value)
                    if disk.promised() < ballot:
                        what = f"{node} votes in {ballot} and promised {disk.promised()}"
                        raise Violation("5 vote above promise", what)
                case Round(number):
                    if number <= self._rounds.get(node, 0):
                        raise Violation("6 ballot reused", f"{node} records round {number} twice")
                    self._rounds[node] = number
                case Floor(slot):
                    self._on_floor(node, slot)
                    self._floors[disk.disk] = slot
                case Learned(slot, value):
                    if self.chosen.get(slot) != value:
                        raise Violation("1 agreement", f"{node} learned in slot {slot} what is not chosen")
        self._note_durable(node, disk)

    def _note_durable(self, node: NodeId, disk: MemoryStore) -> None:
        self._durable[node] = max(self._durable.get(node, FIRST_SLOT), disk.learned_stop())

    def _on_floor(self, node: NodeId, floor: Slot) -> None:
        """14: nothing is let go of that is not chosen, and with a majority of learners (two at least), synced."""
        has_it = [learner for learner in self._learners if self._durable.get(learner, FIRST_SLOT) >= floor]
        needed = max(len(self._learners) // 2 + 1, min(2, self._acceptors))
        if floor > self.watermark or len(has_it) < needed:
            raise Violation("14 floor", f"{node} lets go of its votes below {floor}, which only {has_it} have")

    def _on_promised(self, id_: DiskId, ballot: Ballot, disk: MemoryStore) -> None:
        before = self._promised.get(id_, NO_BALLOT)
        if ballot <= before:
            raise Violation("4 promise monotonicity", f"{self._named(id_)} promises {ballot} after {before}")
        self._promised[id_] = ballot
        first = disk.records_from()
        votes = {slot: disk.vote(slot) for slot in disk.voted_slots() if slot >= first}
        known = {slot: (vote.ballot, vote.value) for slot, vote in votes.items() if vote and vote.ballot < ballot}
        self._reported.setdefault(ballot, {})[id_] = known

    def _on_voted(self, disk: DiskId, slot: Slot, ballot: Ballot, value: bytes) -> None:
        if slot <= self.electorate.must_know(disk):
            return self._on_copied(disk, slot, value)
        promised = self._promised.get(disk, NO_BALLOT)
        if ballot < promised:
            raise Violation("5 vote below promise", f"{self._named(disk)} votes in {ballot} after promising {promised}")
        known = self._values.setdefault((ballot, slot), value)
        if known != value:
            raise Violation("6 one value per ballot and slot", f"{self._named(disk)} votes in {ballot}, slot {slot}")
        voters = self._voters.setdefault((ballot, slot), set())
        voters.add(disk)
        if self.electorate.chooses(slot, value, voters):
            self._choose(slot, value)

    def _on_copied(self, disk: DiskId, slot: Slot, value: bytes) -> None:
        if self.chosen.get(slot) != value:
            raise Violation("34 a new disk knows", f"{self._named(disk)} copied in slot {slot} what is not chosen")

    def _named(self, disk: DiskId) -> str:
        return f"{self.electorate.node_of.get(disk)} with disk {disk:x}"

    def _choose(self, slot: Slot, value: bytes) -> None:
        known = self.chosen.setdefault(slot, value)
        if known != value:
            raise Violation("1 agreement", f"two values are chosen in slot {slot}")
        if is_decree(value) and slot > self.electorate.newest.decreed:
            self.electorate.choose(slot, value)
            if max(self.chosen) > slot:
                raise Violation("33 nothing above a decree", f"slot {max(self.chosen)} was chosen before slot {slot}")
        while self.watermark in self.chosen:
            self._check_validity(self.chosen[self.watermark])
            self.watermark += 1

    def _check_validity(self, value: bytes) -> None:
        if is_decree(value):
            return
        try:
            every = list(batches(value))
            held = [batch for batch in every if batch.body and not batch.opens and batch.session != DIGESTS]
            self.opened += sum(batch.opens for batch in every)
            found = [command for batch in held for command in commands(batch.body, batch.count)]
        except MalformedValue as error:
            raise Violation("2 validity", f"a chosen value cannot be read: {error}") from error
        if not self.submitted.issuperset(found):
            raise Violation("2 validity", "a chosen command was never proposed")

    # ---- what is said ----

    def sent(self, life: Life, message: Message, disk: MemoryStore) -> None:
        """A node hands this message to the network; `disk` is what it has synced."""
        match message:
            case Accept():
                self._on_accept(life, message)
            case Accepted(ballot, slot, _):
                self._check_who_votes(life, message.ballot, message.disk, disk)
                self._on_accepted(life, message, disk)
            case Heartbeat(ballot, _, watermark) | Watermark(ballot, watermark):
                self._own(life, ballot)
                self._check_watermark(life, watermark)
            case Promise():
                self._on_promise(life, message, disk)
            case Prepare(ballot):
                self._own(life, ballot)
                if self.electorate.ballots.setdefault(ballot, message.voters) != message.voters:
                    raise Violation("33 one ballot, one set of voters", f"{ballot} counts with two")
                if disk.round() < ballot.round:
                    raise Violation("9 acknowledged before durable", f"{life[0]} uses a round not on disk")
            case Chosen(slot, value):
                if self.chosen.get(slot) != value:
                    raise Violation("1 agreement", f"{life[0]} calls a value chosen in slot {slot}")
            case Fetched(first, values, watermark, _):
                self._check_watermark(life, watermark)
                for slot, value in enumerate(values, first):
                    if self.chosen.get(slot) != value:
                        raise Violation("1 agreement", f"{life[0]} passes on a wrong value of {slot}")
            case FetchedVotes():
                self._check_watermark(life, max(message.watermark, message.floor))
                self._check_page(life[0], message, message.first, disk.voted_slots())
            case Durable(slot):
                if disk.learned_stop() < slot:
                    raise Violation("9 acknowledged before durable", f"{life[0]} says that it has {slot} synced")
            case SessionOpened(session):
                self._told_sessions.add(session)
            case Refused(session, _, _, _, Reason.SESSION_UNKNOWN):
                if session in self._told_sessions and self.opened <= self._sessions_max:
                    raise Violation("17 session unknown", f"{life[0]} does not know a session that is in the log")

    def _on_accepted(self, life: Life, message: Accepted, disk: MemoryStore) -> None:
        """9: a vote that is told is on disk, or let go of at once: in a slot below a floor, maybe one not synced yet,
        for the value that is chosen there."""
        slot, ballot = message.slot, message.ballot
        vote = disk.vote(slot)
        if vote is not None and vote.ballot >= ballot:
            self._tell(self._told_votes.setdefault(message.disk, {}), slot, ballot)
        elif slot >= self._floors.get(message.disk, FIRST_SLOT) or self.chosen[slot] != self._values[ballot, slot]:
            raise Violation(
                "9 acknowledged before durable", f"{life[0]} tells a vote in slot {slot} that is not on disk"
            )

    def _own(self, life: Life, ballot: Ballot) -> None:
        owner = self._owners.setdefault(ballot, life)
        if owner != life:
            raise Violation("6 one owner per ballot", f"{ballot} is used by {owner} and {life}")
        if ballot.proposer != life[0]:
            raise Violation("6 one owner per ballot", f"{life[0]} uses {ballot}")

    def _check_watermark(self, life: Life, watermark: Slot) -> None:
        if watermark > self.watermark:
            raise Violation(
                "14 watermark",
                f"{life[0]} says that every slot below {watermark} is chosen, and {self.watermark} is not",
            )

    def _on_accept(self, life: Life, message: Accept) -> None:
        ballot, slot = message.ballot, message.slot
        self._own(life, ballot)
        self._check_watermark(life, message.watermark)
        if slot >= self.watermark + self._window_slots:
            raise Violation("23 window", f"{life[0]} proposes slot {slot} beyond the window")
        known = self._values.setdefault((ballot, slot), message.value)
        if known != message.value:
            raise Violation("6 one value per ballot and slot", f"{ballot} proposes two values in slot {slot}")
        if is_decree(message.value):
            self._decrees.setdefault(ballot, slot)
        if slot > self._decrees.get(ballot, slot):
            raise Violation("33 nothing above a decree", f"{ballot} proposes slot {slot}, too")
        self._check_p2c(ballot, slot, message.value)

    def _check_p2c(self, ballot: Ballot, slot: Slot, value: bytes) -> None:
        """7 and 22: some prepare quorum reported nothing for the slot, or `value` with its highest ballot."""
        reported = self._reported.get(ballot, {})
        disks = [id_ for id_ in reported if self.electorate.counts(ballot, id_)]
        told = dict(zip(disks, without_passed_over(slot, [reported[id_] for id_ in disks]), strict=True))
        mine = [below for below, held in told.values() if below > NO_BALLOT and held == value]
        highest = max(mine, default=NO_BALLOT)
        quorum = [id_ for id_, (below, _) in told.items() if below <= highest]
        if not self.electorate.may_propose(ballot, quorum):
            raise Violation("7 P2c", f"{ballot} may not propose this value in slot {slot}")
        if mine:
            self.recovered.add(slot)

    def _on_promise(self, life: Life, message: Promise, disk: MemoryStore) -> None:
        node = life[0]
        if disk.promised() < message.ballot:
            raise Violation("9 acknowledged before durable", f"{node} tells a promise not on disk")
        self._check_watermark(life, max(message.watermark, message.floor))
        id_ = message.disk
        self._check_who_votes(life, message.ballot, id_, disk)
        self._told_promise[id_] = max(message.ballot, self._told_promise.get(id_, NO_BALLOT))
        known = self._reported.get(message.ballot, {}).get(id_, {})
        self._check_page(node, message, message.from_slot, known)

    @staticmethod
    def _check_page(node: NodeId, page: Promise | FetchedVotes, first: Slot, known: Iterable[Slot]) -> None:
        """12: it has all votes of the slots that it says it covers."""
        told = {vote.slot for vote in page.votes}
        hidden = [slot for slot in known if max(first, page.floor) <= slot < page.stop and slot not in told]
        if hidden:
            raise Violation("12 corruption honesty", f"{node} does not tell its votes in slots {hidden}")

    def _check_who_votes(self, life: Life, ballot: Ballot, id_: DiskId, disk: MemoryStore) -> None:
        """8: only the disk that the voters of a ballot name promises and votes in it, and only when it may."""
        if id_ in self._condemned:
            raise Violation("8 quorum honesty", f"{life[0]} takes part with disk {id_:x}, which went back in time")
        if id_ != disk.disk or not self.electorate.counts(ballot, id_):
            raise Violation("8 quorum honesty", f"{life[0]} takes part in {ballot} with disk {id_:x}")
        for slot in range(max(FIRST_SLOT, disk.floor()), self.electorate.must_know(id_) + 1):
            vote = disk.vote(slot)
            if vote is None or vote.value != self.chosen[slot]:
                raise Violation("34 a new disk knows", f"{life[0]} takes part, and knows nothing of slot {slot}")

    @staticmethod
    def _tell(table: dict[Slot, Ballot], slot: Slot, ballot: Ballot) -> None:
        table[slot] = max(ballot, table.get(slot, NO_BALLOT))

    # ---- restarts ----

    def recovered_from(self, node: NodeId, disk: MemoryStore) -> None:
        """11: after any crash the disk holds all that the node ever told."""
        id_ = disk.disk
        self.electorate.node_of[id_] = node
        promised = disk.promised()
        told = self._told_promise.get(id_, NO_BALLOT)
        if promised < told:
            raise Violation("11 durability", f"{node} told a promise of {told} and recovers {promised}")
        for slot, ballot in self._told_votes.get(id_, {}).items():
            vote = disk.vote(slot)
            if slot >= disk.floor() and not (vote is not None and vote.ballot >= ballot):
                raise Violation("11 durability", f"{node} lost its vote in slot {slot}")
        self._rounds[node] = disk.round()
        self._floors[id_] = disk.floor()
        self._note_durable(node, disk)  # what is found at the start is synced before it is used (`storage/base.py`)
        self._recover(node, disk)

    def _recover(self, node: NodeId, disk: MemoryStore) -> None:
        """A commit that failed or was cut off may have left its records all the same; from now on they count."""
        for slot in disk.voted_slots():  # before the promise: one turn may vote, and then promise more
            vote = disk.vote(slot)
            assert vote is not None
            if (slot, vote.ballot) not in self._seen_votes.setdefault(node, set()):
                self._seen_votes[node].add((slot, vote.ballot))
                self._on_voted(disk.disk, slot, vote.ballot, vote.value)
        if disk.promised() > self._promised.get(disk.disk, NO_BALLOT):
            self._on_promised(disk.disk, disk.promised(), disk)
        self._promised[disk.disk] = disk.promised()

    def told_more_than(self, disk: MemoryStore) -> bool:
        """Whether a disk with this id told a promise or a vote that is not on this copy of it."""
        votes = self._told_votes.get(disk.disk, {})
        missing = [slot for slot, ballot in votes.items() if (vote := disk.vote(slot)) is None or vote.ballot < ballot]
        return bool(missing) or disk.promised() < self._told_promise.get(disk.disk, NO_BALLOT)

    def condemn(self, disk: DiskId) -> None:
        """This disk went back in time: what it told is no longer on it, and it must not take part any more."""
        self._condemned.add(disk)
        for table in (self._told_promise, self._told_votes, self._promised):
            table.pop(disk, None)

    def is_condemned(self, disk: DiskId) -> bool:
        """Whether this disk went back in time."""
        return disk in self._condemned

    def may_be_replaced(self, disk: DiskId) -> bool:
        """Whether a decree gives another disk the place of this one, in a slot in which nothing is chosen yet."""
        undecided = (at for at in self._decrees.items() if at[1] not in self.chosen)
        decrees = (decree_of(self._values[at]) for at in undecided)
        return any(isinstance(decree, Replace) and decree.old == disk for decree in decrees)

    def wiped(self, node: NodeId) -> None:
        """The directory of a node is gone, or an older one: its rounds may begin anew."""
        self._rounds[node] = 0
        self._owners = {ballot: life for ballot, life in self._owners.items() if ballot.proposer != node}
