"""Records in memory, for tests and the simulator: durable as long as the object lives."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from paxosd.core.history import ROW_BYTES, known_slots
from paxosd.core.plausible import SLOT_MAX, believed_watermark
from paxosd.core.records import (
    MAY_BE_LOST,
    Disk,
    Floor,
    Forgotten,
    Kept,
    Learned,
    Promised,
    Record,
    Round,
    SnapshotBytes,
    SnapshotDropped,
    SnapshotInstalled,
    SnapshotStep,
    Told,
    Voted,
)
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, NO_DISK, Ballot, DiskId, Revision, RevisionRow, Slot, Vote
from paxosd.storage.memory.shelf import MemoryShelf


class MemoryStore(MemoryShelf):
    """Keeps the promises of `storage/base.py` for a node that ends and starts again with the same object."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0
        self._latest: dict[type, Record] = {}
        self._votes: dict[Slot, Voted] = {}
        self._learned: dict[Slot, Learned] = {}
        self._learned_stop = FIRST_SLOT
        self._learned_start = FIRST_SLOT
        self._kept_slot = FIRST_SLOT
        self._kept: dict[str, dict[bytes, bytes]] = {}
        self._revisions: list[RevisionRow] = []

    def records(self) -> Sequence[Record]:
        self.withdraw()
        votes = [self._votes[slot] for slot in known_slots(self._votes, self.records_from(), SLOT_MAX + 1)]
        latest = {**self._latest}
        if Told in latest:
            latest[Told] = Told(self.records_from())
        return [*latest.values(), *votes]

    def commit(self, records: Sequence[Record]) -> None:
        for record in records:
            match record:
                case Voted():
                    self._votes[record.slot] = record
                case Forgotten():
                    self._votes.clear()
                case Learned():
                    self._learned[record.slot] = record
                case Kept():
                    self._keep(record)
                case SnapshotBytes() | SnapshotStep() | SnapshotInstalled() | SnapshotDropped():
                    self._commit_of_snapshot(record)
                case Floor(slot):
                    self._latest[Floor] = record
                    for old in [voted for voted in self._votes if voted < slot]:
                        del self._votes[old]
                case _:
                    self._latest[type(record)] = record
        self.commits += not all(isinstance(record, MAY_BE_LOST) for record in records)
        while self._learned_stop in self._learned:
            self._learned_stop += 1

    def _keep(self, kept: Kept) -> None:
        for owner, key in kept.delete:
            self._kept.get(owner, {}).pop(key, None)
        for owner, key, content in kept.put:
            self._kept.setdefault(owner, {})[key] = content
        self._revisions += kept.revisions
        self._kept_slot = kept.slot
        self._learned_stop = max(self._learned_stop, kept.slot)
        told = self.offered()
        first = kept.first if told is None else min(kept.first, told.slot)
        for slot in known_slots(self._learned, self._learned_start, first):
            del self._learned[slot]
        self._learned_start = max(self._learned_start, first)
        gone = bisect_left(self._revisions, kept.first_revision, key=lambda row: row.first)
        del self._revisions[:gone]

    def _state(self) -> tuple[Slot, Any]:
        first, slot = self.learned_start(), self._kept_slot
        learned = [(known, self._learned[known].value) for known in range(first, slot)]
        return slot, (slot, first, [(owner, list(rows.items())) for owner, rows in self._kept.items()],
                      self._revisions, learned)  # fmt: skip

    def _install(self, state: Any) -> None:
        slot, first, kept, revisions, learned = state
        self._kept_slot, self._learned_start = slot, first
        self._kept = {owner: dict(rows) for owner, rows in kept}
        self._revisions = [RevisionRow(*row) for row in revisions]
        self._learned.update({known: Learned(known, value) for known, value in learned})
        self._learned_stop = max(self._learned_stop, slot)

    def learned_stop(self) -> Slot:
        return self._learned_stop

    def votes(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[Vote]:
        page: list[Vote] = []
        for slot in known_slots(self._votes, first, stop):
            voted = self._votes[slot]
            bytes_max -= len(voted.value) + ROW_BYTES
            if page and bytes_max < 0:
                break
            page.append(Vote(slot, voted.ballot, voted.value))
        return page

    def learned(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[tuple[Slot, bytes]]:
        page: list[tuple[Slot, bytes]] = []
        for slot in known_slots(self._learned, first, stop):
            value = self._learned[slot].value
            bytes_max -= len(value) + ROW_BYTES
            if page and bytes_max < 0:
                break
            page.append((slot, value))
        return page

    def learned_start(self) -> Slot:
        return self._learned_start

    def kept_slot(self) -> Slot:
        return self._kept_slot

    def kept_rows(self, owner: str) -> Iterable[tuple[bytes, bytes]]:
        return sorted(self._kept.get(owner, {}).items())

    def revisions(self, revision: Revision, rows_max: int) -> Sequence[RevisionRow]:
        begin = bisect_right(self._revisions, revision, key=lambda row: row.first) - 1
        return self._revisions[begin : begin + rows_max] if begin >= 0 else []

    def close(self) -> None:
        pass

    # ---- for the simulator, which plays the disk ----

    def copy(self) -> MemoryStore:
        """Another store with the same records."""
        twin = MemoryStore()
        twin.commits = self.commits
        twin._latest = dict(self._latest)
        twin._votes, twin._learned = dict(self._votes), dict(self._learned)
        twin._learned_stop, twin._kept_slot = self._learned_stop, self._kept_slot
        twin._learned_start = self._learned_start
        twin._kept = {owner: dict(rows) for owner, rows in self._kept.items()}
        twin._revisions = list(self._revisions)
        twin._coming = self._coming
        return twin

    def promised(self) -> Ballot:
        """The promise on record."""
        found = self._latest.get(Promised)
        return found.ballot if isinstance(found, Promised) else NO_BALLOT

    @property
    def disk(self) -> DiskId:
        """The id of this disk on record."""
        found = self._latest.get(Disk)
        return found.disk if isinstance(found, Disk) else NO_DISK

    def round(self) -> int:
        """The round on record."""
        found = self._latest.get(Round)
        return found.round if isinstance(found, Round) else 0

    def records_from(self) -> Slot:
        """`records` gives the votes from this slot on."""
        told = self._latest.get(Told)
        if not isinstance(told, Told):
            return FIRST_SLOT
        return believed_watermark(told.watermark, max((slot for slot in self._votes if slot <= SLOT_MAX), default=0))

    def floor(self) -> Slot:
        """The floor on record."""
        found = self._latest.get(Floor)
        return found.slot if isinstance(found, Floor) else FIRST_SLOT

    def vote(self, slot: Slot) -> Voted | None:
        """The vote on record in this slot."""
        return self._votes.get(slot)

    def voted_slots(self) -> list[Slot]:
        """The slots with a vote, in order."""
        return sorted(self._votes)

    def learned_slots(self) -> list[Slot]:
        """The slots with a chosen value, in order."""
        return sorted(self._learned)
