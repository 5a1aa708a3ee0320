"""What is asked of the keys: commands, which are in the log and have revisions, and questions, which are in neither.

`encoding.py` makes bytes of them, and `results.py` has what is answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from paxosd.core.types import Revision
from paxosd.machine.kv.ranges import ONE_KEY


class Failure(IntEnum):
    """Why a command did nothing, or a question has no answer."""

    MALFORMED = 1
    """Nobody here understands these bytes."""
    EMPTY_KEY = 2
    DUPLICATE_KEY = 3
    """A transaction would change one key twice."""
    INVALID = 4
    """It contradicts itself, or a number is out of bounds."""
    COMPACTED = 5
    """The history begins later, at `first_revision`."""
    FUTURE_REVISION = 6
    KEY_NOT_FOUND = 7
    """`keep_value` or `keep_lease` of a key that is not there."""
    LEASE_GONE = 8
    """There is no such lease, or it ran out."""
    TOO_LARGE = 9
    """The result, or what would be changed or looked at, is larger than one request may ask for."""
    FULL = 10
    """There are as many bytes of keys, or as many leases, as there may be."""


class Sort(IntEnum):
    """What a range is ordered by; equal ones by key."""

    KEY = 0
    VALUE = 1
    VERSION = 2
    CREATE = 3
    MOD = 4


class CompareTarget(IntEnum):
    """What of a key is compared."""

    VALUE = 1
    VERSION = 2
    CREATE = 3
    MOD = 4
    LEASE = 5


class CompareOp(IntEnum):
    """How it is compared with the operand."""

    EQUAL = 1
    NOT_EQUAL = 2
    LESS = 3
    GREATER = 4


@dataclass(frozen=True, slots=True)
class Put:
    """Set a key; result `PutDone`.

    `lease`: the key ends with it; 0: with none, whatever it had. `previous`: tell what was there. `keep_value` and
    `keep_lease`: as it is now; the key must be there, and `value` be empty, `lease` be 0.
    """

    key: bytes
    value: bytes
    lease: int = 0
    previous: bool = False
    keep_value: bool = False
    keep_lease: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the keys of a range (see `ranges.py`); result `Deleted`. `previous`: tell what was there."""

    key: bytes
    end: bytes = ONE_KEY
    previous: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """Read the keys of a range, as of now or of a past `revision`; result `RangeFound`. A question, and part of `Txn`.

    `limit`: how many items to tell, 0: all. `descending`: from the other end. The four bounds pass over items whose
    revisions are below or above them; 0: no bound.
    """

    key: bytes
    end: bytes = ONE_KEY
    revision: Revision = 0
    limit: int = 0
    descending: bool = False
    sort: Sort = Sort.KEY
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: Revision = 0
    max_mod_revision: Revision = 0
    min_create_revision: Revision = 0
    max_create_revision: Revision = 0


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition on each key of a range, as it is before the transaction.

    A key that is not there has version, revisions and lease 0, and no value: each compare of a value is false. A range
    that has no key is taken for one such key.
    """

    key: bytes
    target: CompareTarget
    op: CompareOp
    operand: bytes | int
    end: bytes = ONE_KEY


@dataclass(frozen=True, slots=True)
class Txn:
    """If all compares hold, do `then`, else `otherwise`; one revision, all or nothing. Result `TxnDone`.

    The operations see what those before them did; compares, also of transactions inside, see none of it.
    """

    compares: tuple[Compare, ...] = ()
    then: tuple[Op, ...] = ()
    otherwise: tuple[Op, ...] = ()


@dataclass(frozen=True, slots=True)
class Compact:
    """Let go of the history before `revision`: it is the first one that is told from then on. Result `CompactDone`."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Grant:
    """A new lease, which runs out after `ttl_ms` unless it is kept; its id is the revision. Result `Granted`.

    `name`: for people, shown in lists.
    """

    ttl_ms: int
    name: bytes = b""


@dataclass(frozen=True, slots=True)
class Revoke:
    """End a lease, and delete its keys. Result `Revoked`."""

    lease: int


@dataclass(frozen=True, slots=True)
class Keep:
    """Let each of these leases run for its whole time from now on. Result `KeepDone`."""

    leases: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AskLease:
    """A question: what about this lease? Answer `LeaseFound`."""

    lease: int


@dataclass(frozen=True, slots=True)
class AskLeases:
    """A question: which leases are there, from this id on? Answer `LeasesFound`."""

    start: int = 0


Op: TypeAlias = Put | Delete | Range | Txn
Command: TypeAlias = Put | Delete | Txn | Compact | Grant | Revoke | Keep
Question: TypeAlias = Range | AskLease | AskLeases
