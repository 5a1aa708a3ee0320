"""Data directories of nodes that do not run, read as they are.

Laws:
1. Nothing in them is changed, not even by SQLite: the records are copied to a place of their own, and read there.
2. One that a running node holds is refused. One that cannot be trusted is named with the reason, and counts as missing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from paxosd.backup.errors import BackupError, file_errors
from paxosd.core.records import Disk, Floor, Promised, Record, Seen, Told
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, NO_DISK, Ballot, DiskId, NodeId, Slot, Vote
from paxosd.core.voters import NO_VOTERS, Voters
from paxosd.storage.base import StorageError
from paxosd.storage.directory import IDENTITY_NAME, LOCK_NAME, STORE_NAME, Identity, read_identity
from paxosd.storage.sqlite.store import SQLiteStore

T = TypeVar("T")
PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadDisk:
    """A directory that was read, and its records."""

    path: Path
    identity: Identity
    store: SQLiteStore
    voters: Voters
    disk: DiskId
    copied: bool
    promised: Ballot
    told: Slot
    floor: Slot
    seen: dict[DiskId, int]

    @property
    def node(self) -> NodeId:
        return self.identity.node

    @property
    def is_acceptor(self) -> bool:
        return self.identity.role in ("acceptor", "replica")

    @property
    def is_learner(self) -> bool:
        return self.identity.role in ("learner", "replica")

    @property
    def watermark(self) -> Slot:
        """Every slot below is chosen, as far as this directory knows."""
        decreed = self.voters.decreed + 1 if self.voters.are_named else FIRST_SLOT
        return max(self.told, self.floor, decreed, self.store.learned_stop() if self.is_learner else FIRST_SLOT)

    def votes(self, first: Slot) -> Iterator[Vote]:
        """All votes from this slot on, in order."""
        while page := self.store.votes(first, 1 << 60, PAGE_BYTES):
            yield from page
            first = page[-1].slot + 1


@dataclass(frozen=True, slots=True)
class ReadDisks:
    """All that were asked for: those that could be read, and why others could not."""

    read: list[ReadDisk] = field(default_factory=list)
    refused: list[tuple[Path, str]] = field(default_factory=list)


@contextmanager
def open_disks(paths: Sequence[Path]) -> Iterator[ReadDisks]:
    """Read these directories, until the block ends. Raises `BackupError` if a running node holds one."""
    with ExitStack() as stack:
        found = ReadDisks()
        for path in paths:
            stack.enter_context(_held(path))
            try:
                found.read.append(_read(path, stack))
            except (StorageError, BackupError) as error:
                found.refused.append((path, str(error)))
        yield found


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Keep a node from starting with this directory; nothing of it is written."""
    try:
        lock = os.open(path / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # there is none, or it says nothing: what is wrong is found when it is read
        yield
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"{path} is in use: stop the node that runs with it, and ask again") from None
        yield
    finally:
        os.close(lock)


def _read(path: Path, stack: ExitStack) -> ReadDisk:
    if not (path / IDENTITY_NAME).exists():
        raise BackupError(f"{path} is no data directory: it has no {IDENTITY_NAME}")
    with file_errors(path, "read"):
        identity = read_identity(path / IDENTITY_NAME)
        aside = Path(stack.enter_context(TemporaryDirectory(prefix="paxosd-rescue-")))
        for name in (STORE_NAME, f"{STORE_NAME}-wal", f"{STORE_NAME}-acknowledged"):
            if (path / name).exists():
                shutil.copyfile(path / name, aside / name)
    if not (aside / STORE_NAME).exists():
        raise BackupError(f"{path} has no records: {STORE_NAME} is gone")
    store = stack.enter_context(closing(SQLiteStore(aside / STORE_NAME, _Label(identity.node, identity.directory))))
    records = store.records()
    disk = _latest(records, Disk, Disk(NO_DISK, False, False))
    return ReadDisk(
        path,
        identity,
        store,
        _latest(records, Voters, NO_VOTERS),
        disk.disk,
        disk.copied,
        _latest(records, Promised, Promised(NO_BALLOT)).ballot,
        _latest(records, Told, Told(FIRST_SLOT)).watermark,
        _latest(records, Floor, Floor(FIRST_SLOT)).slot,
        dict(_latest(records, Seen, Seen(())).commits),
    )


def _latest(records: Iterable[Record], kind: type[T], otherwise: T) -> T:
    return next((record for record in records if isinstance(record, kind)), otherwise)


@dataclass(frozen=True, slots=True)
class _Label:
    """Whose the copied records must be; it notes nothing."""

    node: NodeId
    directory: str
    history: Any = b""

    def keep_history(self, history: bytes) -> None:
        """A copy is of any history."""
