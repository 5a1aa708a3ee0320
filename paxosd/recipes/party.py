"""Who is there: each member has a key that goes with its lease."""

from __future__ import annotations

from paxosd.core.types import Revision
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Delete, Put, Range, Sort
from paxosd.recipes.line import OwnKey
from paxosd.recipes.steps import AwaitChange, OnFailure, Span, Steps, do, look


def join(entry: OwnKey) -> Steps[Revision]:
    """Be a member."""
    yield OnFailure(Delete(entry.key))
    done = yield from do(Put(entry.key, entry.value, entry.lease))
    return done.revision


def members(span: Span) -> Steps[tuple[KeyValue, ...]]:
    """All of them, in the order in which they joined."""
    found = yield from look(Range(*span, sort=Sort.CREATE))
    return tuple(found.items)


def next_members(span: Span, seen: tuple[KeyValue, ...]) -> Steps[tuple[KeyValue, ...]]:
    """Wait until the members are others than were `seen`."""
    while True:
        found = yield from look(Range(*span, sort=Sort.CREATE))
        if tuple(found.items) != seen:
            return tuple(found.items)
        yield AwaitChange((span,), found.revision, gone=False)
