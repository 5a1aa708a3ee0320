"""Waiting for each other: a barrier that somebody lifts, and one that opens when enough have come.

Laws of the double barrier:
1. Whoever makes the last of `size` keys opens it, if it is inside still: it makes the key `open`. Those who wait watch
   that key alone.
2. `open` has no lease: one that goes before all have seen it would leave somebody waiting. If it is there while nobody
   is inside, all died inside; the first who enters removes it, in the transaction that makes its own key.
3. Who leaves waits for those only whose keys are older than its own leaving: who enters for the next time is not taken
   for one that is late.
"""

from __future__ import annotations

from typing import NamedTuple

from paxosd.core.types import Revision
from paxosd.machine.kv.requests import Delete, Put, Range, Sort, Txn
from paxosd.machine.kv.results import RangeFound, TxnDone
from paxosd.recipes.line import OwnKey
from paxosd.recipes.names import place, span
from paxosd.recipes.steps import AwaitChange, KeyGone, OnFailure, Span, Steps, absent, do, do_if, look, made_at


def put_up(key: bytes, value: bytes, lease: int) -> Steps[bool]:
    """Put the barrier up; False: it stands already."""
    return bool((yield from do_if((absent(Span(key)),), Put(key, value, lease))))


def await_absence(key: bytes) -> Steps[None]:
    """Wait until there is no such key."""
    while True:
        found = yield from look(Range(key, keys_only=True))
        if not found.items:
            return
        yield AwaitChange((Span(key),), found.revision)


class MeetingRoom(NamedTuple):
    """Where the keys of a double barrier stand, and how many it takes."""

    inside: Span
    opened: bytes
    size: int

    @classmethod
    def named(cls, name: str | bytes, size: int) -> MeetingRoom:
        """The one of this name."""
        return cls(span("double-barrier", name, "inside"), place("double-barrier", name) + b"open", size)


def enter(room: MeetingRoom, entry: OwnKey) -> Steps[Revision]:
    """Come in, and wait until as many are inside; returns the revision of the own key. Raises `KeyGone`."""
    yield OnFailure(Delete(entry.key))
    put = Put(entry.key, entry.value, entry.lease)
    count = Range(*room.inside, limit=1, keys_only=True)
    opened = Range(room.opened, keys_only=True)
    done = yield from do(Txn((absent(room.inside),), (Delete(room.opened), put, count, opened), (put, count, opened)))
    assert isinstance(done.result, TxnDone)
    inside, is_open = done.result.results[-2:]
    assert isinstance(inside, RangeFound) and isinstance(is_open, RangeFound)
    if inside.count >= room.size and not is_open.items:
        if not (yield from do_if((made_at(entry.key, done.revision),), Put(room.opened, entry.key))):
            raise KeyGone(f"{entry.key!r} is gone")
    elif not is_open.items:
        yield from _await_opening(room, entry, done.revision)
    return done.revision


def _await_opening(room: MeetingRoom, entry: OwnKey, at: Revision) -> Steps[None]:
    while True:
        yield AwaitChange((Span(room.opened), Span(entry.key)), at, gone=False)
        own = yield from look(Range(entry.key, keys_only=True))
        if not own.items:
            raise KeyGone(f"{entry.key!r} is gone")
        opened = yield from look(Range(room.opened, keys_only=True))
        if opened.items:
            return
        at = own.revision


def leave(room: MeetingRoom, key: bytes) -> Steps[None]:
    """Go out, and wait until all are gone that were inside."""
    yield OnFailure(Delete(key))
    left = yield from do(Delete(key))
    while True:
        found = yield from look(
            Range(
                *room.inside,
                limit=1,
                sort=Sort.CREATE,
                descending=True,
                max_create_revision=left.revision,
                keys_only=True,
            )
        )
        if not found.items:
            break
        yield AwaitChange((Span(found.items[0].key),), found.revision)
    yield from do_if((absent(room.inside),), Delete(room.opened))
