"""What transactions are made of: `client.txn([compare("a", "version", "=", 0)], [Put(b"a", b"1")], [Range(b"a")])`.

Keys and values are bytes here. The result of each operation is of the class that stands beside it in `paxosd.kv`.
"""

from __future__ import annotations

from typing import Literal

from paxosd.machine.kv.ranges import NO_END, prefix_end, prefix_range
from paxosd.machine.kv.records import KeyEvent, KeyValue
from paxosd.machine.kv.requests import Compare, CompareOp, CompareTarget, Delete, Failure, Put, Range, Sort, Txn
from paxosd.machine.kv.results import Deleted, Failed, PutDone, RangeFound, TxnDone, decode_result

__all__ = [
    "NO_END",
    "Compare",
    "Delete",
    "Deleted",
    "Failed",
    "Failure",
    "KeyEvent",
    "KeyValue",
    "Put",
    "PutDone",
    "Range",
    "RangeFound",
    "Sort",
    "Txn",
    "TxnDone",
    "compare",
    "decode_result",
    "prefix_end",
    "prefix_range",
]

What = Literal["value", "version", "create", "mod", "lease"]
How = Literal["=", "!=", "<", ">"]

_TARGETS: dict[str, CompareTarget] = {target.name.lower(): target for target in CompareTarget}
_OPS: dict[str, CompareOp] = dict(zip(("=", "!=", "<", ">"), CompareOp, strict=True))


def compare(key: str | bytes, what: What, how: How, operand: bytes | int, end: bytes = b"") -> Compare:
    """A condition of a transaction: on a key, or on each key of a range.

    Of a key that is missing, `version`, `create`, `mod` and `lease` are 0, and no compare of its `value` holds. Raises
    `ValueError` for words that are none of these.
    """
    if what not in _TARGETS or how not in _OPS:
        raise ValueError(f"what is compared is one of {', '.join(_TARGETS)}, and how one of {', '.join(_OPS)}")
    return Compare(key.encode() if isinstance(key, str) else key, _TARGETS[what], _OPS[how], operand, end)
