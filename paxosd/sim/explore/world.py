"""One node of a small cluster: everything that can happen to it, run once by the real role and remembered.

Laws:
1. A role is pure: the same state and the same event make the same turn. So each pair is run once, by the production
   driver (see `node.py`), held against the laws of a turn, and its effect used wherever the pair is met again.
2. The same letter, whenever and however often it was sent, is one bit. What a node can send has no other form.
3. What lies beyond the bounds of the configuration does not happen: a campaign in a later round, a command for a later
   slot. What is sent for a later slot is lost.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from paxosd.core.agent import Timer, require
from paxosd.core.messages import (
    Accept,
    Forward,
    ForwardRefused,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
)
from paxosd.core.options import Limits
from paxosd.core.proposer import Proposer
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, SESSION_BYTES, Ballot, NodeId, Vote
from paxosd.core.values import encode_body
from paxosd.sim.explore.laws import Judge, LawBroken, Past, past, votes_of
from paxosd.sim.explore.node import Letter, Player, Post, State, Turn, armed
from paxosd.sim.explore.values import frozen
from paxosd.storage.memory import MemoryStore

GATEWAY: NodeId = "l1"
"""A learner that is told what is chosen, and in whose name commands come. It takes no turns."""

_WITHOUT_EFFECT = (HeartbeatReply, PreVote, ForwardRefused)
"""Never on their way: answers to heartbeats matter to reads and to a leader's patience, which are not explored;
pre-votes are answered at once (see `Seat._campaign`); a refusal goes to a gateway."""

CRASH_BITS = 4
PART_BITS = 24
PART = (1 << PART_BITS) - 1

_PROCESS_ENDS = (AssertionError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

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
    page_bytes_max: int = Limits().page_bytes_max
    """How much of its votes an acceptor tells in one promise; 1: one vote a page."""
    lost: tuple[type, ...] = ()
    """Messages of these types never arrive."""
    timers: frozenset[Timer] = frozenset({Timer.ELECTION, Timer.QUORUM, Timer.HEARTBEAT, Timer.RETRY, Timer.PREPARE})
    """What may become due, at any time."""


WORLDS: Mapping[str, Configuration] = {
    "two slots": Configuration(slots=2, rounds=1, crashes=1),
    "one slot": Configuration(
        slots=1, rounds=2, crashes=0, window_slots=1, lost=(Heartbeat,), timers=frozenset({Timer.ELECTION})
    ),
}
"""Two small worlds, by name: in one two proposers duel for two slots, and a node may crash; in the other little
happens, but a proposer may come back after another one led."""


class FromOutside(Enum):
    """What comes from outside."""

    SUBMIT = auto()
    """A gateway forwards the command that belongs to this proposer."""
    KILL = auto()
    """The process ends, and starts again from its records."""


Event: TypeAlias = int | Timer | FromOutside
"""What makes a node take a turn: a letter arrives, by its number; a timer is due; or an order."""


class BrokenTurn(LawBroken):
    """A law does not hold in a turn: this event, at this node, in this state."""

    def __init__(self, broken: LawBroken, seat: Seat, state: int, event: Event) -> None:
        super().__init__(broken.law, broken.sentence)
        self.seat = seat
        self.state = state
        self.event = event


class Effect(NamedTuple):
    """What one event does to a node in one state."""

    turn: Turn
    state: int
    said: int
    """The letters that were sent, as bits."""
    voted: frozenset[Vote]
    is_answer: bool
    """Nothing changed, and nothing was sent but an answer to whom the letter came from (or a repetition, if a timer
    was due): the node is free to do it again, and will not have lost anything by having done it."""


class Part(NamedTuple):
    """A node as a world knows it: its state; as bits the letters that it ever sent; its durable votes of all time."""

    state: int
    said: int
    voted: frozenset[Vote]


class NumberedRows(Generic[Row]):
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


class Sent(NamedTuple):
    """A letter, who sent it, and the frame in which it arrives."""

    source: NodeId
    letter: Letter
    frame: bytes


class Letters:
    """Every letter that was ever sent by anybody, each once, with a number."""

    def __init__(self, configuration: Configuration, post: Post) -> None:
        self.table: NumberedRows[Sent] = NumberedRows()
        self.arriving: dict[NodeId, int] = {}
        """The letters that can arrive at each node, as bits."""
        self.post = post
        self._slots = configuration.slots
        self._dropped = (*_WITHOUT_EFFECT, *configuration.lost)

    def bits(self, source: NodeId, letters: Iterable[Letter]) -> int:
        """These letters as bits; those of which nothing can come are left out."""
        mask = 0
        for target, message in letters:
            if not isinstance(message, self._dropped):
                carried = replace(message, sequence=0) if isinstance(message, Heartbeat) else message
                mask |= 1 << self._number(source, Letter(target, carried))
        return mask

    def _number(self, source: NodeId, letter: Letter) -> int:
        known = len(self.table.rows)
        number = self.table.number((source, letter), Sent(source, letter, b""))
        if number == known:
            self.table.rows[number] = Sent(source, letter, self.post.frame(source, letter.message))
            if not (isinstance(letter.message, Accept) and letter.message.slot > self._slots):
                self.arriving[letter.target] = self.arriving.get(letter.target, 0) | 1 << number
        return number

    def of(self, mask: int) -> Iterator[Letter]:
        """The letters that these bits stand for."""
        return (self.table.rows[bit].letter for bit in bits(mask))


class Seat:
    """Everything that was found out about one node so far."""

    def __init__(
        self, index: int, player: Player, letters: Letters, configuration: Configuration, judge: Judge
    ) -> None:
        self.index = index
        self.node = player.node
        self.player = player
        self.states: NumberedRows[State] = NumberedRows()
        self.parts: NumberedRows[Part] = NumberedRows()
        self.heard: list[dict[int, Effect]] = []
        """By state, what the letters tried so far do to it."""
        self.deaf_to: list[int] = []
        """By state, the letters known to do nothing to it, as bits."""
        self.pasts: NumberedRows[Past] = NumberedRows()
        self.past_of: list[int] = []
        """By part, the number of its past."""
        self._own: dict[int, tuple[tuple[Event, Effect], ...]] = {}
        self.shift = CRASH_BITS + PART_BITS * index
        self._lives: dict[object, int] = {}
        """The states in which lives begin, by what they find on their disk."""
        self._letters = letters
        self._configuration = configuration
        self._judge = judge

    # ---- states and parts ----

    def part_of(self, world: int) -> int:
        """The number of this node's part in a world."""
        return world >> self.shift & PART

    def start(self, disk: MemoryStore) -> int:
        """The state in which a life over these records begins."""
        records = frozen(disk)
        if records not in self._lives:
            self._lives[records] = self.number(self.live(disk))
        return self._lives[records]

    def live(self, disk: MemoryStore) -> State:
        """The real role, started over these records."""
        try:
            return self.player.start(disk)
        except _PROCESS_ENDS as error:
            raise LawBroken("a node goes on", f"{self.node} cannot start again: {error!r}") from error

    def number(self, state: State) -> int:
        """The number of this state."""
        number = self.states.number(state.identity, state)
        if number == len(self.heard):
            self.heard.append({})
            self.deaf_to.append(0)
        return number

    def part(self, state: int, said: int, voted: frozenset[Vote]) -> int:
        """The number of this part."""
        part = Part(state, said, voted)
        number = self.parts.number(part, part)
        require(number <= PART, f"{self.node} has more parts than a world has room for")
        if number == len(self.past_of):
            known = past(self._letters.of(said), voted)
            self.past_of.append(self.pasts.number(known, known))
        return number

    # ---- turns ----

    def effects(self, state: int, inbox: int) -> Iterator[tuple[Event, Effect]]:
        """What this node can do in this state, by itself or at the word of these letters."""
        yield from self.own_effects(state)
        heard = self.heard[state]
        live = inbox & ~self.deaf_to[state]
        while live:
            low = live & -live
            live ^= low
            letter = low.bit_length() - 1
            effect = heard.get(letter) or self._hear(state, letter)
            if effect is not None:
                yield letter, effect

    def own_effects(self, state: int) -> tuple[tuple[Event, Effect], ...]:
        """What this node can do in this state by itself."""
        if state not in self._own:
            self._own[state] = tuple(self._try_own(state))
        return self._own[state]

    def _try_own(self, number: int) -> Iterator[tuple[Event, Effect]]:
        state = self.states.rows[number]
        events: list[Event] = [timer for timer in armed(state) if timer in self._configuration.timers]
        if isinstance(state.agent, Proposer) and state.agent.leading:
            events.append(FromOutside.SUBMIT)
        for event in events:
            effect = self._try(number, event, None)
            if effect is not None:
                yield event, effect

    def _hear(self, number: int, letter: int) -> Effect | None:
        """Try a letter for the first time; None if it does nothing."""
        effect = self._try(number, letter, self._letters.table.rows[letter].source)
        assert effect is not None
        if effect.state == number and not effect.said and not effect.turn.records:
            self.deaf_to[number] |= 1 << letter
            return None
        self.heard[number][letter] = effect
        return effect

    def _try(self, number: int, event: Event, asked_by: NodeId | None) -> Effect | None:
        before = self.states.rows[number]
        try:
            turn = self.turn(before, event)
            if turn is None:
                return None
            self._judge.turn(before, turn)
        except LawBroken as broken:
            raise BrokenTurn(broken, self, number, event) from broken
        state = self.number(turn.state)
        sent = turn.early + turn.late
        to_asker = asked_by is None or all(letter.target == asked_by for letter in sent)
        is_answer = state == number and to_asker
        return Effect(turn, state, self._letters.bits(self.node, sent), frozenset(votes_of(turn.records)), is_answer)

    def turn(self, state: State, event: Event) -> Turn | None:
        """What this event does to the real role; None if it is beyond the bounds of the world."""
        try:
            match event:
                case int():
                    return self.player.receive(state, self._letters.table.rows[event].frame)
                case Timer.ELECTION:
                    return self._campaign(state)
                case Timer():
                    return self.player.fire(state, event)
                case _:
                    return self._submit(state)
        except _PROCESS_ENDS as error:
            raise LawBroken("a node goes on", f"{self.node} ends its process: {error!r}") from error

    def _campaign(self, state: State) -> Turn | None:
        """Canvass, and be answered by everybody as if nothing had ever happened."""
        canvassing = self.player.fire(state, Timer.ELECTION).state
        ballot = _ballot_of(canvassing)
        yes = [(voter.node, voter.disk) for voter in canvassing.agent.voters.named]
        frames = [
            self._letters.post.frame(node, PreVoteReply(ballot, True, NO_BALLOT, FIRST_SLOT, disk))
            for node, disk in yes
        ]
        turn = self.player.receive(canvassing, *frames)
        return turn if _ballot_of(turn.state).round <= self._configuration.rounds else None

    def _submit(self, state: State) -> Turn | None:
        """A command is forwarded, unless it would get a slot that is not explored."""
        body = encode_body([command_of(self.node)])
        forward = Forward(bytes([self.index + 1]) * SESSION_BYTES, 1, 1, 1, 1, body)
        turn = self.player.receive(state, self._letters.post.frame(GATEWAY, forward))
        slots = [letter.message.slot for letter in turn.early if isinstance(letter.message, Accept)]
        return turn if max(slots, default=0) <= self._configuration.slots else None


def _ballot_of(state: State) -> Ballot:
    assert isinstance(state.agent, Proposer)
    return state.agent.ballot


def command_of(proposer: NodeId) -> bytes:
    """The one command that this proposer may be asked for."""
    return f"x{proposer[1:]}".encode()


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
