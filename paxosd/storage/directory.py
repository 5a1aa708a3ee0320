"""A data directory: whose it is, and who has it open.

Laws:
1. A directory belongs to one node of one cluster; its identity is written once, durably, before any record.
2. A foreign, newer, damaged or doubly opened directory is refused, and nothing in it is touched.
3. Records without an identity are refused too: a directory is never adopted by guessing.
4. It holds files of its own alone, for its user alone: a link, a pipe or a device in the place of one is refused.
5. Records that were made once have to be there: nobody starts without them, and without knowing that, as a new disk.
6. It has a random id, and its records say it, too: neither is used without the other (`sqlite/file.py`). Once its
   history is known it says that as well, and is never given to another one.
7. One that is filled with records before it is first used (`make_directory`) gets its identity last. Until then nothing
   opens it, and whoever was interrupted begins anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from paxosd.core.types import NO_HISTORY, HistoryId, NodeId
from paxosd.lives import FOLLOWED_COUNT_MAX
from paxosd.storage.ballast import BALLAST_NAME
from paxosd.storage.base import Corrupt, ForeignDirectory, InUse, StorageError
from paxosd.storage.files import OURS, explained, make_folder, require_own_file, sync_folder, write_durably

FORMAT = 2
EARLIER_FORMATS = (1,)
IDENTITY_NAME = "identity.json"
INCARNATION_NAME = "incarnation"
LOCK_NAME = "lock"
STORE_NAME = "records.sqlite3"
RECORDS_MADE_NAME = "records-made"
UPGRADE = "-upgrade-"
"""What stands behind `STORE_NAME` in the names of files that are there while a directory is upgraded."""


BEING_MADE_NAME = "being-made"
"""There as long as something fills a new directory with records: it has no identity yet."""
_WITHOUT_MEANING = {"lost+found", LOCK_NAME, f"{BEING_MADE_NAME}.tmp"}
"""What may be in a vacant directory; the last one is of an end before the first file had its name."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose directory it is, as it stands in the file.

    `directory` is its own random id: what belongs into another directory shows. `history` is hexadecimal, and empty as
    long as it is not known.
    """

    format: int
    cluster: str
    node: NodeId
    role: str
    directory: str
    history: str = ""


class DataDirectory:
    """An open data directory; hold it as long as its store is open. It keeps `Label` of `base.py`.

    `count` says how often it was opened, this time included (see `lives.py`). `is_new`: it had no identity.
    """

    def __init__(self, path: Path, identity: Identity, count: int, lock: int, is_new: bool) -> None:
        self.path = path
        self.is_new = is_new
        self.identity = identity
        self.count = count
        self._lock: int | None = lock

    @property
    def store_path(self) -> Path:
        return self.path / STORE_NAME

    @property
    def node(self) -> NodeId:
        return self.identity.node

    @property
    def directory(self) -> str:
        return self.identity.directory

    @property
    def history(self) -> HistoryId:
        """The history that its records are of; `NO_HISTORY` as long as that is not known."""
        return bytes.fromhex(self.identity.history)

    def keep_history(self, history: HistoryId) -> None:
        """Its records are of this history, from now on and for ever. Raises `ForeignDirectory` or `StorageError`."""
        if history == self.history:
            return
        if self.history != NO_HISTORY:
            raise ForeignDirectory(
                f"{self.path} belongs to the history {self.identity.history}, and not to {history.hex()}; give this "
                f"node a directory of its own for each history"
            )
        identity = replace(self.identity, history=history.hex())
        with directory_errors(self.path):
            write_identity(self.path, identity)
        self.identity = identity

    def require_records(self) -> None:
        """Before the store is opened. Raises `Corrupt` if its records were made once and are gone (law 5)."""
        if (self.path / RECORDS_MADE_NAME).exists() and not self.store_path.exists():
            raise Corrupt(
                f"{self.store_path} is gone: put the whole data directory back as it was, or move it away and start "
                f"with an empty one; an acceptor is then admitted as a new disk while a quorum of the others is well"
            )

    def note_records(self) -> None:
        """After the store was opened: from now on its records have to be there. Raises `StorageError`."""
        made = self.path / RECORDS_MADE_NAME
        if not made.exists():
            with directory_errors(self.path):
                write_durably(made, "")

    def keep_count(self, count: int) -> None:
        """Go on counting from here, durably. Raises `StorageError`."""
        with directory_errors(self.path):
            write_durably(self.path / INCARNATION_NAME, f"{count}\n")
        self.count = count

    def close(self) -> None:
        """Let another process open it; safe to call twice. It names no process any more, for another one may get that
        number, and whoever ends a cluster reads it there."""
        if self._lock is not None:
            with suppress(OSError):
                os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None


def open_directory(path: Path, cluster: str, node_id: str, role: str) -> DataDirectory:
    """Open this node's directory, making it at first; raises `InUse`, `ForeignDirectory`, `Corrupt`, `StorageError`."""
    with directory_errors(path):
        make_folder(path)
        with ExitStack() as stack:
            lock = lock_directory(path)
            stack.callback(os.close, lock)
            is_new = not (path / IDENTITY_NAME).exists()
            identity = _identity(path, Identity(FORMAT, cluster, node_id, role, uuid.uuid4().hex))
            count = _next_count(path)
            stack.pop_all()
    return DataDirectory(path, identity, count, lock, is_new)


def lock_directory(path: Path) -> int:
    """Take the directory for this process, until the descriptor is closed; raises `InUse` or `OSError`."""
    _require_own_files(path)
    lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, OURS)
    try:
        _lock(path, lock)
    except (OSError, InUse):
        os.close(lock)
        raise
    return lock


@contextmanager
def make_directory(path: Path, cluster: str, node_id: NodeId, role: str) -> Iterator[DataDirectory]:
    """A new directory to be filled with records; it can be opened once the block has ended well (law 7).

    Raises `StorageError` if something else is there, or `InUse`.
    """
    with directory_errors(path), ExitStack() as stack:
        require_vacant(path)
        make_folder(path)
        identity = Identity(FORMAT, cluster, node_id, role, uuid.uuid4().hex)
        directory = DataDirectory(path, identity, 0, lock_directory(path), True)
        stack.callback(directory.close)
        write_durably(path / BEING_MADE_NAME, "")
        for leftover in path.glob(f"{STORE_NAME}*"):
            leftover.unlink()
        yield directory
        directory.note_records()
        write_identity(path, identity)
        (path / BEING_MADE_NAME).unlink()
        sync_folder(path)


def require_vacant(path: Path) -> None:
    """Raises `StorageError` if there is anything, but for what an interrupted `make_directory` left."""
    with directory_errors(path):
        found = {entry.name for entry in path.iterdir()} - _WITHOUT_MEANING if path.is_dir() else set()
    if not found or (BEING_MADE_NAME in found and IDENTITY_NAME not in found):
        return
    whose = "the data directory of a node" if IDENTITY_NAME in found else "not empty"
    raise StorageError(
        f"{path} is {whose}: nothing was touched; move it away, or name another directory (--data-dir, storage.dir)"
    )


def _require_own_files(path: Path) -> None:
    kept = (IDENTITY_NAME, INCARNATION_NAME, LOCK_NAME, RECORDS_MADE_NAME, BALLAST_NAME)
    for file in (*(path / name for name in kept), *path.glob(f"{STORE_NAME}*")):
        require_own_file(file)


def _lock(path: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        raise InUse(
            f"{path} is in use by process {holder}: one daemon per data directory; stop that one, or give this node "
            f"its own --data-dir"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _identity(path: Path, wanted: Identity) -> Identity:
    file = path / IDENTITY_NAME
    if not file.exists():
        if (path / BEING_MADE_NAME).exists():
            raise Corrupt(f"{path} was not filled to its end: run the command that was interrupted again")
        if (path / STORE_NAME).exists():
            raise Corrupt(f"{path} holds records but no {IDENTITY_NAME}: put that file back, or use another directory")
        write_identity(path, wanted)
        return wanted
    found = read_identity(file)
    require_same_node(path, found, wanted)
    if any(path.glob(f"{STORE_NAME}{UPGRADE}*")):
        raise ForeignDirectory(f"{path}: an upgrade was cut off; go on with it: {upgrade_command(path)}")
    return found


def require_same_node(path: Path, found: Identity, wanted: Identity) -> None:
    """Raises `ForeignDirectory` if the directory is another node's."""
    for what in ("cluster", "node", "role"):
        theirs, ours = getattr(found, what), getattr(wanted, what)
        if theirs != ours:
            raise ForeignDirectory(
                f"{path} belongs to {found.role} {found.node} of cluster {found.cluster}, not to {wanted.role} "
                f"{wanted.node} of cluster {wanted.cluster} (other {what}); nothing was touched; check --data-dir, --id"
            )


def write_identity(path: Path, identity: Identity) -> None:
    """Write the identity of the directory at `path`, durably; raises `OSError`."""
    said = asdict(identity)
    write_durably(path / IDENTITY_NAME, json.dumps({**said, "checksum": _checksum(said)}, indent=1) + "\n")


def read_identity(file: Path, expected: int = FORMAT) -> Identity:
    """The identity in this file, of a format that is expected; or it raises a `StorageError`."""
    names = [name for name in Identity.__slots__ if expected == FORMAT or name != "history"]
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["format"] != expected:
            _require_format(file, found["format"])
        said = {name: found[name] for name in names}
        whole = found["checksum"] == _checksum(said)
        identity = Identity(**said)
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"{file} cannot be read ({error!r}): {RESTORE}") from error
    if not whole:
        raise Corrupt(f"{file} is not as it was written: {RESTORE}")
    return identity


def _require_format(file: Path, found: object) -> None:
    """Raises `ForeignDirectory` for a format that is not ours, and `ValueError` for what is none."""
    if type(found) is not int or found < 1:
        raise ValueError(f"format {found!r}")
    if found > FORMAT:
        raise ForeignDirectory(
            f"{file} has format {found}, and this version of paxosd knows up to {FORMAT}; nothing was touched; start "
            f"the version that wrote it, or a newer one"
        )
    if found in EARLIER_FORMATS:
        raise ForeignDirectory(
            f"{file} has format {found}, of an earlier version of paxosd; nothing was touched; stop every node of the "
            f"cluster, and run for each: {upgrade_command(file.parent)}"
        )


def upgrade_command(path: Path) -> str:
    """What brings the directory at `path` to the format of this version."""
    return f"paxosd upgrade --config FILE --id ID --data-dir {path}"


RESTORE = "restore it from a backup; nothing was touched"


def _checksum(said: Mapping[str, object]) -> int:
    return zlib.crc32(json.dumps(said, sort_keys=True).encode())


def _next_count(path: Path) -> int:
    """Grows from opening to opening; a directory without a past begins with 1.

    Earlier versions wrote milliseconds since 1970 here: counting goes on from there, unless their clock was so wrong
    that no peer would believe the number; then it begins anew, as for a directory that was wiped.
    """
    file = path / INCARNATION_NAME
    try:
        last = int(file.read_text(encoding="utf-8")) if file.exists() else 0
    except ValueError as error:
        raise Corrupt(f"{file} holds no number ({error}): delete that file and start again") from error
    count = (last if 0 < last < FOLLOWED_COUNT_MAX else 0) + 1
    write_durably(file, f"{count}\n")
    return count


def durability_warning(path: Path) -> str | None:
    """Why what is synced here may not survive; None if nothing speaks against it."""
    best, kind = "", ""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    for line in mounts.splitlines():
        _, mounted, found, *_ = line.split(" ")
        if Path(path).resolve().is_relative_to(mounted) and len(mounted) >= len(best):
            best, kind = mounted, found
    if kind in ("tmpfs", "ramfs"):
        return f"{path} is on {kind}: everything is lost at a reboot; put the data directory on a disk"
    if "overlay" in kind:  # also fuse.fuse-overlayfs
        return f"{path} is in a container's own layer: everything is lost with the container; mount a volume there"
    return None


@contextmanager
def directory_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a directory's files into a `StorageError` that names the cause and the fix."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path} cannot be used as a data directory: {explained(error)}") from error
