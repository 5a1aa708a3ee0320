"""A process that commits vote after vote and says so, to be killed or to run into a disk that fails."""

from __future__ import annotations

import argparse
import itertools
import resource
import signal
from contextlib import closing
from pathlib import Path

from paxosd.core.records import Learned, Promised, Voted
from paxosd.core.types import Ballot
from paxosd.storage.ballast import Ballast
from paxosd.storage.base import StorageError
from paxosd.storage.sqlite import store as sqlite

BALLOT = Ballot(1, "p1")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--file-bytes", type=int, help="no file may grow larger")
    parser.add_argument("--checkpoint-bytes", type=int, default=sqlite.CHECKPOINT_BYTES)
    parser.add_argument("--commits", type=int, help="end after so many")
    parser.add_argument("--ballast", action="store_true", help="what is beside the file may be given up")
    chosen = parser.parse_args()
    sqlite.CHECKPOINT_BYTES = chosen.checkpoint_bytes
    ballast = Ballast(chosen.path.parent) if chosen.ballast else None
    try:
        with closing(sqlite.SQLiteStore(chosen.path, ballast=ballast)) as store:
            if chosen.file_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (chosen.file_bytes, chosen.file_bytes))
            print("opened", flush=True)
            commit_until_it_fails(store, chosen.commits)
    except StorageError as error:
        print(f"not opened: {error}", flush=True)


def commit_until_it_fails(store: sqlite.SQLiteStore, commits: int | None) -> None:
    store.commit([Promised(BALLOT)])
    for slot in itertools.count(1) if commits is None else range(1, commits + 1):
        try:
            store.commit([Voted(slot, BALLOT, b"%d" % slot * 50), Learned(slot, b"x")])
        except StorageError as error:
            print(f"error: {error}", flush=True)
            break
        print(slot, flush=True)
    else:
        return
    try:
        store.commit([Voted(slot + 1, BALLOT, b"")])
    except StorageError as error:
        print(f"refused: {error}", flush=True)


if __name__ == "__main__":
    main()
