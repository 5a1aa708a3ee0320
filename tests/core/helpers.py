"""The words in which tests of the core speak.

A `Stage` is one agent with its disk and a clock that stands still until it is told to move: messages are delivered
to it, and what it says is expected or refused. What an agent put out and no test looked at fails that test (see
`conftest.py`); a test that is about something else says so with `set_aside`.

For a whole cluster see `network.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from random import Random
from typing import Any, Generic, NamedTuple, TypeVar

from hypothesis import settings

from paxosd.core.acceptor import Acceptor
from paxosd.core.agent import Agent, Event
from paxosd.core.learner import Learner
from paxosd.core.membership import Membership, Role
from paxosd.core.messages import (
    Accept,
    Accepted,
    FetchedVotes,
    Forward,
    Heartbeat,
    Message,
    Outdated,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    Recall,
    Recalled,
)
from paxosd.core.options import Limits, Timing
from paxosd.core.proposer import Proposer
from paxosd.core.quorum import Quorum
from paxosd.core.records import Disk, Learned, Record, Voted
from paxosd.core.snapshots import Shelf
from paxosd.core.types import (
    FIRST_SLOT,
    NO_DISK,
    SESSION_BYTES,
    Ballot,
    DiskId,
    Instant,
    NodeId,
    SessionId,
    Slot,
    Source,
    Vote,
)
from paxosd.core.values import Batch, encode_body, encode_value
from paxosd.core.voters import NO_VOTERS, Voter, Voters
from paxosd.storage.memory import MemoryStore

A = TypeVar("A", bound=Agent)
M = TypeVar("M", bound=Message)

TIMING = Timing(heartbeat_s=0.1, election_s=1.0, retry_s=0.4, ping_s=5.0)
LIMITS = Limits(window_slots_max=4, value_bytes_max=1000, command_bytes_max=500, pending_bytes_max=2000)
always_the_same = settings(derandomize=True, deadline=None, max_examples=100)
"""How properties are tried: with the same examples in every run."""

TURNS_AT_ONCE_MAX = 1000
"""More turns without time passing than any agent has a reason for."""
NOON: Instant = 1000.0
"""When every test begins."""

ROLES: Mapping[NodeId, Role] = {
    "p1": Role.PROPOSER,
    "p2": Role.PROPOSER,
    "a1": Role.ACCEPTOR,
    "a2": Role.ACCEPTOR,
    "a3": Role.ACCEPTOR,
    "l1": Role.LEARNER,
    "l2": Role.LEARNER,
}
FIVE: Mapping[NodeId, Role] = {**ROLES, "a4": Role.ACCEPTOR, "a5": Role.ACCEPTOR}
"""`ROLES` with two acceptors more, for quorums of flexible sizes."""
REPLICAS: Mapping[NodeId, Role] = {"r1": Role.REPLICA, "r2": Role.REPLICA, "r3": Role.REPLICA}


def membership(roles: Mapping[NodeId, Role] = ROLES, quorum: Quorum | None = None) -> Membership:
    """These nodes, with a majority of their acceptors unless the test says otherwise."""
    acceptors = [node for node, role in roles.items() if role in (Role.ACCEPTOR, Role.REPLICA)]
    return Membership(dict(roles), quorum or Quorum.majority(dict.fromkeys(acceptors, 1)))


def disk_of(node: NodeId) -> DiskId:
    """The disk that a node has in every test that does not give it another one."""
    return int.from_bytes(node.encode()[:7], "big")


def born(members: Membership) -> Voters:
    """A history that began before the first slot, so that tests of anything else count slots from 1."""
    quorum = members.quorum
    named = tuple(Voter(node, disk_of(node), 0, weight) for node, weight in quorum.weights.items())
    return Voters(b"a history of old", 0, 0, quorum.prepare, quorum.accept, named)


def dressed(message: M, source: Source, voters: Voters) -> M:
    """The message with what a born cluster says besides: the disk of its sender, and the voters."""
    known: dict[str, Any] = {field.name: getattr(message, field.name) for field in fields(message)}
    said: dict[str, Any] = {}
    if known.get("disk") == NO_DISK and isinstance(source, str):
        said["disk"] = disk_of(source)
    if known.get("voters") == NO_VOTERS:
        said["voters"] = voters
    return replace(message, **said) if said else message


def undressed(message: M) -> M:
    """The message without what all say about disks and decrees."""
    asides: dict[str, Any] = {
        field.name: field.default
        for field in fields(message)
        if field.name in ("disk", "voters", "decreed", "commits", "seen", "past", "history", "standing", "waits_for")
        or (isinstance(message, FetchedVotes) and field.name == "promised")
    }
    return replace(message, **asides) if asides and not isinstance(message, Recall | Recalled | Outdated) else message


def session_id(number: int) -> SessionId:
    """One that a client might have drawn."""
    return b"session:" + number.to_bytes(SESSION_BYTES - 8, "big")


def value(*commands: bytes, session: int = 1, first_seq: int = 1, stamp_ms: int = 0) -> bytes:
    """A value with one batch of these commands."""
    return encode_value(stamp_ms, [Batch(session_id(session), 1, first_seq, len(commands), encode_body(commands))])


def noop(stamp_ms: int = 0) -> bytes:
    return encode_value(stamp_ms)


def forward(command: bytes = b"v", seq: int = 1, attempt: int = 1, session: int = 1) -> Forward:
    """A gateway's message to the leader that holds one command."""
    return Forward(session_id(session), attempt, 1, seq, 1, encode_body([command]))


def heartbeat(ballot: Ballot, watermark: Slot = FIRST_SLOT, sequence: int = 1, log_time_ms: int = 0) -> Heartbeat:
    return Heartbeat(ballot, sequence, watermark, log_time_ms)


class Steady(Random):
    """Chance that always takes the lowest whole number: a proposer's first round is the next one."""

    def randint(self, a: int, b: int) -> int:
        return a


def trust(agent: Agent, now: Instant) -> None:
    """Nobody has seen more of its disk than there is; see `Participant`."""
    found = agent if isinstance(agent, Acceptor) else getattr(agent, "_acceptor", None)
    if found is not None:
        found.standing.sure = True
        found._look_again(now)
        output = found._output
        output.early = [sent for sent in output.early if not isinstance(sent[1], Recall)]


# ---- one agent -------------------------------------------------------------------------------


class Sent(NamedTuple):
    """A message that left; `early`: without waiting for this turn's commit."""

    target: Source
    message: Message
    early: bool


class Stage(Generic[A]):
    """One agent, its disk and its clock. Every verb that does something to the agent is one turn of a driver."""

    on_stage: list[Stage[Agent]] = []  # noqa: RUF012 (all stages of the running test, for the check at its end)

    def __init__(
        self,
        build: Callable[[Shelf], A],
        records: Sequence[Record] = (),
        members: Membership | None = None,
        is_born: bool = True,
    ) -> None:
        self.build = build
        self.voters = born(members or membership()) if is_born else NO_VOTERS
        self.disk = MemoryStore()
        if is_born:
            node = build(self.disk).node_id
            self.disk.commit([self.voters, Disk(disk_of(node), copied=False, used=True)])
        self.disk.commit(records)
        self.speaks_of_disks = not is_born  # messages are given and shown with all that they say of disks and decrees
        self.now = NOON
        self.sent: list[Sent] = []
        self.records: list[Record] = []
        self.chosen: list[tuple[Slot, bytes]] = []
        self.events: list[Event] = []
        self.agent = self._begin()
        Stage.on_stage.append(self)  # type: ignore[arg-type]

    def _begin(self) -> A:
        agent = self.build(self.disk)
        agent.restore(self.disk.records(), self.now)
        if not self.speaks_of_disks:
            trust(agent, self.now)
        return agent

    # ---- what happens to the agent ----

    def deliver(self, source: Source, *messages: Message) -> None:
        """These messages come in, in one turn."""
        for message in messages:
            self.agent.receive(source, self._dressed(source, message), self.now)
        self.turn()

    def _dressed(self, source: Source, message: Message) -> Message:
        return message if self.speaks_of_disks else dressed(message, source, self.voters)

    def _undressed(self, message: Message) -> Message:
        return message if self.speaks_of_disks else undressed(message)

    def turn(self) -> None:
        self.agent.tick(self.now)
        output = self.agent.take_output()
        self.disk.commit(output.records)
        self.sent += [Sent(target, self._undressed(message), True) for target, message in output.early]
        self.sent += [Sent(target, self._undressed(message), False) for target, message in output.messages]
        self.records += output.records
        self.chosen += output.chosen
        self.events += output.events

    def wait(self, seconds: float) -> None:
        """Time passes; whatever falls due on the way happens at its time."""
        until, turns = self.now + seconds, 0
        while (due := self.agent.next_deadline()) is not None and due <= until:
            turns = turns + 1 if due <= self.now else 0
            assert turns < TURNS_AT_ONCE_MAX, "it keeps its process busy: it is due again and again without end"
            self.now = max(self.now, due)
            self.turn()
        self.now = until
        self.turn()

    def restart(self) -> None:
        """The process is killed and started again with the same disk."""
        self.agent = self._begin()

    def crash_before_commit(self, source: Source, *messages: Message) -> None:
        """These messages come in, and the process is killed before it commits or sends anything."""
        for message in messages:
            self.agent.receive(source, self._dressed(source, message), self.now)
        self.agent.tick(self.now)
        self.restart()

    # ---- what the agent did ----

    def expect_sent(self, target: Source, *messages: Message, early: bool | None = None) -> None:
        """These messages left for this target, each once more than was expected before."""
        for message in messages:
            found = [one for one in self.sent if one[:2] == (target, message) and early in (None, one.early)]
            assert found, f"{message} was not sent to {target!r}; what was: {self.sent}"
            self.sent.remove(found[0])

    def expect_silence(self) -> None:
        """Nothing left that was not expected."""
        assert self.sent == []

    def expect_recorded(self, *records: Record) -> None:
        """Exactly these records were made durable, in this order."""
        assert self.records == list(records)
        self.records = []

    def expect_chosen(self, *values: tuple[Slot, bytes]) -> None:
        """Exactly these slots were handed on to be applied, in this order."""
        assert self.chosen == list(values)
        self.chosen = []

    def expect_ignored(self, reason: str, times: int = 1) -> None:
        """This reason was counted so often, and nothing else was ignored."""
        assert dict(self.agent.ignored) == {reason: times}
        self.agent.ignored.clear()

    def take(self, kind: type[M], target: Source | None = None) -> list[tuple[Source, M]]:
        """All messages of one kind, to whom they went; they count as looked at."""
        found: list[tuple[Source, M]] = []
        for sent in list(self.sent):
            if isinstance(sent.message, kind) and target in (None, sent.target):
                found.append((sent.target, sent.message))
                self.sent.remove(sent)
        return found

    def take_one(self, kind: type[M], target: Source | None = None) -> M:
        """The only message of this kind."""
        found = self.take(kind, target)
        assert len(found) == 1, f"one {kind.__name__} expected, not {found}; beside them: {self.sent}"
        return found[0][1]

    def set_aside(self) -> None:
        """What came out so far is not what this test is about."""
        self.sent, self.records, self.chosen, self.events = [], [], [], []

    def leftovers(self) -> list[object]:
        """What came out and nobody looked at."""
        return [*self.sent, *self.records, *self.chosen, *self.events]


# ---- stages of one role ----------------------------------------------------------------------


def acceptor(
    node: NodeId = "a1", roles: Mapping[NodeId, Role] = ROLES, limits: Limits = LIMITS, records: Sequence[Record] = ()
) -> Stage[Acceptor]:
    members = membership(roles)
    return Stage(lambda disk: Acceptor(node, members, TIMING, limits, disk, Random(1)), records, members)


def proposer(
    node: NodeId = "p1",
    roles: Mapping[NodeId, Role] = ROLES,
    quorum: Quorum | None = None,
    limits: Limits = LIMITS,
    records: Sequence[Record] = (),
) -> Stage[Proposer]:
    members = membership(roles, quorum)
    return Stage(lambda _: Proposer(node, members, TIMING, limits, Steady(1)), records, members)


def learner(
    node: NodeId = "l1",
    roles: Mapping[NodeId, Role] = ROLES,
    quorum: Quorum | None = None,
    limits: Limits = LIMITS,
    records: Sequence[Record] = (),
) -> Stage[Learner]:
    members = membership(roles, quorum)
    return Stage(lambda disk: Learner(node, members, TIMING, limits, disk, Random(1)), records, members)


def learned(*values: bytes, first: Slot = FIRST_SLOT) -> list[Record]:
    return [Learned(slot, held) for slot, held in enumerate(values, first)]


def voted(ballot: Ballot, *values: bytes, first: Slot = FIRST_SLOT) -> list[Record]:
    return [Voted(slot, ballot, held) for slot, held in enumerate(values, first)]


# ---- the life of a proposer ------------------------------------------------------------------


def canvass(stage: Stage[Proposer], watermark: Slot = FIRST_SLOT, voters: Collection[NodeId] = ("a1", "a2")) -> Ballot:
    """Silence, a pre-vote, and these acceptors would promise: it prepares. Returns the ballot it prepares."""
    stage.wait(2 * TIMING.election_s)
    while not (asked := stage.take(PreVote)):
        stage.wait(0.1)
    wish = asked[-1][1].ballot
    stage.set_aside()
    for voter in voters:
        stage.deliver(voter, PreVoteReply(wish, True, Ballot(wish.round - 1, ""), watermark))
    return stage.agent.ballot


def promise(
    ballot: Ballot, *votes: Vote, from_slot: Slot = FIRST_SLOT, watermark: Slot = FIRST_SLOT, stop: Slot | None = None
) -> Promise:
    """All that an acceptor has to tell, in one page."""
    end = max([vote.slot + 1 for vote in votes], default=from_slot) if stop is None else stop
    return Promise(ballot, from_slot, end, True, votes, watermark, FIRST_SLOT)


def elect(
    stage: Stage[Proposer], votes: Mapping[NodeId, Iterable[Vote]] | None = None, watermark: Slot = FIRST_SLOT
) -> Ballot:
    """It gets elected by these acceptors, with the votes that they tell; what it proposes first is left to look at."""
    promises = {"a1": (), "a2": ()} if votes is None else {voter: tuple(told) for voter, told in votes.items()}
    ballot = canvass(stage, watermark, promises)
    from_slot = stage.take(Prepare)[0][1].from_slot
    stage.set_aside()
    for voter, told in promises.items():
        stage.deliver(voter, promise(ballot, *told, from_slot=from_slot, watermark=watermark))
    assert stage.agent.leading
    stage.sent = [sent for sent in stage.sent if isinstance(sent.message, Accept)]
    stage.records, stage.events = [], []
    return ballot


def choose(stage: Stage[Proposer], ballot: Ballot, *slots: Slot, voters: Iterable[NodeId] = ("a1", "a2")) -> None:
    """These acceptors vote for what it proposed in these slots."""
    for voter in voters:
        stage.deliver(voter, *(Accepted(ballot, slot) for slot in slots))


def lead(stage: Stage[Proposer], watermark: Slot = FIRST_SLOT) -> Ballot:
    """It is elected, its opening no-op is chosen, and nothing is in flight."""
    told = {} if watermark == FIRST_SLOT else {"a1": [Vote(watermark - 1, Ballot(0, "p2"), noop())], "a2": []}
    ballot = elect(stage, told or None, watermark)
    choose(stage, ballot, watermark)
    stage.set_aside()
    return ballot
