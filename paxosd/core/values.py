"""How commands travel inside a value, byte by byte.

A value is opaque to everybody but its maker (the leader, who puts batches together) and a learner (who
takes them apart). A *batch* is a run of commands of one session with consecutive sequence numbers; its
*body* is made by the client and copied unread from there to the learner.

    value = stamp_ms u64, batch*                       no batch: the explicit no-op
    batch = session u64, acknowledged u64, first_seq u64, count u32, size u32, body (size bytes)
    body  = length u32 (count times), command bytes    empty: the commands are withdrawn

All numbers are big-endian. The stamp is log time: milliseconds, given by the leader, never going back.
A batch of session 0 asks for a new session; its first_seq is the nonce by which the asker knows the answer, and its
body no command but the tag of whoever it is for (see `gateway/openings.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from paxosd.core.types import SessionId

_STAMP = struct.Struct(">Q")
_BATCH = struct.Struct(">QQQII")

STAMP_BYTES = _STAMP.size
STAMP_BITS = 56
BATCH_BYTES = _BATCH.size
NO_SESSION: SessionId = 0
COMMANDS_MAX = 2**32 - 1
"""What the count of a batch has room for."""


class Kind(IntEnum):
    """What a value holds, as its first byte tells."""

    OLD = 0
    BATCHES = 1
    DECREE = 2


class MalformedValue(ValueError):
    """Bytes that are not a value or a body."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of `count` commands of one session, from number `first_seq` on.

    `acknowledged`: the client has the results of every command below this number.
    """

    session: SessionId
    acknowledged: int
    first_seq: int
    count: int
    body: bytes


def encode_value(stamp_ms: int, batches: Iterable[Batch] = ()) -> bytes:
    """One slot's value; without batches it is the no-op."""
    parts = [_STAMP.pack(stamp_ms)]
    for batch in batches:
        parts.append(_BATCH.pack(batch.session, batch.acknowledged, batch.first_seq, batch.count, len(batch.body)))
        parts.append(batch.body)
    return b"".join(parts)


def kind(value: bytes) -> int:
    """Of this value: a `Kind`, or a number that this version does not know."""
    if len(value) < _STAMP.size:
        raise MalformedValue("the value is shorter than its stamp")
    return value[0]


def is_noop(value: bytes) -> bool:
    """Whether a value holds no command, and no decree."""
    return len(value) == _STAMP.size and value[0] in (Kind.OLD, Kind.BATCHES)


def stamp_ms(value: bytes) -> int:
    """The log time at which the leader made this value."""
    try:
        return int(_STAMP.unpack_from(value)[0]) & (1 << STAMP_BITS) - 1
    except struct.error as error:
        raise MalformedValue("the value is shorter than its stamp") from error


def readable_stamp_ms(value: bytes) -> int:
    """The same, and 0 where there is none: a value that a wrong member reported must not end a leader."""
    return stamp_ms(value) if len(value) >= _STAMP.size else 0


def batches(value: bytes) -> Iterator[Batch]:
    """The batches of a value, in order; raises `MalformedValue` where the bytes end too early."""
    position, end = _STAMP.size, len(value)
    if kind(value) == Kind.DECREE:
        raise MalformedValue("the value is a decree")
    while position < end:
        if end - position < _BATCH.size:
            raise MalformedValue("the value ends inside a batch header")
        session, acknowledged, first_seq, count, size = _BATCH.unpack_from(value, position)
        position += _BATCH.size
        if end - position < size:
            raise MalformedValue("the value ends inside a batch body")
        yield Batch(session, acknowledged, first_seq, count, value[position : position + size])
        position += size


def encode_body(commands: Sequence[bytes]) -> bytes:
    """The body of a batch that holds these commands."""
    return struct.pack(f">{len(commands)}I", *map(len, commands)) + b"".join(commands)


def commands(body: bytes, count: int) -> list[bytes]:
    """The commands of a body; raises `MalformedValue` unless it holds exactly `count` of them."""
    position = 4 * count
    if len(body) < position:
        raise MalformedValue("the body is shorter than its table of lengths")
    lengths = struct.unpack_from(f">{count}I", body)
    if position + sum(lengths) != len(body):
        raise MalformedValue("the lengths of the commands do not add up to the body")
    found = []
    for length in lengths:
        found.append(body[position : position + length])
        position += length
    return found
