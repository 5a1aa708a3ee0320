"""The simulated disk: what is synced survives a power loss, anything else may not.

Laws:
1. A process that ends leaves its page cache: the next life reads all that was written.
2. Power loss leaves what was synced, and of what was not any part from the beginning on: commits are one journal.
3. A failed sync leaves the page cache clean: what was written can be read, and will never reach the disk by itself.
4. A damaged row cannot be read, and is never taken for one that was not written.
5. A disk with a `capacity` takes no more than that, and its node can see how much is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from paxosd.core.history import ROW_BYTES
from paxosd.core.plausible import SLOT_MAX
from paxosd.core.records import MAY_BE_LOST, Learned, Record, Voted
from paxosd.core.snapshots import IncomingSnapshot, Snapshot
from paxosd.core.types import FIRST_SLOT, NodeId, Revision, RevisionRow, Slot, Vote
from paxosd.storage.base import Corrupt, StorageError
from paxosd.storage.memory import MemoryStore
from paxosd.storage.space import Usage

ENDLESS = 1 << 60
"""More bytes than any disk has, or any run writes."""
COUNTED_EVERY = 256
"""Records, between two times that all rows of a disk are counted."""
RESERVE_BYTES = 16 * 1024 * 1024
"""What nodes leave free on a simulated disk: as good as full, at a quarter of it, still takes what they then take."""


class SimDisk:
    """The data directory of one node, over all of its lives."""

    def __init__(self, node: NodeId, random: Random, sync_s: float) -> None:
        self.node = node
        self.written = MemoryStore()
        self.synced = MemoryStore()
        self.sync_s = sync_s
        self.failing: str | None = None
        self.capacity: int | None = None
        self._counted_bytes, self._written_since = 0, COUNTED_EVERY  # what it held when it was last counted
        self.damaged: set[tuple[type, Slot]] = set()
        self._random = random
        self._unsynced: list[Sequence[Record]] = []

    @property
    def has_unsynced(self) -> bool:
        return bool(self._unsynced)

    def leave(self, free_bytes: int | None) -> None:
        """So much is free from now on; None: as much as anybody wants."""
        self.capacity = None if free_bytes is None else self.held_bytes() + free_bytes

    def usage(self) -> Usage:
        """What a look at it tells."""
        if self.capacity is None:
            return Usage(data=0, reusable=0, free=ENDLESS, size=ENDLESS)
        held = self.held_bytes()
        return Usage(data=held, reusable=0, free=max(0, self.capacity - held), size=self.capacity)

    def held_bytes(self) -> int:
        """What the votes and the chosen values on it take: counted now and then, and what was written since."""
        if self._written_since >= COUNTED_EVERY:
            votes = self.written.votes(FIRST_SLOT, SLOT_MAX, ENDLESS)
            learned = self.written.learned(FIRST_SLOT, SLOT_MAX, ENDLESS)
            values = [*(vote.value for vote in votes), *(value for _, value in learned)]
            self._counted_bytes, self._written_since = sum(len(value) + ROW_BYTES for value in values), 0
        return self._counted_bytes

    def has_room_for(self, records: Sequence[Record]) -> bool:
        """Whether these fit (law 5)."""
        if self.capacity is None:
            return True
        more = _bytes_of(records)
        return not more or self.held_bytes() + more <= self.capacity

    def write(self, records: Sequence[Record]) -> None:
        """Into the page cache."""
        self.written.commit(records)
        self._unsynced.append(records)
        self._counted_bytes += _bytes_of(records)
        self._written_since += len(records)

    def sync(self) -> None:
        """All that was written reaches the disk."""
        for records in self._unsynced:
            self.synced.commit(records)
        self._unsynced.clear()

    def fail_sync(self, records: Sequence[Record]) -> None:
        """What a failed fsync leaves (law 3)."""
        self.written.commit(records)

    def lose_power(self) -> None:
        """Keep what was synced and the beginning of the rest (law 2)."""
        for records in self._unsynced[: self._random.randint(0, len(self._unsynced))]:
            self.synced.commit(records)
        self._unsynced.clear()
        self.written = self.synced.copy()

    def settle(self) -> None:
        """What a life reads when it opens its store is durable before it answers (`storage/base.py`, promise 2)."""
        self._unsynced.clear()
        self.synced = self.written.copy()

    def wipe(self) -> None:
        """An empty directory."""
        self._written_since = COUNTED_EVERY
        self.written, self.synced = MemoryStore(), MemoryStore()
        self._unsynced.clear()
        self.damaged.clear()

    def put_back(self, copy: MemoryStore) -> None:
        """The directory as it was when this copy of it was made."""
        self.wipe()
        self.written, self.synced = copy, copy.copy()

    def damage(self) -> tuple[type, Slot] | None:
        """Flip a bit in some stored row; None if there is no row."""
        votes: list[tuple[type, Slot]] = [(Voted, slot) for slot in self.written.voted_slots()]
        learned: list[tuple[type, Slot]] = [(Learned, slot) for slot in self.written.learned_slots()]
        rows = self._random.choice((votes, learned, votes[-3:])) or votes or learned
        if not rows:
            return None
        row = self._random.choice(rows)
        self.damaged.add(row)
        return row


def _bytes_of(records: Sequence[Record]) -> int:
    return sum(len(record.value) + ROW_BYTES for record in records if isinstance(record, Voted | Learned))


class SimStore:
    """A life's view of the disk; keeps `storage/base.py`.

    `spend` makes the turn last longer; `committing` and `committed` are called around each commit, and may end the
    life by raising.
    """

    def __init__(
        self,
        node: NodeId,
        disk: SimDisk,
        spend: Callable[[float], None],
        committing: Callable[[], None],
        committed: Callable[[Sequence[Record]], None],
    ) -> None:
        self._node = node
        self._disk = disk
        self._spend = spend
        self._committing = committing
        self._committed = committed

    @property
    def commits(self) -> int:
        return self._disk.written.commits

    def records(self) -> Sequence[Record]:
        if self._disk.node != self._node:
            raise StorageError(f"simulated: this directory is of {self._disk.node}, and not of {self._node}")
        self._disk.settle()
        found = self._disk.written.records()
        self._refuse_damaged(Voted, [record.slot for record in found if isinstance(record, Voted)])
        return found

    def commit(self, records: Sequence[Record]) -> None:
        disk = self._disk
        self._committing()
        if disk.failing is not None:
            reason, disk.failing = disk.failing, None
            if reason == "EIO":
                disk.fail_sync(records)
            raise StorageError(f"simulated {reason}")
        if not disk.has_room_for(records):
            raise StorageError("simulated ENOSPC: the disk is full")
        disk.write(records)
        if not all(isinstance(record, MAY_BE_LOST) for record in records):
            self._spend(disk.sync_s)
            disk.sync()
        self._committed(records)

    def votes(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[Vote]:
        found = self._disk.written.votes(first, stop, bytes_max)
        self._refuse_damaged(Voted, [vote.slot for vote in found])
        return found

    def learned(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[tuple[Slot, bytes]]:
        found = self._disk.written.learned(first, stop, bytes_max)
        self._refuse_damaged(Learned, [slot for slot, _ in found])
        return found

    def learned_stop(self) -> Slot:
        return self._disk.written.learned_stop()

    def learned_start(self) -> Slot:
        return self._disk.written.learned_start()

    def offered(self) -> Snapshot | None:
        return self._disk.written.offered()

    def offer(self) -> None:
        self._disk.written.offer()

    def part(self, offset: int, bytes_max: int) -> bytes:
        return self._disk.written.part(offset, bytes_max)

    def withdraw(self) -> None:
        self._disk.written.withdraw()

    def incoming(self) -> IncomingSnapshot | None:
        return self._disk.written.incoming()

    def kept_slot(self) -> Slot:
        return self._disk.written.kept_slot()

    def kept_rows(self, owner: str) -> Iterable[tuple[bytes, bytes]]:
        return self._disk.written.kept_rows(owner)

    def revisions(self, revision: Revision, rows_max: int) -> Sequence[RevisionRow]:
        return self._disk.written.revisions(revision, rows_max)

    def close(self) -> None:
        pass

    def _refuse_damaged(self, kind: type, slots: Sequence[Slot]) -> None:
        if self._disk.damaged:
            for slot in slots:
                if (kind, slot) in self._disk.damaged:
                    raise Corrupt(f"the {kind.__name__} row of slot {slot} is damaged")
