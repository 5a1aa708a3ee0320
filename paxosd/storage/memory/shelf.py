"""Snapshots of records in memory: a copy is made at once, and what comes in is checked and put in two steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import msgpack

from paxosd.core.records import OfSnapshot, SnapshotBytes, SnapshotDropped, SnapshotInstalled, SnapshotStep
from paxosd.core.snapshots import IncomingSnapshot, Snapshot, Stage
from paxosd.core.types import Slot
from paxosd.storage.base import Corrupt

DIGEST_BYTES = 16


def digest_of(content: bytes) -> bytes:
    """What a snapshot is checked by."""
    return blake2b(content, digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class _Coming:
    snapshot: Snapshot
    content: bytes
    stage: Stage


class MemoryShelf(ABC):
    """What a `MemoryStore` has of snapshots."""

    def __init__(self) -> None:
        self._offered: tuple[Snapshot, bytes] | None = None  # gone with its process
        self._coming: _Coming | None = None  # stays

    @abstractmethod
    def _state(self) -> tuple[Slot, Any]:
        """The kept state and its slot, as msgpack takes it."""

    @abstractmethod
    def _install(self, state: Any) -> None:
        """Make this the kept state."""

    # ---- telling ----

    def offered(self) -> Snapshot | None:
        return None if self._offered is None else self._offered[0]

    def offer(self) -> None:
        slot, state = self._state()
        content: bytes = msgpack.packb(state)
        digest = digest_of(content)
        self._offered = Snapshot(digest, slot, len(content), digest), content

    def part(self, offset: int, bytes_max: int) -> bytes:
        assert self._offered is not None
        return self._offered[1][offset : offset + bytes_max]

    def withdraw(self) -> None:
        self._offered = None

    # ---- taking ----

    def incoming(self) -> IncomingSnapshot | None:
        if self._coming is None:
            return None
        return IncomingSnapshot(self._coming.snapshot, len(self._coming.content), self._coming.stage)

    def _commit_of_snapshot(self, record: OfSnapshot) -> None:
        """Do what the record says, if it is about the one that comes in."""
        coming = self._coming
        if isinstance(record, SnapshotBytes) and record.offset == 0:
            snapshot = Snapshot(record.snapshot, record.slot, record.size, record.digest)
            coming = _Coming(snapshot, b"", Stage.COMING)
        if coming is None or coming.snapshot.id != record.snapshot:
            return
        match record:
            case SnapshotBytes(offset=offset, data=data):
                if offset == len(coming.content):
                    content = coming.content + data
                    stage = Stage.COMING if len(content) < coming.snapshot.size else Stage.CHECKING
                    coming = replace(coming, content=content, stage=stage)
                self._coming = coming
            case SnapshotStep():
                self._coming = replace(coming, stage=_next_stage(coming))
            case SnapshotInstalled():
                self._install(_unpacked(coming.content))
                self._coming = None
            case SnapshotDropped():
                self._coming = None


def _unpacked(content: bytes) -> Any:
    try:
        return msgpack.unpackb(content, use_list=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise Corrupt(f"the snapshot is damaged: {error}") from error


def _next_stage(coming: _Coming) -> Stage:
    match coming.stage:
        case Stage.CHECKING:
            return Stage.PUTTING if digest_of(coming.content) == coming.snapshot.digest else Stage.WRONG
        case Stage.PUTTING:
            return Stage.READY
    return coming.stage
