"""The keys as they are now, in order, with what they were (see `past.py`) and which of them a lease has.

Law: there is one way to change a key, `write`, one to take it back, `undo`, and one to put many that ask for nothing
else, each as a revision of its own: `put_all`, whose changes the caller adds to the window (`past.add_all`). So
records, order, window, and the keys of leases never differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import count
from operator import itemgetter

from paxosd.core.types import Revision
from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.encoding import Puts
from paxosd.machine.kv.order import KeyOrder
from paxosd.machine.kv.past import KeyHistory
from paxosd.machine.kv.ranges import NO_END, ONE_KEY
from paxosd.machine.kv.records import HEADER, HEADER_BYTES, NO_LEASE, Change, lease_of

NO_LEASE_BYTES = bytes(8)
_LEASE = slice(HEADER_BYTES - 8, HEADER_BYTES)
_NOTHING = (0, 0, 0, NO_LEASE)
"""The header of a key that is not there."""
_lease = itemgetter(3)


class KeyState:
    """The records of all keys, by key and in order."""

    def __init__(self, bounds: KvBounds) -> None:
        self.past = KeyHistory(bounds)
        self.held_bytes = 0
        self._bytes_max = bounds.keys_bytes
        self._records: dict[bytes, bytes] = {}
        self._order = KeyOrder()
        self._of_lease: dict[int, set[bytes]] = {}
        self.get = self._records.get
        """The record of a key, or None."""

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key: bytes) -> bool:
        return key in self._records

    # ---- writing ----

    def write(self, revision: Revision, key: bytes, record: bytes | None) -> bytes | None:
        """Let a key have this record as of the latest revision, or None; returns the one before."""
        previous = self._set(key, record)
        self.past.add((revision, key, record, previous))
        return previous

    def undo(self, count: int) -> None:
        """Take the latest changes back."""
        for _ in range(count):
            _, key, _, previous = self.past.undo()
            self._set(key, previous)

    def put_all(self, first: Revision, puts: Puts) -> Sequence[Change | None]:
        """Do these, as revisions from `first` on; returns what each changed, for `past.add_all`. None: there was no
        room."""
        keys, values = puts
        previous = list(map(self._records.get, keys))
        headers = [_NOTHING if record is None else HEADER.unpack_from(record) for record in previous]
        most_bytes = sum(map(len, keys)) + sum(map(len, values)) + HEADER_BYTES * len(keys)
        if len(set(keys)) < len(keys) or self.held_bytes + most_bytes > self._bytes_max or any(map(_lease, headers)):
            return [self._put(*put) for put in zip(count(first), keys, values)]
        records = [
            HEADER.pack(create or revision, revision, version + 1, NO_LEASE) + value
            for revision, value, (create, _, version, _) in zip(count(first), values, headers)
        ]
        self._records.update(zip(keys, records, strict=True))
        self.held_bytes += sum(map(len, records)) - sum(map(len, filter(None, previous)))
        if None in previous:
            new = [key for key, record in zip(keys, previous, strict=True) if record is None]
            self._order.add_all(new)
            self.held_bytes += sum(map(len, new))
        return list(zip(count(first), keys, records, previous))

    def _put(self, revision: Revision, key: bytes, value: bytes) -> Change | None:
        """One of them, where it may concern the others, or a lease."""
        previous = self._records.get(key)
        create, _, version, _ = _NOTHING if previous is None else HEADER.unpack_from(previous)
        record = HEADER.pack(create or revision, revision, version + 1, NO_LEASE) + value
        grown = len(record) + (len(key) if previous is None else -len(previous))
        if grown > 0 and self.held_bytes + grown > self._bytes_max:
            return None
        self._set(key, record)
        return revision, key, record, previous

    def _set(self, key: bytes, record: bytes | None) -> bytes | None:
        previous = self._records.get(key)
        if record is not None:
            self._records[key] = record
            self.held_bytes += len(record)
            if previous is None:
                self._order.add(key)
                self.held_bytes += len(key)
            if record[_LEASE] != NO_LEASE_BYTES:
                self._attach(key, record)
        elif previous is not None:
            del self._records[key]
            self._order.remove(key)
            self.held_bytes -= len(key)
        if previous is not None:
            self.held_bytes -= len(previous)
            if previous[_LEASE] != NO_LEASE_BYTES and (record is None or record[_LEASE] != previous[_LEASE]):
                self._detach(key, previous)
        return previous

    def _attach(self, key: bytes, record: bytes) -> None:
        self._of_lease.setdefault(lease_of(record), set()).add(key)

    def _detach(self, key: bytes, record: bytes) -> None:
        lease = lease_of(record)
        keys = self._of_lease[lease]
        keys.remove(key)
        if not keys:
            del self._of_lease[lease]

    def restore(self, key: bytes, record: bytes) -> None:
        """A key that is there; all come before anything else, and `in_order` after them."""
        self._records[key] = record
        self.held_bytes += len(key) + len(record)
        if record[_LEASE] != NO_LEASE_BYTES:
            self._attach(key, record)

    def in_order(self) -> None:
        """All keys are restored."""
        self._order = KeyOrder(self._records)

    # ---- reading ----

    def keys_of(self, lease: int) -> list[bytes]:
        """The keys that a lease has, in order."""
        return sorted(self._of_lease.get(lease, ())) if lease != NO_LEASE else []

    def count_of(self, lease: int) -> int:
        """How many keys a lease has."""
        return len(self._of_lease.get(lease, ()))

    def count(self, key: bytes, end: bytes) -> int:
        """How many keys a range has now."""
        if end == ONE_KEY:
            return int(key in self._records)
        return self._order.count(key, None if end == NO_END else end)

    def pairs(self, key: bytes, end: bytes, descending: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The keys of a range and their records, as they are now, in order. Nothing may change meanwhile."""
        if end == ONE_KEY:
            if (record := self._records.get(key)) is not None:
                yield key, record
            return
        for each in self._keys(key, None if end == NO_END else end, descending):
            yield each, self._records[each]

    def _keys(self, low: bytes, high: bytes | None, descending: bool) -> Iterator[bytes]:
        return self._order.between(low, high, descending)

    def past_pairs(
        self, revision: Revision, key: bytes, end: bytes, descending: bool = False
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """The same, as they were after this revision; and with None some keys that were not there."""
        if end == ONE_KEY:
            yield key, self.past.record_at(key, revision, self._records.get(key))
            return
        high = None if end == NO_END else end
        now, gone = self._keys(key, high, descending), self.past.gone_keys(key, high, descending)
        for each in merge(now, gone, reverse=descending):
            yield each, self.past.record_at(each, revision, self._records.get(each))

    def past_count(self, revision: Revision, key: bytes, end: bytes) -> int:
        """How many keys a range had after this revision."""
        if end == ONE_KEY:
            return int(self.past.record_at(key, revision, self._records.get(key)) is not None)
        count = self.count(key, end)
        for _, each, _, previous in self.past.first_since(revision):
            if key <= each and (end == NO_END or each < end):
                count += (previous is not None) - (each in self._records)
        return count
