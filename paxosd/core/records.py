"""What must survive a crash. A store keeps the latest record of each key and knows no more of Paxos.

| record    | written by | key   | why it must not be lost                                                    |
|-----------|------------|-------|----------------------------------------------------------------------------|
| Round     | proposer   | -     | no ballot may be used twice, not even by the same proposer after a restart |
| Promised  | acceptor   | -     | "an acceptor needs to remember only the highest-numbered proposal that it  |
|           |            |       | has ever accepted and the number of the highest-numbered prepare request   |
|           |            |       | to which it has responded" (Paxos Made Simple, 2.2)                        |
| Voted     | acceptor   | slot  | the same sentence: its votes                                               |
| Forgotten | acceptor   | rows  | votes of a disk that votes no more, in another history maybe, bind nobody  |
| Told      | acceptor   | -     | may be lost: a watermark that it heard of; saves work after a restart      |
| Learned   | learner    | slot  | may be lost: others can tell it again, as long as it is not told as synced |
| Kept      | learner    | rows  | may be lost, as a whole: the log makes it again                            |
| Floor     | acceptor   | -     | may be lost, together with the trimming of the votes below it              |
| Synced    | learner    | -     | what it says is that all before it is durable: the floor rests on that     |
| Voters    | every role | -     | an acceptor that voted with new voters takes part no more with older ones  |
|           |            |       | (`voters.py`, law 2); the history that a node belongs to                   |
| Disk      | acceptor   | -     | a disk votes under one id, and only once it has copied what it must know   |
| Upgraded  | nobody     | -     | written by `paxosd upgrade`: this disk is not blank and was never born     |
| Continues | nobody     | -     | written by a restore: which history it goes on from, and where             |
|           |            |       | (`continuing.py`)                                                          |
| Seen      | every node | -     | may be lost: how many commits the disks of acceptors told                  |
| Snapshot… | learner    | rows  | only that one is installed: what is told as synced may rest on it          |

A record without a key is kept in one way, whatever it says (`storage/contents.py`): a new one is a dataclass in the
union `Record`, and nothing else. A class is never renamed, and fields are only appended, with a default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from paxosd.core.continuing import Continues
from paxosd.core.types import FIRST_SLOT, Ballot, DiskId, Revision, RevisionRow, Slot
from paxosd.core.voters import Voters


@dataclass(frozen=True, slots=True)
class Round:
    """The proposer may use ballots of this round; every later life starts above it."""

    round: int


@dataclass(frozen=True, slots=True)
class Promised:
    """The acceptor answers no lower ballot any more."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Voted:
    """The acceptor accepted this value; it replaces an older vote in the same slot."""

    slot: Slot
    ballot: Ballot
    value: bytes


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The acceptor's votes are gone, all that there are: its disk got another id, and so has voted for nothing."""


@dataclass(frozen=True, slots=True)
class Told:
    """Every slot below is chosen, by a leader's word."""

    watermark: Slot


@dataclass(frozen=True, slots=True)
class Learned:
    """This value is chosen in this slot."""

    slot: Slot
    value: bytes


@dataclass(frozen=True, slots=True)
class Disk:
    """The id of this disk. An acceptor draws it in its first turn, and another one when this disk may not vote again.

    `copied`: it has all that the disk before it could have known. `used`: it promised something under this id.
    """

    disk: DiskId
    copied: bool
    used: bool


@dataclass(frozen=True, slots=True)
class Upgraded:
    """This directory was made by a version that knew of no history."""

    from_format: int


@dataclass(frozen=True, slots=True)
class Seen:
    """How many durable commits each disk told, as far as this node heard."""

    commits: tuple[tuple[DiskId, int], ...]


@dataclass(frozen=True, slots=True)
class Floor:
    """The acceptor's votes below this slot may be gone (see `floor.py`)."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Synced:
    """The learner's state below this slot is durable, once this is: what was recorded before it is synced with it."""

    slot: Slot


class KeptKey(NamedTuple):
    """Names a row of the kept state: whose it is, and the owner's name for it."""

    owner: str
    key: bytes


class KeptRow(NamedTuple):
    """A row of the kept state."""

    owner: str
    key: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """The kept state is that of every slot below `slot` once these rows are deleted, and then those are put.

    `revisions`: rows that come after all that are there. What is learned below the slot `first`, and the rows of
    revisions below `first_revision`, are kept no longer: a store hides them at once, and removes them in steps.
    """

    slot: Slot
    put: tuple[KeptRow, ...]
    delete: tuple[KeptKey, ...] = ()
    revisions: tuple[RevisionRow, ...] = ()
    first: Slot = FIRST_SLOT
    first_revision: Revision = 1


@dataclass(frozen=True, slots=True)
class SnapshotBytes:
    """The bytes of a snapshot of another learner from `offset` on (see `snapshots.py`); those from 0 on make it the one
    that comes in."""

    snapshot: bytes
    slot: Slot
    size: int
    digest: bytes
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SnapshotStep:
    """Check some more of this snapshot, which came in, or put some more of it beside what is kept."""

    snapshot: bytes


@dataclass(frozen=True, slots=True)
class SnapshotInstalled:
    """This snapshot, which was checked and put, is the kept state from now on: that of every slot below `slot`."""

    snapshot: bytes
    slot: Slot


@dataclass(frozen=True, slots=True)
class SnapshotDropped:
    """This snapshot is of no use."""

    snapshot: bytes


OfSnapshot: TypeAlias = SnapshotBytes | SnapshotStep | SnapshotInstalled | SnapshotDropped
_Acceptors: TypeAlias = Promised | Voted | Forgotten | Told | Floor | Disk | Upgraded | Continues | Seen
Record: TypeAlias = Round | _Acceptors | Learned | Kept | Synced | Voters | OfSnapshot

WITH_ROWS = (Voted, Forgotten, Learned, Kept, SnapshotBytes, SnapshotStep, SnapshotInstalled, SnapshotDropped)
"""The records that are about rows. Of all others a store keeps the latest of each class."""

MAY_BE_LOST = (Told, Learned, Kept, Floor, Seen, SnapshotBytes, SnapshotStep, SnapshotDropped)
"""The records that a store may lose in a power cut: it need not wait for the disk before it says that it has them. What
it loses is the end of what it was given: a commit that is still there comes with all before it."""
