"""What a put, a delete and a transaction do to the keys.

Laws:
1. A command changes all that it is to change, or nothing: where one part cannot be done, the others are taken back.
2. Which operations are done is settled before the first one: all compares, also of transactions inside, see the keys as
   they were before.
3. An operation sees what those before it did.
4. No key is changed twice in a revision: a transaction that could do so in any of its branches is refused
   (`duplicates.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from operator import eq, gt, lt, ne
from typing import Any, NamedTuple

from paxosd.core.types import Revision
from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.duplicates import require_each_key_once
from paxosd.machine.kv.leases import Leases
from paxosd.machine.kv.ranges import ONE_KEY
from paxosd.machine.kv.reading import find, is_cut
from paxosd.machine.kv.records import HEADER, HEADER_BYTES, KeyValue, unpack
from paxosd.machine.kv.refusing import NotDone, Scan, full_of_keys, require_told
from paxosd.machine.kv.requests import Compare, CompareOp, CompareTarget, Delete, Failure, Put, Range, Txn
from paxosd.machine.kv.results import Deleted, OpResult, PutDone, RangeFound, TxnDone
from paxosd.machine.kv.state import KeyState

_RELATIONS: dict[CompareOp, Callable[[Any, Any], bool]] = {
    CompareOp.EQUAL: eq,
    CompareOp.NOT_EQUAL: ne,
    CompareOp.LESS: lt,
    CompareOp.GREATER: gt,
}
_PLACES = {CompareTarget.CREATE: 0, CompareTarget.MOD: 1, CompareTarget.VERSION: 2, CompareTarget.LEASE: 3}
_NOTHING = bytes(HEADER_BYTES)
"""The record of a key that is not there."""


RESULT_BYTES = 16
"""What one operation takes of a result at most, besides what is told of keys."""
KV_BYTES = 10 + HEADER_BYTES
"""What is told of a key takes, besides itself and its value."""


class Branch(NamedTuple):
    """Which branch of a transaction is done."""

    succeeded: bool
    ops: tuple[Put | Delete | Range | Branch, ...]


class Writer:
    """Changes keys of `state`, for one command after the other."""

    def __init__(self, state: KeyState, leases: Leases, bounds: KvBounds) -> None:
        self._state = state
        self._leases = leases
        self._bounds = bounds
        self._revision: Revision = 0
        self._log_time_ms = 0
        self.changes = 0
        """How many keys the latest command changed."""
        self._bytes_left = 0  # of its result
        self._scan = Scan(0)

    def run(self, op: Put | Delete | Txn, revision: Revision, log_time_ms: int) -> OpResult:
        """Do this as the revision; raises `NotDone`, and then nothing is changed."""
        self._revision, self._log_time_ms = revision, log_time_ms
        self.changes, self._bytes_left = 0, self._bounds.result_bytes
        self._scan = Scan(self._bounds.command_scan)
        if isinstance(op, Txn):
            require_each_key_once(op)
        try:
            return self._run(self._choose(op) if isinstance(op, Txn) else op)
        except NotDone:
            self._state.undo(self.changes)
            raise

    def _run(self, op: Put | Delete | Range | Branch) -> OpResult:
        self._tell(RESULT_BYTES)
        if isinstance(op, Put):
            return self._put(op)
        if isinstance(op, Delete):
            return self._delete(op)
        if isinstance(op, Range):
            return self._range(op)
        return TxnDone(op.succeeded, tuple([self._run(each) for each in op.ops]))

    def _tell(self, result_bytes: int) -> None:
        self._bytes_left -= result_bytes
        if self._bytes_left < 0:
            raise NotDone(Failure.TOO_LARGE, f"the result has more than {self._bounds.result_bytes} bytes")

    # ---- compares ----

    def _choose(self, txn: Txn) -> Branch:
        succeeded = all(self._holds(compare) for compare in txn.compares)
        ops = txn.then if succeeded else txn.otherwise
        return Branch(succeeded, tuple([self._choose(op) if isinstance(op, Txn) else op for op in ops]))

    def _holds(self, compare: Compare) -> bool:
        self._scan.spend(self._state.count(compare.key, compare.end))
        records = [record for _, record in self._state.pairs(compare.key, compare.end)]
        relation, operand = _RELATIONS[compare.op], compare.operand
        if compare.target == CompareTarget.VALUE:
            return bool(records) and all(relation(record[HEADER_BYTES:], operand) for record in records)
        place = _PLACES[compare.target]
        return all(relation(HEADER.unpack_from(record)[place], operand) for record in records or [_NOTHING])

    # ---- operations ----

    def _put(self, put: Put) -> PutDone:
        key, value, lease, create, version = put.key, put.value, put.lease, self._revision, 1
        before = self._state.get(key)
        if before is not None:
            create, _, version, held = HEADER.unpack_from(before)
            version += 1
            value = before[HEADER_BYTES:] if put.keep_value else value
            lease = held if put.keep_lease else lease
        elif put.keep_value or put.keep_lease:
            raise NotDone(Failure.KEY_NOT_FOUND, "the key is not there, and is to be kept in part")
        if put.lease:
            self._require_lease(put.lease)
        record = HEADER.pack(create, self._revision, version, lease) + value
        grown = len(record) - len(before) if before is not None else len(key) + len(record)
        if grown > 0 and self._state.held_bytes + grown > self._bounds.keys_bytes:
            raise full_of_keys(self._bounds.keys_bytes)
        self._write(key, record)
        return PutDone(self._told(key, before) if put.previous else None)

    def _require_lease(self, lease: int) -> None:
        if self._leases.running(lease, self._log_time_ms) is None:
            raise NotDone(Failure.LEASE_GONE, f"there is no lease {lease}, or it ran out")
        if self._state.count_of(lease) >= self._bounds.changes:
            raise NotDone(Failure.FULL, f"lease {lease} has as many keys as it may")

    def _delete(self, delete: Delete) -> Deleted:
        count = self._state.count(delete.key, delete.end)
        if self.changes + count > self._bounds.changes:
            raise NotDone(Failure.TOO_LARGE, f"more than {self._bounds.changes} keys to change at once")
        pairs = list(self._state.pairs(delete.key, delete.end))
        told = [self._told(key, record) for key, record in pairs] if delete.previous else []
        for key, _ in pairs:
            self._write(key, None)
        return Deleted(count, tuple([kv for kv in told if kv is not None]))

    def _range(self, asked: Range) -> RangeFound:
        past = self._state.past
        if asked.revision:
            require_told(asked.revision, self._revision - 1, past.first_revision)
            self._scan.spend(past.since(asked.revision) if asked.end != ONE_KEY else 1)
        found = find(self._state, asked, self._revision, self._scan, self._bytes_left)
        if is_cut(found, asked.limit):
            raise NotDone(Failure.TOO_LARGE, "a transaction asks for more keys than fit its result")
        items = tuple([kv for pair in found.pairs if (kv := self._told(*pair)) is not None])
        return RangeFound(items, *found[1:])

    def _write(self, key: bytes, record: bytes | None) -> None:
        self._state.write(self._revision, key, record)
        self.changes += 1

    def _told(self, key: bytes, record: bytes | None) -> KeyValue | None:
        """What was there, for the result."""
        if record is None:
            return None
        self._tell(KV_BYTES + len(key) + len(record) - HEADER_BYTES)
        return unpack(key, record)
