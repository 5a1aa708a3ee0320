"""Restoring: new data directories, made of a backup.

Every node of the new cluster begins with a directory of its own, in which nothing else may be: a learner has the state
and the log, an acceptor knows up to where every slot is chosen, a proposer that its first round was used. Together they
go on in the slot at which the backup ends.

Laws:
1. A backup is read to its end, and so known to be whole, before anything is made.
2. A directory can be opened once it is complete, and not before (`storage/directory.py`, law 7). All of a run are taken
   before the first one is filled, and complete together: of one that was interrupted no node begins with nothing.
3. An acceptor has let go of all votes but one: it has the last value, as voted for in a ballot below every other one.
   From it a leader learns the log time (`core/proposer.py`), or that would stand still until it had come so far again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from paxosd.backup.errors import BackupError
from paxosd.backup.file import BackupReader, Header, KeptRows, Position, RevisionRows, Rows, Values, summary
from paxosd.config import Config
from paxosd.core.continuing import Continues
from paxosd.core.membership import Role
from paxosd.core.records import Floor, Kept, KeptRow, Learned, Promised, Record, Round, Told, Voted
from paxosd.core.types import FIRST_SLOT, Ballot, NodeId, RevisionRow, Slot
from paxosd.storage.base import StorageError, Store
from paxosd.storage.directory import IDENTITY_NAME, DataDirectory, make_directory, require_vacant
from paxosd.storage.sqlite.store import SQLiteStore

COMMIT_BYTES = 4 * 1024 * 1024
COMMIT_ROWS = 4096
"""How much is written in one commit."""
FIRST_ROUND = 1
"""The round of the ballot that stands for all of the history before."""


class Source(Protocol):
    """What new directories are made of: it is whole, and can be read any number of times."""

    @property
    def header(self) -> Header: ...

    @property
    def position(self) -> Position:
        """How far it goes."""
        ...

    @property
    def last_value(self) -> bytes:
        """The value of the slot below the watermark; empty if there is none."""
        ...

    @property
    def largest_value(self) -> int:
        """How many bytes the largest value has."""
        ...

    def rows(self) -> Iterator[Rows]:
        """All of it, in the order of a backup."""
        ...


class BackupSource:
    """A backup file. Making this reads it to its end; raises `BackupError`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        found = summary(file)
        self.header, self.position = found.header, found.position
        self.last_value, self.largest_value = found.last_value, found.largest_value

    def rows(self) -> Iterator[Rows]:
        """All rows; raises `BackupError` if it is not what it was."""
        with BackupReader(self._file) as reader:
            yield from reader.rows()


@dataclass(frozen=True, slots=True)
class Target:
    """The directory that a node shall have."""

    node: NodeId
    path: Path


def restore(
    source: Source,
    config: Config,
    targets: Sequence[Target],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Make the directories of these nodes. Nothing is touched unless all of them can be made.

    `progress` is told how many slots are done of how many. Raises `BackupError` or `StorageError`.
    """
    if source.largest_value > config.limits.carried_bytes_max:
        raise BackupError(
            f"a value in it has {source.largest_value} bytes, and frames of {config.path} carry "
            f"{config.limits.carried_bytes_max}: raise limits.frame_bytes to what it was in the cluster of the backup"
        )
    _require_vacant(targets)
    learners = [target for target in targets if _learns(config, target.node)]
    total = max(1, len(learners)) * (source.position.watermark - FIRST_SLOT)
    done = 0
    with ExitStack() as made:
        directories = [made.enter_context(_taken(config, target)) for target in targets]
        for directory in directories:
            for step in _make(source, config, directory):
                done += step
                progress(done, total)


def _require_vacant(targets: Sequence[Target]) -> None:
    """Raises `StorageError`; it says how to go on where an earlier run was interrupted."""
    refused: list[StorageError] = []
    vacant: list[NodeId] = []
    for target in targets:
        try:
            require_vacant(target.path)
            vacant.append(target.node)
        except StorageError as error:
            refused.append(error)
    if not refused:
        return
    if not vacant or not any((target.path / IDENTITY_NAME).exists() for target in targets):
        raise refused[0]
    rest = ", ".join(f"--id {node}" for node in vacant)
    raise StorageError(
        f"{refused[0]}; or, if an interrupted run of this very command made it, make the others alone, from the same "
        f"backup: {rest}, each with its own --data-dir"
    )


def _learns(config: Config, node: NodeId) -> bool:
    return config.nodes[node].role in (Role.LEARNER, Role.REPLICA)


def _taken(config: Config, target: Target) -> AbstractContextManager[DataDirectory]:
    return make_directory(target.path, config.cluster, target.node, config.nodes[target.node].role.value)


def _make(source: Source, config: Config, directory: DataDirectory) -> Iterator[int]:
    """Fill one directory, and give how many slots each step did."""
    with closing(SQLiteStore(directory.store_path, directory)) as store:
        yield from fill(source, config, directory.node, store)


def fill(source: Source, config: Config, node: NodeId, store: Store) -> Iterator[int]:
    """Write into an empty store what this node begins with, and give how many slots each step did."""
    if _learns(config, node):
        yield from _learn(source, store)
    store.commit(_others(source, config, config.nodes[node].role))


def _others(source: Source, config: Config, role: Role) -> list[Record]:
    """What a node of this role knows besides what it learned."""
    position, watermark = source.position, source.position.watermark
    past = Ballot(FIRST_ROUND, config.membership.proposers[0])
    history = bytes.fromhex(source.header.history)
    records: list[Record] = [Continues(history, watermark, bytes.fromhex(position.digest))]
    if role in (Role.PROPOSER, Role.REPLICA):
        records.append(Round(FIRST_ROUND))
    if role in (Role.ACCEPTOR, Role.REPLICA):
        records += [Promised(past), Told(watermark)]
        if watermark > FIRST_SLOT:
            records += [Voted(watermark - 1, past, source.last_value), Floor(watermark - 1)]
    return records


def _learn(source: Source, store: Store) -> Iterator[int]:
    """Write the state and the log, and give how many slots each step did."""
    batch: list[Learned] = []
    size = 0
    for slot, value in _values(source, store):
        batch.append(Learned(slot, value))
        size += len(value)
        if size >= COMMIT_BYTES or len(batch) == COMMIT_ROWS:
            store.commit(batch)
            yield len(batch)
            batch, size = [], 0
    if batch:
        store.commit(batch)
        yield len(batch)


def _values(source: Source, store: Store) -> Iterator[tuple[Slot, bytes]]:
    """The values, once the rows of the state, which come before, are written."""
    kept = source.header.kept
    for rows in source.rows():
        match rows:
            case KeptRows(found):
                store.commit([Kept(kept, tuple(KeptRow(*row) for row in found), first=source.header.first)])
            case RevisionRows(index):
                store.commit([Kept(kept, (), (), tuple(RevisionRow(*row) for row in index), source.header.first)])
            case Values(first, values):
                yield from enumerate(values, first)
