"""An archive: the log of a cluster, followed slot by slot into a directory of files that never change again.

    DIR/lock                       held by who writes
    DIR/slots-00000000000000000001 a segment, named by its first slot: header, values, end
    DIR/slots-….part               the segment that is being written, good up to its last whole part

    header   JSON: cluster, history, first slot
    values   msgpack [first slot, time, [value, …]]     time: milliseconds since 1970, by the clock of who wrote

Laws:
1. Slots follow each other without a gap, through all segments. Whoever finds one missing refuses the archive.
2. A part is synced before it is told as archived. What is written goes on after the last whole part.
3. A segment has about `SEGMENT_BYTES`; so one can be copied away, and deleted, when its time is over.
4. The time of a part is that at which its values were known to be chosen. It never goes back, whatever the clock does.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgpack

from paxosd.backup.errors import BackupError, DamagedBackup, ForeignBackup, file_errors
from paxosd.backup.parts import FilePart, PartReader, PartWriter
from paxosd.core.types import FIRST_SLOT, Slot
from paxosd.storage.files import OURS, make_folder

TITLE = "paxosd-archive"
FORMAT = 1
SEGMENT_BYTES = 64 * 1024 * 1024
"""Followed how large a segment is; its last part may be as large as a page."""

HEADER, VALUES = 1, 2
_NAME = "slots-"


class Followed(NamedTuple):
    """Whose log is archived. `history` is hexadecimal, and empty if none is known."""

    cluster: str
    history: str


class Archived(NamedTuple):
    """The values of the slots from `first` on, which were known to be chosen at `time_ms`."""

    first: Slot
    time_ms: int
    values: list[bytes]


class Archive:
    """A directory of segments, to be read. Raises `BackupError` and its subclasses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise BackupError(f"{folder} is no directory of an archive: name the one that `paxosctl archive` writes")

    def segments(self) -> list[Path]:
        """Whole segments and then the one that is being written, in the order of their slots."""
        with file_errors(self.folder, "read"):
            names = sorted(path.name for path in self.folder.glob(f"{_NAME}*"))
        return [self.folder / name for name in names if f"{name}.part" not in names or name.endswith(".part")]

    def read(self, about: Followed, first: Slot) -> Iterator[Archived]:
        """All that is archived from this slot on. Raises `ForeignBackup` if it is of something else."""
        segments = self.segments()
        starts = [_first_slot(segment) for segment in segments]
        stops = [*starts[1:], None][: len(segments)]
        needed = [segment for segment, stop in zip(segments, stops, strict=True) if _reaches(stop, first)]
        next_slot: Slot | None = None
        for segment in needed:
            for part in self._parts(segment, about):
                next_slot = part.first if next_slot is None else next_slot
                if part.first != next_slot or part.first > first:
                    raise DamagedBackup(
                        f"{segment} begins with slot {part.first}, and slot {min(first, next_slot)} is in no file of "
                        f"{self.folder}: put the file back that has it, or use a backup that goes that far"
                    )
                next_slot += len(part.values)
                if next_slot > first:
                    yield Archived(first, part.time_ms, part.values[first - part.first :])
                    first = next_slot

    def _parts(self, segment: Path, about: Followed) -> Iterator[Archived]:
        try:
            yield from _whole_parts(segment, about)
        except DamagedBackup:
            if not segment.name.endswith(".part"):  # who writes it has not come further, or was interrupted there
                raise


def _whole_parts(segment: Path, about: Followed) -> Iterator[Archived]:
    with PartReader(segment, TITLE, FORMAT) as reader:
        for part in reader.parts():
            if part.kind == HEADER:
                _require_same(segment, _header(segment, part)[0], about)
            elif part.kind == VALUES:
                yield _archived(segment, part)


class ArchiveWriter:
    """Goes on with the archive in `folder`, or begins one. Raises `BackupError` and its subclasses."""

    def __init__(
        self, folder: Path, about: Followed, segment_bytes: int = SEGMENT_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self._about = about
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._segment: PartWriter | None = None
        self._time_ms = 0
        self._values = 0
        self.next_slot: Slot | None = None
        """The slot that is archived next; None: any, for nothing is there."""
        with file_errors(folder, "written"):
            make_folder(folder)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, OURS)
        try:
            self._take_lock()
            self._find_end()
        except BackupError:
            self.close()
            raise

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"{self.folder} is written by another process: one for each archive") from None

    def _find_end(self) -> None:
        segments = Archive(self.folder).segments()
        if not segments:
            return
        last = segments[-1]
        if last.name.endswith(".part"):
            self._resume(last.with_name(last.name.removesuffix(".part")))
            if self.next_slot is not None or len(segments) == 1:
                return
            last = segments[-2]
        with PartReader(last, TITLE, FORMAT) as reader:
            for part in reader.parts():
                self._note(last, part)

    def _resume(self, segment: Path) -> None:
        self._segment = PartWriter(segment, TITLE, FORMAT)
        try:
            for part in self._segment.resume():
                self._note(segment, part)
        except DamagedBackup:  # it was interrupted within its first line
            self.next_slot = None
        if self.next_slot is None:
            self._segment.discard()
            self._segment = None

    def _note(self, segment: Path, part: FilePart) -> None:
        if part.kind == HEADER:
            _require_same(segment, _header(segment, part)[0], self._about)
        elif part.kind == VALUES:
            found = _archived(segment, part)
            self.next_slot = found.first + len(found.values)
            self._time_ms = max(self._time_ms, found.time_ms)
            self._values += len(found.values)

    def add(self, first: Slot, values: tuple[bytes, ...]) -> None:
        """Archive these values; when this returns they are on the disk."""
        if self.next_slot not in (None, first):
            raise BackupError(f"slot {self.next_slot} is archived next, and not {first}: an error of paxosd itself")
        if self._segment is not None and self._segment.size >= self._segment_bytes:
            self._finish()
        if self._segment is None:
            self._begin(first)
        assert self._segment is not None
        self._time_ms = max(self._time_ms, int(self._clock() * 1000))
        self._segment.add(VALUES, msgpack.packb([first, self._time_ms, values]))
        self._segment.sync()
        self._values += len(values)
        self.next_slot = first + len(values)

    def _begin(self, first: Slot) -> None:
        self._segment = PartWriter(self.folder / f"{_NAME}{first:020}", TITLE, FORMAT)
        self._segment.begin()
        self._segment.add(HEADER, json.dumps(self._about._asdict() | {"first": first}).encode())
        self._values = 0

    def _finish(self) -> None:
        assert self._segment is not None
        self._segment.finish({"values": self._values})
        self._segment = None

    def close(self) -> None:
        """Let others write; safe to call twice."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _first_slot(segment: Path) -> Slot:
    digits = segment.name.removeprefix(_NAME).removesuffix(".part")
    if not digits.isdigit() or int(digits) < FIRST_SLOT:
        raise ForeignBackup(f"{segment} is no segment of an archive: move it away")
    return int(digits)


def _reaches(stop: Slot | None, first: Slot) -> bool:
    """Whether a segment that the next one follows at `stop` has anything from `first` on."""
    return stop is None or stop > first


def _header(segment: Path, part: FilePart) -> tuple[Followed, Slot]:
    try:
        found = json.loads(part.content)
        return Followed(found["cluster"], found["history"]), found["first"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedBackup(f"{segment} does not say what it is of ({error}): use another copy") from error


def _archived(segment: Path, part: FilePart) -> Archived:
    try:
        first, time_ms, values = msgpack.unpackb(part.content)
        return Archived(first, time_ms, values)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise DamagedBackup(
            f"{segment} cannot be read at byte {part.stop} ({error}): use another copy of it"
        ) from error


def _require_same(segment: Path, found: Followed, wanted: Followed) -> None:
    if found != wanted:
        raise ForeignBackup(
            f"{segment} is of history {found.history or 'unknown'} of cluster {found.cluster}, not of history "
            f"{wanted.history or 'unknown'} of cluster {wanted.cluster}: give each history an archive of its own"
        )
