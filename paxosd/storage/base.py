"""What a store promises.

1. `commit` returns when all records given to it are durable, or none is: one transaction. When it raises,
   nobody knows which; the node must stop without sending anything, and a later life reads what is there.
   Nothing is retried: after a failed fsync the kernel may have dropped what it could not write.
   A commit of nothing but records that may be lost (`MAY_BE_LOST`) need not wait for the disk: a power cut may
   take it, as a whole, and so may the end of the process; the next commit that waits makes it durable too. What is
   taken is the end of what was committed: a commit that is still there comes with all before it. This life reads it
   at once.
2. `records` gives back what is durable: the latest record of each class without a key, every vote at or above the
   watermark that was told, and nothing else. What it read is durable before it returns: a page that only
   the page cache holds could be acted on now and be gone after a power loss.
3. `votes`, `learned`, the kept state and the index of revisions read the same truth (see `core/history.py`).
4. Missing is not corrupt. A row whose checksum does not fit raises `Corrupt`; it is never left out. And what was
   acknowledged is not just missing: a store that finds fewer durable commits than it acknowledged is `Corrupt`.
5. A second opener of the same directory is refused while the first one lives.
6. Records belong to one directory of one node, and say so themselves; put into another directory they are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from paxosd.core.records import Record
from paxosd.core.snapshots import Shelf
from paxosd.core.types import HistoryId, NodeId


class StorageError(Exception):
    """The store cannot keep its promises; the daemon ends with exit code 8. The text names cause and fix."""


class Corrupt(StorageError):
    """Something durable is not what was written."""


class ForeignDirectory(StorageError):
    """The directory belongs to another node, cluster or format."""


class InUse(StorageError):
    """Another process has the directory open."""


class Label(Protocol):
    """Says outside of the records whose they are (see `directory.py`)."""

    @property
    def node(self) -> NodeId: ...

    @property
    def directory(self) -> str:
        """The random id of the directory that they are in."""
        ...

    @property
    def history(self) -> HistoryId:
        """The history that they are of, as soon as that is known."""
        ...

    def keep_history(self, history: HistoryId) -> None:
        """They are of this one, from now on and for ever. Raises `ForeignDirectory` or another `StorageError`."""
        ...


class Store(Shelf, Protocol):
    """Durable records of one node; one thread uses it."""

    def records(self) -> Sequence[Record]:
        """What an earlier life left (promise 2)."""
        ...

    def commit(self, records: Sequence[Record]) -> None:
        """Make these durable, in order: a later record of a key replaces an earlier one (promise 1)."""
        ...

    def close(self) -> None:
        """Release the directory; safe to call twice."""
        ...
