"""What revisions changed, for a window of them: so a past revision can be read, and each one be told to who watches.

Laws:
1. Revisions come in order, and each is whole: it is told with all that it changed, or not at all.
2. What is told begins with `first_revision`, which only grows. The state after that revision and after each later one
   can be read.
3. A change has the record before it and the record after it. Both are the objects that the keys have, or had; so a
   window costs no second copy of what is there now.
4. The window has bounds in revisions and bytes. What is beyond them goes when a revision is whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter
from typing import TypeAlias

from sortedcontainers import SortedSet

from paxosd.core.types import Revision
from paxosd.machine.kv.bounds import KvBounds

Change: TypeAlias = tuple[Revision, bytes, bytes | None, bytes | None]
"""The revision, the key, its record after it, its record before it; None: the key is not there."""

CHANGE_BYTES = 200
"""What a change takes in memory, about, besides its key and the record before it."""
LOOSE_PART = 8
"""One in so many of the changes that are listed for a key may be out of the window."""
_revision = itemgetter(0)


class KeyHistory:
    """The changes of the window, oldest first, and by key."""

    def __init__(self, bounds: KvBounds) -> None:
        self.first_revision: Revision = 1
        self.first_number = 0
        """How many changes went; so each change has a number, which is the same on all nodes."""
        self._bounds = bounds
        self._changes: list[Change | None] = []
        self._head = 0  # what is before it went
        self._by_key: dict[bytes, list[Change]] = {}
        self._gone_keys = SortedSet()  # that have changes in the window and are not there any more
        self._revisions = 0  # that changed something, and are whole
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._changes) - self._head

    @property
    def held_bytes(self) -> int:
        """How much memory the window takes."""
        return self._bytes

    @property
    def last_revision(self) -> Revision:
        """The latest one that changed something, if it is in the window; else 0."""
        return self.last()[0] if len(self) else 0

    # ---- writing ----

    def add(self, change: Change) -> None:
        """One more change, of the latest revision."""
        _, key, record, previous = change
        self._changes.append(change)
        self._bytes += CHANGE_BYTES + len(key) + (0 if previous is None else len(previous))
        of_key = self._by_key.get(key)
        if of_key is None:
            self._by_key[key] = [change]
        else:
            of_key.append(change)
            if previous is None:
                self._gone_keys.discard(key)
        if record is None:
            self._gone_keys.add(key)

    def add_all(self, changes: list[Change]) -> list[Change]:
        """Changes of the latest revisions, each of which is whole with its one; returns those that go for them."""
        by_key = self._by_key
        size = CHANGE_BYTES * len(changes)
        for change in changes:
            _, key, _, previous = change
            size += len(key) if previous is None else len(key) + len(previous)
            of_key = by_key.get(key)
            if of_key is None:
                by_key[key] = [change]
            else:
                of_key.append(change)
                if previous is None:
                    self._gone_keys.discard(key)
        self._changes += changes
        self._bytes += size
        self._revisions += len(changes)
        return self._drop_beyond()

    def undo(self) -> Change:
        """Take the latest change back, of a revision that is not whole yet."""
        change = self._changes.pop()
        assert change is not None
        _, key, record, previous = change
        of_key = self._by_key[key]
        of_key.pop()
        if record is None:
            self._gone_keys.discard(key)
        if not of_key:
            del self._by_key[key]
        elif previous is None:
            self._gone_keys.add(key)
        self._bytes -= CHANGE_BYTES + len(key) + (0 if previous is None else len(previous))
        return change

    def settle(self) -> list[Change]:
        """The latest revision is whole; returns the changes that go for it, whole revisions of them."""
        self._revisions += 1
        return self._drop_beyond()

    def _drop_beyond(self) -> list[Change]:
        """Let go of what is beyond the bounds. It makes no difference how often: what goes is the least that must."""
        gone: list[Change] = []
        revisions_max, bytes_max = self._bounds.window_revisions, self._bounds.window_bytes
        while (self._revisions > revisions_max or self._bytes > bytes_max) and len(self):
            gone += self._drop_to(self._changes[self._head][0] + 1)  # type: ignore[index]
        return gone

    def compact(self, first_revision: Revision) -> list[Change]:
        """Let what is before this revision go; returns it."""
        return self._drop_to(first_revision)

    def _drop_to(self, first_revision: Revision) -> list[Change]:
        changes, head, stop = self._changes, self._head, len(self._changes)
        gone: list[Change] = []
        revision = 0
        while head < stop and (change := changes[head])[0] < first_revision:  # type: ignore[index]
            assert change is not None
            changes[head] = None
            head += 1
            gone.append(change)
            self._forget(change)
            if change[0] != revision:
                revision = change[0]
                self._revisions -= 1
        if head > len(changes) // 2:
            del changes[:head]
            head = 0
        self._head = head
        self.first_revision = first_revision
        self.first_number += len(gone)
        return gone

    def _forget(self, change: Change) -> None:
        """It went: take it, sooner or later, out of what is listed for its key."""
        _, key, record, previous = change
        self._bytes -= CHANGE_BYTES + len(key) + (0 if previous is None else len(previous))
        of_key = self._by_key[key]
        if of_key[-1] is change:
            del self._by_key[key]
            if record is None:
                self._gone_keys.discard(key)
        elif of_key[len(of_key) // LOOSE_PART][0] <= change[0]:
            del of_key[: bisect_right(of_key, change[0], key=_revision)]

    def restore(self, changes: list[Change], first_revision: Revision, first_number: int) -> None:
        """Become the window that has these whole changes."""
        for change in changes:
            self._revisions += change[0] != self.last_revision
            self.add(change)
        self.first_revision, self.first_number = first_revision, first_number

    # ---- reading ----

    def _index(self, revision: Revision) -> int:
        """Where the changes from this revision on begin in the list."""
        return bisect_left(self._changes, revision, self._head, key=_revision)  # type: ignore[arg-type]

    def from_number(self, number: int) -> list[Change]:
        """The changes from this number on, or all if it went already."""
        return self._changes[self._head + max(0, number - self.first_number) :]  # type: ignore[return-value]

    def last(self) -> Change:
        """The latest change of all."""
        return self._changes[-1]  # type: ignore[return-value]

    def latest(self, count: int) -> list[Change]:
        """The latest changes, so many."""
        return self._changes[len(self._changes) - count :]  # type: ignore[return-value]

    def since(self, revision: Revision) -> int:
        """How many changes are later than this revision."""
        return len(self._changes) - self._index(revision + 1)

    def record_at(self, key: bytes, revision: Revision, now: bytes | None) -> bytes | None:
        """The record that a key had after this revision; `now` is the one that it has now."""
        of_key = self._by_key.get(key)
        if of_key is None or of_key[-1][0] <= revision:
            return now
        return of_key[bisect_right(of_key, revision, key=_revision)][3]

    def first_since(self, revision: Revision) -> Iterator[Change]:
        """The first change of each key that changed after this revision, in order."""
        seen: set[bytes] = set()
        for index in range(self._index(revision + 1), len(self._changes)):
            change = self._changes[index]
            assert change is not None
            if change[1] not in seen:
                seen.add(change[1])
                yield change

    def gone_keys(self, low: bytes, high: bytes | None, descending: bool) -> Iterator[bytes]:
        """The keys that are not there any more, and have changes in the window, in order."""
        return self._gone_keys.irange(low, high, (True, False), descending)  # type: ignore[no-any-return]

    def revisions(self, first: Revision, stop: Revision) -> Iterator[tuple[Revision, list[Change]]]:
        """The revisions from `first` on, below `stop`, that changed something, each with its changes in order."""
        if first < self.first_revision:
            raise ValueError(f"revision {first} is asked where {self.first_revision} is the first that is told")
        index, end = self._index(first), self._index(stop)
        while index < end:
            revision = self._changes[index][0]  # type: ignore[index]
            begin = index
            while index < end and self._changes[index][0] == revision:  # type: ignore[index]
                index += 1
            yield revision, self._changes[begin:index]  # type: ignore[misc]
