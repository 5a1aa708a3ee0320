"""etcd's semantics, written down as plainly as they go: the state after each revision is a dict of its own."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from paxosd.machine.kv.ranges import covers
from paxosd.machine.kv.records import KeyEvent, KeyValue
from paxosd.machine.kv.requests import (
    Command,
    Compact,
    Compare,
    CompareOp,
    CompareTarget,
    Delete,
    Failure,
    Grant,
    Keep,
    Op,
    Put,
    Range,
    Revoke,
    Sort,
    Txn,
)
from paxosd.machine.kv.results import (
    CompactDone,
    Deleted,
    Failed,
    Granted,
    KeepDone,
    OpResult,
    PutDone,
    RangeFound,
    Result,
    Revoked,
    TxnDone,
)

Keys = dict[bytes, KeyValue]

RELATIONS: dict[CompareOp, Callable[[Any, Any], bool]] = {
    CompareOp.EQUAL: operator.eq,
    CompareOp.NOT_EQUAL: operator.ne,
    CompareOp.LESS: operator.lt,
    CompareOp.GREATER: operator.gt,
}
SORT_BY: dict[Sort, Callable[[KeyValue], Any]] = {
    Sort.KEY: lambda kv: kv.key,
    Sort.VALUE: lambda kv: kv.value,
    Sort.VERSION: lambda kv: kv.version,
    Sort.CREATE: lambda kv: kv.create_revision,
    Sort.MOD: lambda kv: kv.mod_revision,
}


class Refusal(Exception):
    """Nothing is done."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.name)
        self.failure = failure


class NaiveKeys:
    """Applies commands, one revision each; keeps the keys as of every revision, and which was the first told then."""

    def __init__(self, window_revisions: int) -> None:
        self.states: list[Keys] = [{}]
        self.firsts: list[int] = [1]
        self.leases: dict[int, tuple[int, int]] = {}
        self.first_revision = 1
        self._window_revisions = window_revisions
        self._changed: deque[int] = deque()  # the revisions that are told, and changed something

    @property
    def revision(self) -> int:
        return len(self.states) - 1

    @property
    def now(self) -> Keys:
        return self.states[-1]

    def apply(self, command: Command, log_time_ms: int) -> Result:
        self.states.append(dict(self.now))
        try:
            result = self._do(command, log_time_ms)
        except Refusal as refusal:
            self.states[-1] = dict(self.states[-2])
            is_compacted = refusal.failure == Failure.COMPACTED
            result = Failed(refusal.failure, "", self.first_revision if is_compacted else 0)
        self._trim()
        return result

    def pass_by(self) -> None:
        """A revision of another machine."""
        self.states.append(self.now)
        self.firsts.append(self.first_revision)

    def expire(self, log_time_ms: int) -> None:
        self.states.append(dict(self.now))
        for lease in [lease for lease, (_, deadline) in self.leases.items() if deadline <= log_time_ms]:
            self._end(lease)
        self._trim()

    def _trim(self) -> None:
        if self.now != self.states[-2]:
            self._changed.append(self.revision)
        while self._changed and self._changed[0] < self.first_revision:
            self._changed.popleft()
        if len(self._changed) > self._window_revisions:
            self.first_revision = self._changed[-self._window_revisions - 1] + 1
        self.firsts.append(self.first_revision)

    def _do(self, command: Command, log_time_ms: int) -> Result:
        match command:
            case Put() | Delete():
                return self._op(command, self.states[-2], log_time_ms)
            case Txn():
                self._require_each_key_once(command)
                return self._op(command, self.states[-2], log_time_ms)
            case Compact(revision):
                if revision > self.revision:
                    raise Refusal(Failure.FUTURE_REVISION)
                if revision <= self.first_revision:
                    raise Refusal(Failure.COMPACTED)
                self.first_revision = revision
                return CompactDone(revision)
            case Grant(ttl_ms):
                self.leases[self.revision] = (ttl_ms, log_time_ms + ttl_ms)
                return Granted(self.revision, ttl_ms)
            case Revoke(lease):
                if lease not in self.leases:
                    raise Refusal(Failure.LEASE_GONE)
                return Revoked(self._end(lease))
            case Keep(leases):
                return KeepDone(tuple([self._keep(lease, log_time_ms) for lease in leases]))

    def _keep(self, lease: int, log_time_ms: int) -> int:
        ttl_ms, _ = self.leases.get(lease, (0, 0))
        if ttl_ms:
            self.leases[lease] = ttl_ms, log_time_ms + ttl_ms
        return ttl_ms

    def _end(self, lease: int) -> int:
        del self.leases[lease]
        keys = [key for key, kv in self.now.items() if kv.lease == lease]
        for key in keys:
            del self.now[key]
        return len(keys)

    def _op(self, op: Op, before: Keys, log_time_ms: int) -> OpResult:
        match op:
            case Put():
                return self._put(op)
            case Delete(key, end, previous):
                gone = [self.now.pop(each) for each in sorted(self.now) if covers(key, end, each)]
                return Deleted(len(gone), tuple(gone) if previous else ())
            case Range():
                if op.revision >= self.revision:
                    raise Refusal(Failure.FUTURE_REVISION)
                return self.range(op)
            case Txn():
                holds = all(self._holds(compare, before) for compare in op.compares)
                ops = op.then if holds else op.otherwise
                return TxnDone(holds, tuple([self._op(each, before, log_time_ms) for each in ops]))

    def _put(self, put: Put) -> PutDone:
        before = self.now.get(put.key)
        if before is None and (put.keep_value or put.keep_lease):
            raise Refusal(Failure.KEY_NOT_FOUND)
        if put.lease and put.lease not in self.leases:
            raise Refusal(Failure.LEASE_GONE)
        created, version = (before.create_revision, before.version) if before else (self.revision, 0)
        value = before.value if before and put.keep_value else put.value
        lease = before.lease if before and put.keep_lease else put.lease
        self.now[put.key] = KeyValue(put.key, value, created, self.revision, version + 1, lease)
        return PutDone(before if put.previous else None)

    def _holds(self, compare: Compare, keys: Keys) -> bool:
        found = [kv for key, kv in keys.items() if covers(compare.key, compare.end, key)]
        if compare.target == CompareTarget.VALUE and not found:
            return False
        return all(self._holds_for(compare, kv) for kv in found or [KeyValue(b"", b"", 0, 0, 0, 0)])

    @staticmethod
    def _holds_for(compare: Compare, kv: KeyValue) -> bool:
        of = {
            CompareTarget.VALUE: kv.value,
            CompareTarget.VERSION: kv.version,
            CompareTarget.CREATE: kv.create_revision,
            CompareTarget.MOD: kv.mod_revision,
            CompareTarget.LEASE: kv.lease,
        }
        return RELATIONS[compare.op](of[compare.target], compare.operand)

    def range(self, asked: Range) -> RangeFound:
        """As of now: in a transaction, of what it has done so far."""
        return self._range(asked, self.revision, self.first_revision)

    def range_at(self, asked: Range, revision: int) -> RangeFound:
        """As it was right after a revision."""
        return self._range(asked, revision, self.firsts[revision])

    def _range(self, asked: Range, revision: int, first_revision: int) -> RangeFound:
        if asked.revision > revision:
            raise Refusal(Failure.FUTURE_REVISION)
        if asked.revision and asked.revision < first_revision:
            raise Refusal(Failure.COMPACTED)
        at = asked.revision or revision
        found = [kv for key, kv in sorted(self.states[at].items()) if covers(asked.key, asked.end, key)]
        count = len(found)
        if asked.count_only:
            return RangeFound((), count, False, at)
        found.sort(key=SORT_BY[asked.sort], reverse=asked.descending)
        found = [
            kv
            for kv in found
            if asked.min_mod_revision <= kv.mod_revision <= (asked.max_mod_revision or kv.mod_revision)
            and asked.min_create_revision <= kv.create_revision <= (asked.max_create_revision or kv.create_revision)
        ]
        more = 0 < asked.limit < len(found)
        if asked.keys_only:
            found = [kv._replace(value=b"") for kv in found]
        return RangeFound(tuple(found[: asked.limit or None]), count, more, at)

    def events_of(self, revision: int) -> set[KeyEvent]:
        """The difference that a revision made."""
        before, after = self.states[revision - 1], self.states[revision]
        return {
            KeyEvent(key, after.get(key), before.get(key), revision)
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
        }

    # ---- one key once ----

    def _require_each_key_once(self, txn: Txn) -> None:
        for then in self._branches(txn):
            puts = [op.key for op in then if isinstance(op, Put)]
            deletes = [op for op in then if isinstance(op, Delete)]
            if len(puts) != len(set(puts)) or any(covers(op.key, op.end, key) for op in deletes for key in puts):
                raise Refusal(Failure.DUPLICATE_KEY)

    def _branches(self, txn: Txn) -> list[list[Op]]:
        """All lists of operations that this transaction might do."""
        found: list[list[Op]] = []
        for ops in (txn.then, txn.otherwise):
            ways: list[list[Op]] = [[]]
            for op in ops:
                more: list[list[Op]] = self._branches(op) if isinstance(op, Txn) else [[op]]
                ways = [way + each for way in ways for each in more]
            found += ways
        return found


# ---- what the model does not say ----


def without_text(result: Result) -> Result:
    """A result without the words for people."""
    return without_resume(replace(result, text="") if isinstance(result, Failed) else result)


def without_resume(result: Result) -> Result:
    """A result without the places to go on from."""
    if isinstance(result, RangeFound):
        return replace(result, resume=b"")
    return _op_result(result) if isinstance(result, TxnDone) else result


def _op_result(result: OpResult) -> OpResult:
    if isinstance(result, TxnDone):
        return replace(result, results=tuple([_op_result(each) for each in result.results]))
    return replace(result, resume=b"") if isinstance(result, RangeFound) else result
