"""What a disk takes for a small synced write, with nothing around it."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

PREALLOCATED_BYTES = 64 << 20
BLOCK_BYTES = 512


class Appended:
    """A file that has its size already, so that a sync writes data and nothing else; it begins anew at its end."""

    def __init__(self, folder: str) -> None:
        self._file = os.open(Path(folder, "appended"), os.O_RDWR | os.O_CREAT)
        os.posix_fallocate(self._file, 0, PREALLOCATED_BYTES)
        for at in range(0, PREALLOCATED_BYTES, 1 << 20):
            os.pwrite(self._file, bytes(1 << 20), at)  # what was never written is written twice by some file systems
        os.fsync(self._file)
        self._at = 0

    def append(self, record: bytes) -> None:
        """Write it and wait until the disk has it."""
        os.pwrite(self._file, record, self._at)
        os.fdatasync(self._file)
        self._at = (self._at + BLOCK_BYTES) % (PREALLOCATED_BYTES - len(record))

    def close(self) -> None:
        os.close(self._file)


def appends(seconds: float, value_bytes: int) -> list[float]:
    """How long each of many appends took, one after the other, in the folder in which clusters have theirs."""
    took: list[float] = []
    record = os.urandom(value_bytes)
    with tempfile.TemporaryDirectory() as folder:
        file = Appended(folder)
        until = time.monotonic() + seconds
        while (begun := time.monotonic()) < until:
            file.append(record)
            took.append(time.monotonic() - begun)
        file.close()
    return took
