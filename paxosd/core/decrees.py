"""Decrees: values that are about the cluster itself and not for a machine.

    decree  = 2 u8, stamp_ms u56, kind u8, fields        the first 8 bytes as of every value (see `values.py`)
    birth   = history (16), continues bytes, prepare u32, accept u32, count u16, voter (count times)
    voter   = node bytes, disk u64, weight u32
    replace = node bytes, old u64, new u64
    bytes   = length u16, that many bytes

All numbers are big-endian. What a decree means for who may vote stands in `voters.py`. What cannot be read is no
decree, which every node finds alike.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

from paxosd.core.types import HISTORY_BYTES, DiskId, HistoryId, NodeId, Slot
from paxosd.core.values import STAMP_BITS, STAMP_BYTES, Kind, MalformedValue, kind
from paxosd.core.voters import Voter, Voters

_BIRTH, _REPLACE = 1, 2


@dataclass(frozen=True, slots=True)
class Birth:
    """A history begins, with these acceptors (their disks and weights) and these quorums.

    `continues`: what its disks held before: nothing for a new cluster, the id of the history that was restored, or the
    version from which it was upgraded.
    """

    history: HistoryId
    continues: bytes
    prepare: int
    accept: int
    named: tuple[tuple[NodeId, DiskId, int], ...]

    def voters(self, slot: Slot) -> Voters:
        """Who votes once this is chosen in this slot."""
        named = tuple(Voter(node, disk, slot, weight) for node, disk, weight in self.named)
        return Voters(self.history, slot, slot, self.prepare, self.accept, named)


@dataclass(frozen=True, slots=True)
class Replace:
    """An acceptor votes with another disk: the one before is lost, or not to be trusted."""

    node: NodeId
    old: DiskId
    new: DiskId


Decree: TypeAlias = Birth | Replace


def after(voters: Voters, slot: Slot, decree: Decree) -> Voters:
    """Who votes above this slot, where this decree is chosen."""
    match decree:
        case Birth():
            return voters._replace(decreed=slot) if voters.named else decree.voters(slot)
        case Replace(node, old, new):
            return voters.replaced(slot, node, old, new) if voters.named else voters


def encode_decree(stamp_ms: int, decree: Decree) -> bytes:
    """The value that says this."""
    head = struct.pack(">Q", Kind.DECREE << STAMP_BITS | stamp_ms)
    match decree:
        case Birth(history, continues, prepare, accept, named):
            parts = [head, struct.pack(">B16s", _BIRTH, history), _bytes(continues)]
            parts.append(struct.pack(">IIH", prepare, accept, len(named)))
            parts += [_bytes(node.encode()) + struct.pack(">QI", disk, weight) for node, disk, weight in named]
            return b"".join(parts)
        case Replace(node, old, new):
            return head + struct.pack(">B", _REPLACE) + _bytes(node.encode()) + struct.pack(">QQ", old, new)


def _bytes(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def decree_of(value: bytes) -> Decree | None:
    """The decree that a value is; None if it is none."""
    if not is_decree(value):
        return None
    try:
        return _read(_Scanner(value, STAMP_BYTES))
    except (struct.error, ValueError):
        return None


def is_decree(value: bytes) -> bool:
    """Whether a value is about the cluster itself, as far as its first byte tells."""
    try:
        return kind(value) == Kind.DECREE
    except MalformedValue:
        return False


def _read(reader: _Scanner) -> Decree | None:
    (what,) = reader.numbers(">B")
    decree: Decree
    if what == _BIRTH:
        history, continues = reader.take(HISTORY_BYTES), reader.bytes()
        prepare, accept, count = reader.numbers(">IIH")
        named = tuple(_named(reader) for _ in range(count))
        decree = Birth(history, continues, prepare, accept, named)
        if decree.voters(1).problem() or not named:
            return None
    elif what == _REPLACE:
        node = reader.bytes().decode()
        old, new = reader.numbers(">QQ")
        decree = Replace(node, old, new)
    else:
        return None
    return decree if reader.is_done else None


def _named(reader: _Scanner) -> tuple[NodeId, DiskId, int]:
    node = reader.bytes().decode()
    disk, weight = reader.numbers(">QI")
    return node, disk, weight


class _Scanner:
    """Takes a value apart from its front; raises struct.error or ValueError where it ends too early."""

    def __init__(self, value: bytes, position: int) -> None:
        self._value = value
        self._position = position

    @property
    def is_done(self) -> bool:
        return self._position == len(self._value)

    def numbers(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(form, self._value, self._position)
        self._position += struct.calcsize(form)
        return found

    def take(self, length: int) -> bytes:
        found = self._value[self._position : self._position + length]
        if len(found) < length:
            raise ValueError("the value ends too early")
        self._position += length
        return found

    def bytes(self) -> bytes:
        (length,) = self.numbers(">H")
        return self.take(length)
