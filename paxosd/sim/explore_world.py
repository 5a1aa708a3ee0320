"""All worlds of a small cluster, as numbers: what each node can do next, run once and remembered.

A world is one *part* per node, and the number of crashes so far. A part is what a node is and what it ever did: its
state, the messages that it ever sent, the votes that it ever made durable. The network needs no state of its own: what
was sent can be delivered from then on, at any time, any number of times, or never. That is delay, reordering,
duplication and loss.

Laws:
1. A role is pure: the same state and the same message make the same turn. So each such pair is run once, by the
   production driver (see `explore_node.py`), and every world that meets it again uses the result.
2. Nodes meet by messages alone: what one can do with what another sent depends on their two parts and on nothing else.
   So each pair of parts is looked at once.
3. A node that is down does nothing, and so does one whose messages are late: a crash and the start of the next life
   are one step.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from paxosd.core.agent import Timer
from paxosd.core.membership import Membership, Role
from paxosd.core.messages import (
    Accept,
    Forward,
    ForwardRefused,
    Heartbeat,
    HeartbeatReply,
    Prepare,
    PreVote,
    PreVoteReply,
)
from paxosd.core.options import Limits
from paxosd.core.proposer import Proposer
from paxosd.core.quorum import Quorum
from paxosd.core.records import Record
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, NodeId, Vote
from paxosd.core.values import encode_body
from paxosd.sim.explore_laws import Judge, LawBroken, Past, past, votes_of
from paxosd.sim.explore_node import Letter, Player, Post, State, Turn, armed
from paxosd.storage.memory import MemoryStore

GATEWAY: NodeId = "l1"
"""A learner that is told what is chosen, and in whose name commands come. It takes no turns."""

CRASH_BITS = 4
PART_BITS = 24

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Configuration:
    """How small the world is; everything in it is explored. Slots and rounds count from 1."""

    acceptors: int = 3
    proposers: int = 2
    slots: int = 2
    """Accepts of later slots are lost."""
    rounds: int = 2
    """No proposer campaigns in a later round."""
    crashes: int = 1
    """Of any nodes, at any point of any turn and between turns."""
    window_slots: int = 2
    lost: tuple[type, ...] = ()
    """Messages of these types never arrive."""
    timers: frozenset[Timer] = frozenset({Timer.ELECTION, Timer.QUORUM, Timer.HEARTBEAT, Timer.RETRY, Timer.PREPARE})
    """What may become due, at any time."""


class Deliver(NamedTuple):
    """A letter arrives, by the index of its sender and its number among what that one ever sent."""

    sender: int
    letter: int


class Fire(NamedTuple):
    """A timer is due."""

    timer: Timer


class Submit(NamedTuple):
    """A gateway forwards the command that belongs to this proposer."""


class Idle(NamedTuple):
    """Nothing happens; a crash between two turns interrupts it."""


Event: TypeAlias = Deliver | Fire | Submit | Idle


class Crash(Enum):
    """Where in a turn a node ends, to start its next life."""

    NONE = "none"
    BEFORE_COMMIT = "before the commit"
    AFTER_COMMIT = "after the commit"


class Step(NamedTuple):
    """What one node does next."""

    node: int
    event: Event
    crash: Crash = Crash.NONE


class Part(NamedTuple):
    """A node as a world knows it: its state; as bits the letters that it ever sent; its durable votes of all time."""

    state: int
    said: int
    voted: frozenset[Vote]


class Moves(NamedTuple):
    """Differences between a world and the next ones: those in which no law needs to be asked, and the others."""

    quiet: tuple[int, ...]
    loud: tuple[int, ...]


class Table(Generic[Row]):
    """Rows with numbers, each row once."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable, row: Row) -> int:
        """The number of the row with this key; it is added if there is none."""
        found = self._numbers.setdefault(key, len(self.rows))
        if found == len(self.rows):
            self.rows.append(row)
        return found


class Seat:
    """Everything that was found out about one node."""

    def __init__(self, index: int, player: Player) -> None:
        self.index = index
        self.node = player.node
        self.player = player
        self.states: Table[State] = Table()
        self.letters: Table[Letter] = Table()
        self.frames: list[bytes] = []
        self.bits_to: dict[NodeId, int] = {}  # which letters can arrive, by target
        self.parts: Table[Part] = Table()
        self.pasts: list[int] = []  # by part
        self.turns: dict[tuple[int, Event], Turn | None] = {}
        self.shift = CRASH_BITS + PART_BITS * index

    def part_of(self, world: int) -> int:
        """The number of this node's part in a world."""
        return world >> self.shift & (1 << PART_BITS) - 1

    def state_in(self, world: int) -> State:
        return self.states.rows[self.parts.rows[self.part_of(world)].state]


class Worlds:
    """The rules by which one world follows another."""

    def __init__(self, configuration: Configuration, judge: Judge) -> None:
        self.configuration = configuration
        self.judge = judge
        self.step = Step(0, Idle())  # the one that is looked at
        proposers = [f"p{number}" for number in range(1, configuration.proposers + 1)]
        acceptors = [f"a{number}" for number in range(1, configuration.acceptors + 1)]
        roles = dict.fromkeys(proposers, Role.PROPOSER) | dict.fromkeys(acceptors, Role.ACCEPTOR)
        membership = Membership(roles | {GATEWAY: Role.LEARNER}, Quorum.majority(dict.fromkeys(acceptors, 1)))
        limits = Limits(window_slots_max=configuration.window_slots)
        self._post = Post(membership.nodes)
        self._pasts: Table[Past] = Table()
        self._judged: set[tuple[int, ...]] = set()
        self.seats = [
            Seat(index, Player(node, membership, limits, float(index + 1), self._post))
            for index, node in enumerate(roles)
        ]
        self.proposers, self.acceptors = self.seats[: len(proposers)], self.seats[len(proposers) :]

    def first(self) -> int:
        """The world in which nobody has done anything."""
        world = 0
        for seat in self.seats:
            nothing = Part(0, 0, frozenset())
            world += self._part(seat, nothing, seat.player.start(MemoryStore()), (), ()) << seat.shift
        return world

    def links(self) -> Iterator[tuple[Seat, Seat | None]]:
        """Who can move at the word of whom; None: of its own accord."""
        for seat in self.seats:
            yield seat, None
            yield from ((seat, other) for other in self.seats if other is not seat and self._hears(seat, other))

    def _hears(self, seat: Seat, other: Seat) -> bool:
        return seat in self.proposers or other in self.proposers

    # ---- one world after another ----

    def moves(self, seat: Seat, other: Seat | None, world: int, crashing: bool) -> Moves:
        """What this node's part can become, by itself (`other` is None) or by what the other one ever sent."""
        here = seat.part_of(world)
        quiet: dict[int, None] = {}
        loud: dict[int, None] = {}
        for step in self.steps(seat, other, world, crashing):
            part = self.after(seat, here, step)
            if part != here:
                kind = quiet if seat.pasts[part] == seat.pasts[here] else loud
                kind[(part - here << seat.shift) + crashing] = None
        return Moves(tuple(quiet), tuple(loud))

    def steps(self, seat: Seat, other: Seat | None, world: int, crashing: bool) -> Iterator[Step]:
        """Everything to be tried for `moves`."""
        if other is None:
            events = self._own_events(seat.state_in(world))
        else:
            sent = other.parts.rows[other.part_of(world)].said & other.bits_to.get(seat.node, 0)
            events = (Deliver(other.index, bit) for bit in _bits(sent))
        for event in events:
            if not crashing:
                yield Step(seat.index, event)
            else:
                yield Step(seat.index, event, Crash.BEFORE_COMMIT)
                yield Step(seat.index, event, Crash.AFTER_COMMIT)
        if crashing and other is None:
            yield Step(seat.index, Idle(), Crash.AFTER_COMMIT)

    def _own_events(self, state: State) -> Iterator[Event]:
        yield from (Fire(t) for t in armed(state) if t in self.configuration.timers)
        if isinstance(state.agent, Proposer) and state.agent.leading:
            yield Submit()

    def after(self, seat: Seat, here: int, step: Step) -> int:
        """The part that this step makes of this one; the same one if it changes nothing."""
        self.step = step
        part = seat.parts.rows[here]
        if isinstance(step.event, Idle):
            return self._part(seat, part, seat.player.start(seat.states.rows[part.state].disk), (), ())
        turn = self._turn(seat, part.state, step.event)
        if turn is None:
            return here
        if step.event == Fire(Timer.ELECTION):
            self._judge_new_ballot(seat, part, turn)
        if step.crash is Crash.NONE:
            return self._part(seat, part, turn.state, turn.early + turn.late, turn.records)
        if step.crash is Crash.BEFORE_COMMIT and turn.records and turn.early:
            return self._part(seat, part, seat.player.start(seat.states.rows[part.state].disk), turn.early, ())
        if step.crash is Crash.AFTER_COMMIT and turn.records and turn.late:
            return self._part(seat, part, seat.player.start(turn.state.disk), turn.early, turn.records)
        return here  # as good as a crash between two turns

    def check(self, world: int) -> None:
        """Hold this world against the laws; raises `LawBroken`."""
        key = tuple(seat.pasts[seat.part_of(world)] for seat in self.seats)
        if key not in self._judged:
            self._judged.add(key)
            self._judge(key)

    def check_again(self, world: int) -> None:
        """The same, even if an equal world was looked at before."""
        self._judge(tuple(seat.pasts[seat.part_of(world)] for seat in self.seats))

    def _judge(self, key: tuple[int, ...]) -> None:
        pasts = [self._pasts.rows[number] for number in key]
        self.judge.world(pasts[len(self.proposers) :], pasts[: len(self.proposers)])

    def describe(self, step: Step) -> str:
        """A step for the eye."""
        seat = self.seats[step.node]
        match step.event:
            case Deliver(sender, letter):
                source = self.seats[sender]
                text = f"{seat.node} receives {source.letters.rows[letter].message} from {source.node}"
            case Fire(timer):
                text = f"{seat.node}: {timer.name} is due"
            case Submit():
                text = f"{seat.node} is forwarded its command"
            case _:
                text = f"{seat.node} is killed"
        return text if step.crash is Crash.NONE else f"{text}; it ends {step.crash.value} and starts again"

    # ---- one node ----

    def _part(self, seat: Seat, part: Part, state: State, said: Iterable[Letter], records: Iterable[Record]) -> int:
        """The number of what a part becomes, in this state, when this was said and this was made durable."""
        bits = part.said
        for letter in said:
            bits |= self._bit(seat, letter)
        became = Part(seat.states.number(state.identity, state), bits, part.voted.union(votes_of(records)))
        number = seat.parts.number(became, became)
        if number == len(seat.pasts):
            known = past((seat.letters.rows[bit] for bit in _bits(bits)), became.voted)
            seat.pasts.append(self._pasts.number(known, known))
        return number

    def _bit(self, seat: Seat, letter: Letter) -> int:
        """The letter as a bit among all that this node ever sent; 0 if nothing can come of it."""
        message = letter.message
        if isinstance(message, (*_WITHOUT_EFFECT, *self.configuration.lost)):
            return 0
        if isinstance(message, Heartbeat):
            message = replace(message, sequence=0)
        letter = Letter(letter.target, message)
        number = seat.letters.number(letter, letter)
        if number == len(seat.frames):
            seat.frames.append(self._post.frame(seat.node, message))
            if not (isinstance(message, Accept) and message.slot > self.configuration.slots):
                seat.bits_to[letter.target] = seat.bits_to.get(letter.target, 0) | 1 << number
        return 1 << number

    def _turn(self, seat: Seat, state: int, event: Event) -> Turn | None:
        """What this event does to a node in this state; None if it is beyond the bounds of the world."""
        key = (state, event)
        if key not in seat.turns:
            before = seat.states.rows[state]
            turn = seat.turns[key] = self._take_turn(seat, before, event)
            if turn is not None:
                self.judge.turn(before, turn)
        return seat.turns[key]

    def _take_turn(self, seat: Seat, state: State, event: Event) -> Turn | None:
        match event:
            case Deliver(sender, letter):
                return seat.player.receive(state, self.seats[sender].frames[letter])
            case Fire(Timer.ELECTION):
                return self._campaign(seat, state)
            case Fire(timer):
                return seat.player.fire(state, timer)
            case _:
                return self._submit(seat, state)

    def _campaign(self, seat: Seat, state: State) -> Turn | None:
        """Canvass, and be answered by everybody as if nothing had ever happened."""
        canvassing = seat.player.fire(state, Timer.ELECTION).state
        yes = PreVoteReply(_ballot_of(canvassing), True, NO_BALLOT, FIRST_SLOT)
        turn = seat.player.receive(canvassing, *(self._post.frame(other.node, yes) for other in self.acceptors))
        return turn if _ballot_of(turn.state).round <= self.configuration.rounds else None

    def _submit(self, seat: Seat, state: State) -> Turn | None:
        """A command is forwarded, unless it would get a slot that is not explored."""
        body = encode_body([command_of(seat.node)])
        turn = seat.player.receive(state, self._post.frame(GATEWAY, Forward(seat.index + 1, 1, 1, 1, 1, body)))
        slots = [letter.message.slot for letter in turn.early if isinstance(letter.message, Accept)]
        return turn if max(slots, default=0) <= self.configuration.slots else None

    def _judge_new_ballot(self, seat: Seat, part: Part, turn: Turn) -> None:
        """A campaign uses a ballot in which this node never prepared, in no life."""
        used = {
            message.ballot for bit in _bits(part.said) if isinstance(message := seat.letters.rows[bit].message, Prepare)
        }
        for letter in turn.early + turn.late:
            if isinstance(letter.message, Prepare) and letter.message.ballot in used:
                raise LawBroken("ballots are not used again", f"{seat.node} prepares {letter.message.ballot} once more")


_WITHOUT_EFFECT = (HeartbeatReply, PreVote, ForwardRefused)


def _ballot_of(state: State) -> Ballot:
    assert isinstance(state.agent, Proposer)
    return state.agent.ballot


def command_of(proposer: NodeId) -> bytes:
    """The one command that this proposer may be asked for."""
    return f"x{proposer[1:]}".encode()


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
