"""Entries that are taken in order, each by one: queues, queues with priorities, queues whose entries are locked.

Laws:
1. An entry is taken by one transaction that demands the very entry that was seen. Of several takers one succeeds.
2. Entries go in the order in which they were put, those of a lower priority number first.
3. Who finds none, or comes second, waits in a line of takers (`line.py`), of which the first alone waits for entries:
   an entry wakes one taker. It leaves the line by the transaction that takes the entry.
4. A locked entry stays until it is consumed. Its lock depends on the taker's lease, so a taker that dies gives it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from paxosd.core.types import Revision
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Compare, CompareOp, CompareTarget, Delete, Put, Range, Sort, Txn
from paxosd.recipes.line import OwnKey, WaitingLine, take_turn
from paxosd.recipes.names import place, span
from paxosd.recipes.steps import AwaitChange, KeyGone, OnFailure, Span, Steps, absent, do, do_if, look, made_at

PRIORITY_MAX = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class QueuePlaces:
    """Where the keys of one queue stand; `recipe` is its kind."""

    recipe: str
    name: str | bytes

    def __post_init__(self) -> None:
        place(self.recipe, self.name)  # which refuses what is no name, before anything is done

    @property
    def entries(self) -> Span:
        """All that was put and not taken."""
        return span(self.recipe, self.name, "entries")

    @property
    def takers(self) -> Span:
        """Those who wait for an entry."""
        return span(self.recipe, self.name, "takers")

    @property
    def taken(self) -> Span:
        """The locks of entries."""
        return span(self.recipe, self.name, "taken")

    def entry(self, priority: int, draw: str) -> bytes:
        """The key of a new entry."""
        return place(self.recipe, self.name, "entries", f"{priority:08x}")[:-1] + b"/" + draw.encode()

    def taker(self, draw: str) -> bytes:
        """The key of one who waits."""
        return self.takers.key + draw.encode()

    def lock_of(self, entry: bytes) -> bytes:
        """The key that says that an entry is taken."""
        return self.taken.key + entry.removeprefix(self.entries.key)


class EntryTaker(NamedTuple):
    """How one taker takes: its key in the line, the lease of it, and what its lock shall say (empty: it has none)."""

    taker: OwnKey
    token: bytes = b""


class QueueEntry(NamedTuple):
    """What was put, and the revision that put it, which only grows from one entry of a priority to the next."""

    value: bytes
    revision: Revision


class Taken(NamedTuple):
    """An entry, and its lock; without a lock the entry is gone."""

    entry: KeyValue
    lock: bytes = b""
    fence: Revision = 0


def take(places: QueuePlaces, taking: EntryTaker, patient: bool) -> Steps[Taken | None]:
    """Take the first entry that nobody took; wait for one, or not: None."""
    while True:
        first, _ = yield from _first(places, bool(taking.token))
        taken = (yield from _try(places, taking, first, ())) if first is not None else None
        if taken is not None:
            return taken
        if first is None and not patient:
            return None
        if patient:
            return (yield from _take_in_line(places, taking))


def _take_in_line(places: QueuePlaces, taking: EntryTaker) -> Steps[Taken]:
    taker = taking.taker
    turn = yield from take_turn(WaitingLine(places.takers), taker, patient=True)
    assert turn is not None
    watched = (places.entries, Span(taker.key), *([places.taken] if taking.token else []))
    while True:
        first, at = yield from _first(places, bool(taking.token))
        if first is not None:
            taken = yield from _try(places, taking, first, (turn.fence,))
            if taken is not None:
                return taken
        if not (yield from look(Range(taker.key, keys_only=True))).items:  # before one sleeps: it may have gone by `at`
            raise KeyGone(f"{taker.key!r} is gone")
        if first is None:
            yield AwaitChange(watched, at, gone=False)


def _try(
    places: QueuePlaces, taking: EntryTaker, entry: KeyValue, in_line: tuple[Revision, ...]
) -> Steps[Taken | None]:
    """Take this entry, and leave the line, if it is still there; `in_line`: what made the own key in the line."""
    conditions: list[Compare] = [made_at(entry.key, entry.create_revision)]
    conditions += [made_at(taking.taker.key, fence) for fence in in_line]
    leave = [Delete(taking.taker.key) for _ in in_line]
    if not taking.token:
        revision = yield from do_if(tuple(conditions), Delete(entry.key), *leave, for_good=True)
        return Taken(entry) if revision else None
    lock = places.lock_of(entry.key)
    conditions.append(absent(Span(lock)))
    yield OnFailure(_unlocking(lock, taking.token))
    revision = yield from do_if(tuple(conditions), Put(lock, taking.token, taking.taker.lease), *leave)
    return Taken(entry, lock, revision) if revision else None


def _first(places: QueuePlaces, with_locks: bool) -> Steps[tuple[KeyValue | None, Revision]]:
    """The first entry that nobody took, if there is one; and since when any change is news."""
    locks: set[bytes] = set()
    at = 0
    if with_locks:
        locked = yield from look(Range(*places.taken, keys_only=True))
        at, locks = locked.revision, {item.key for item in locked.items}
    lowest = yield from look(Range(*places.entries, limit=len(locks) + 1, keys_only=True))
    at = at or lowest.revision
    free = [item.key for item in lowest.items if places.lock_of(item.key) not in locks]
    if not free:
        return None, at
    priority = Span.of_prefix(free[0].rpartition(b"/")[0] + b"/")
    found = yield from look(Range(*priority, limit=len(locks) + 1, sort=Sort.CREATE))
    first = next((item for item in found.items if places.lock_of(item.key) not in locks), None)
    if first is None:  # it was taken between the two looks
        return (yield from _first(places, with_locks))
    return first, at


def consume(places: QueuePlaces, taken: Taken) -> Steps[None]:
    """The entry is done with, and its lock. Raises `KeyGone` where the lock was lost, and another one may have it."""
    conditions = (made_at(taken.lock, taken.fence), made_at(taken.entry.key, taken.entry.create_revision))
    if not (yield from do_if(conditions, Delete(taken.entry.key), Delete(taken.lock))):
        raise KeyGone(f"{taken.lock!r} is gone")


def let_go(taken: Taken, token: bytes) -> Steps[None]:
    """Somebody else may have the entry."""
    unlocking = _unlocking(taken.lock, token)
    yield OnFailure(unlocking)
    yield from do(unlocking)


def _unlocking(lock: bytes, token: bytes) -> Txn:
    return Txn((Compare(lock, CompareTarget.VALUE, CompareOp.EQUAL, token),), (Delete(lock),), ())
