"""Planted: keys, their history, transactions and leases."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Change, Edit
from paxosd.sim.planted.places import KeyLogs
from paxosd.sim.planted.planting import Bug, other

LOGS = KeyLogs(0, 400)


def _key_bug(name: str, *changes: Change) -> Bug:
    return other(name, *changes, shows_in=LOGS)


WRITER = "machine.kv.transactions:Writer"

KEYS: tuple[Bug, ...] = (
    _key_bug(
        "keys: a put does not count",
        Edit("machine.kv.state:KeyState.put_all", ast.BinOp, "version", "version"),
        Edit("machine.kv.state:KeyState._put", ast.BinOp, "version", "version"),
    ),
    _key_bug(
        "keys: a put in a transaction is a new key", Edit(f"{WRITER}._put", ast.AugAssign, "version", "version = 1")
    ),
    _key_bug("keys: a put keeps the lease that the key had", Edit(f"{WRITER}._put", ast.IfExp, "held", "held")),
    _key_bug("keys: what a refused transaction did stays", Edit(f"{WRITER}.run", ast.Expr, "undo", "pass")),
    _key_bug(
        "keys: an inner transaction compares what the outer one did",
        Edit(f"{WRITER}._choose", ast.IfExp, "op Txn", "op"),
        Edit(
            f"{WRITER}._run",
            ast.Return,
            "TxnDone",
            "return TxnDone(op.succeeded, tuple([self._run(self._choose(each) if hasattr(each, 'then') else each)"
            " for each in op.ops]))",
        ),
    ),
    _key_bug(
        "keys: missing is empty",
        Edit(
            f"{WRITER}._holds",
            ast.BoolOp,
            "bool relation",
            "all(relation(record[HEADER_BYTES:], operand) for record in records or [_NOTHING])",
        ),
    ),
    _key_bug(
        "keys: a key is put twice by one transaction",
        Edit("machine.kv.duplicates:_touched_by_all", ast.If, "isdisjoint", "pass"),
    ),
    _key_bug(
        "keys: a transaction deletes what it put",
        Edit("machine.kv.duplicates:_touched_by_all", ast.If, "_require_apart", "pass"),
    ),
    _key_bug(
        "keys: only one branch is looked at for keys that are put twice",
        Edit("machine.kv.duplicates:_touched_by", ast.Return, "then otherwise", "return then"),
    ),
    _key_bug(
        "keys: a range has its end",
        Edit("machine.kv.order:KeyOrder.between", ast.IfExp, "stop", "stop + 1 if place == last else len(part)"),
    ),
    _key_bug(
        "keys: a key that was deleted is not in the past",
        Edit("machine.kv.state:KeyState.past_pairs", ast.Call, "merge", "now"),
    ),
    _key_bug(
        "keys: a past revision is the one before it",
        Edit(
            "machine.kv.by_key:ChangesByKey.record_at",
            ast.Call,
            "bisect_right",
            "bisect_right(of_key, revision - 1, key=_revision)",
        ),
    ),
    _key_bug(
        "keys: a past revision is counted as it is now",
        Edit("machine.kv.reading:_count", ast.If, "is_past", "pass"),
    ),
    _key_bug(
        "keys: what is compacted can be read",
        Edit("machine.kv.refusing:require_told", ast.Compare, "first_revision", "False"),
    ),
    _key_bug(
        "keys: a revision too many is compacted",
        Edit("machine.kv.past:KeyHistory._drop_to", ast.Call, "_index", "self._index(first_revision + 1)"),
    ),
    _key_bug(
        "keys: a limit hides that there are more",
        Edit("machine.kv.reading:_in_order", ast.Return, "more", "return found"),
    ),
    _key_bug(
        "keys: a key that was deleted is still its lease's",
        Edit("machine.kv.state:KeyState._set", ast.Expr, "_detach", "pass"),
    ),
    _key_bug(
        "keys: a lease that ran out is not over yet",
        Edit("machine.kv.leases:Leases.due", ast.LtE, "log_time_ms", "<"),
    ),
    _key_bug("keys: a lease that is kept is not", Edit("machine.kv.kv:Kv._keep", ast.Expr, "_set_lease", "pass")),
    _key_bug(
        "keys: a lease that is revoked leaves its keys",
        Edit("machine.kv.kv:Kv._end_lease", ast.Expr, "write", "pass"),
    ),
    _key_bug(
        "keys: leases are not written",
        Edit("machine.kv.rows:Rows.take", ast.For, "LEASE", "pass"),
    ),
    _key_bug(
        "keys: a restored key has no lease",
        Edit("machine.kv.state:KeyState.restore", ast.If, "_attach", "pass"),
    ),
    _key_bug(
        "keys: the history is not written",
        Edit("machine.kv.rows:Rows.take", ast.AugAssign, "_take_changes", "pass"),
    ),
    _key_bug(
        "keys: where the history begins is not written",
        Edit("machine.kv.rows:Rows.take", ast.If, "totals", "pass"),
    ),
    _key_bug(
        "keys: a key that was deleted comes back at a restart",
        Edit("machine.kv.blocks:KeyBlocks.take", ast.BoolOp, "before", "state.get(key) is not None"),
    ),
    _key_bug(
        "keys: what is removed of the oldest keys is not written anew",
        Edit("machine.kv.blocks:KeyBlocks._remove_oldest", ast.Expr, "still_there append", "pass"),
    ),
    _key_bug(
        "keys: what was written anew is not what counts",
        Edit(
            "machine.kv.blocks:KeyBlocks.restore", ast.Assign, "records key record", "records.setdefault(key, record)"
        ),
    ),
    _key_bug(
        "keys: a digest keeps what went",
        Edit("machine.kv.kv:Kv._changed", ast.Expr, "went", "past.settle()"),
    ),
)
