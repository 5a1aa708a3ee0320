"""The backup file: the state of a cluster at one slot, and the log that goes with it.

    header      JSON: the fields of `Header`
    kept        msgpack [[machine, key, content], …]         rows of the state at slot `kept`
    revisions   msgpack [[first revision, slot, about], …]   rows of the index of revisions
    values      msgpack [first slot, [value, …]]             what the slots hold, without a gap up to the watermark

The state at the watermark is what the rows and the values from slot `kept` on make of it. Where `kept` is 1 there are
no rows: the log is whole, and makes all of it. The end says how far the log goes and what it made (`Position`), so
that an interrupted backup can go on.

Laws are those of `parts.py`, and:
1. Parts come in this order, values in the order of their slots.
2. Whoever reads a backup to its end knows that it is whole.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias

import msgpack

from paxosd.backup.errors import BackupError, DamagedBackup
from paxosd.backup.parts import END, FilePart, PartReader, PartWriter, draft_of
from paxosd.core.types import FIRST_SLOT, Revision, Slot

TITLE = "paxosd-backup"
FORMAT = 1
PART_BYTES = 1024 * 1024
"""About how large a part is; one row may be larger."""
ROW_BYTES = 64
"""What a row counts for besides its content."""

HEADER, KEPT, REVISIONS, VALUES = 1, 2, 3, 4
_COUNTED = {KEPT: "kept", REVISIONS: "revisions", VALUES: "values"}

KeptRow: TypeAlias = tuple[str, bytes, bytes]
RevisionRow: TypeAlias = tuple[Revision, Slot, bytes]


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup is of. It holds the values from slot `first` on.

    `kept`: the rows of the state are of every slot below (1: there are none). `history` is hexadecimal, and empty if
    none is known. `prepare`, `accept` and `weights`: the terms of its birth.
    """

    cluster: str
    history: str
    first: Slot = FIRST_SLOT
    kept: Slot = FIRST_SLOT
    prepare: int = 0
    accept: int = 0
    weights: dict[str, int] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a backup goes: every slot below `watermark` is in it.

    That made `revision` and `log_time_ms` the latest ones, and the machine's state one with this `digest`, hexadecimal.
    `made_at`: seconds since 1970, for people alone.
    """

    watermark: Slot
    revision: Revision
    log_time_ms: int
    digest: str
    made_at: int = 0


class KeptRows(NamedTuple):
    """Some rows of the kept state: whose, the key, the content."""

    rows: list[KeptRow]


class RevisionRows(NamedTuple):
    """Some rows of the index of revisions."""

    rows: list[RevisionRow]


class Values(NamedTuple):
    """The values of the slots from `first` on."""

    first: Slot
    values: list[bytes]


Rows: TypeAlias = KeptRows | RevisionRows | Values


class BackupWriter:
    """Writes a backup to `file`, which must not exist. Raises `BackupError`."""

    def __init__(self, file: Path) -> None:
        require_absent(file)
        self._parts = PartWriter(file, TITLE, FORMAT)
        self._pending: list[Any] = []
        self._pending_kind = HEADER
        self._pending_bytes = 0
        self._counts: Counter[str] = Counter()
        self.next_slot: Slot = FIRST_SLOT
        """The slot whose value comes next."""

    def begin(self, header: Header) -> None:
        """A new backup; a draft that was left behind is forgotten."""
        self._counts.clear()
        self._parts.begin()
        self._parts.add(HEADER, json.dumps(asdict(header)).encode())
        self.next_slot = header.first

    def resume(self) -> Header | None:
        """Go on with what an interrupted one left behind; None if that is nothing, and `begin` has to be called."""
        header: Header | None = None
        try:
            for part in self._parts.resume():
                if part.kind == HEADER:
                    header = _header(part.content)
                    self.next_slot = header.first
                else:
                    rows = _rows(part)
                    self._count(part.kind, len(rows[-1]))
                    if isinstance(rows, Values):
                        self.next_slot = rows.first + len(rows.values)
        except (DamagedBackup, BackupError, ValueError, TypeError):
            return None
        return header

    def kept(self, row: KeptRow) -> None:
        """One more row of the kept state."""
        self._put(KEPT, row, len(row[1]) + len(row[2]))

    def revision(self, row: RevisionRow) -> None:
        """One more row of the index of revisions."""
        self._put(REVISIONS, row, len(row[2]))

    def value(self, value: bytes) -> None:
        """The value of the next slot."""
        self._put(VALUES, value, len(value))
        self.next_slot += 1

    def _put(self, kind: int, row: Any, size: int) -> None:
        if kind != self._pending_kind or self._pending_bytes + size > PART_BYTES:
            self._flush()
        self._pending_kind = kind
        self._pending.append(row)
        self._pending_bytes += size + ROW_BYTES

    def _flush(self) -> None:
        if self._pending:
            content: Any = self._pending
            if self._pending_kind == VALUES:
                content = [self.next_slot - len(self._pending), self._pending]
            self._parts.add(self._pending_kind, msgpack.packb(content))
            self._count(self._pending_kind, len(self._pending))
        self._pending, self._pending_bytes = [], 0

    def _count(self, kind: int, rows: int) -> None:
        self._counts[_COUNTED[kind]] += rows

    def finish(self, position: Position) -> None:
        """Make it whole and durable, and give it its name."""
        self._flush()
        self._parts.finish(asdict(position) | {name: self._counts[name] for name in _COUNTED.values()})

    def close(self) -> None:
        """Leave what is there for `resume`; safe to call twice."""
        self._parts.close()

    def __enter__(self) -> BackupWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require_absent(file: Path) -> None:
    """Raises `BackupError` if there is something: a backup is never written over."""
    if file.is_symlink() or file.exists():
        raise BackupError(f"{file} is there already, and a backup is never written over: name another file")
    if not file.parent.is_dir():
        raise BackupError(f"{file.parent} is no directory: make it, or name another file")


class BackupReader:
    """Reads a backup: its header at once, its rows in their order. Raises `BackupError` and its subclasses.

    `position` is known once all rows were read.
    """

    position: Position

    def __init__(self, file: Path) -> None:
        self._file = file
        self._parts = PartReader(file, TITLE, FORMAT)
        self._stream = self._parts.parts()
        try:
            part = next(self._stream)
            if part.kind != HEADER:
                raise self._damaged("it does not begin with what it is of")
            self.header = self._read(part, _header)
        except BackupError:
            self._parts.close()
            raise

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return self._parts.size

    @property
    def bytes_read(self) -> int:
        """How many of them were read."""
        return self._parts.position

    def rows(self) -> Iterator[Rows]:
        """All rows; when they are at an end, the backup is whole."""
        kind, next_slot = HEADER, self.header.first
        counts: Counter[str] = Counter()
        for part in self._stream:
            if part.kind == END:
                break
            if part.kind < kind or part.kind not in _COUNTED:
                raise self._damaged("its parts are not in their order")
            kind = part.kind
            rows = self._read(part, lambda content, part=part: _rows(part))
            counts[_COUNTED[kind]] += len(rows[-1])
            if isinstance(rows, Values):
                if rows.first != next_slot:
                    raise self._damaged(f"the value of slot {next_slot} is missing")
                next_slot += len(rows.values)
            yield rows
        told = dict(self._parts.told)
        if any(told.pop(name, None) != counts[name] for name in _COUNTED.values()):
            raise self._damaged("it does not hold what its end says")
        self.position = self._read(part, lambda _: _position(told))
        if self.position.watermark < self.header.kept:
            raise self._damaged("it ends below the slot that its state is of")
        if next_slot != self.position.watermark:
            raise self._damaged(f"its values end at slot {next_slot}, and its end says {self.position.watermark}")

    def _read(self, part: FilePart, read: Any) -> Any:
        try:
            return read(part.content)
        except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
            raise self._damaged(f"the part that ends at byte {part.stop} cannot be read ({error})") from error

    def _damaged(self, how: str) -> DamagedBackup:
        return DamagedBackup(f"{self._file} is damaged: {how}; do not use it, take another backup")

    def close(self) -> None:
        """Safe to call twice."""
        self._parts.close()

    def __enter__(self) -> BackupReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """What a whole backup holds.

    `last_value`: that of the slot below the watermark; empty if there is no slot. `largest_value`: its bytes.
    """

    header: Header
    position: Position
    size: int
    kept: int
    revisions: int
    values: int
    last_value: bytes
    largest_value: int


def summary(file: Path) -> BackupSummary:
    """Read a backup to its end; so it is whole. Raises `BackupError` and its subclasses."""
    counts: Counter[type] = Counter()
    last_value, largest_value = b"", 0
    with BackupReader(file) as reader:
        for rows in reader.rows():
            counts[type(rows)] += len(rows[-1])
            if isinstance(rows, Values):
                last_value = rows.values[-1]
                largest_value = max(largest_value, *map(len, rows.values))
        return BackupSummary(
            reader.header,
            reader.position,
            reader.size,
            counts[KeptRows],
            counts[RevisionRows],
            counts[Values],
            last_value,
            largest_value,
        )


def draft_exists(file: Path) -> bool:
    """Whether an interrupted backup left something to go on with."""
    return draft_of(file).exists()


def _header(content: bytes) -> Header:
    header = Header(**json.loads(content))
    _require_numbers(header.first, header.kept, header.prepare, header.accept)
    if not FIRST_SLOT <= header.first <= header.kept:
        raise ValueError("its slots contradict each other")
    bytes.fromhex(header.history)
    return header


def _position(told: dict[str, Any]) -> Position:
    position = Position(**told)
    _require_numbers(position.watermark, position.revision, position.log_time_ms, position.made_at)
    bytes.fromhex(position.digest)
    return position


def _require_numbers(*numbers: Any) -> None:
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a number is none")


def _rows(part: FilePart) -> Rows:
    plain = msgpack.unpackb(part.content, use_list=False)
    if part.kind == VALUES:
        first, values = plain
        return Values(first, _all_bytes(values))
    if part.kind == KEPT:
        return KeptRows([(machine, key, content) for machine, key, content in plain])
    return RevisionRows([(first, slot, about) for first, slot, about in plain])


def _all_bytes(values: Sequence[Any]) -> list[bytes]:
    if not all(type(value) is bytes for value in values):
        raise ValueError("a value is not bytes")
    return list(values)
