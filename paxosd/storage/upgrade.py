"""Bringing a data directory of an earlier version to the format of this one, in place.

    read and checked -> draft -> identity -> old file aside -> draft in its place -> opened and checked -> old file gone

Laws:
1. Until the draft is whole, checked and on the disk, nothing is changed but what 0.2.0 changes itself when it opens
   its records. What is in use, foreign, damaged or already of this format is left as it is.
2. Every step is durable before the next one, and a life that is killed at any of them is gone on from by the next one.
   In between, both versions refuse the directory.
3. Nothing is left out: what an acceptor promised and voted for, and the count of its commits, are the same afterwards.
   An acceptor knows afterwards that its disk is not blank.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from paxosd.core.membership import Role
from paxosd.core.records import Record, Upgraded
from paxosd.core.types import HistoryId
from paxosd.storage import directory as places
from paxosd.storage.base import Corrupt, ForeignDirectory, StorageError
from paxosd.storage.directory import (
    EARLIER_FORMATS,
    FORMAT,
    IDENTITY_NAME,
    RECORDS_MADE_NAME,
    STORE_NAME,
    Identity,
    directory_errors,
    lock_directory,
    read_identity,
    require_same_node,
    write_identity,
)
from paxosd.storage.files import rename_durably, sync_folder
from paxosd.storage.sqlite.format1 import NUMBER, copy_anew, open_format_1
from paxosd.storage.sqlite.rows import FileOwner
from paxosd.storage.sqlite.store import SQLiteStore

DRAFT_NAME = f"{STORE_NAME}{places.UPGRADE}draft"
ASIDE_NAME = f"{STORE_NAME}{places.UPGRADE}old"

Progress = Callable[[int, int], None]
"""How many rows are done, and of how many."""


def directories_below(path: Path) -> list[Path]:
    """The data directories of nodes in this folder; raises `StorageError`."""
    with directory_errors(path):
        return sorted(file.parent for file in path.glob(f"*/{IDENTITY_NAME}"))


class Upgrade:
    """The upgrade of one directory; it is locked until `close`.

    Raises `ForeignDirectory`, `InUse`, `Corrupt` or `StorageError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / IDENTITY_NAME).exists():
            raise ForeignDirectory(f"{path} is no data directory of paxosd: it has no {IDENTITY_NAME}; check the path")
        with directory_errors(path), ExitStack() as unless_opened:
            self._lock: int | None = lock_directory(path)
            unless_opened.callback(self.close)
            self.identity, self._begun = self._read()
            unless_opened.pop_all()

    def _read(self) -> tuple[Identity, bool]:
        file = self.path / IDENTITY_NAME
        try:
            return read_identity(file), True
        except ForeignDirectory:
            return read_identity(file, EARLIER_FORMATS[-1]), False

    def require_node(self, cluster: str, node: str, role: str) -> None:
        """Raises `ForeignDirectory` if the directory is another node's."""
        require_same_node(self.path, self.identity, Identity(FORMAT, cluster, node, role, ""))

    @property
    def is_done(self) -> bool:
        """It is of this format, and no step is left."""
        return self._begun and not self._draft.exists() and not self._aside.exists()

    @property
    def node(self) -> str:
        return self.identity.node

    @property
    def directory(self) -> str:
        return self.identity.directory

    @property
    def history(self) -> HistoryId:
        return bytes.fromhex(self.identity.history)

    def keep_history(self, history: HistoryId) -> None:
        raise ForeignDirectory(f"{self._store} is of history {history.hex()}, which no upgrade can have written")

    @property
    def _store(self) -> Path:
        return self.path / STORE_NAME

    @property
    def _draft(self) -> Path:
        return self.path / DRAFT_NAME

    @property
    def _aside(self) -> Path:
        return self.path / ASIDE_NAME

    def run(self, progress: Progress = lambda done, total: None) -> None:
        """Do what is left to do. Raises `Corrupt`, `InUse` or `StorageError`."""
        with directory_errors(self.path):
            if not self._begun:
                self._begin(progress)
            self._swap()
            self._finish()

    # ---- the steps ----

    def _begin(self, progress: Progress) -> None:
        """Make the draft, and then the identity that says that it counts."""
        self._forget_draft()
        if self._store.exists():
            try:
                self._make_draft(progress)
            except StorageError:
                self._forget_draft()
                raise
        elif (self.path / RECORDS_MADE_NAME).exists() or self._aside.exists():
            raise Corrupt(f"{self._store} is gone: put the whole data directory back as it was; nothing was touched")
        self.identity = replace(self.identity, format=FORMAT)
        write_identity(self.path, self.identity)
        self._begun = True

    def _make_draft(self, progress: Progress) -> None:
        with open_format_1(self._store) as old:
            copy_anew(old, self._draft, FileOwner(self.node, self.directory), self._more(), progress)
        sync_folder(self.path)

    def _more(self) -> Sequence[Record]:
        """An acceptor says that its disk is not blank, though nothing was born on it (`core/standing.py`)."""
        votes = Role(self.identity.role) in (Role.ACCEPTOR, Role.REPLICA)
        return [Upgraded(NUMBER)] if votes else []

    def _forget_draft(self) -> None:
        for leftover in self.path.glob(f"{DRAFT_NAME}*"):
            leftover.unlink()

    def _swap(self) -> None:
        if not self._draft.exists():
            return
        if self._store.exists():
            if self._aside.exists():
                raise Corrupt(f"{self._aside} and {self._store} are both there: one of them is no work of the upgrade")
            rename_durably(self._store, self._aside)
        rename_durably(self._draft, self._store)

    def _finish(self) -> None:
        """Look at the new file as a daemon would, and only then let the old one go."""
        if self._store.exists():
            SQLiteStore(self._store, self).close()
        if self._aside.exists():
            self._aside.unlink()
            sync_folder(self.path)

    # ---- the end ----

    def close(self) -> None:
        """Let others open the directory; safe to call twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Upgrade:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
