"""A number that many change: each change demands the number that it saw, and is tried again with the one that is."""

from __future__ import annotations

from typing import NamedTuple

from paxosd.core.types import Revision
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Compare, CompareOp, CompareTarget, Put, Range, Txn
from paxosd.machine.kv.results import RangeFound, TxnDone
from paxosd.recipes.steps import Steps, do, look


class Counted(NamedTuple):
    """The number before a change and after it, and the revision that changed it."""

    before: int
    after: int
    revision: Revision


def value(key: bytes, default: int) -> Steps[int]:
    """The number as it is now."""
    found = yield from look(Range(key))
    return _number(found, default)[0]


def add(key: bytes, by: int, default: int) -> Steps[Counted]:
    """Add to it, once."""
    before, at = _number((yield from look(Range(key))), default)
    while True:
        put = Put(key, b"%d" % (before + by))
        done = yield from do(Txn((Compare(key, CompareTarget.MOD, CompareOp.EQUAL, at),), (put,), (Range(key),)))
        assert isinstance(done.result, TxnDone)
        if done.result.succeeded:
            return Counted(before, before + by, done.revision)
        found = done.result.results[0]
        assert isinstance(found, RangeFound)
        before, at = _number(found, default)


def _number(found: RangeFound, default: int) -> tuple[int, Revision]:
    item: KeyValue | None = found.items[0] if found.items else None
    return (default, 0) if item is None else (int(item.value), item.mod_revision)
