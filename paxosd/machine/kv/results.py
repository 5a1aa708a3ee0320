"""What became of a command, or is answered to a question; as bytes, a msgpack array whose first item is its number.

Results stand in the session table of every learner, and are told again where a command is repeated. So they are equal
on all, also their texts. Numbers are never given anew, and fields are only ever appended.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgpack

from paxosd.core.types import Revision
from paxosd.machine.kv.records import KeyValue, pack, unpack
from paxosd.machine.kv.requests import Failure


@dataclass(frozen=True, slots=True)
class PutDone:
    """`previous`: what was there, if that was asked; None: nothing, or it was not asked."""

    previous: KeyValue | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many keys are gone, and what they were if that was asked."""

    count: int
    previous: tuple[KeyValue, ...] = ()


@dataclass(frozen=True, slots=True)
class RangeFound:
    """The items that were asked for, in order.

    `count`: how many keys the range has, whatever `limit` and bounds say. `more`: there are more items than these.
    `revision`: what this is the state of. `resume`: where an answer was cut because it is long, the key to go on
    from, or below which if the order is descending; empty: it was not cut.
    """

    items: tuple[KeyValue, ...]
    count: int
    more: bool
    revision: Revision
    resume: bytes = b""


@dataclass(frozen=True, slots=True)
class TxnDone:
    """Whether all compares held, and the results of the operations that were done then."""

    succeeded: bool
    results: tuple[OpResult, ...]


@dataclass(frozen=True, slots=True)
class CompactDone:
    """The history is told from this revision on."""

    first_revision: Revision


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease, and how long it runs from the log time of its command on."""

    lease: int
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Revoked:
    """How many keys were deleted with a lease."""

    keys: int


@dataclass(frozen=True, slots=True)
class KeepDone:
    """For each lease that was named: how long it runs from the log time of the command on; 0: it is gone."""

    ttls_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LeaseFound:
    """A lease: its whole time, how much of it is left at most, its name, and its keys in order.

    `left_ms` counts from the latest log time that the answering node knows. `more`: it has more keys than are told.
    """

    lease: int
    ttl_ms: int
    left_ms: int
    name: bytes
    keys: tuple[bytes, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class LeasesFound:
    """Leases in the order of their ids, without their keys. `more`: there are some with higher ids."""

    leases: tuple[LeaseFound, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing was done, and why. `first_revision`: where the history begins, for `Failure.COMPACTED`."""

    failure: Failure
    text: str
    first_revision: Revision = 0


OpResult: TypeAlias = PutDone | Deleted | RangeFound | TxnDone
Result: TypeAlias = OpResult | CompactDone | Granted | Revoked | KeepDone | LeaseFound | LeasesFound | Failed

(PUT_DONE, DELETED, RANGE_FOUND, TXN_DONE, COMPACT_DONE, GRANTED, REVOKED, KEEP_DONE, LEASE_FOUND, LEASES_FOUND,
 FAILED) = range(1, 12)  # fmt: skip


_pack: Callable[[object], bytes] = msgpack.Packer().pack


class MalformedResult(ValueError):
    """Bytes that are not a result."""


# ---- encoding ----


def encode_result(result: Result) -> bytes:
    """The bytes of a result."""
    return _pack(_fields(result))


def encode_range(
    pairs: Iterable[tuple[bytes, bytes]], count: int, more: bool, revision: Revision, resume: bytes
) -> bytes:
    """The bytes of a `RangeFound`, whose items are given as keys and records."""
    items = [each for pair in pairs for each in pair]
    return _pack([RANGE_FOUND, items, count, more, revision, resume])


def _items(kvs: Iterable[KeyValue | None]) -> list[bytes]:
    return [each for kv in kvs if kv is not None for each in (kv.key, pack(kv))]


def _fields(result: Result) -> Sequence[object]:
    match result:
        case PutDone(previous):
            return [PUT_DONE, _items([previous])]
        case Deleted(count, kvs):
            return [DELETED, count, _items(kvs)]
        case RangeFound(kvs, count, more, revision, resume):
            return [RANGE_FOUND, _items(kvs), count, more, revision, resume]
        case TxnDone(succeeded, results):
            return [TXN_DONE, succeeded, [_fields(each) for each in results]]
        case CompactDone(first_revision):
            return [COMPACT_DONE, first_revision]
        case Granted(lease, ttl_ms):
            return [GRANTED, lease, ttl_ms]
        case Revoked(keys):
            return [REVOKED, keys]
        case KeepDone(ttls_ms):
            return [KEEP_DONE, ttls_ms]
        case LeaseFound():
            return _lease_fields(result)
        case LeasesFound(leases, more):
            return [LEASES_FOUND, [_lease_fields(each) for each in leases], more]
        case Failed(failure, text, first_revision):
            return [FAILED, failure, text, first_revision]


def _lease_fields(found: LeaseFound) -> Sequence[object]:
    return [LEASE_FOUND, found.lease, found.ttl_ms, found.left_ms, found.name, found.keys, found.more]


# ---- decoding ----


def decode_result(content: bytes) -> Result:
    """The result that these bytes are; raises `MalformedResult`, and nothing else."""
    try:
        return _result(msgpack.unpackb(content, use_list=False))
    except (ValueError, TypeError, LookupError, struct.error, RecursionError) as error:
        raise MalformedResult("bytes that are no result") from error


def _result(fields: Any) -> Result:
    number, *rest = fields
    return _DECODERS[number](*rest)


def _kvs(items: Sequence[bytes]) -> tuple[KeyValue, ...]:
    return tuple([unpack(key, record) for key, record in zip(items[::2], items[1::2], strict=True)])


def _first(items: Sequence[bytes]) -> KeyValue | None:
    return next(iter(_kvs(items)), None)


def _results(fields: Iterable[Any]) -> tuple[Any, ...]:
    return tuple([_result(each) for each in fields])


_DECODERS: dict[int, Callable[..., Result]] = {
    PUT_DONE: lambda items: PutDone(_first(items)),
    DELETED: lambda count, items: Deleted(count, _kvs(items)),
    RANGE_FOUND: lambda items, *rest: RangeFound(_kvs(items), *rest),
    TXN_DONE: lambda succeeded, results: TxnDone(succeeded, _results(results)),
    COMPACT_DONE: CompactDone,
    GRANTED: Granted,
    REVOKED: Revoked,
    KEEP_DONE: KeepDone,
    LEASE_FOUND: LeaseFound,
    LEASES_FOUND: lambda leases, more: LeasesFound(_results(leases), more),
    FAILED: lambda failure, text, first_revision: Failed(Failure(failure), text, first_revision),
}
