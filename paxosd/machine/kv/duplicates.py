"""No key is changed twice by one transaction, whichever branches are done.

Two branches of one transaction are never done both; so a key may be in both. It is etcd's rule, but for one thing:
there the order of operations decides whether a delete in one inner transaction and a put in another are seen to clash.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from paxosd.machine.kv.ranges import NO_END, ONE_KEY
from paxosd.machine.kv.refusing import NotDone
from paxosd.machine.kv.requests import Delete, Failure, Op, Put, Txn

Interval = tuple[bytes, bytes | None]
"""From a key on, below another; None: without an end."""


class Touched(NamedTuple):
    """The keys that an operation may put, and the ranges that it may delete."""

    puts: set[bytes]
    deletes: list[Interval]


def require_each_key_once(txn: Txn) -> None:
    """Raise `NotDone` unless that is so."""
    _touched_by(txn)


def _touched_by(op: Op) -> Touched:
    if isinstance(op, Put):
        return Touched({op.key}, [])
    if isinstance(op, Delete):
        high = op.key + b"\0" if op.end == ONE_KEY else op.end
        return Touched(set(), [(op.key, None if op.end == NO_END else high)])
    if isinstance(op, Txn):
        then, otherwise = _touched_by_all(op.then), _touched_by_all(op.otherwise)
        return Touched(then.puts | otherwise.puts, then.deletes + otherwise.deletes)
    return Touched(set(), [])


def _touched_by_all(ops: tuple[Op, ...]) -> Touched:
    """Of operations that are done one after the other."""
    each = [_touched_by(op) for op in ops]
    owners: dict[bytes, int] = {}
    for number, touched in enumerate(each):
        if not touched.puts.isdisjoint(owners):
            raise _twice()
        owners.update(dict.fromkeys(touched.puts, number))
    deletes = [(interval, number) for number, touched in enumerate(each) for interval in touched.deletes]
    if owners and deletes:
        _require_apart(owners, deletes)
    return Touched(set(owners), [interval for interval, _ in deletes])


def _require_apart(owners: dict[bytes, int], deletes: list[tuple[Interval, int]]) -> None:
    """Raise where a range that one operation deletes has a key that another one puts."""
    puts = sorted(owners)
    runs = [len(puts)] * len(puts)  # for each: where the keys of another operation begin
    for place in range(len(puts) - 2, -1, -1):
        same = owners[puts[place]] == owners[puts[place + 1]]
        runs[place] = runs[place + 1] if same else place + 1
    for (low, high), number in deletes:
        place = bisect_left(puts, low)
        if place < len(puts) and owners[puts[place]] == number:
            place = runs[place]
        if place < len(puts) and (high is None or puts[place] < high):
            raise _twice()


def _twice() -> NotDone:
    return NotDone(Failure.DUPLICATE_KEY, "a transaction would change one key twice")
