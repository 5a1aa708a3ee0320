"""What revisions changed, for a window of them: so a past revision can be read, and each one be told to who watches.

Laws:
1. Revisions come in order, and each is whole: it is told with all that it changed, or not at all.
2. What is told begins with `first_revision`, which only grows. The state after that revision and after each later one
   can be read.
3. A change has the record before it and the record after it. Both are the objects that the keys have, or had; so a
   window costs no second copy of what is there now.
4. The window has bounds in revisions and bytes. What is beyond them goes when a revision is whole.
5. Changes are listed by key where somebody reads the past, and not before: most changes go unlisted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import itemgetter

from paxosd.core.types import Revision
from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.by_key import ChangesByKey
from paxosd.machine.kv.records import Change

CHANGE_BYTES = 200
"""What a change takes in memory, about, besides its key and the record before it."""
_revision = itemgetter(0)


class KeyHistory:
    """The changes of the window, oldest first."""

    def __init__(self, bounds: KvBounds) -> None:
        self.first_revision: Revision = 1
        self.first_number = 0
        """How many changes went; so each change has a number, which is the same on all nodes."""
        self._bounds = bounds
        self._changes: list[Change | None] = []
        self._head = 0  # what is before it went
        self._by_key = ChangesByKey()
        self._listed_to = 0  # the changes with lower numbers are listed by key
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
        self._changes.append(change)
        self._bytes += _bytes_of([change])

    def add_all(self, changes: Sequence[Change]) -> list[Change]:
        """Changes of the latest revisions, each of which is whole with its one; returns those that go for them."""
        self._changes += changes
        self._bytes += _bytes_of(changes)
        self._revisions += len(changes)
        return self._drop_beyond()

    def undo(self) -> Change:
        """Take the latest change back, of a revision that is not whole yet."""
        change = self._changes.pop()
        assert change is not None
        self._bytes -= _bytes_of([change])
        if self._listed_to > self.first_number + len(self):
            self._by_key.undo(change)
            self._listed_to -= 1
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
            revisions = max(1, self._revisions - revisions_max)
            last = self._changes[self._head + revisions - 1]  # they have so many changes, or more
            gone += self._drop_to(last[0] + 1)  # type: ignore[index]
        return gone

    def compact(self, first_revision: Revision) -> list[Change]:
        """Let what is before this revision go; returns it."""
        return self._drop_to(first_revision)

    def _drop_to(self, first_revision: Revision) -> list[Change]:
        head, stop = self._head, self._index(first_revision)
        gone: list[Change] = self._changes[head:stop]  # type: ignore[assignment]
        self._changes[head:stop] = [None] * len(gone)
        for change in gone[: max(0, self._listed_to - self.first_number)]:
            self._by_key.forget(change)
        self._bytes -= _bytes_of(gone)
        self._revisions -= len(set(map(_revision, gone)))
        if stop > len(self._changes) // 2:
            del self._changes[:stop]
            stop = 0
        self._head = stop
        self.first_revision = first_revision
        self.first_number += len(gone)
        return gone

    def restore(self, changes: list[Change], first_revision: Revision, first_number: int) -> None:
        """Become the window that has these whole changes."""
        self._changes = [*changes]
        self._bytes = _bytes_of(changes)
        self._revisions = len(set(map(_revision, changes)))
        self.first_revision = first_revision
        self.first_number = self._listed_to = first_number

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
        return self._all_by_key().record_at(key, revision, now)

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
        return self._all_by_key().gone_keys(low, high, descending)

    def _all_by_key(self) -> ChangesByKey:
        """List what came since the last time."""
        for change in self.from_number(self._listed_to):
            self._by_key.add(change)
        self._listed_to = self.first_number + len(self)
        return self._by_key

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


def _bytes_of(changes: Sequence[Change]) -> int:
    """What these take in memory, about."""
    if not changes:
        return 0
    _, keys, _, previous = zip(*changes, strict=True)
    return CHANGE_BYTES * len(changes) + sum(map(len, keys)) + sum(map(len, filter(None, previous)))
