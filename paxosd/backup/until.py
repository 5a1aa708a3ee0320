"""Up to where: a backup, what an archive adds to it, and the revision or the time at which it shall end.

Laws:
1. The log is applied as a learner would apply it. So the revision is the true one, and a backup whose values do not
   make the state that it names is refused.
2. Where the last revision stands in the middle of a slot, the slot is cut behind it.
3. Whatever is left out is later than the end that was asked for. Nothing is left out in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from paxosd.backup.archive import Archive, Followed
from paxosd.backup.errors import BackupError, DamagedBackup
from paxosd.backup.file import Header, KeptRows, Position, RevisionRows, Rows, Values
from paxosd.backup.restoring import Source
from paxosd.core.records import Kept, KeptRow
from paxosd.core.types import FIRST_SLOT, MachineName, Revision, RevisionRow, Slot
from paxosd.core.values import Batch, batches, commands, encode_body, encode_value, stamp_ms
from paxosd.machine.base import StateMachine
from paxosd.machine.ledger import Ledger
from paxosd.machine.revisions import About
from paxosd.storage.memory import MemoryStore

KEPT_EVERY_SLOTS = 512
"""How often what was applied is let go of."""
PAGE_BYTES = 1024 * 1024
VALUES_MAX = 1024
"""How many values are handed on at once."""


class Ended:
    """A `Source` that ends where it was asked to. Making this applies all of it; raises `BackupError`.

    `revision`: the last one; None: all. `time_ms`: what was archived later is left out, milliseconds since 1970.
    `machines` makes those that the cluster has: what runs out in them counts as revisions, too.
    """

    def __init__(
        self,
        source: Source,
        archive: Archive | None,
        revision: Revision | None,
        time_ms: int | None,
        sessions_max: int,
        machines: Callable[[], Mapping[MachineName, StateMachine]],
    ) -> None:
        self.header: Header = source.header
        self._source = source
        self._archive = archive
        self._time_ms = time_ms
        self._machines = machines
        self._stop: Slot | None = None
        self._cut: bytes | None = None
        self._cut_at: Revision = 0  # the last revision of the slot that is cut
        self.reaches_ms = int(source.position.made_at * 1000)
        """All that was chosen up to this time is in it, as far as the archive shows; milliseconds since 1970."""
        self.last_value, self.largest_value = b"", 0
        if time_ms is not None and time_ms < source.position.made_at * 1000:
            raise BackupError("the backup was made later than that: use one that was made before")
        self._ledger = Ledger(MemoryStore(), machines(), sessions_max, PAGE_BYTES)
        self._begin(sessions_max)
        if revision is not None and revision < self._ledger.revision:
            raise BackupError(
                f"the state in the backup is of revision {self._ledger.revision}: use a backup that was made before "
                f"revision {revision}"
            )
        self._apply(revision)
        self.position = self._position()

    def _begin(self, sessions_max: int) -> None:
        """Take up the state that the values are applied to."""
        if self.header.kept == FIRST_SLOT:
            return
        store = MemoryStore()
        for rows in self._source.rows():
            match rows:
                case KeptRows(found):
                    store.commit([Kept(self.header.kept, tuple(KeptRow(*row) for row in found))])
                case RevisionRows(index):
                    store.commit([Kept(self.header.kept, (), (), tuple(RevisionRow(*row) for row in index[-1:]))])
                case Values():
                    break
        self._ledger = Ledger(store, self._machines(), sessions_max, PAGE_BYTES)
        self._ledger.restore()

    def _apply(self, revision: Revision | None) -> None:
        ledger, source = self._ledger, self._source.position
        if revision == ledger.revision:
            self._stop = ledger.next_slot
        for slot, value in self._slots():
            if slot < ledger.next_slot:
                self.last_value = value
                continue
            before = ledger.revision
            ledger.apply(slot, value)
            self.last_value = value
            if revision is not None and ledger.revision >= revision:
                self._stop = slot + 1
                if ledger.revision > revision:
                    about = About.unpack(ledger.keep().revisions[-1].about)
                    self._cut = self.last_value = _cut(slot, value, about, revision - before)
                    self._cut_at = max(revision, before + about.expired)
                return
            if ledger.next_slot == source.watermark and source.digest not in ("", ledger.digest().hex()):
                raise DamagedBackup(
                    f"the values of the backup make another state than it names, at slot {slot}: do not use it; "
                    f"compare limits.sessions of the membership file with those of the cluster that it is of"
                )
            if ledger.unkept_slots >= KEPT_EVERY_SLOTS:
                ledger.keep()
        if revision is not None and self._stop is None:
            raise BackupError(f"revision {revision} is not in it: it ends at revision {ledger.revision}")

    def _position(self) -> Position:
        ledger = self._ledger
        position = replace(self._source.position, watermark=ledger.next_slot, log_time_ms=ledger.log_time_ms)
        if self._cut is not None:
            return replace(position, revision=self._cut_at, digest="")
        return replace(position, revision=ledger.revision, digest=ledger.digest().hex())

    def _slots(self) -> Iterator[tuple[Slot, bytes]]:
        """All slots up to the end, the last one cut."""
        for slot, value in self._all():
            if self._stop is not None and slot >= self._stop:
                return
            self.largest_value = max(self.largest_value, len(value))
            yield slot, self._cut if self._cut is not None and slot + 1 == self._stop else value

    def _all(self) -> Iterator[tuple[Slot, bytes]]:
        for rows in self._source.rows():
            if isinstance(rows, Values):
                yield from enumerate(rows.values, rows.first)
        if self._archive is None:
            return
        about = Followed(self.header.cluster, self.header.history)
        for part in self._archive.read(about, self._source.position.watermark):
            if self._time_ms is not None and part.time_ms > self._time_ms:
                self.reaches_ms = self._time_ms
                return
            self.reaches_ms = part.time_ms
            yield from enumerate(part.values, part.first)

    def rows(self) -> Iterator[Rows]:
        """All of it, in the order of a backup."""
        if self.header.kept != FIRST_SLOT:
            yield from (rows for rows in self._source.rows() if not isinstance(rows, Values))
        first, values = FIRST_SLOT, list[bytes]()
        for slot, value in self._slots():
            first = first if values else slot
            values.append(value)
            if len(values) == VALUES_MAX:
                yield Values(first, values)
                values = []
        if values:
            yield Values(first, values)


def _cut(slot: Slot, value: bytes, about: About, keep: int) -> bytes:
    """A value of which only as many commands are left as make its first `keep` revisions.

    What runs out in a slot takes its first revisions, and does so whatever is left of the value: where the end is asked
    for between two of them, all of them are kept.
    """
    keep -= about.expired
    if keep <= 0:
        return encode_value(stamp_ms(value))
    kept: list[Batch] = []
    found = list(batches(value))
    for batch, skip in zip(found, about.skipped or (0,) * len(found), strict=True):
        fresh = commands(batch.body, batch.count)[skip:] if batch.body and skip < batch.count else []
        if len(fresh) >= keep:
            body = encode_body(commands(batch.body, batch.count)[: skip + keep])
            kept.append(replace(batch, count=skip + keep, body=body))
            return encode_value(stamp_ms(value), kept)
        keep -= len(fresh)
        kept.append(batch)
    raise DamagedBackup(f"slot {slot} has fewer commands than revisions: do not use this backup")
