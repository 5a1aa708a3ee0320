"""The state of a cluster whose log does not reach back to its beginning: a snapshot of one gateway's learner.

It comes in parts, into a file beside the backup, and its rows go into the backup once its digest was right.

Laws:
1. One part is in memory at a time, and one row when it is read.
2. A gateway that has another snapshot than the one that was begun, or none any more, is no error: it is begun anew.
3. No row is taken whose own checksum is wrong (`storage/sqlite/rows.py`).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Protocol

from paxosd.backup.errors import BackupError, file_errors
from paxosd.backup.file import BackupWriter, Header
from paxosd.core.messages.backup import (
    SnapshotPage,
)
from paxosd.core.types import Slot
from paxosd.storage.sqlite import kept, rows
from paxosd.storage.sqlite.rows import Damaged
from paxosd.storage.sqlite.snapshot import DIGEST_BYTES, FORMAT

MADE_WITHIN_S = 600.0
"""How long a gateway may take to make one."""
PAUSE_S = 0.5
"""How long to wait before it is asked again whether it is made."""
BEGUN_MAX = 5
"""How often it is begun anew before that is given up."""
READ_BYTES = 1024 * 1024


class SnapshotTeller(Protocol):
    """What is asked of a cluster (see `client/client.py`)."""

    def snapshot(self, snapshot: bytes, offset: int, timeout: float | None = None) -> SnapshotPage:
        """Some bytes of a snapshot of one gateway's state."""
        ...


def begin_with_state(
    cluster: SnapshotTeller,
    writer: BackupWriter,
    file: Path,
    header: Header,
    timeout_s: float,
    progress: Callable[[int, int], None],
) -> Header:
    """Begin a backup with the state of a snapshot and the values that are in it; returns what it is of.

    The snapshot is put into `file` meanwhile; `progress` is told how many of its bytes are there. Raises `BackupError`
    or `PaxosError`.
    """
    try:
        with file_errors(file, "written"), file.open("w+b") as stream:
            _fetch(cluster, stream, timeout_s, progress)
        return _write(writer, file, header)
    finally:
        file.unlink(missing_ok=True)


def _fetch(cluster: SnapshotTeller, stream: BinaryIO, timeout_s: float, progress: Callable[[int, int], None]) -> None:
    """Write all bytes of a snapshot."""
    found, offset, begun = b"", 0, 0
    until = time.monotonic() + MADE_WITHIN_S
    while True:
        page = cluster.snapshot(found, offset, timeout_s)
        if not page.snapshot:
            if time.monotonic() > until:
                raise BackupError(
                    f"no gateway made a snapshot of its state within {MADE_WITHIN_S:g} s: look into its log for the "
                    f"reason (is its disk full?), and run the same command again"
                )
            time.sleep(PAUSE_S)
            continue
        if page.snapshot != found:
            found, offset, begun = page.snapshot, 0, begun + 1
            if begun > BEGUN_MAX:
                raise BackupError(
                    "the gateways tell another snapshot again and again: give one of them alone (--endpoints), and run "
                    "the same command again"
                )
            stream.seek(0)
            stream.truncate()
        if page.offset != offset:
            continue
        stream.write(page.data)
        offset += len(page.data)
        progress(offset, page.size)
        if offset >= page.size:
            return _check(stream, page.digest)


def _check(stream: BinaryIO, digest: bytes) -> None:
    found = blake2b(digest_size=DIGEST_BYTES)
    stream.flush()
    stream.seek(0)
    while data := stream.read(READ_BYTES):
        found.update(data)
    if found.digest() != digest:
        raise BackupError("the snapshot did not come as it was sent: run the same command again")


def _write(writer: BackupWriter, file: Path, header: Header) -> Header:
    with _opened(file) as db:
        version, slot, first = db.execute("SELECT format, slot, first FROM about").fetchone()
        if version != FORMAT:
            raise BackupError(
                f"the gateway's snapshot has format {version}, and this version of paxosd knows {FORMAT}: use the "
                f"paxosctl of the version that the cluster runs"
            )
        begun = replace(header, first=first, kept=slot)
        writer.begin(begun)
        for machine, key, content in map(rows.kept_of, db.execute("SELECT * FROM kept ORDER BY machine, key")):
            writer.kept((kept.owner_of(machine), key, content))
        for row in map(rows.revision_of, db.execute("SELECT * FROM revisions ORDER BY first_revision")):
            writer.revision(row)
        for have, value in map(rows.learned_of, db.execute("SELECT * FROM learned ORDER BY slot")):
            _require_next(have, writer.next_slot)
            writer.value(value)
        _require_next(slot, writer.next_slot)
    return begun


def _require_next(slot: Slot, wanted: Slot) -> None:
    if slot != wanted:
        raise BackupError(f"the snapshot lacks slot {wanted}: run the same command again, with another gateway")


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            yield db
    except (sqlite3.Error, Damaged) as error:
        raise BackupError(f"the snapshot cannot be read ({error}): run the same command again") from error
