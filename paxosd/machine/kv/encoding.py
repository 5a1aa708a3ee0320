"""Requests as bytes: a msgpack array whose first item is the number of the request.

Laws:
1. Bytes that are no request, whoever sent them, raise `Malformed` and nothing else; so does what could not be meant,
   such as an empty key. What depends on the state is refused when it is applied.
2. What is read has bounds: `OPS_MAX`, `DEPTH_MAX`, `ITEMS_MAX`.
3. Numbers are never given anew, and fields are only ever appended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from itertools import takewhile
from operator import methodcaller
from typing import NamedTuple, TypeAlias, TypeVar

import msgpack

from paxosd.machine.kv.requests import (
    AskLease,
    AskLeases,
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
    Question,
    Range,
    Revoke,
    Sort,
    Txn,
)

LEASE_MS_MAX = 100 * 365 * 24 * 3600 * 1000
LEASE_NAME_BYTES_MAX = 1024
NUMBER_MAX = 2**63 - 1
OPS_MAX = 4096
"""How many compares and operations a transaction may have, with those of the ones in it."""
DEPTH_MAX = 8
"""How deep transactions may be nested."""
ITEMS_MAX = 1 << 16
"""How many leases one `Keep` may name; no array of a request is longer."""

PUT, DELETE, RANGE, TXN, COMPACT, GRANT, REVOKE, KEEP, ASK_LEASE, ASK_LEASES = range(1, 11)

PUTS_AT_ONCE = 64
"""So many puts are looked at together, and one that makes no sense costs as much as they do."""

_begins_as_put = methodcaller("startswith", bytes([0x97, PUT]))  # an array of seven, and the number
_ends_as_put = methodcaller("endswith", b"".join(map(msgpack.packb, (0, False, False, False))))
_RANGE_BEGINS = bytes([0x9D, RANGE])  # an array of thirteen, and the number
_GET_ENDS = b"".join(map(msgpack.packb, (b"", 0, 0, False, Sort.KEY, False, False, 0, 0, 0, 0)))
"""What stands behind the key where nothing else is asked for."""

Fields: TypeAlias = list[object]

_pack: Callable[[object], bytes] = msgpack.Packer().pack


class Puts(NamedTuple):
    """Puts that ask for nothing else: their keys, and as many values."""

    keys: Sequence[bytes]
    values: Sequence[bytes]


class Malformed(ValueError):
    """A request that is refused before anything is looked at; `failure` says why."""

    def __init__(self, text: str, failure: Failure = Failure.MALFORMED) -> None:
        super().__init__(text)
        self.failure = failure


# ---- encoding ----


def encode_command(command: Command) -> bytes:
    """The bytes of a command; raises `ValueError` for a number, or a transaction, that no message carries."""
    return _packed(command)


def encode_question(question: Question) -> bytes:
    """The bytes of a question; raises `ValueError` for a number that no message carries."""
    return _packed(question)


def encode_put(key: bytes, value: bytes, lease: int) -> bytes:
    """What `encode_command` makes of a `Put` that asks for nothing else, in a seventh of the time."""
    return _pack((PUT, key, value, lease, False, False, False))


def _packed(request: Command | Question) -> bytes:
    try:
        return _pack(_fields(request))
    except OverflowError:
        raise ValueError("a number of a request has more than 64 bits") from None
    except RecursionError:
        raise ValueError("transactions of a request are nested without end") from None


def _fields(request: Command | Question | Op) -> Fields:  # one case for each kind
    match request:
        case Put(key, value, lease, previous, keep_value, keep_lease):
            return [PUT, key, value, lease, previous, keep_value, keep_lease]
        case Delete(key, end, previous):
            return [DELETE, key, end, previous]
        case Range(key, end, revision, limit, descending, sort, keys_only, count_only):
            bounds = request.min_mod_revision, request.max_mod_revision
            created = request.min_create_revision, request.max_create_revision
            return [RANGE, key, end, revision, limit, descending, sort, keys_only, count_only, *bounds, *created]
        case Txn(compares, then, otherwise):
            conditions = [[each.key, each.target, each.op, each.operand, each.end] for each in compares]
            return [TXN, conditions, [_fields(op) for op in then], [_fields(op) for op in otherwise]]
        case Compact(revision):
            return [COMPACT, revision]
        case Grant(ttl_ms, name):
            return [GRANT, ttl_ms, name]
        case Revoke(lease):
            return [REVOKE, lease]
        case Keep(leases):
            return [KEEP, leases]
        case AskLease(lease):
            return [ASK_LEASE, lease]
        case AskLeases(start):
            return [ASK_LEASES, start]


# ---- decoding ----


def decode_command(content: bytes) -> Command:
    """The command that these bytes are; raises `Malformed`."""
    return _command_of(unpack_fields(content))


def plain_puts(commands: Sequence[bytes], start: int) -> Puts:
    """The puts from this place on that ask for nothing else, as most commands do; `PUTS_AT_ONCE` at most. The first
    command that is another one ends them.

    It says what `decode_command` would say, and Python does nothing for each of them.
    """
    of_run = commands[start : start + PUTS_AT_ONCE]
    run = list(takewhile(_ends_as_put, takewhile(_begins_as_put, of_run)))
    return _plain(run) or _plain_before_another(run)


def _plain_before_another(run: Sequence[bytes]) -> Puts:
    keys: list[bytes] = []
    values: list[bytes] = []
    for content in run:
        alone = _plain([content])
        if alone is None:
            break
        keys += alone.keys
        values += alone.values
    return Puts(keys, values)


def _plain(run: Sequence[bytes]) -> Puts | None:
    """What these say; None: one of them is no put that asks for nothing else, or there is none."""
    try:
        _, keys, values, leases, *asks = zip(*map(msgpack.unpackb, run), strict=True)
    except (ValueError, TypeError):
        return None
    if any(leases) or any(map(any, asks)) or not all(keys):
        return None
    kinds = [set(map(type, each)) for each in (keys, values, leases)]
    return Puts(keys, values) if kinds == [{bytes}, {bytes}, {int}] else None


def _command_of(fields: Fields) -> Command:
    found = _request(fields, _Budget())
    if isinstance(found, Range | AskLease | AskLeases):
        raise Malformed("a question is no command")
    return found


def decode_question(content: bytes) -> Question:
    """The question that these bytes are; raises `Malformed`."""
    found = _request(unpack_fields(content), _Budget())
    if not isinstance(found, Range | AskLease | AskLeases):
        raise Malformed("a command is no question")
    return found


def plain_get(content: bytes) -> bytes | None:
    """The key of a `Range` that asks for what stands there now, as most questions do; None: it is another question.

    It is what `decode_question` would say, in a tenth of the time.
    """
    if not content.startswith(_RANGE_BEGINS) or not content.endswith(_GET_ENDS):
        return None
    try:
        key = msgpack.unpackb(content[len(_RANGE_BEGINS) : -len(_GET_ENDS)])
    except (ValueError, TypeError):
        return None
    return key or None if type(key) is bytes else None


def unpack_fields(content: bytes) -> Fields:
    """The array that these bytes are; raises `Malformed`."""
    try:
        fields = msgpack.unpackb(content, max_array_len=ITEMS_MAX, max_map_len=0, max_ext_len=0)
    except (ValueError, TypeError) as error:
        raise Malformed("no msgpack array") from error
    return _array(fields)


class _Budget:
    """How many operations and nested transactions a request may still have."""

    def __init__(self) -> None:
        self._ops = OPS_MAX
        self._depth = DEPTH_MAX

    def enter(self, count: int) -> None:
        self._ops -= count
        self._depth -= 1
        if self._ops < 0:
            raise Malformed(f"more than {OPS_MAX} compares and operations", Failure.TOO_LARGE)
        if self._depth < 0:
            raise Malformed(f"transactions are nested deeper than {DEPTH_MAX}", Failure.TOO_LARGE)

    def leave(self) -> None:
        self._depth += 1


def _request(fields: Fields, budget: _Budget) -> Command | Question | Op:
    number = _number(fields[0]) if fields else 0
    if number == TXN and len(fields) == 4:
        return _txn(fields, budget)
    count, decoder = _DECODERS.get(number, (0, None))
    if decoder is None or len(fields) != 1 + count:
        raise Malformed("a request of an unknown kind, or with other fields")
    return decoder(*fields[1:])


def _txn(fields: Fields, budget: _Budget) -> Txn:
    compares, then, otherwise = (_array(each) for each in fields[1:])
    budget.enter(len(compares) + len(then) + len(otherwise))
    found = Txn(
        tuple([_compare(_array(each)) for each in compares]),
        tuple([_op(_array(each), budget) for each in then]),
        tuple([_op(_array(each), budget) for each in otherwise]),
    )
    budget.leave()
    return found


def _op(fields: Fields, budget: _Budget) -> Op:
    found = _request(fields, budget)
    if not isinstance(found, Put | Delete | Range | Txn):
        raise Malformed("this is not done in a transaction")
    return found


def _compare(fields: Fields) -> Compare:
    if len(fields) != 5:
        raise Malformed("a compare with other fields")
    key, target, op, operand, end = fields
    of = _member(CompareTarget, target)
    bound: bytes | int = _bytes(operand) if of == CompareTarget.VALUE else _number(operand)
    return Compare(_key(key), of, _member(CompareOp, op), bound, _bytes(end))


def _put(key: object, value: object, lease: object, previous: object, keep_value: object, keep_lease: object) -> Put:
    put = Put(_key(key), _bytes(value), _number(lease), _flag(previous), _flag(keep_value), _flag(keep_lease))
    if put.keep_value and put.value:
        raise Malformed("the value is given, and to be kept", Failure.INVALID)
    if put.keep_lease and put.lease:
        raise Malformed("the lease is given, and to be kept", Failure.INVALID)
    return put


def _range(*fields: object) -> Range:
    key, end, revision, limit, descending, sort, keys_only, count_only, *bounds = fields
    return Range(
        _key(key),
        _bytes(end),
        _number(revision),
        _number(limit),
        _flag(descending),
        _member(Sort, sort),
        _flag(keys_only),
        _flag(count_only),
        *map(_number, bounds),
    )


def _grant(ttl_ms: object, name: object) -> Grant:
    grant = Grant(_number(ttl_ms), _bytes(name))
    if not 0 < grant.ttl_ms <= LEASE_MS_MAX:
        raise Malformed(f"a lease is for 1 to {LEASE_MS_MAX} ms", Failure.INVALID)
    if len(grant.name) > LEASE_NAME_BYTES_MAX:
        raise Malformed(f"the name of a lease has more than {LEASE_NAME_BYTES_MAX} bytes", Failure.INVALID)
    return grant


_DECODERS: dict[int, tuple[int, Callable[..., Command | Question]]] = {
    PUT: (6, _put),
    DELETE: (3, lambda key, end, previous: Delete(_key(key), _bytes(end), _flag(previous))),
    RANGE: (12, _range),
    COMPACT: (1, lambda revision: Compact(_number(revision))),
    GRANT: (2, _grant),
    REVOKE: (1, lambda lease: Revoke(_number(lease))),
    KEEP: (1, lambda leases: Keep(tuple([_number(lease) for lease in _array(leases)]))),
    ASK_LEASE: (1, lambda lease: AskLease(_number(lease))),
    ASK_LEASES: (1, lambda start: AskLeases(_number(start))),
}
"""How many fields a request has after its number, and what is made of them."""

# ---- fields ----


def _array(field: object) -> Fields:
    if type(field) is not list:
        raise Malformed("no array where one stands")
    return field


def _bytes(field: object) -> bytes:
    if type(field) is not bytes:
        raise Malformed("no bytes where some stand")
    return field


def _key(field: object) -> bytes:
    if not (key := _bytes(field)):
        raise Malformed("the key is empty", Failure.EMPTY_KEY)
    return key


def _number(field: object) -> int:
    if type(field) is not int or not 0 <= field <= NUMBER_MAX:
        raise Malformed("no number, or one that is out of bounds")
    return field


def _flag(field: object) -> bool:
    if type(field) is not bool:
        raise Malformed("no flag where one stands")
    return field


_M = TypeVar("_M", bound=IntEnum)


def _member(kind: type[_M], field: object) -> _M:
    try:
        return kind(_number(field))
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed("a number that stands for nothing") from error
