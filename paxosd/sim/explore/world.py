"""One node of a small cluster: everything that can happen to it, run once by the real role and remembered.

Laws:
1. A role is pure: the same state and the same event make the same turn. So each pair is run once, by the production
   driver (see `node.py`), held against the laws of a turn, and its effect used wherever the pair is met again.
2. The same letter, whenever and however often it was sent, is one bit. What a node can send has no other form.
3. What lies beyond the bounds of the configuration does not happen: a campaign in a later round, a command for a later
   slot. What is sent for a later slot is lost.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from paxosd.core.agent import Timer, require
from paxosd.core.messages import (
    Accept,
    Forward,
    ForwardRefused,
    Heartbeat,
    HeartbeatReply,
    Message,
    Prepare,
    PreVote,
    PreVoteReply,
)
from paxosd.core.plausible import ROUND_MAX
from paxosd.core.proposer import Proposer
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, SESSION_BYTES, Ballot, NodeId
from paxosd.core.values import encode_body
from paxosd.sim.explore.bounds import Configuration, FromOutside
from paxosd.sim.explore.laws import Cast, Judge, LawBroken, Past, past, votes_of
from paxosd.sim.explore.node import DISKS_OF_A_NODE, Letter, Player, Post, State, Turn, armed, disk_in
from paxosd.sim.explore.values import frozen
from paxosd.storage.memory import MemoryStore

GATEWAY: NodeId = "l1"
"""A learner that is told what is chosen, and in whose name commands come. It takes no turns."""

_WITHOUT_EFFECT = (PreVote, ForwardRefused)
"""Never on their way: pre-votes are answered at once (see `Seat._campaign`); a refusal goes to a gateway. Neither are
answers to heartbeats, but those of guests: they matter to reads and to a leader's patience, which are not explored."""

CRASH_BITS = 4
WIPE = 1 << 2
"""What one wipe adds to a world, above the number of its crashes."""
PART_BITS = 24
PART = (1 << PART_BITS) - 1

_PROCESS_ENDS = (AssertionError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

Row = TypeVar("Row")


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
    voted: frozenset[Cast]
    is_answer: bool
    """Nothing changed, and nothing was sent but an answer to whom the letter came from (or a repetition, if a timer
    was due): the node is free to do it again, and will not have lost anything by having done it."""


class Part(NamedTuple):
    """A node as a world knows it: its state; as bits the letters that it ever sent; its durable votes of all time."""

    state: int
    said: int
    voted: frozenset[Cast]


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
        self._rounds = configuration.rounds if configuration.is_about_voters else ROUND_MAX
        self._wipes = configuration.wipes
        self._dropped = (*_WITHOUT_EFFECT, *configuration.lost)

    def bits(self, source: NodeId, letters: Iterable[Letter]) -> int:
        """These letters as bits; those of which nothing can come are left out."""
        mask = 0
        for target, message in letters:
            if not isinstance(message, self._dropped) and not self._is_idle(message):
                mask |= 1 << self._number(source, Letter(target, _carried(message)))
        return mask

    def _number(self, source: NodeId, letter: Letter) -> int:
        known = len(self.table.rows)
        number = self.table.number((source, letter), Sent(source, letter, b""))
        if number == known:
            self.table.rows[number] = Sent(source, letter, self.post.frame(source, letter.message))
            if not self._is_lost(letter.message):
                self.arriving[letter.target] = self.arriving.get(letter.target, 0) | 1 << number
        return number

    def _is_lost(self, message: Message) -> bool:
        """What is about a slot or a ballot that is not explored."""
        if isinstance(message, Prepare) and message.ballot.round > self._rounds:
            return True
        return isinstance(message, Accept) and message.slot > self._slots

    def _is_idle(self, message: Message) -> bool:
        """Answers to heartbeats count only where they tell of a guest."""
        return isinstance(message, HeartbeatReply) and (self._wipes == 0 or message.disk & DISKS_OF_A_NODE == 0)

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

    def part(self, state: int, said: int, voted: frozenset[Cast]) -> int:
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
        if isinstance(state.agent, Proposer) and state.agent.leading and self.node in self._configuration.submits:
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
        casts = frozenset(Cast(disk_in(turn.state.disk), vote) for vote in votes_of(turn.records))
        return Effect(turn, state, self._letters.bits(self.node, sent), casts, is_answer)

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
        named = [(voter.node, voter.disk) for voter in canvassing.agent.voters.named]
        yes = named or [(node, DISKS_OF_A_NODE) for node in self.player.acceptors]
        frames = [
            self._letters.post.frame(node, PreVoteReply(ballot, True, NO_BALLOT, FIRST_SLOT, disk))
            for node, disk in yes
        ]
        turn = self.player.receive(canvassing, *frames)
        return turn if _ballot_of(turn.state).round <= self._configuration.last_round(self.node) else None

    def _submit(self, state: State) -> Turn | None:
        """A command is forwarded, unless it would get a slot that is not explored."""
        body = encode_body([command_of(self.node)])
        forward = Forward(bytes([self.index + 1]) * SESSION_BYTES, 1, 1, 1, 1, body)
        turn = self.player.receive(state, self._letters.post.frame(GATEWAY, forward))
        slots = [letter.message.slot for letter in turn.early if isinstance(letter.message, Accept)]
        return turn if max(slots, default=0) <= self._configuration.slots else None


def _carried(message: Message) -> Message:
    """Without what only counts where nothing is explored."""
    if isinstance(message, Heartbeat):
        return replace(message, sequence=0)
    return replace(message, sequence=0, commits=0) if isinstance(message, HeartbeatReply) else message


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
