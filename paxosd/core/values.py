"""How commands travel inside a value, byte by byte.

A value is opaque to everybody but its maker (the leader, who puts batches together) and a learner (who
takes them apart). A *batch* is a run of commands of one session with consecutive sequence numbers; its
*body* is made by the client and copied unread from there to the learner.

    value = kind u8, stamp_ms u56, the rest of its kind
    kind 1: batch*                                     no batch: the explicit no-op
    batch = session 16 bytes, acknowledged u64, first_seq u64, count u32, size u32, name u8, machine (name bytes),
            body (size bytes)                          a batch without a name is for the machine `log`
    body  = length u32 (count times), command bytes    empty: the commands are withdrawn
    kind 0: session u64, and no name                   of version 0.2.0, in old logs; never made any more
    kind 2: a decree, which is about the cluster itself and holds no batch

All numbers are big-endian. The stamp is log time: milliseconds, given by the leader, never going back.
A batch without a first command (`first_seq` 0) opens a session: a wish stands where its id would, and its body is no
command but the tag of whoever the session is for (see `gateway/openings.py`). In kind 0 a batch of session 0 does so;
its first_seq is any number, and the ids of sessions count 1, 2, 3 … in the order in which they were opened.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate

from paxosd.core.types import LOG, MACHINE_NAME_BYTES_MAX, SESSION_BYTES, MachineName, SessionId

_STAMP = struct.Struct(">Q")
_BATCH = struct.Struct(f">{SESSION_BYTES}sQQIIB")
_OLD_BATCH = struct.Struct(">QQQII")

STAMP_BYTES = _STAMP.size
STAMP_BITS = 56
BATCH_BYTES = _BATCH.size + MACHINE_NAME_BYTES_MAX
"""What stands around a body at most."""
COMMANDS_MAX = 2**32 - 1
"""What the count of a batch has room for."""


_OLD_ID = struct.Struct(f">{SESSION_BYTES - 8}xQ")
OLD_OPENING: SessionId = _OLD_ID.pack(0)
"""What stands for the session of a batch of kind 0 that opens one."""


OF_THE_LEDGER = b"\xc1"
"""How results begin that no machine said: no MessagePack begins so, and no machine should say it."""
UNKNOWN_MACHINE = OF_THE_LEDGER + b"no such machine"
"""The result of a command for a machine that is not mounted."""
RESULT_DROPPED = OF_THE_LEDGER + b"too much was said"
"""Stands for a result that there was no room for. Its command is applied."""


class Kind(IntEnum):
    """What a value holds, as its first byte tells."""

    OLD = 0
    BATCHES = 1
    DECREE = 2


class MalformedValue(ValueError):
    """Bytes that are not a value or a body."""


DIGESTS: SessionId = b"\xff" * SESSION_BYTES
"""Stands for the session of a batch by which a learner tells the digest of its state: `acknowledged` is the slot after
which that is, `first_seq` the number of the learner from 1 on, and the body the digest. It holds no command."""


def old_session(number: int) -> SessionId:
    """The id of a session that was opened by a value of kind 0; no wish is like it, and no other id."""
    return _OLD_ID.pack(number)


def is_old(session: SessionId) -> bool:
    """Whether it is the id of such a session, or stands for one."""
    return session.startswith(OLD_OPENING[:8])


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of `count` commands of one session for one machine, from number `first_seq` on.

    `acknowledged`: the client has the results of every command below this number.
    """

    session: SessionId
    acknowledged: int
    first_seq: int
    count: int
    body: bytes
    machine: MachineName = LOG

    @property
    def opens(self) -> bool:
        """Whether it opens a session, and holds no command."""
        return self.session == OLD_OPENING if is_old(self.session) else not self.first_seq


def encode_value(stamp_ms: int, batches: Iterable[Batch] = ()) -> bytes:
    """One slot's value; without batches it is the no-op."""
    parts = [_STAMP.pack(Kind.BATCHES << STAMP_BITS | stamp_ms)]
    for batch in batches:
        name = b"" if batch.machine == LOG else batch.machine.encode()
        numbers = batch.acknowledged, batch.first_seq, batch.count, len(batch.body), len(name)
        parts += _BATCH.pack(batch.session, *numbers), name, batch.body
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
    """The same, and 0 where there is none: a value that a wrong member reported must not end anybody."""
    return stamp_ms(value) if len(value) >= _STAMP.size else 0


def batches(value: bytes) -> Iterator[Batch]:
    """The batches of a value, in order; a decree has none. Raises `MalformedValue` where the bytes end too early, and
    for a kind that this version does not know."""
    is_of = kind(value)
    if is_of == Kind.DECREE:
        return
    if is_of not in (Kind.OLD, Kind.BATCHES):
        raise MalformedValue(f"nobody here knows values of kind {is_of}")
    header = _BATCH if is_of == Kind.BATCHES else _OLD_BATCH
    position, end = _STAMP.size, len(value)
    while position < end:
        if end - position < header.size:
            raise MalformedValue("the value ends inside a batch header")
        session, acknowledged, first_seq, count, size, *name_bytes = header.unpack_from(value, position)
        body = position + header.size + sum(name_bytes)
        if end - body < size:
            raise MalformedValue("the value ends inside a batch body")
        if is_of == Kind.OLD:
            session = old_session(session)
        machine = _machine(value[position + header.size : body])
        position = body + size
        yield Batch(session, acknowledged, first_seq, count, value[body:position], machine)


def _machine(name: bytes) -> MachineName:
    try:
        return name.decode() or LOG
    except UnicodeDecodeError as error:
        raise MalformedValue("the name of a machine is not UTF-8") from error


def encode_body(commands: Sequence[bytes]) -> bytes:
    """The body of a batch that holds these commands."""
    return struct.pack(f">{len(commands)}I", *map(len, commands)) + b"".join(commands)


def commands(body: bytes, count: int) -> list[bytes]:
    """The commands of a body; raises `MalformedValue` unless it holds exactly `count` of them."""
    ends = list(accumulate(lengths(body, count), initial=4 * count))
    return list(map(body.__getitem__, map(slice, ends, ends[1:])))


def lengths(body: bytes, count: int) -> tuple[int, ...]:
    """How long each of them is; raises `MalformedValue` as `commands` does."""
    if len(body) < 4 * count:
        raise MalformedValue("the body is shorter than its table of lengths")
    found = struct.unpack_from(f">{count}I", body)
    if 4 * count + sum(found) != len(body):
        raise MalformedValue("the lengths of the commands do not add up to the body")
    return found
