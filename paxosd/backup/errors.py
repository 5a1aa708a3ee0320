"""What can be wrong with a backup; each text says what happened, why, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paxosd.storage.files import explained


class BackupError(Exception):
    """A backup cannot be made, read or restored. Nothing that was there before is changed."""


class DamagedBackup(BackupError):
    """The file is not as it was written: cut off, changed, or continued by something else."""


class ForeignBackup(BackupError):
    """The file is none of ours, or of a newer version, or of another history or cluster than what it is used with."""


@contextmanager
def file_errors(path: Path, what: str) -> Iterator[None]:
    """Turn an error of the system into a `BackupError` that names the file, what could not be done, and the way out."""
    try:
        yield
    except OSError as error:
        raise BackupError(f"{error.filename or path} cannot be {what}: {explained(error)}") from error
