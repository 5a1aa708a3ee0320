"""One request and what became of it: the plain verbs of the keys."""

from __future__ import annotations

from typing import NamedTuple

from paxosd.core.types import Revision, Slot
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Compact, Compare, CompareOp, CompareTarget, Delete, Op, Put, Range, Txn
from paxosd.machine.kv.results import Deleted, OpResult, PutDone, RangeFound, TxnDone
from paxosd.recipes.steps import NotSo, Steps, do, look


class PutReceipt(NamedTuple):
    """A key was put. `previous`: what it was before, if that was asked; None: it was missing."""

    revision: Revision
    slot: Slot
    previous: KeyValue | None = None


class DeleteReceipt(NamedTuple):
    """So many keys were deleted; what they were, if that was asked."""

    revision: Revision
    slot: Slot
    deleted: int
    previous: tuple[KeyValue, ...] = ()


class TxnReceipt(NamedTuple):
    """A transaction was applied. `succeeded`: whether all compares held; `results`: of what was done then."""

    revision: Revision
    slot: Slot
    succeeded: bool
    results: tuple[OpResult, ...]


def put(request: Put, condition: Compare | None) -> Steps[PutReceipt]:
    """Put a key. Raises `NotSo`."""
    done = yield from do(under(condition, request))
    result = result_under(done.result)
    assert isinstance(result, PutDone)
    return PutReceipt(done.revision, done.slot, result.previous)


def delete(request: Delete, condition: Compare | None) -> Steps[DeleteReceipt]:
    """Delete keys. Raises `NotSo`."""
    done = yield from do(under(condition, request))
    result = result_under(done.result)
    assert isinstance(result, Deleted)
    return DeleteReceipt(done.revision, done.slot, result.count, result.previous)


def transact(compares: tuple[Compare, ...], then: tuple[Op, ...], otherwise: tuple[Op, ...]) -> Steps[TxnReceipt]:
    """One transaction."""
    done = yield from do(Txn(compares, then, otherwise))
    assert isinstance(done.result, TxnDone)
    return TxnReceipt(done.revision, done.slot, done.result.succeeded, done.result.results)


def get(key: bytes, revision: Revision) -> Steps[KeyValue | None]:
    """One key; None: it is missing."""
    found = yield from look(Range(key, revision=revision))
    return found.items[0] if found.items else None


def compact(revision: Revision) -> Steps[Revision]:
    """Let go of the history before this revision."""
    done = yield from do(Compact(revision))
    return done.revision


def absence_or(key: bytes, if_absent: bool, if_revision: Revision | None) -> Compare | None:
    """The condition that a caller makes; None: none. Raises `ValueError` for both."""
    if if_absent and if_revision is not None:
        raise ValueError("a key cannot be absent and have a revision: give if_absent or if_revision")
    if if_absent:
        return Compare(key, CompareTarget.VERSION, CompareOp.EQUAL, 0)
    return None if if_revision is None else Compare(key, CompareTarget.MOD, CompareOp.EQUAL, if_revision)


def under(condition: Compare | None, request: Put | Delete) -> Put | Delete | Txn:
    """The request, under this condition if there is one."""
    return request if condition is None else Txn((condition,), (request,), (Range(condition.key),))


def result_under(result: object) -> object:
    """The result of the request, where it stood under a condition or not. Raises `NotSo`."""
    if not isinstance(result, TxnDone):
        return result
    if not result.succeeded:
        found = result.results[0]
        assert isinstance(found, RangeFound)
        raise NotSo(found.items[0] if found.items else None)
    return result.results[0]
