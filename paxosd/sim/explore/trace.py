"""A way through explored worlds, event by event, for the eye.

Laws:
1. A trace is a replay: every line is what the real role did when the event was given to it once more, from the first
   world on, with nothing put off and nothing taken for granted. A letter that was not sent is not delivered.
2. Answers that nobody takes in are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import Field, fields
from itertools import pairwise
from typing import Any, NamedTuple

from paxosd.core.agent import Timer, require
from paxosd.core.types import Ballot, NodeId, Vote
from paxosd.core.voters import Voters
from paxosd.sim.explore.bounds import FromOutside
from paxosd.sim.explore.laws import LawBroken, value_text
from paxosd.sim.explore.node import Letter, State, Turn
from paxosd.sim.explore.steps import Crash, Happening, Move, Reached, Worlds
from paxosd.sim.explore.world import BrokenTurn, Seat


class _Told(NamedTuple):
    """Something that happened; a mere answer changed nothing but what was said."""

    happening: Happening
    is_answer: bool = False


class _SeenLine(NamedTuple):
    """A line, what was said for the first time in it, as bits, and whether the line can be left out."""

    line: str
    happening: Happening
    fresh: int
    is_answer: bool


def trace(worlds: Worlds, way: Sequence[int], last: Move | None, broken: LawBroken) -> tuple[str, ...]:
    """How these worlds followed each other, and what broke the law in the end: the step `last`, or a turn."""
    end = list(_end(worlds, way[-1], last, broken))  # first, as looking at the way makes the worlds forget it
    told: list[_Told] = []
    for before, after in pairwise(way):
        told += _step(worlds, before, next(move for move in worlds.moves(before) if worlds.take(before, move) == after))
    return tuple(f"{number:3}. {line}" for number, line in enumerate(_needed(list(_replay(worlds, told + end))), 1))


# ---- what happened ---------------------------------------------------------------------------


def _end(worlds: Worlds, world: int, last: Move | None, broken: LawBroken) -> Iterator[_Told]:
    """What happened after the last world that was held against the laws."""
    answering, happening = worlds.answering, worlds.happening
    if last is not None:
        yield from _step(worlds, world, last)
    elif answering is not None:
        yield from _own_part(worlds, world, answering)
    elif happening is not None:
        yield from _silence(worlds, world, happening.seat, happening.state)
        yield _Told(happening)
    elif isinstance(broken, BrokenTurn):
        yield from _silence(worlds, world, broken.seat, broken.state)
    if isinstance(broken, BrokenTurn):
        yield _Told(Happening(broken.seat, broken.state, broken.event))


def _step(worlds: Worlds, world: int, move: Move) -> Iterator[_Told]:
    """Everything that happens in one step."""
    yield from _own_part(worlds, world, move)
    for other, asked in move.asks:
        yield from _answers(other, other.parts.rows[other.part_of(world)].state, asked)


def _own_part(worlds: Worlds, world: int, move: Move) -> Iterator[_Told]:
    """What the node does whose step it is."""
    seat, inbox = move.happening.seat, worlds.inbox(world, move.happening.seat)
    yield from _answers(seat, seat.parts.rows[seat.part_of(world)].state, inbox)
    yield from _silence(worlds, world, seat, move.happening.state)
    yield _Told(move.happening)
    yield from _answers(seat, seat.parts.rows[seat.part_of(world + move.step)].state, inbox)


def _answers(seat: Seat, state: int, inbox: int) -> Iterator[_Told]:
    for event, effect in seat.effects(state, inbox):
        if effect.is_answer:
            yield _Told(Happening(seat, state, event), is_answer=True)


def _silence(worlds: Worlds, world: int, seat: Seat, state: int) -> list[_Told]:
    """What brings a node to this state without anybody's knowing."""
    reached: Reached = {}
    try:
        for _ in worlds.ways(seat, seat.part_of(world), worlds.inbox(world, seat), False, reached):
            pass
    except LawBroken:
        pass  # the one that is traced; whatever comes before it is known by now
    told: list[_Told] = []
    while (before := reached[state]) is not None:
        state, event = before
        told.append(_Told(Happening(seat, state, event)))
    return told[::-1]


def _needed(seen: Sequence[_SeenLine]) -> list[str]:
    """The lines, but for answers of which nothing is taken in later."""
    needed = 0
    kept: list[str] = []
    for line, happening, fresh, is_answer in reversed(seen):
        if not is_answer or fresh & needed:
            kept.append(line)
            needed |= 1 << happening.event if isinstance(happening.event, int) else 0
    return kept[::-1]


# ---- what it looks like ----------------------------------------------------------------------


def _replay(worlds: Worlds, told: Iterable[_Told]) -> Iterator[_SeenLine]:
    states = {seat.node: seat.player.start(seat.player.disk()) for seat in worlds.seats}
    sent = 0
    for happening, is_answer in told:
        seat, event = happening.seat, happening.event
        require(not isinstance(event, int) or sent >> event & 1 == 1, "a trace delivers what was sent")
        try:
            turn = _again(happening, states[seat.node])
        except LawBroken as broken:
            yield _SeenLine(f"{_cause(worlds, happening)}; {broken.sentence}", happening, 0, False)
            return
        states[seat.node] = turn.state
        said = worlds.letters.bits(seat.node, turn.early + turn.late)
        line = "; ".join([_cause(worlds, happening), *_effects(turn), *_end_of_life(happening)])
        yield _SeenLine(line, happening, said & ~sent, is_answer)
        sent |= said


def _again(happening: Happening, state: State) -> Turn:
    """The turn of this event, as far as it came."""
    seat, event, crash = happening.seat, happening.event, happening.crash
    if event is FromOutside.KILL:
        return Turn((), (), (), seat.live(state.disk))
    if event is FromOutside.WIPE:
        return Turn((), (), (), seat.live(seat.player.wiped(state.disk)))
    turn = seat.turn(state, event)
    require(turn is not None, "a trace stays within bounds")
    assert turn is not None
    match crash:
        case Crash.BEFORE_COMMIT:
            return Turn(turn.early, (), (), seat.live(state.disk))
        case Crash.AFTER_COMMIT:
            return Turn(turn.early, turn.records, (), seat.live(turn.state.disk))
    return turn


def _cause(worlds: Worlds, happening: Happening) -> str:
    node = happening.seat.node
    match happening.event:
        case int(letter):
            source, (_, message), _ = worlds.letters.table.rows[letter]
            return f"{node} receives {_text(message)} from {source}"
        case Timer.ELECTION:
            return f"{node} campaigns, and a quorum would follow"
        case Timer.QUORUM:
            return f"{node} finds its quorum silent"
        case Timer() as timer:
            return f"{node}: {timer.name} is due"
        case FromOutside.SUBMIT:
            return f"{node} is forwarded its command"
        case FromOutside.WIPE:
            return f"{node} loses its disk and starts again"
        case _:
            return f"{node} is killed and starts again"


def _effects(turn: Turn) -> Iterator[str]:
    if turn.early:
        yield f"sends {_sent(turn.early)}"
    if turn.records:
        yield f"records {', '.join(map(_text, turn.records))}"
    if turn.late:
        yield f"sends {_sent(turn.late)}"


def _end_of_life(happening: Happening) -> Iterator[str]:
    if happening.crash is not Crash.NONE:
        yield f"is killed {happening.crash.value} and starts again"


def _sent(letters: Iterable[Letter]) -> str:
    targets: dict[str, dict[NodeId, None]] = {}
    for letter in letters:
        targets.setdefault(_text(letter.message), {})[letter.target] = None
    return ", ".join(f"{message} to {' '.join(nodes)}" for message, nodes in targets.items())


def _text(value: Any) -> str:
    """A message, a record or a field of one, in short."""
    match value:
        case Ballot():
            return str(value)
        case Vote(slot, ballot, held):
            return f"{slot}:{value_text(held)}@{ballot}"
        case Voters():
            return f"{'unborn' if not value.are_named else 'of slot'} {value.decreed}"
        case tuple():
            return f"[{' '.join(map(_text, value))}]"
        case bytes():
            return value_text(value) if value else "-"
        case bool() | int():
            return str(value)
    return f"{type(value).__name__}({', '.join(f'{f.name} {_text(getattr(value, f.name))}' for f in _told(value))})"


def _told(value: Any) -> Iterator[Field[Any]]:
    """The fields that say something: disks are named once, by the decree, and counts of commits are about other
    things."""
    return (field for field in fields(value) if field.name not in ("disk", "commits", "seen", "past"))
