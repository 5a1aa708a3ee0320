"""A copy of the log as the slots hold it, for a client that takes a backup."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import Revision, Slot
from paxosd.core.voters import Voters


@dataclass(frozen=True, slots=True)
class ReadSlots:
    """Client to gateway: the values of the slots from `first` on, as they were chosen.

    `linearizable`: with all that was acknowledged before this request; otherwise what this gateway has.
    """

    request: int
    first: Slot
    linearizable: bool


@dataclass(frozen=True, slots=True)
class SlotPage:
    """Gateway to client: the values of `first`, `first` + 1, …, as many as fit; none from the watermark on.

    `start`: the first slot whose value is kept. Every slot below `watermark` is applied; that made `revision` and
    `log_time_ms` the latest ones, and a state with this `digest`. `voters` says of which history it is. A
    read is refused by a `LogPage`.
    """

    request: int
    first: Slot
    values: tuple[bytes, ...]
    start: Slot
    watermark: Slot
    revision: Revision
    log_time_ms: int
    digest: bytes
    hint: str
    cluster: str
    voters: Voters


@dataclass(frozen=True, slots=True)
class ReadSnapshot:
    """Client to gateway: the bytes of `snapshot` from `offset` on; of one of yours if you do not have that one."""

    request: int
    snapshot: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class SnapshotPage:
    """Gateway to client: the bytes of `snapshot` from `offset` on; its fields are those of `SnapshotPart`.

    If `snapshot` is empty it is being made: ask again in a while.
    """

    request: int
    snapshot: bytes
    slot: Slot
    size: int
    digest: bytes
    offset: int
    data: bytes
