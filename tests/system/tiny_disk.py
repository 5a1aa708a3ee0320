"""A small disk of one's own, without being root: a tmpfs in a mount namespace of a child process.

Tests reach it through that process; a daemon has to enter the namespace, for SQLite resolves such paths by itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_UNSHARE, _NSENTER = shutil.which("unshare"), shutil.which("nsenter")
_MOUNT = 'mount -t tmpfs -o size="$1",mode=700 none "$2" && echo mounted && exec cat'
"""It lives until its stdin is closed, and the file system with it."""


class TinyDisk:
    """A file system; tests reach it at `path`, and what runs behind the command `entering` at `place`."""

    def __init__(self, path: Path, place: Path, entering: list[str]) -> None:
        self.path = path
        self.place = place
        self.entering = entering
        self._filler = path / "filler"

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """Somebody else takes all that is free, but for so much."""
        with self._filler.open("ab") as filler:
            while (more := self.free_bytes - leave_bytes) > 0:
                with suppress(OSError):  # somebody else was quicker, and there is less by now
                    os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), more)

    def empty(self) -> None:
        """Somebody else gives it back."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def tiny_disk(folder: Path, size_bytes: int) -> Iterator[TinyDisk]:
    """Skips the test where namespaces are not allowed."""
    if _UNSHARE is None or _NSENTER is None:
        pytest.skip("there is no unshare or nsenter, so no small disk can be made")
    place = folder / "disk"
    place.mkdir()
    command = [_UNSHARE, "-rm", "sh", "-c", _MOUNT, "sh", str(size_bytes), str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        try:
            if holder.stdout.readline() != b"mounted\n":
                pytest.skip(f"no small disk can be made: {holder.stderr.read().decode().strip()}")
            reached = Path(f"/proc/{holder.pid}/root{place}")
            if not os.path.ismount(reached):
                pytest.skip(f"{reached} cannot be reached: the kernel does not let this user look there")
            entering = [_NSENTER, "-t", str(holder.pid), "-U", "-m", "--preserve-credentials"]
            yield TinyDisk(reached, place, entering)
        finally:
            holder.stdin.close()
