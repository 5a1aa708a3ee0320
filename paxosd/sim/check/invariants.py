"""What must hold after every event, whatever happened; each broken one raises `Violation` with its name.

The checks keep a ghost state of their own, fed by what nodes make durable and by what they say, and count quorums
with their own arithmetic. The numbers are those of the list of invariants in `docs/testing.md`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    Fetched,
    FetchedVotes,
    Heartbeat,
    Message,
    Prepare,
    Promise,
    Watermark,
)
from paxosd.core.messages_kept import Durable
from paxosd.core.records import Floor, Learned, Promised, Record, Round, Voted
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, NodeId, Revision, Slot
from paxosd.core.values import NO_SESSION, MalformedValue, batches, commands
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

    `weights` maps each acceptor to its weight; `prepare` and `accept` are the sizes of the two kinds of quorum.
    """

    def __init__(
        self,
        weights: Mapping[NodeId, int],
        prepare: int,
        accept: int,
        window_slots: int,
        learners: Collection[NodeId] = (),
    ) -> None:
        self._weights = weights
        self._learners = learners
        self._prepare = prepare
        self._accept = accept
        self._window_slots = window_slots
        self.chosen: dict[Slot, bytes] = {}
        self.watermark: Slot = FIRST_SLOT  # every slot below is chosen
        self.recovered: set[Slot] = set()  # proposed again in a later ballot with a reported value
        self.submitted: set[bytes] = set()  # every command that a client ever proposed
        self._promised: dict[NodeId, Ballot] = {}
        self._rounds: dict[NodeId, int] = {}
        self._voters: dict[tuple[Ballot, Slot], set[NodeId]] = {}
        self._values: dict[tuple[Ballot, Slot], bytes] = {}
        self._reported: dict[Ballot, dict[NodeId, dict[Slot, tuple[Ballot, bytes]]]] = {}
        self._owners: dict[Ballot, Life] = {}
        self._told_promise: dict[NodeId, Ballot] = {}
        self._told_votes: dict[NodeId, dict[Slot, Ballot]] = {}
        self._durable: dict[NodeId, Slot] = {}  # how far the state of each learner ever was on its disk, synced

    def _weigh(self, nodes: Collection[NodeId]) -> int:
        return sum(self._weights.get(node, 0) for node in set(nodes))

    # ---- what becomes durable ----

    def committed(self, node: NodeId, records: Sequence[Record], disk: MemoryStore) -> None:
        """A node's commit returned; `disk` is what is synced by now."""
        for record in records:
            match record:
                case Promised(ballot):
                    self._on_promised(node, ballot, disk)
                case Voted(slot, ballot, value):
                    self._on_voted(node, slot, ballot, value)
                    if disk.promised() < ballot:
                        raise Violation(
                            "5 vote above promise", f"{node} votes in {ballot} and promised {disk.promised()}"
                        )
                case Round(number):
                    if number <= self._rounds.get(node, 0):
                        raise Violation("6 ballot reused", f"{node} records round {number} twice")
                    self._rounds[node] = number
                case Floor(slot):
                    self._on_floor(node, slot)
                case Learned(slot, value):
                    if self.chosen.get(slot) != value:
                        raise Violation("1 agreement", f"{node} learned in slot {slot} what is not chosen")

        self._durable[node] = max(self._durable.get(node, FIRST_SLOT), disk.learned_stop())

    def _on_floor(self, node: NodeId, floor: Slot) -> None:
        """14: nothing is let go of that is not chosen, and with a majority of learners (two at least), synced."""
        has_it = [learner for learner in self._learners if self._durable.get(learner, FIRST_SLOT) >= floor]
        needed = max(len(self._learners) // 2 + 1, min(2, len(self._weights)))
        if floor > self.watermark or len(has_it) < needed:
            raise Violation("14 floor", f"{node} lets go of its votes below {floor}, which only {has_it} have")

    def _on_promised(self, node: NodeId, ballot: Ballot, disk: MemoryStore) -> None:
        before = self._promised.get(node, NO_BALLOT)
        if ballot <= before:
            raise Violation("4 promise monotonicity", f"{node} promises {ballot} after {before}")
        self._promised[node] = ballot
        first = disk.records_from()
        votes = {slot: disk.vote(slot) for slot in disk.voted_slots() if slot >= first}
        known = {slot: (vote.ballot, vote.value) for slot, vote in votes.items() if vote and vote.ballot < ballot}
        self._reported.setdefault(ballot, {})[node] = known

    def _on_voted(self, node: NodeId, slot: Slot, ballot: Ballot, value: bytes) -> None:
        promised = self._promised.get(node, NO_BALLOT)
        if ballot < promised:
            raise Violation("5 vote below promise", f"{node} votes in {ballot} after promising {promised}")
        known = self._values.setdefault((ballot, slot), value)
        if known != value:
            raise Violation("6 one value per ballot and slot", f"{node} votes in {ballot}, slot {slot}, for another")
        voters = self._voters.setdefault((ballot, slot), set())
        voters.add(node)
        if self._weigh(voters) >= self._accept:
            self._choose(slot, value)

    def _choose(self, slot: Slot, value: bytes) -> None:
        known = self.chosen.setdefault(slot, value)
        if known != value:
            raise Violation("1 agreement", f"two values are chosen in slot {slot}")
        while self.watermark in self.chosen:
            self._check_validity(self.chosen[self.watermark])
            self.watermark += 1

    def _check_validity(self, value: bytes) -> None:
        try:
            held = [batch for batch in batches(value) if batch.body and batch.session != NO_SESSION]
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
            case Accepted(ballot, slot):
                vote = disk.vote(slot)
                if slot >= disk.floor() and (vote is None or vote.ballot < ballot):
                    raise Violation(
                        "9 acknowledged before durable", f"{life[0]} tells a vote in slot {slot} that is not on disk"
                    )
                self._tell(self._told_votes.setdefault(life[0], {}), slot, ballot)
            case Heartbeat(ballot, _, watermark, _) | Watermark(ballot, watermark):
                self._own(life, ballot)
                self._check_watermark(life, watermark)
            case Promise():
                self._on_promise(life, message, disk)
            case Prepare(ballot):
                self._own(life, ballot)
                if disk.round() < ballot.round:
                    raise Violation("9 acknowledged before durable", f"{life[0]} uses a round not on disk")
            case Chosen(slot, value):
                if self.chosen.get(slot) != value:
                    raise Violation("1 agreement", f"{life[0]} calls a value chosen in slot {slot}")
            case Fetched(first, values, watermark):
                self._check_watermark(life, watermark)
                for slot, value in enumerate(values, first):
                    if self.chosen.get(slot) != value:
                        raise Violation("1 agreement", f"{life[0]} passes on a wrong value of {slot}")
            case FetchedVotes():
                self._check_watermark(life, max(message.watermark, message.floor))
            case Durable(slot):
                if disk.learned_stop() < slot:
                    raise Violation("9 acknowledged before durable", f"{life[0]} says that it has {slot} synced")

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
        self._check_p2c(ballot, slot, message.value)

    def _check_p2c(self, ballot: Ballot, slot: Slot, value: bytes) -> None:
        """7 and 22: some prepare quorum reported nothing for the slot, or `value` with its highest ballot."""
        reported = self._reported.get(ballot, {})
        mine = [vote[0] for votes in reported.values() if (vote := votes.get(slot)) is not None and vote[1] == value]
        highest = max(mine, default=NO_BALLOT)
        quorum = [node for node, votes in reported.items() if votes.get(slot, (NO_BALLOT, b""))[0] <= highest]
        if self._weigh(quorum) < self._prepare:
            raise Violation("7 P2c", f"{ballot} may not propose this value in slot {slot}")
        if mine:
            self.recovered.add(slot)

    def _on_promise(self, life: Life, message: Promise, disk: MemoryStore) -> None:
        node = life[0]
        if disk.promised() < message.ballot:
            raise Violation("9 acknowledged before durable", f"{node} tells a promise not on disk")
        self._check_watermark(life, max(message.watermark, message.floor))
        self._told_promise[node] = max(message.ballot, self._told_promise.get(node, NO_BALLOT))
        told = {vote.slot for vote in message.votes}
        known = self._reported.get(message.ballot, {}).get(node, {})
        first = max(message.from_slot, message.floor)
        hidden = [slot for slot in known if first <= slot < message.stop and slot not in told]
        if hidden:
            raise Violation("12 corruption honesty", f"{node} does not tell its votes in slots {hidden}")

    @staticmethod
    def _tell(table: dict[Slot, Ballot], slot: Slot, ballot: Ballot) -> None:
        table[slot] = max(ballot, table.get(slot, NO_BALLOT))

    # ---- restarts ----

    def recovered_from(self, node: NodeId, disk: MemoryStore) -> None:
        """11: after any crash the disk holds all that the node ever told."""
        promised = disk.promised()
        told = self._told_promise.get(node, NO_BALLOT)
        if promised < told:
            raise Violation("11 durability", f"{node} told a promise of {told} and recovers {promised}")
        for slot, ballot in self._told_votes.get(node, {}).items():
            vote = disk.vote(slot)
            if slot >= disk.floor() and not (vote is not None and vote.ballot >= ballot):
                raise Violation("11 durability", f"{node} lost its vote in slot {slot}")
        self._rounds[node] = disk.round()
        self._take_up(node, disk)

    def _take_up(self, node: NodeId, disk: MemoryStore) -> None:
        """A commit that failed or was cut off may have left its records all the same; from now on they count."""
        for slot in disk.voted_slots():  # before the promise: one turn may vote, and then promise more
            vote = disk.vote(slot)
            assert vote is not None
            if node not in self._voters.get((vote.ballot, slot), ()):
                self._on_voted(node, slot, vote.ballot, vote.value)
        if disk.promised() > self._promised.get(node, NO_BALLOT):
            self._on_promised(node, disk.promised(), disk)
        self._promised[node] = disk.promised()

    def wiped(self, node: NodeId) -> None:
        """The directory of a node that is no acceptor is gone, and its rounds may begin anew."""
        self._rounds[node] = 0
        self._owners = {ballot: life for ballot, life in self._owners.items() if ballot.proposer != node}


class Order:
    """The order of commands that the learners apply, and what it says about every answer to a client."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.digests: dict[Revision, bytes] = {}
        self.acknowledged: Revision = 0  # the highest revision that any client has seen
        self._latest: dict[bytes, int] = {}  # of each client, the number of its command that is in the log last

    def applied(self, node: NodeId, first: Revision, commands: Sequence[bytes], digest: bytes) -> None:
        """13, 15, 16, 17: a learner applied these commands from revision `first` on, and has this digest after it."""
        for revision, command in enumerate(commands, first):
            if revision > len(self.log):
                self._append(node, revision, command)
            if self.log[revision - 1] != command:
                raise Violation("13 applied prefix", f"{node} applies another revision {revision}")
        last = first + len(commands) - 1
        known = self.digests.setdefault(last, digest)
        if known != digest:
            raise Violation("15 state digest", f"{node} differs after revision {last}")

    def restored(self, node: NodeId, revision: Revision, digest: bytes) -> None:
        """15: the state that a learner kept, up to this revision, is the one that it had there."""
        if revision > len(self.log) or self.digests.get(revision, digest) != digest:
            raise Violation("15 state digest", f"{node} kept another state at revision {revision}")

    def _append(self, node: NodeId, revision: Revision, command: bytes) -> None:
        if revision != len(self.log) + 1:
            raise Violation("13 applied prefix", f"{node} skips to revision {revision}")
        client, _, number = command.partition(b"#")[0].rpartition(b"-")
        if int(number) <= self._latest.get(client, 0):
            raise Violation("16, 17 exactly once, in order", f"{command[:20]!r} comes late or twice")
        self._latest[client] = int(number)
        self.log.append(command)

    def acked(self, command: bytes, revision: Revision, seen_before: Revision) -> None:
        """18, 21: the log is the witness of every completed proposal."""
        present = 0 < revision <= len(self.log) and self.log[revision - 1] == command
        if not present:
            raise Violation("21 acknowledged is present", f"{command[:20]!r} is not at revision {revision}")
        if revision <= seen_before:
            raise Violation("18 real-time order", f"{command[:20]!r} at {revision} began after {seen_before}")
        self.acknowledged = max(self.acknowledged, revision)

    def compacted(self, start: Revision, first: Revision) -> None:
        """20: a read is refused only below what is kept, and what is kept begins at some revision of the log."""
        if not start < first <= len(self.log):
            raise Violation("20 reads", f"a read at {start} is refused, for the log is kept from {first} on")

    def read(self, start: Revision, values: Sequence[bytes], last: Revision, seen_before: Revision) -> None:
        """18, 20: a linearizable read shows all that anybody had seen before it began, and nothing but the log."""
        if last < seen_before:
            raise Violation("20 reads", f"a read shows revision {last} and began after {seen_before} was seen")
        if last > len(self.log):
            raise Violation("20 reads", f"a read shows revision {last} of {len(self.log)}")
        if self.log[start - 1 : start - 1 + len(values)] != list(values):
            raise Violation("20 reads", f"a read at {start} shows another log")
        self.acknowledged = max(self.acknowledged, last)
