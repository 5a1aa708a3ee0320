"""How one world follows another.

A world is one *part* per node and the number of crashes so far, packed into one integer. A part is what a node is and
what it ever did: its state, the letters that it ever sent, the votes that it ever made durable. The network needs no
state of its own: what was sent can be delivered from then on, at any time, any number of times, or never. That is
delay, reordering, duplication and loss.

Nodes meet by letters alone, and a letter stays. So what one node does never takes anything from another, and turns of
different nodes can change places. That makes most interleavings as good as others; of those that are, one is walked:

Laws:
1. A turn that sends nothing new and records nothing is put off until a turn of the same node that does. Nobody can
   tell when it happened, and in a crash it is as if it had not.
2. A turn that changes nothing, and only answers the sender of a letter (or repeats what a timer repeats), is taken at
   once: all that could happen before it can happen after it too.
3. A node that is down does nothing, and so does one whose letters are late: a crash and the start of the next life are
   one step. A turn can be cut short after its early letters, and after its commit.
4. A disk is lost between two turns. In the middle of one would be the same: what the commit held is gone with it, and
   what the turn sent may be late for ever.

Both reductions are judged by what the real turns did, and by nothing that the roles are believed to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, TypeAlias

from paxosd.core.agent import Timer, require
from paxosd.core.membership import Membership, Role
from paxosd.core.messages import Prepare
from paxosd.core.options import Limits
from paxosd.core.quorum import Quorum
from paxosd.core.types import NodeId
from paxosd.sim.explore.bounds import Configuration, FromOutside
from paxosd.sim.explore.laws import Cast, Judge, LawBroken
from paxosd.sim.explore.node import Player, Post
from paxosd.sim.explore.world import (
    CRASH_BITS,
    GATEWAY,
    PART,
    WIPE,
    BrokenTurn,
    Effect,
    Event,
    Letters,
    Part,
    Seat,
)
from paxosd.storage.memory import MemoryStore

_CRASHES = WIPE - 1
_WIPES = (1 << CRASH_BITS) - WIPE

Reached: TypeAlias = dict[int, tuple[int, Event] | None]
"""States that were reached in silence, with the state and the event before each."""


class Crash(Enum):
    """Where in a turn a node ends, to start its next life."""

    NONE = "none"
    BEFORE_COMMIT = "before the commit"
    AFTER_COMMIT = "after the commit"


class Happening(NamedTuple):
    """An event at a node in this state; the node ends in that turn, or does not."""

    seat: Seat
    state: int
    event: Event
    crash: Crash = Crash.NONE

    @property
    def ends(self) -> bool:
        return self.event in (FromOutside.KILL, FromOutside.WIPE) or self.crash is not Crash.NONE

    @property
    def cost(self) -> int:
        """What it adds to the crashes and wipes of a world."""
        return WIPE if self.event is FromOutside.WIPE else int(self.ends)


class Way(NamedTuple):
    """What has to happen, in a state reached in silence, and what the part becomes then."""

    happening: Happening
    part: int


class _Node(NamedTuple):
    """A node in a world: its part, and the letters that can arrive."""

    seat: Seat
    part: Part
    inbox: int


class Move(NamedTuple):
    """A step to the next world."""

    step: int
    """The difference between the two worlds, but for what others answer."""
    asks: tuple[tuple[Seat, int], ...]
    """Who was sent something new, and which letters."""
    tells: bool
    """Whether the laws have to be asked again."""
    happening: Happening


class Worlds:
    """The rules by which one world follows another."""

    def __init__(self, configuration: Configuration, judge: Judge) -> None:
        most = max(configuration.crashes, configuration.wipes)
        require(most <= _CRASHES, f"a world counts up to {_CRASHES} crashes, and as many wipes")
        proposers = [f"p{number}" for number in range(1, configuration.proposers + 1)]
        acceptors = [f"a{number}" for number in range(1, configuration.acceptors + 1)]
        roles = dict.fromkeys(proposers, Role.PROPOSER) | dict.fromkeys(acceptors, Role.ACCEPTOR)
        membership = Membership(roles | {GATEWAY: Role.LEARNER}, Quorum.majority(dict.fromkeys(acceptors, 1)))
        limits = Limits(window_slots_max=configuration.window_slots, page_bytes_max=configuration.page_bytes_max)
        post = Post(membership.nodes)
        self.letters = Letters(configuration, post)
        self.seats = [
            Seat(
                index,
                Player(node, membership, limits, float(index + 1), post, configuration.unborn),
                self.letters,
                configuration,
                judge,
            )
            for index, node in enumerate(roles)
        ]
        self.answering: Move | None = None  # whose letters are answered just now
        self.happening: Happening | None = None  # what is followed up just now
        self._crashes_max = configuration.crashes
        self._wipes_max = configuration.wipes
        self._opening = configuration.opening
        self._proposers = configuration.proposers
        self._judge = judge
        self._judged: set[tuple[int, ...]] = set()
        # What was found out, by seat; then by part, letters that can arrive and whether a crash or a wipe may come,
        self._moves: list[dict[tuple[int, int, bool, bool], tuple[Move, ...]]] = [{} for _ in self.seats]
        # by state and letters that can arrive,
        self._answers: list[dict[tuple[int, int], int]] = [{} for _ in self.seats]
        # and by part and letters that did arrive.
        self._replies: list[dict[tuple[int, int], int]] = [{} for _ in self.seats]

    def first(self) -> int:
        """The world in which nobody has done anything."""
        return sum(seat.part(seat.start(seat.player.disk()), 0, frozenset()) << seat.shift for seat in self.seats)

    def opening(self) -> Iterator[int]:
        """The first world, and those that the opening leads to, one after the other."""
        world = self.first()
        yield world
        for node, what, source in self._opening:
            found = [move for move in self.moves(world) if self._is(move.happening, node, what, source)]
            require(bool(found), f"{node} cannot open with {what} {source}")
            world = self.take(world, found[-1])
            yield world

    def _is(self, happening: Happening, node: NodeId, what: type | Timer | FromOutside, source: NodeId) -> bool:
        if happening.seat.node != node or happening.crash is not Crash.NONE:
            return False
        if not isinstance(happening.event, int):
            return happening.event is what
        sent = self.letters.table.rows[happening.event]
        is_it = isinstance(what, type) and isinstance(sent.letter.message, what)
        return is_it and source in (sent.source, "")

    def check(self, world: int) -> None:
        """Hold this world against the laws; raises `LawBroken`."""
        key = tuple(seat.past_of[seat.part_of(world)] for seat in self.seats)
        if key not in self._judged:
            self._judged.add(key)
            pasts = [seat.pasts.rows[number] for seat, number in zip(self.seats, key, strict=True)]
            self._judge.world(pasts[self._proposers :], pasts[: self._proposers])

    # ---- steps ----

    def moves(self, world: int) -> Iterator[Move]:
        """Every step that can be taken in this world."""
        may_crash = world & _CRASHES < self._crashes_max
        may_wipe = world & _WIPES < self._wipes_max * WIPE
        numbers = [world >> seat.shift & PART for seat in self.seats]
        said = 0
        for seat, number in zip(self.seats, numbers, strict=True):
            said |= seat.parts.rows[number].said
        for seat, number in zip(self.seats, numbers, strict=True):
            key = number, said & self.letters.arriving.get(seat.node, 0), may_crash, may_wipe and seat is self.seats[-1]
            moves = self._moves[seat.index].get(key)
            if moves is None:
                moves = self._moves[seat.index][key] = self._look(seat, *key)
            yield from moves

    def take(self, world: int, move: Move) -> int:
        """The world after this step, with all that it makes others answer."""
        after = world + move.step
        for seat, asked in move.asks:
            key = world >> seat.shift & PART, asked
            step = self._replies[seat.index].get(key)
            if step is None:
                self.answering = move
                step = self._replies[seat.index][key] = self._reply(seat, *key)
                self.answering = None
            after += step
        return after

    def _look(self, seat: Seat, number: int, inbox: int, may_crash: bool, may_wipe: bool) -> tuple[Move, ...]:
        moves = {way.part: self._move(number, way) for way in self.ways(seat, number, inbox, False)}
        if may_crash:
            for way in self.ways(seat, number, inbox, True):
                if way.part not in moves:  # without a crash is better: one is left to come
                    moves[way.part] = self._move(number, way)
        if may_wipe:
            way = self._wiped(seat, number, inbox)
            moves.setdefault(way.part, self._move(number, way))
        moves.pop(number, None)
        return tuple(moves.values())

    def _move(self, number: int, way: Way) -> Move:
        seat = way.happening.seat
        new = seat.parts.rows[way.part].said & ~seat.parts.rows[number].said
        asks = [(other, new & self.letters.arriving.get(other.node, 0)) for other in self.seats]
        return Move(
            (way.part - number << seat.shift) + way.happening.cost,
            tuple((other, asked) for other, asked in asks if asked),
            seat.past_of[way.part] != seat.past_of[number],
            way.happening,
        )

    def _reply(self, seat: Seat, number: int, asked: int) -> int:
        part = seat.parts.rows[number]
        answered = seat.part(part.state, part.said | self.answers(seat, part.state, asked), part.voted)
        return answered - number << seat.shift

    def inbox(self, world: int, seat: Seat) -> int:
        """The letters that can arrive at this node, as bits."""
        said = 0
        for other in self.seats:
            said |= other.parts.rows[other.part_of(world)].said
        return said & self.letters.arriving.get(seat.node, 0)

    # ---- what one node can do ----

    def answers(self, seat: Seat, state: int, inbox: int) -> int:
        """Everything that this node can say in this state without changing, as bits (law 2)."""
        known = self._answers[seat.index]
        if (state, inbox) not in known:
            said = 0
            for _, effect in seat.effects(state, inbox):
                if effect.is_answer:
                    said |= effect.said
            known[state, inbox] = said
        return known[state, inbox]

    def ways(
        self, seat: Seat, number: int, inbox: int, crashing: bool, reached: Reached | None = None
    ) -> Iterator[Way]:
        """What this part can become; `reached` is told which states it can be in without anybody's knowing (law 1)."""
        part = seat.parts.rows[number]
        reached = {} if reached is None else reached
        reached[part.state] = None
        said = part.said | self.answers(seat, part.state, inbox)
        node = _Node(seat, part._replace(said=said), inbox)
        states = [part.state]
        if crashing:
            killed = Happening(seat, part.state, FromOutside.KILL)
            yield self._way(node, killed, self._life(killed, seat.states.rows[part.state].disk))
        for state in states:
            for event, effect in seat.effects(state, inbox):
                if event is Timer.ELECTION:
                    self._judge_new_ballot(node, state, effect)
                if effect.said | said == said and not effect.turn.records:
                    if effect.state not in reached:
                        reached[effect.state] = state, event
                        states.append(effect.state)
                elif not crashing:
                    yield self._way(node, Happening(seat, state, event), effect.state, effect.said, effect.voted)
                elif effect.turn.records:
                    yield from self._cut_short(node, state, event, effect)

    def _cut_short(self, node: _Node, state: int, event: Event, effect: Effect) -> Iterator[Way]:
        """A turn with a commit, in which the node ends on one side of it or the other; any other is as good as idle."""
        seat = node.seat
        early = self.letters.bits(seat.node, effect.turn.early)
        if early:
            before = Happening(seat, state, event, Crash.BEFORE_COMMIT)
            yield self._way(node, before, self._life(before, seat.states.rows[state].disk), early)
        after = Happening(seat, state, event, Crash.AFTER_COMMIT)
        yield self._way(node, after, self._life(after, effect.turn.state.disk), early, effect.voted)

    def _wiped(self, seat: Seat, number: int, inbox: int) -> Way:
        """The disk is lost between two turns (law 4)."""
        part = seat.parts.rows[number]
        happening = Happening(seat, part.state, FromOutside.WIPE)
        state = self._life(happening, seat.player.wiped(seat.states.rows[part.state].disk))
        return self._way(_Node(seat, part, inbox), happening, state)

    def _life(self, happening: Happening, disk: MemoryStore) -> int:
        self.happening = happening
        return happening.seat.start(disk)

    def _way(
        self, node: _Node, happening: Happening, state: int, said: int = 0, voted: frozenset[Cast] = frozenset()
    ) -> Way:
        """What a part becomes, with all that it can answer from then on."""
        self.happening = happening
        said |= node.part.said | self.answers(node.seat, state, node.inbox)
        part = node.seat.part(state, said, node.part.voted | voted)
        self.happening = None
        return Way(happening, part)

    def _judge_new_ballot(self, node: _Node, state: int, effect: Effect) -> None:
        """A campaign uses a ballot in which this node never prepared, in no life."""
        before = (letter.message for letter in self.letters.of(node.part.said))
        used = {message.ballot for message in before if isinstance(message, Prepare)}
        for message in (letter.message for letter in effect.turn.early + effect.turn.late):
            if isinstance(message, Prepare) and message.ballot in used:
                broken = LawBroken("ballots are not used again", f"{message.ballot} is prepared once more")
                raise BrokenTurn(broken, node.seat, state, Timer.ELECTION)
