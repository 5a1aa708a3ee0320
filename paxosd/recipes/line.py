"""Waiting for one's turn: a line of keys in the order of their creation. Locks, semaphores and elections are lines.

Laws:
1. Whoever has fewer than `room` keys ahead has its turn. Keys ahead can only go, so it keeps the turn while its key is
   there; and turns come in the order in which the keys were made, so the fence, the revision that made the key, grows
   with every turn.
2. Who waits sleeps until the one key before its own goes, and then looks again. Where several may have their turn, who
   is next sleeps until any key of the line goes, and those behind until the one before them goes or has its turn, which
   it marks in its key: one that goes wakes one.
3. A look tells both: who is ahead, and whether the own key is still there. Nobody has a turn whose key is gone.
4. However waiting ends, other than with a turn, the own key is removed.
"""

from __future__ import annotations

from typing import NamedTuple

from paxosd.core.types import Revision
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Delete, Put, Range, Sort, Txn
from paxosd.machine.kv.results import RangeFound, TxnDone
from paxosd.recipes.steps import AwaitChange, KeyGone, Later, OnFailure, Span, Steps, absent, do, do_if, look, made_at


class OwnKey(NamedTuple):
    """The key of one who wants a turn: a random name, what others shall read there, the lease that it depends on."""

    key: bytes
    value: bytes
    lease: int


class TakenTurn(NamedTuple):
    """It is the turn of this key."""

    key: bytes
    fence: Revision


class WaitingLine(NamedTuple):
    """Where those stand who can be ahead, and how many may have their turn at once."""

    span: Span
    room: int = 1


class RoomDiffers(ValueError):
    """Somebody else in the line says that another number may have their turn at once."""


class _Standing(NamedTuple):
    """Where one stands: how many are ahead at least, the nearest of them, and the revision in which that was so."""

    ahead: int
    nearest: KeyValue | None
    at: Revision


def take_turn(line: WaitingLine, entry: OwnKey, patient: bool) -> Steps[TakenTurn | None]:
    """Wait for a turn; if not `patient`, have it at once or not at all: None. Raises `RoomDiffers` or `KeyGone`."""
    yield OnFailure(Delete(entry.key))
    if not patient and line.room == 1:
        revision = yield from do_if((absent(line.span),), Put(entry.key, entry.value, entry.lease))
        return TakenTurn(entry.key, revision) if revision else None
    place = yield from _enter(line, entry)
    made = place.at
    waited = False
    while place.nearest is not None and place.ahead >= line.room:
        if not patient:
            yield Later(Delete(entry.key))
            return None
        waited = True
        yield _until_it_may_be_ours(line, entry, place.ahead, place.nearest, place.at)
        place = yield from _look_ahead(line, entry, made)
    if waited and line.room > 1:
        mark = Put(entry.key, b"", keep_value=True, keep_lease=True)
        yield Later(Txn((made_at(entry.key, made),), (mark,), ()))
    return TakenTurn(entry.key, made)


def give_back(key: bytes) -> Steps[None]:
    """The turn is over."""
    yield OnFailure(Delete(key))
    yield from do(Delete(key))


def _enter(line: WaitingLine, entry: OwnKey) -> Steps[_Standing]:
    """Make the key; all keys that are there then are ahead. Raises `RoomDiffers`."""
    nearest = Range(*line.span, limit=1, sort=Sort.CREATE, descending=True)
    done = yield from do(Txn((), (nearest, Put(entry.key, entry.value, entry.lease)), ()))
    assert isinstance(done.result, TxnDone)
    found = done.result.results[0]
    assert isinstance(found, RangeFound)
    if not found.items:
        return _Standing(0, None, done.revision)
    if line.room > 1 and room_in(found.items[0].value) != line.room:
        raise RoomDiffers(f"{room_in(found.items[0].value)} have their turn at once here, not {line.room}")
    return _Standing(found.count, found.items[0], done.revision)


def _look_ahead(line: WaitingLine, entry: OwnKey, made: Revision) -> Steps[_Standing]:
    """Where the entry stands now, whose key was made by this revision. Raises `KeyGone`."""
    limit = line.room + 2
    found = yield from look(
        Range(*line.span, limit=limit, sort=Sort.CREATE, descending=True, max_create_revision=made, keys_only=True)
    )
    ahead = [item for item in found.items if item.create_revision < made]
    is_in_sight = len(ahead) < len(found.items)
    if not is_in_sight and not line.span.key <= entry.key < line.span.end:  # who is ahead stands in a line of its own
        is_in_sight = bool((yield from look(Range(entry.key, keys_only=True))).items)
    if not is_in_sight:
        raise KeyGone(f"{entry.key!r} is gone")
    return _Standing(len(ahead), ahead[0] if ahead else None, found.revision)


def _until_it_may_be_ours(line: WaitingLine, entry: OwnKey, ahead: int, nearest: KeyValue, at: Revision) -> AwaitChange:
    own = Span(entry.key)
    if line.room == 1:
        return AwaitChange((Span(nearest.key), own), at)
    if ahead == line.room:  # next
        return AwaitChange((line.span,), at)
    return AwaitChange((Span(nearest.key), own), at, gone=False)


ROOM_MAX = 4096
"""How many may have their turn at once, at most."""


def room_is(room: int) -> int:
    """The number, if it is one; raises `ValueError`."""
    if isinstance(room, bool) or not isinstance(room, int) or not 0 < room <= ROOM_MAX:
        raise ValueError(f"so many at once is a whole number from 1 to {ROOM_MAX}, not {room!r}")
    return room


def with_room(room: int, value: bytes) -> bytes:
    """What stands in the key of a line where several have their turn: how many, and the caller's own value."""
    return b"%d %s" % (room, value)


def room_in(value: bytes) -> int:
    """How many may have their turn, by the word of one that stands in the line; 0: it does not say."""
    number = value.partition(b" ")[0]
    return int(number) if number.isdigit() and len(number) < 10 else 0
