"""Files and folders that are still there after a power cut, and that nobody else can read.

Laws:
1. Everything here raises `OSError`.
2. What stands in the place of one of our files and is none (a link, a pipe, a device) is never followed, waited for or
   written to.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

OURS = 0o600
"""The mode of a file: its owner's alone."""

_ADVICE = {
    errno.ENOSPC: "make room on the disk",
    errno.EROFS: "the file system is read-only: mount it for writing",
    errno.EACCES: "this user may not use it: change its owner or mode, or run as its owner",
    errno.EPERM: "this user may not use it: change its owner or mode, or run as its owner",
    errno.ENOTDIR: "a part of the path is a file: name a directory",
    errno.EEXIST: "it is a file, or a link that leads nowhere: name a directory",
    errno.ELOOP: "put a file of its own in its place, or restore it from a backup",
    errno.EMFILE: "let this process open more files (ulimit -n)",
    errno.EFBIG: "let this process write larger files (ulimit -f)",
}


def require_own_file(path: Path) -> None:
    """Raises `OSError` if something is there that is no file, or a file that has other names, too."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        what = "is a symbolic link"
    elif not stat.S_ISREG(found.st_mode):
        what = "is not a file"
    elif found.st_nlink > 1:
        what = "is a hard link: the same file has another name, too"
    else:
        return
    raise OSError(errno.ELOOP, f"{path.name} {what}", str(path))


def explained(error: OSError) -> str:
    """What happened, and what to do about it."""
    return f"{error.strerror}; {_ADVICE.get(error.errno or 0, 'mend that and start again')}"


def make_folder(path: Path) -> None:
    """Make a folder with all that is missing above it, durably."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)
    if not path.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def write_durably(file: Path, text: str) -> None:
    """Either the old file or the new one is there after a power cut, never half of one and never none."""
    draft = file.with_suffix(".tmp")
    draft.unlink(missing_ok=True)  # of an earlier life; or a link, which would be followed
    with open(draft, "x", encoding="utf-8", opener=_make) as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    rename_durably(draft, file)


def _make(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, OURS)


def rename_durably(draft: Path, file: Path) -> None:
    """Give a finished file, which is synced, its name."""
    draft.replace(file)
    sync_folder(file.parent)


def sync_file(file: Path) -> None:
    """What stands in this file stays."""
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """What was made, renamed or deleted in this folder stays so."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
