"""Lives of a learner that takes up a snapshot, each killed with SIGKILL one step later than the last; every next one is
looked at. A step is a statement to the SQLite file, or a call that writes, renames or deletes a file.

Prints the kept slot that each life found.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from paxosd.core.records import SnapshotBytes, SnapshotInstalled, SnapshotStep
from paxosd.core.snapshots import Snapshot, Stage
from paxosd.storage.sqlite import incoming
from paxosd.storage.sqlite.store import SQLiteStore
from tests.storage.shelf_contract import before, seen

PART = 4000
WAITS_S = 30.0
STEPS_BY = 3


def live(path: Path, told: Snapshot, content: bytes, steps: int) -> None:
    """Take the snapshot up, unless it is killed before."""
    left = steps

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **options: Any) -> Any:
            count()
            return call(*args, **options)

        return counting

    for name in ("pwrite", "replace", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    store = SQLiteStore(path)
    store._db.set_trace_callback(count)
    if store.kept_slot() == told.slot:
        return store.close()
    found = store.incoming()
    for offset in range(found.received if found else 0, told.size, PART):
        data = content[offset : offset + PART]
        store.commit([SnapshotBytes(told.id, told.slot, told.size, told.digest, offset, data)])
    coming = store._shelf._incoming
    assert coming is not None
    assert coming._thread is not None
    coming._thread.join(WAITS_S)
    while coming.state.stage is not Stage.READY:
        assert coming.state.stage is Stage.PUTTING
        store.commit([SnapshotStep(told.id)])
    store.commit([SnapshotInstalled(told.id, told.slot)])
    return store.close()


def main() -> None:
    folder = Path(sys.argv[1])
    incoming.ROWS_PER_STEP = 20
    with closing(SQLiteStore(folder / "teller.sqlite3")) as teller:
        teller.offer()
        assert teller._shelf._making is not None
        teller._shelf._making._thread.join(WAITS_S)
        told = teller.offered()
        assert told is not None
        content = teller.part(0, told.size)
        new = seen(teller)
    path = folder / "asker.sqlite3"
    with closing(SQLiteStore(path)) as store:
        store.commit(before())
        old = seen(store, 8)
    steps = 0
    while True:
        steps += STEPS_BY
        pid = os.fork()
        if pid == 0:
            live(path, told, content, steps)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        with closing(SQLiteStore(path)) as store:
            assert (seen(store), store.kept_slot()) == (new, told.slot) or seen(store, 8) == old
            print(store.kept_slot())
        if not status:
            break


if __name__ == "__main__":
    main()
