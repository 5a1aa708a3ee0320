"""Files of parts: how every byte of a backup is accounted for.

    file = title, a space, the format's number, a newline, part *, end part
    part = kind u8, size u32, checksum of the content u32, checksum of these 9 bytes u32, content (size bytes)
    the end part's content = a digest of all bytes before this part (16), what its maker says of the whole (JSON)

All numbers are big-endian. Checksums find what a disk or a copy did; the digest finds parts that are missing, swapped
or of another file.

Laws:
1. A file gets its name once it is whole and synced. Until then it is a draft beside it, named FILE.part.
2. What is not as it was written is refused, wherever it is: nothing is skipped, and nothing may follow the end.
3. One part is in memory at a time, and no size is believed before its checksum fits and the file is long enough.
4. A draft that was left behind is good up to its last whole part.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from paxosd.backup.errors import BackupError, DamagedBackup, ForeignBackup, file_errors
from paxosd.storage.files import OURS, rename_durably, require_own_file

DIGEST_BYTES = 16
END = 0
"""The kind of the last part. Other kinds are the business of who writes the file."""
TITLE_BYTES_MAX = 64
_HEAD = Struct(">BII")
_SUM = Struct(">I")
_TORN = "it ends in the middle"


class FilePart(NamedTuple):
    """A part of a file, and where it stops in it."""

    kind: int
    content: bytes
    stop: int


def draft_of(file: Path) -> Path:
    """What a file is named until it is whole."""
    return file.with_name(file.name + ".part")


class PartWriter:
    """Writes a new file of parts, or goes on with a draft of one (`resume`). Raises `BackupError`."""

    def __init__(self, file: Path, title: str, number: int) -> None:
        self.file = file
        self._draft = draft_of(file)
        self._title = title
        self._number = number
        self._digest = blake2b(digest_size=DIGEST_BYTES)
        self.size = 0
        with file_errors(self._draft, "written"):
            require_own_file(self._draft)
            handle = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, OURS)
            self._stream: BinaryIO = os.fdopen(handle, "r+b")

    def begin(self) -> None:
        """Write the title; a draft that was left behind is forgotten."""
        with file_errors(self._draft, "written"):
            self._stream.seek(0)
            self._stream.truncate(0)
        self._digest, self.size = blake2b(digest_size=DIGEST_BYTES), 0
        self._write(f"{self._title} {self._number}\n".encode())

    def resume(self) -> Iterator[FilePart]:
        """Go on with a draft that was left behind: first take all parts of it that are whole."""
        with PartReader(self._draft, self._title, self._number) as reader:
            good = reader.position
            parts = reader.parts()
            while True:
                try:
                    part = next(parts)
                except (DamagedBackup, StopIteration):
                    break
                if part.kind == END:
                    break
                yield part
                good = part.stop
            self._digest = reader.digest_below(good)
        with file_errors(self._draft, "written"):
            self._stream.truncate(good)
            self._stream.seek(good)
            self.size = good

    def add(self, kind: int, content: bytes) -> None:
        """Append a part."""
        head = _HEAD.pack(kind, len(content), zlib.crc32(content))
        self._write(head + _SUM.pack(zlib.crc32(head)) + content)

    def sync(self) -> None:
        """What was written so far outlives a power cut."""
        with file_errors(self._draft, "written"):
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def finish(self, told: dict[str, Any]) -> None:
        """Write the end, make all of it durable, and give the file its name."""
        self.add(END, self._digest.digest() + json.dumps(told).encode())
        self.sync()
        self.close()
        with file_errors(self.file, "written"):
            rename_durably(self._draft, self.file)

    def _write(self, data: bytes) -> None:
        with file_errors(self._draft, "written"):
            self._stream.write(data)
        self._digest.update(data)
        self.size += len(data)

    def close(self) -> None:
        """Leave the draft as it is, to go on with later; safe to call twice."""
        with file_errors(self._draft, "written"):
            self._stream.close()

    def discard(self) -> None:
        """Close it and delete the draft."""
        self._stream.close()
        self._draft.unlink(missing_ok=True)

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PartReader:
    """Reads a file of parts from its beginning. `title` and `number`: what it must be, and the newest known format.

    Raises `BackupError`, `DamagedBackup` or `ForeignBackup`.
    """

    def __init__(self, file: Path, title: str, number: int) -> None:
        self._file = file
        self._digest = blake2b(digest_size=DIGEST_BYTES)
        self.told: dict[str, Any] = {}
        """What the end says; empty before it was read."""
        with file_errors(file, "read"):
            require_own_file(file)
            self._stream = file.open("rb")
            self.size = os.fstat(self._stream.fileno()).st_size
        self.position = 0
        try:
            self._read_title(title, number)
        except BackupError:
            self._stream.close()
            raise

    def _read_title(self, title: str, number: int) -> None:
        with file_errors(self._file, "read"):
            line = self._stream.readline(TITLE_BYTES_MAX)
        if not line:
            raise DamagedBackup(f"{self._file} is empty; {_OTHER}")
        if not line.endswith(b"\n") and f"{title} ".encode().startswith(line):
            raise self._damaged(f"{_TORN}, in its first line")
        name, _, found = line.rstrip(b"\n").rpartition(b" ")
        if name != title.encode():
            raise ForeignBackup(f"{self._file} is no {title} file: it begins otherwise; name another file")
        if not found.isdigit() or not line.endswith(b"\n"):
            raise DamagedBackup(f"{self._file} is damaged: it does not say its format; {_OTHER}")
        if int(found) > number:
            raise ForeignBackup(
                f"{self._file} has format {int(found)}, and this version of paxosd knows up to {number}; use the "
                f"version that wrote it, or a newer one"
            )
        self._took(line)

    def parts(self) -> Iterator[FilePart]:
        """All parts, the end last; when it is given out, the digest fits and nothing follows."""
        while True:
            before = self._digest.copy()
            part = self._next()
            if part.kind == END:
                self._check_end(part, before.digest())
                yield part
                return
            yield part

    def _next(self) -> FilePart:
        head = self._read(_HEAD.size + _SUM.size)
        kind, size, checksum = _HEAD.unpack_from(head)
        if _SUM.unpack_from(head, _HEAD.size)[0] != zlib.crc32(head[: _HEAD.size]):
            raise self._damaged(f"the head of the part that ends at byte {self.position} is not as it was written")
        content = self._read(size)
        if zlib.crc32(content) != checksum:
            raise self._damaged(f"the part that ends at byte {self.position} is not as it was written")
        return FilePart(kind, content, self.position)

    def _read(self, size: int) -> bytes:
        if size > self.size - self.position:
            raise self._damaged(f"{_TORN}, at byte {self.size}: it was not written to its end, or was cut off")
        with file_errors(self._file, "read"):
            data = self._stream.read(size)
        if len(data) < size:
            raise self._damaged(f"{_TORN}, at byte {self.position + len(data)}: it was cut off while it was read")
        self._took(data)
        return data

    def _took(self, data: bytes) -> None:
        self._digest.update(data)
        self.position += len(data)

    def _check_end(self, part: FilePart, digest: bytes) -> None:
        if part.content[:DIGEST_BYTES] != digest:
            raise self._damaged("its parts are not those that were written: the digest over all of it does not fit")
        if self.position < self.size:
            raise self._damaged(f"{self.size - self.position} bytes follow its end")
        try:
            self.told = dict(json.loads(part.content[DIGEST_BYTES:]))
        except ValueError as error:
            raise self._damaged(f"its end cannot be read ({error})") from error

    def digest_below(self, position: int) -> Any:
        """A digest over the first bytes, to go on with; reads them again."""
        digest = blake2b(digest_size=DIGEST_BYTES)
        with file_errors(self._file, "read"):
            self._stream.seek(0)
            left = position
            while left > 0 and (data := self._stream.read(min(left, 1 << 20))):
                digest.update(data)
                left -= len(data)
        return digest

    def _damaged(self, how: str) -> DamagedBackup:
        return DamagedBackup(f"{self._file} is damaged: {how}; {_OTHER}")

    def close(self) -> None:
        """Safe to call twice."""
        self._stream.close()

    def __enter__(self) -> PartReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_OTHER = "do not use it; take another copy of it, or another backup"
