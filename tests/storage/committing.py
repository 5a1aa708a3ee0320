"""A process that commits vote after vote and says so, to be killed: `python committing.py PATH [FILE_BYTES_MAX]`."""

from __future__ import annotations

import itertools
import resource
import signal
import sys
from pathlib import Path

from paxosd.core.records import Learned, Promised, Voted
from paxosd.core.types import Ballot
from paxosd.storage.base import StorageError
from paxosd.storage.sqlite import SQLiteStore


def main() -> None:
    store = SQLiteStore(Path(sys.argv[1]))
    if len(sys.argv) > 2:  # a file system that is full, for this process alone
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    store.commit([Promised(Ballot(1, "p1"))])
    for slot in itertools.count(1):
        try:
            store.commit([Voted(slot, Ballot(1, "p1"), b"%d" % slot * 50), Learned(slot, b"x")])
        except StorageError as error:
            print(f"error: {error}", flush=True)
            try:
                store.commit([Voted(slot + 1, Ballot(1, "p1"), b"")])
            except StorageError as refused:
                print(f"refused: {refused}", flush=True)
            return
        print(slot, flush=True)


if __name__ == "__main__":
    main()
