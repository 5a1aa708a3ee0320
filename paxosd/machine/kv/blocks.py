"""The records of keys as rows on a disk: in blocks, many keys in one row, in the order in which they were written.

    b, number u64      a block: its keys, and the record of each, as two columns (see `columns.py`)

Laws:
1. A block is written once and never changed. What a later one says of a key counts, and what earlier ones say does not.
   A key that was deleted stands without a record in a later block than the one that has its last record.
2. Each key that is there has its record in one block, and that is the last one with the key. So a record stands in a
   block as long as the key has not changed since: its `mod_revision` is none that came later.
3. Blocks go from the oldest on, where all of them hold about twice as much as there is: what stands in the oldest one
   is written anew. Nothing is older then, so a deleted key in it need not be told any more. And the numbers of those
   that are there have no gap, and the first and the last are known: a block that is missing is noticed.
4. What one `take` writes anew, and how many blocks it removes, is bounded by what has changed: it takes no longer where
   there is much. So where much was deleted, or became smaller, it goes over many of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from itertools import accumulate
from operator import itemgetter
from struct import Struct
from typing import NamedTuple

from paxosd.core.agent import require
from paxosd.machine.kv.columns import LENGTH_BYTES, pack_column, unpack_column, unpack_full_column
from paxosd.machine.kv.records import Change
from paxosd.machine.kv.state import KeyState

BLOCK = b"b"
BLOCK_BYTES_MAX = 64 * 1024
"""A block with so many bytes of keys and records is full."""
BLOCK_COUNTS_BYTES = 4096
"""What a block counts for besides its content: many small ones take time to read, and memory."""
GOES_PER_CHANGE = 4
"""How many bytes are written anew for one that changed, at most; an old block that goes counts as one that is new."""

_NUMBER = Struct(">Q")
_ENTRY_BYTES = 2 * LENGTH_BYTES
_MOD_REVISION = slice(8, 16)
_mod_revision = itemgetter(_MOD_REVISION)
_NONE = bytes(8)


class Block(NamedTuple):
    """A row, its keys, what it counts for, and the latest `mod_revision` in it, as in a record."""

    number: int
    keys: list[bytes]
    counts_bytes: int
    last_mod: bytes


class KeyBlocks:
    """Which keys changed since they were written, and which keys stand in which row.

    `spare_bytes`: so much more than twice what there is may stand in blocks, and so much may go at once.
    """

    def __init__(self, spare_bytes: int) -> None:
        self._spare_bytes = spare_bytes
        self._changes: list[Change] = []  # since the last `take`, oldest first
        self._blocks: deque[Block] = deque()
        self._next_number = 0
        self._counted_bytes = 0  # of all blocks

    def note(self, changes: list[Change]) -> None:
        """Keys changed."""
        self._changes += changes

    @property
    def noted(self) -> int:
        """How many changes are to be written."""
        return len(self._changes)

    def take(self, state: KeyState) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
        """The rows to put and to delete; what changed counts as written."""
        changes, self._changes = self._changes, []
        was_there = {key: previous is not None for _, key, _, previous in reversed(changes)}
        keys = [key for key, before in was_there.items() if before or state.get(key) is not None]
        first_new, counted_before = self._next_number, self._counted_bytes
        put = list(self._write(keys, state))
        may_go = GOES_PER_CHANGE * (self._counted_bytes - counted_before) + self._spare_bytes
        delete: list[bytes] = []
        still_there = self._remove_oldest(state, first_new, may_go, delete)
        return put + list(self._write(still_there, state)), delete

    def _write(self, keys: list[bytes], state: KeyState) -> Iterator[tuple[bytes, bytes]]:
        """These keys, as they are now, in new blocks."""
        records = list(map(state.get, keys))
        sizes = [_ENTRY_BYTES + len(key) + len(record or b"") for key, record in zip(keys, records, strict=True)]
        bounds = list(accumulate(sizes))
        begin = 0
        while begin < len(keys):
            full = bounds[begin] - sizes[begin] + BLOCK_BYTES_MAX
            stop = bisect_left(bounds, full, begin) + 1
            yield self._block(keys[begin:stop], records[begin:stop])
            begin = stop

    def _block(self, keys: list[bytes], records: list[bytes | None]) -> tuple[bytes, bytes]:
        content = pack_column(keys) + pack_column(records)
        self._add(Block(self._next_number, keys, BLOCK_COUNTS_BYTES + len(content), _last_mod(records)))
        return _row_key(self._blocks[-1]), content

    def _add(self, block: Block) -> None:
        self._blocks.append(block)
        self._next_number = block.number + 1
        self._counted_bytes += block.counts_bytes

    def _remove_oldest(self, state: KeyState, stop: int, may_go: int, delete: list[bytes]) -> list[bytes]:
        """Let the oldest blocks below a number go, if there is too much in all of them; returns the keys whose records
        stood there. About so many bytes, with `BLOCK_COUNTS_BYTES` for each block."""
        still_there: list[bytes] = []
        anew_bytes = 0
        most = 2 * (state.held_bytes + _ENTRY_BYTES * len(state)) + self._spare_bytes
        while self._counted_bytes + anew_bytes > most and may_go > 0 and self._blocks[0].number < stop:
            oldest = self._blocks.popleft()
            delete.append(_row_key(oldest))
            self._counted_bytes -= oldest.counts_bytes
            may_go -= BLOCK_COUNTS_BYTES
            for key in oldest.keys:
                record = state.get(key)
                if record is not None and record[_MOD_REVISION] <= oldest.last_mod:
                    still_there.append(key)
                    size = _ENTRY_BYTES + len(key) + len(record)
                    anew_bytes += size
                    may_go -= size
        return still_there

    @property
    def numbers(self) -> tuple[int, int]:
        """That of the first block, and the one behind the last."""
        return self._next_number - len(self._blocks), self._next_number

    def require_numbers(self, first: int, stop: int) -> None:
        """All blocks are restored; raise unless they have these numbers."""
        if not self._blocks:
            self._next_number = stop
        require(self.numbers == (first, stop), f"blocks of keys from {first} to {stop - 1} are not all there")

    def restore(self, number: int, content: bytes, records: dict[bytes, bytes]) -> None:
        """Let what this block says count among what those before it said; they come in order, all before anything
        else."""
        require(not self._blocks or number == self._next_number, f"block {self._next_number} of keys is missing")
        keys, place = unpack_full_column(content, 0)
        of_keys, _ = unpack_column(content, place)
        for key, record in zip(keys, of_keys, strict=True):
            if record is None:
                records.pop(key, None)
            else:
                records[key] = record
        self._add(Block(number, keys, BLOCK_COUNTS_BYTES + len(content), _last_mod(of_keys)))


def _last_mod(records: list[bytes | None]) -> bytes:
    return max(map(_mod_revision, filter(None, records)), default=_NONE)


def _row_key(block: Block) -> bytes:
    return BLOCK + _NUMBER.pack(block.number)
