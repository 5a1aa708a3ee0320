"""How many commits a store has acknowledged, kept beside the store.

A torn tail of a journal is what was being written when the power went, and is dropped; a damaged journal looks the
same, and what it loses was acknowledged. So a store counts its durable commits twice: inside, in the same
transaction, and here. It has lost something exactly if it finds fewer commits inside than stand here.

Laws:
1. Written after a commit is durable, without waiting for the disk: after a power cut the number here may be too
   low, never too high.
2. What cannot be read here counts as 0. It is the second opinion; the records themselves are not in here.
3. Who has it open has the store: it is locked. A second store is refused, and others can still read the SQLite file.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from pathlib import Path

from paxosd.storage.base import InUse


class Acknowledged:
    """The number in the file at `path`, which is made if it does not exist; raises `InUse` or `OSError`."""

    def __init__(self, path: Path) -> None:
        self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise InUse(f"{path} is locked: another process has this store open; stop that one first") from None

    def write(self, commits: int) -> None:
        """So many commits are durable."""
        assert self._file is not None
        os.pwrite(self._file, _line(commits), 0)

    def close(self) -> None:
        """Safe to call twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read(path: Path) -> int:
    """The number of commits that were acknowledged, as far as is known; raises `OSError`."""
    if not path.exists():
        return 0
    line = path.read_bytes()
    number = line[:20]
    return int(number) if number.isdigit() and line == _line(int(number)) else 0


def _line(commits: int) -> bytes:
    number = b"%020d" % commits
    return b"%s %08x\n" % (number, zlib.crc32(number))
