"""A file of a data directory that only takes room, to be given up when the disk is full.

To open a data directory takes a little room: a count is written, and the journal is moved into the file of records,
which may grow by as much as the journal holds. On a full disk there is none, and a node that cannot start can neither
say what is wrong nor serve a read. So every directory has a few MiB that only we can free.

Laws:
1. It is made when room becomes scarce and there is still enough, and given up when the file system has less free than
   it takes: before a directory is opened, while its node runs, or at once where a write finds no room.
2. Nothing depends on it: one that is missing, too short or cannot be made is no error, and nothing in it is ever read.
   So a process may end at any step of making it or giving it up.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from paxosd.core.space import Space
from paxosd.storage.files import OURS, require_own_file

BALLAST_NAME = "ballast"
BALLAST_BYTES_MAX = 16 * 1024 * 1024
"""As much as the journal holds when it is moved, about; less on a file system of less than eight times that."""

SCARCE_BYTES = 4 * 1024 * 1024 * 1024
"""A file system with more free than this needs no ballast yet."""


class Ballast:
    """The one of this directory. `wanted`: False where nobody cares how full the disk is."""

    def __init__(self, directory: Path, wanted: bool = True) -> None:
        self._path = directory / BALLAST_NAME
        self._wanted = wanted  # and False as well where a file takes no room until something is written
        self.was_needed = False
        """Whether it was given up for a write that found no room, and nobody has looked at the disk since."""

    def owed_bytes(self, disk_bytes: int, free_bytes: int) -> int:
        """How much of it is missing, on a file system of this size with so much free; raises `OSError`."""
        if not self._wanted or free_bytes >= SCARCE_BYTES:
            return 0
        return max(0, _size(disk_bytes) - self.held_bytes())

    def mind(self, free_bytes: int, space: Space) -> None:
        """Make it if there is enough room, give it up if there is none. Never raises."""
        self.was_needed = False
        with suppress(OSError):
            size = _size(_disk_bytes(self._path.parent))
            if not self._wanted or free_bytes < size:
                self._path.unlink(missing_ok=True)
            elif space is Space.ENOUGH and 2 * size <= free_bytes < SCARCE_BYTES and self.held_bytes() < size:
                self._make(size)

    def give_up(self) -> bool:
        """A write found no room: whether there is more now. Never raises."""
        try:
            self._path.unlink()
        except OSError:
            return False
        self.was_needed = True
        return True

    def held_bytes(self) -> int:
        """What it takes now; raises `OSError`."""
        try:
            return self._path.lstat().st_blocks * 512
        except FileNotFoundError:
            return 0

    def _make(self, size: int) -> None:
        require_own_file(self._path)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, OURS)
        try:
            os.posix_fallocate(file, 0, size)
        except OSError:
            self._path.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)
        self._wanted = self.held_bytes() >= size


def give_up_if_full(directory: Path) -> bool:
    """Before a directory is opened: give its ballast up if the file system is as good as full. Whether it was."""
    ballast = Ballast(directory)
    with suppress(OSError):
        found = os.statvfs(directory)
        free, held = found.f_bavail * found.f_frsize, ballast.held_bytes()
        ballast.mind(free, Space.UNKNOWN)
        return held > ballast.held_bytes()
    return False


def _size(disk_bytes: int) -> int:
    return min(BALLAST_BYTES_MAX, disk_bytes // 8)


def _disk_bytes(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_blocks * found.f_frsize
