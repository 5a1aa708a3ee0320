"""Files and folders that are still there after a power cut. Everything here raises `OSError`."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "make room on the disk",
    errno.EROFS: "the file system is read-only: mount it for writing",
    errno.EACCES: "this user may not use it: change its owner or mode, or run as its owner",
    errno.EPERM: "this user may not use it: change its owner or mode, or run as its owner",
    errno.ENOTDIR: "a part of the path is a file: name a directory",
    errno.EEXIST: "it is a file: name a directory",
}


def explained(error: OSError) -> str:
    """What happened, and what to do about it."""
    return f"{error.strerror}; {_ADVICE.get(error.errno or 0, 'mend that and start again')}"


def make_folder(path: Path) -> None:
    """Make a folder with all that is missing above it, durably."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in missing:
        sync_folder(folder.parent)


def write_durably(file: Path, text: str) -> None:
    """Either the old file or the new one is there after a power cut, never half of one and never none."""
    draft = file.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    rename_durably(draft, file)


def rename_durably(draft: Path, file: Path) -> None:
    """Give a finished file, which is synced, its name."""
    draft.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """What was made, renamed or deleted in this folder stays so."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
