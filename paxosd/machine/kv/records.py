"""What is kept of a key, and how it travels: packed bytes, in memory as on disk and on the wire.

    record = create_revision u64, mod_revision u64, version u64, lease u64, value

A machine holds a million of them; so a record is one `bytes`, and becomes a `KeyValue` only for who looks at it.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple, TypeAlias

from paxosd.core.types import Revision

HEADER = Struct(">4Q")
HEADER_BYTES = HEADER.size
NO_LEASE = 0
NO_RECORD = 2**32 - 1
"""Stands for the size of a record on a disk, where there is none."""


class KeyValue(NamedTuple):
    """A key, what it was set to, and since when.

    `create_revision`: the revision of the put that made it. `mod_revision`: of its latest put. `version`: how many puts
    it had since it was made, from 1 on. `lease`: the lease that it ends with; 0: it has none.
    """

    key: bytes
    value: bytes
    create_revision: Revision
    mod_revision: Revision
    version: int
    lease: int


class KeyEvent(NamedTuple):
    """What a revision did to a key. `kv` is the key after it, None: it was deleted. `previous` is the key before it,
    None: there was none."""

    key: bytes
    kv: KeyValue | None
    previous: KeyValue | None
    revision: Revision


Change: TypeAlias = tuple[Revision, bytes, bytes | None, bytes | None]
"""What a revision did to a key: the revision, the key, its record after it, its record before it; None: the key is not
there. `KeyEvent` is the same, unpacked."""


def pack(kv: KeyValue) -> bytes:
    """The record of a key."""
    return HEADER.pack(kv.create_revision, kv.mod_revision, kv.version, kv.lease) + kv.value


def unpack(key: bytes, record: bytes) -> KeyValue:
    """What `pack` made of it."""
    return KeyValue(key, record[HEADER_BYTES:], *HEADER.unpack_from(record))


def unpack_if(key: bytes, record: bytes | None) -> KeyValue | None:
    """The same, where there may be none."""
    return None if record is None else unpack(key, record)


def lease_of(record: bytes) -> int:
    """The lease that is in a record."""
    return int.from_bytes(record[24:32], "big")
