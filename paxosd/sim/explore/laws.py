"""What must hold in every explored world, and what must have been seen in some.

Nothing here asks the core: quorums are counted, the highest vote is found, and what a node may say is judged again,
from records that were made durable and messages that were sent. The numbers are those of the fault scenarios.

Laws of a turn, in the order of its effects: promises and votes are told after they are on record (9), a promise never
falls (4), a vote is not below it (5), a promise tells every vote (11, 12), a ballot is its proposer's own (6).
Laws of a world: one value is chosen per slot (1, 3), per ballot and slot one value is proposed (6), each proposal is
bound by what a quorum voted for below it (7, and 22 where it is a no-op), whoever says that something is chosen is
right (8), and nothing is proposed beyond the window (23). Those of worlds with decrees stand in `decreed.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from paxosd.core.decrees import decree_of, is_decree
from paxosd.core.messages import Accept, Accepted, Chosen, Heartbeat, Message, Nack, Prepare, Promise
from paxosd.core.records import Record, Voted
from paxosd.core.types import FIRST_SLOT, Ballot, DiskId, NodeId, Slot, Vote
from paxosd.core.values import batches, is_noop, stamp_ms
from paxosd.core.voters import Voters
from paxosd.sim.explore.node import Letter, State, Turn, copies, is_new, voter_in
from paxosd.storage.memory import MemoryStore


class LawBroken(Exception):
    """A law does not hold. `law` is its name; the text says what was seen instead."""

    def __init__(self, law: str, sentence: str) -> None:
        super().__init__(f"{law}: {sentence}")
        self.law = law
        self.sentence = sentence


class Cast(NamedTuple):
    """A vote, and the disk on which it was made durable."""

    disk: DiskId
    vote: Vote


@dataclass(frozen=True, slots=True)
class Past:
    """What counts of all that one node ever did. `proposed` and `voted` hold (slot, ballot, value)."""

    cast: frozenset[Cast]
    """Votes that were ever durable, also those that later ones replaced, and those of disks that are lost."""
    voted: frozenset[Vote]
    """The same, whatever the disk."""
    prepared: frozenset[tuple[Ballot, Voters]]
    """The ballots in which this node prepared, and with whose votes."""
    promised: frozenset[Ballot]
    """Ballots in which a promise was sent."""
    proposed: frozenset[Vote]
    told: frozenset[tuple[Slot, bytes]]
    """Values that a leader called chosen."""
    watermark: Slot
    """The highest watermark that was told: every slot below is chosen."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The pasts of all nodes of one world, seen together."""

    acceptors: Sequence[Past]
    proposers: Sequence[Past]
    window_slots: int

    @property
    def majority(self) -> int:
        return len(self.acceptors) // 2 + 1

    def chosen(self) -> dict[Slot, set[bytes]]:
        """Every value for which a majority ever voted in one ballot."""
        votes = [vote for past in self.acceptors for vote in past.voted]
        found: dict[Slot, set[bytes]] = defaultdict(set)
        for vote in set(votes):
            if votes.count(vote) >= self.majority:
                found[vote.slot].add(vote.value)
        return found

    def proposals(self) -> Iterator[Vote]:
        for past in self.proposers:
            yield from past.proposed


def past(said: Iterable[Letter], cast: frozenset[Cast]) -> Past:
    """What counts of what a node said and voted for."""
    messages = {letter.message for letter in said}
    return Past(
        cast,
        frozenset(vote for _, vote in cast),
        frozenset((message.ballot, message.voters) for message in messages if isinstance(message, Prepare)),
        frozenset(message.ballot for message in messages if isinstance(message, Promise)),
        frozenset(
            Vote(message.slot, message.ballot, message.value) for message in messages if isinstance(message, Accept)
        ),
        frozenset((message.slot, message.value) for message in messages if isinstance(message, Chosen)),
        max(
            (message.watermark for message in messages if isinstance(message, Accept | Heartbeat | Promise)),
            default=FIRST_SLOT,
        ),
    )


class Judge:
    """Holds turns and worlds against the laws (all, or those named), and notes what was seen when."""

    def __init__(
        self,
        window_slots: int,
        laws: Collection[str] | None = None,
        world_laws: Mapping[str, WorldLaw] | None = None,
        world_marks: Mapping[str, Callable[[Evidence], bool]] | None = None,
    ) -> None:
        self.depth = 0
        self._marks = WORLD_MARKS if world_marks is None else world_marks
        self.seen: dict[str, int | None] = dict.fromkeys([*self._marks, *TURN_MARKS])
        self._window_slots = window_slots
        asked = WORLD_LAWS if world_laws is None else world_laws
        self._world_laws = {name: law for name, law in asked.items() if laws is None or name in laws}
        self._turn_laws = {name: law for name, law in TURN_LAWS.items() if laws is None or name in laws}

    def turn(self, before: State, turn: Turn) -> None:
        """Raises `LawBroken` if a turn that began in this state breaks a law."""
        for name, law in self._turn_laws.items():
            for sentence in law(before, turn):
                raise LawBroken(name, sentence)
        for name, mark in TURN_MARKS.items():
            if self.seen[name] is None and mark(before, turn):
                self.seen[name] = self.depth

    def world(self, acceptors: Sequence[Past], proposers: Sequence[Past]) -> None:
        """Raises `LawBroken` if a world with these pasts breaks a law."""
        evidence = Evidence(acceptors, proposers, self._window_slots)
        for name, law in self._world_laws.items():
            for sentence in law(evidence):
                raise LawBroken(name, sentence)
        for name, mark in self._marks.items():
            if self.seen[name] is None and mark(evidence):
                self.seen[name] = self.depth


# ---- laws of a world -------------------------------------------------------------------------

WorldLaw: TypeAlias = Callable[[Evidence], Iterator[str]]
"""Gives a sentence for every way in which a world breaks the law."""


def agreement(world: Evidence) -> Iterator[str]:
    """At most one value is ever chosen per slot."""
    for slot, values in world.chosen().items():
        if len(values) > 1:
            yield f"slot {slot} has {len(values)} chosen values: {', '.join(sorted(map(value_text, values)))}"


def one_value(world: Evidence) -> Iterator[str]:
    """A ballot proposes one value per slot, and acceptors vote only for that one."""
    values: dict[tuple[Slot, Ballot], set[bytes]] = defaultdict(set)
    for proposal in world.proposals():
        values[proposal.slot, proposal.ballot].add(proposal.value)
    for (slot, ballot), proposed in values.items():
        if len(proposed) > 1:
            yield f"ballot {ballot} proposes {len(proposed)} values in slot {slot}"
    for vote in {vote for past in world.acceptors for vote in past.voted}:
        if vote.value not in values[vote.slot, vote.ballot]:
            yield f"{value_text(vote.value)} has a vote in slot {vote.slot}, and ballot {vote.ballot} never proposed it"


def p2c(world: Evidence) -> Iterator[str]:
    """ "There is a set S consisting of a majority of acceptors such that either (a) no acceptor in S has accepted any
    proposal numbered less than n, or (b) v is the value of the highest-numbered proposal among all proposals numbered
    less than n accepted by the acceptors in S" (Paxos Made Simple, 2.2), and each of them promised n."""
    for proposal in world.proposals():
        if not _is_bound(proposal, world):
            yield (
                f"ballot {proposal.ballot} proposes {value_text(proposal.value)} in slot {proposal.slot}, "
                f"and no quorum that promised allows it"
            )


def _is_bound(proposal: Vote, world: Evidence) -> bool:
    """Whether a majority of those who promised voted below for nothing, or for this value last."""
    highest: list[tuple[Ballot, bytes]] = []
    silent = 0
    for acceptor in world.acceptors:
        if proposal.ballot not in acceptor.promised:
            continue
        below = [vote for vote in acceptor.voted if vote.slot == proposal.slot and vote.ballot < proposal.ballot]
        if below:
            last = max(below, key=lambda vote: vote.ballot)
            highest.append((last.ballot, last.value))
        else:
            silent += 1
    # A quorum that allows it: those who are silent, and those who voted no higher than a vote for this value.
    allowed = [ballot for ballot, value in highest if value == proposal.value]
    return silent >= world.majority or any(
        silent + sum(ballot <= bound for ballot, _ in highest) >= world.majority for bound in allowed
    )


def rightly_told(world: Evidence) -> Iterator[str]:
    """What a leader calls chosen is chosen, and so is every slot below a watermark."""
    chosen = world.chosen()
    for leader in world.proposers:
        for slot, value in leader.told:
            if value not in chosen.get(slot, ()):
                yield f"{value_text(value)} was called chosen in slot {slot}, and no quorum voted for it in one ballot"
    watermark = max(past.watermark for past in [*world.acceptors, *world.proposers])
    for slot in range(FIRST_SLOT, watermark):
        if slot not in chosen:
            yield f"watermark {watermark} was told, and nothing is chosen in slot {slot}"


def within_window(world: Evidence) -> Iterator[str]:
    """No proposal at or above the first slot that is not chosen, plus the window."""
    chosen = world.chosen()
    first = FIRST_SLOT
    while first in chosen:
        first += 1
    for proposal in world.proposals():
        if proposal.slot >= first + world.window_slots:
            yield f"slot {proposal.slot} was proposed while slot {first} was not chosen"


WORLD_LAWS: Mapping[str, WorldLaw] = {
    "agreement": agreement,
    "one value per ballot and slot": one_value,
    "P2c": p2c,
    "what is called chosen is chosen": rightly_told,
    "window": within_window,
}


# ---- laws of a turn --------------------------------------------------------------------------

TurnLaw: TypeAlias = Callable[[State, Turn], Iterator[str]]
"""Gives a sentence for every way in which a turn that began in this state breaks the law."""


def durable_before_told(before: State, turn: Turn) -> Iterator[str]:
    """Rounds, promises and votes are on record when the message that claims them leaves."""
    for disk, letters in ((before.disk, turn.early), (turn.state.disk, turn.late)):
        for letter in letters:
            if not _on_record(letter.message, disk):
                yield f"{type(letter.message).__name__} left before it was on record"


def _on_record(message: Message, disk: MemoryStore) -> bool:
    match message:
        case Prepare(ballot):
            return disk.round() >= ballot.round
        case Promise(ballot):
            return disk.promised() >= ballot
        case Accepted(ballot, slot):
            voted = disk.vote(slot)
            return disk.promised() >= ballot and voted is not None and voted.ballot == ballot
    return True


def promise_never_falls(before: State, turn: Turn) -> Iterator[str]:
    """An acceptor's promise only grows, on record and in mind."""
    if turn.state.disk.promised() < before.disk.promised():
        yield f"the promise on record fell from {before.disk.promised()} to {turn.state.disk.promised()}"
    if turn.state.disk.promised() != getattr(turn.state.agent, "promised", turn.state.disk.promised()):
        yield "the promise in mind is not the one on record"


def votes_as_promised(before: State, turn: Turn) -> Iterator[str]:
    """An acceptor votes in no ballot below its promise, and a vote raises the promise."""
    if copies(before.disk):  # what a new disk takes over of others
        return
    for vote in votes_of(turn.records):
        if vote.ballot < before.disk.promised():
            yield f"a vote in ballot {vote.ballot} after a promise of {before.disk.promised()}"
        if turn.state.disk.promised() < vote.ballot:
            yield f"a vote in ballot {vote.ballot} left the promise at {turn.state.disk.promised()}"


def promise_tells_all(before: State, turn: Turn) -> Iterator[str]:
    """A promise tells every vote on record in its range."""
    for message in (letter.message for letter in (*turn.early, *turn.late)):
        if isinstance(message, Promise):
            for slot in turn.state.disk.voted_slots():
                voted = turn.state.disk.vote(slot)
                told = any(voted is not None and vote == (slot, voted.ballot, voted.value) for vote in message.votes)
                if not told and message.from_slot <= slot and (message.end or slot < message.stop):
                    yield f"the promise of {message.ballot} does not tell the vote in slot {slot}"


def copied_before_voting(before: State, turn: Turn) -> Iterator[str]:
    """A disk that a later decree names speaks in a ballot only once it holds a vote in every slot up to that decree."""
    for message in (letter.message for letter in (*turn.early, *turn.late)):
        named = voter_in(turn.state.disk)
        if isinstance(message, Promise | Accepted) and named is not None and copies(turn.state.disk):
            yield f"{type(message).__name__} of {message.ballot} by a new disk that has not copied yet"
        elif isinstance(message, Promise | Accepted) and named is not None and is_new(turn.state.disk):
            missing = [slot for slot in range(FIRST_SLOT, named.since + 1) if turn.state.disk.vote(slot) is None]
            if missing:
                yield f"{type(message).__name__} of {message.ballot} by a disk that has no vote in {missing}"


def own_ballots(before: State, turn: Turn) -> Iterator[str]:
    """A proposer speaks for its own ballots only."""
    for message in (letter.message for letter in (*turn.early, *turn.late)):
        if isinstance(message, Prepare | Accept | Heartbeat) and message.ballot.proposer != turn.state.agent.node_id:
            yield f"{turn.state.agent.node_id} used ballot {message.ballot}"


TURN_LAWS: Mapping[str, TurnLaw] = {
    "durable before told": durable_before_told,
    "a promise never falls": promise_never_falls,
    "no vote below the promise": votes_as_promised,
    "a promise tells every vote": promise_tells_all,
    "a ballot is its proposer's own": own_ballots,
    "a new disk copies before it votes": copied_before_voting,
}


def votes_of(records: Iterable[Record]) -> Iterator[Vote]:
    """The votes among these records."""
    for record in records:
        if isinstance(record, Voted):
            yield Vote(record.slot, record.ballot, record.value)


# ---- what must have been seen ----------------------------------------------------------------


def duelled(world: Evidence) -> bool:
    """Two proposers have votes in one slot."""
    owners: dict[Slot, set[NodeId]] = defaultdict(set)
    for acceptor in world.acceptors:
        for vote in acceptor.voted:
            owners[vote.slot].add(vote.ballot.proposer)
    return any(len(names) > 1 for names in owners.values())


def _recovered(world: Evidence) -> list[Vote]:
    """Proposals of a value that another proposer proposed in a lower ballot."""
    proposals = list(world.proposals())
    return [
        late
        for late in proposals
        for first in proposals
        if (late.slot, late.value) == (first.slot, first.value)
        and late.ballot > first.ballot
        and late.ballot.proposer != first.ballot.proposer
    ]


def recovered_command(world: Evidence) -> bool:
    """A later leader proposed the command of an earlier one."""
    return any(not is_noop(proposal.value) for proposal in _recovered(world))


def filled_hole(world: Evidence) -> bool:
    """A leader proposed a no-op of its own below a value that it recovered."""
    recovered = _recovered(world)
    invented = [proposal for proposal in world.proposals() if is_noop(proposal.value) and proposal not in recovered]
    return any(noop.ballot == above.ballot and noop.slot < above.slot for noop in invented for above in recovered)


WORLD_MARKS: Mapping[str, Callable[[Evidence], bool]] = {
    "a value was chosen": lambda world: bool(world.chosen()),
    "two ballots duelled": duelled,
    "a value was recovered by a later leader": recovered_command,
    "a hole was filled by a no-op": filled_hole,
}


def refused(before: State, turn: Turn) -> bool:
    """An acceptor refused a ballot below its promise."""
    return any(isinstance(letter.message, Nack) for letter in turn.late)


TURN_MARKS: Mapping[str, Callable[[State, Turn], bool]] = {
    "a lower ballot was refused": refused,
}


def value_text(value: bytes) -> str:
    """A value for the eye: its commands, or the no-op with its stamp."""
    if is_noop(value):
        return f"no-op@{stamp_ms(value)}"
    if is_decree(value):
        return str(decree_of(value))
    return "+".join(batch.body[4 * batch.count :].decode() for batch in batches(value))
