"""The keys as rows on a disk.

    b, number u64      keys and their records (see `blocks.py`)
    l, lease u64       its terms
    h, number u64      changes of the window, from that number on (see `past.py`), as three columns: their revisions,
                       their keys, and the records before them
    t                  where the window begins: its first revision, and the number of its first change; the number of
                       the first block of keys, and the one behind the last; the number behind the last change

The record after a change is the one before the next change of its key, or the one that the key has. So each change is
written once, many in one row, and never again. A row of changes goes when all of them are out of the window.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import accumulate, repeat
from struct import Struct, pack, unpack_from

from paxosd.core.agent import require
from paxosd.machine.base import Changes
from paxosd.machine.kv.blocks import BLOCK, KeyBlocks
from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.columns import LENGTH_BYTES, pack_column, unpack_column, unpack_full_column
from paxosd.machine.kv.leases import Leases, LeaseTerms
from paxosd.machine.kv.records import Change
from paxosd.machine.kv.state import KeyState

LEASE, CHANGES, TOTALS = b"l", b"h", b"t"
ROW_BYTES_MAX = 64 * 1024
"""So many bytes of changes are put into one row; one change always."""
KEYS_PER_ROW = 4
"""So many changes of keys count as one row, for many are written in one."""

_NUMBER = Struct(">Q")
_TOTALS = Struct(">5Q")
_NEW = _TOTALS.pack(1, 0, 0, 0, 0)


class Rows:
    """Which rows are to be written."""

    def __init__(self, bounds: KvBounds) -> None:
        self.keys = KeyBlocks(bounds.spare_bytes)
        self.leases: dict[int, bool] = {}
        """The leases that changed, and whether a row of theirs is on the disk."""
        self._next_number = 0
        self._written: deque[tuple[int, int]] = (
            deque()
        )  # rows of changes: the first number, and the one behind the last
        self._totals = _NEW

    def changed_rows(self, state: KeyState) -> int:
        """About how many there are."""
        keys = -(-self.keys.noted // KEYS_PER_ROW)
        return keys + len(self.leases) + (self._totals_of(state) != self._totals) + self._waiting(state)

    def _waiting(self, state: KeyState) -> int:
        return int(self._stop(state) > self._next_number)

    @staticmethod
    def _stop(state: KeyState) -> int:
        return state.past.first_number + len(state.past)

    def _totals_of(self, state: KeyState) -> bytes:
        begins = state.past.first_revision, state.past.first_number
        return _TOTALS.pack(*begins, *self.keys.numbers, self._next_number)

    def take(self, state: KeyState, leases: Leases) -> Changes:
        """All of them; they count as written."""
        put, delete = self.keys.take(state)
        for lease, was_there in self.leases.items():
            terms = leases.terms(lease)
            _row(LEASE + _NUMBER.pack(lease), None if terms is None else terms.pack(), was_there, put, delete)
        put += self._take_changes(state)
        delete += self._passed(state.past.first_number)
        if (totals := self._totals_of(state)) != self._totals:
            self._totals = totals
            put.append((TOTALS, totals))
        self.leases = {}
        return Changes(put, delete)

    def _take_changes(self, state: KeyState) -> Iterator[tuple[bytes, bytes]]:
        number = max(self._next_number, state.past.first_number)
        changes = state.past.from_number(number)
        bounds = list(accumulate([len(key) + len(previous or b"") for _, key, _, previous in changes]))
        begin = written_bytes = 0
        while begin < len(changes):
            stop = bisect_right(bounds, written_bytes + ROW_BYTES_MAX, begin + 1)
            self._written.append((number + begin, number + stop))
            yield CHANGES + _NUMBER.pack(number + begin), _pack(changes[begin:stop])
            begin, written_bytes = stop, bounds[stop - 1]
        self._next_number = number + len(changes)

    def _passed(self, first_number: int) -> Iterator[bytes]:
        while self._written and self._written[0][1] <= first_number:
            yield CHANGES + _NUMBER.pack(self._written.popleft()[0])

    # ---- restoring ----

    def restore(self, rows: Iterable[tuple[bytes, bytes]], state: KeyState, leases: Leases) -> None:
        """Fill a state and leases that are new with what these rows say."""
        records: dict[bytes, bytes] = {}
        changes: list[tuple[int, bytes]] = []
        for key, content in rows:
            kind, rest = key[:1], key[1:]
            if kind == BLOCK:
                self.keys.restore(_NUMBER.unpack(rest)[0], content, records)
            elif kind == LEASE:
                leases.set(_NUMBER.unpack(rest)[0], LeaseTerms.unpack(content))
            elif kind == CHANGES:
                changes.append((_NUMBER.unpack(rest)[0], content))
            else:
                require(key == TOTALS, f"keys have no row {key!r}")
                self._totals = content
        for key, record in records.items():
            state.restore(key, record)
        state.in_order()
        first_revision, first_number, *blocks, stop = _TOTALS.unpack(self._totals)
        self.keys.require_numbers(*blocks)
        self._restore_changes(sorted(changes), state, first_revision, first_number)
        require(self._next_number == stop, f"changes from {self._next_number} to {stop - 1} are missing")

    def _restore_changes(
        self, rows: list[tuple[int, bytes]], state: KeyState, first_revision: int, first_number: int
    ) -> None:
        self._next_number = first_number
        found: list[Change] = []
        for first, content in rows:
            changes = list(_unpack(content))
            self._written.append((first, first + len(changes)))
            require(first <= self._next_number, f"changes from {self._next_number} on are missing")
            found += changes[self._next_number - first :]
            self._next_number = max(self._next_number, first + len(changes))
        after: dict[bytes, bytes | None] = {}
        for place in range(len(found) - 1, -1, -1):
            revision, key, _, previous = found[place]
            found[place] = revision, key, after.get(key, state.get(key)), previous
            after[key] = previous
        state.past.restore(found, first_revision, first_number)


def _row(
    key: bytes, content: bytes | None, was_there: bool, put: list[tuple[bytes, bytes]], delete: list[bytes]
) -> None:
    if content is not None:
        put.append((key, content))
    elif was_there:
        delete.append(key)


def _pack(changes: list[Change]) -> bytes:
    revisions, keys, _, previous = zip(*changes, strict=True)
    return pack(f">I{len(changes)}Q", len(changes), *revisions) + pack_column(keys) + pack_column(previous)


def _unpack(content: bytes) -> Iterator[Change]:
    """The changes of a row, without the records after them."""
    (count,) = unpack_from(">I", content)
    revisions = unpack_from(f">{count}Q", content, LENGTH_BYTES)
    keys, place = unpack_full_column(content, LENGTH_BYTES + _NUMBER.size * count)
    previous, _ = unpack_column(content, place)
    return zip(revisions, keys, repeat(None), previous)
