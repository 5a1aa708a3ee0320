"""Changes listed by their keys: so the record that a key had after some revision is found by a search.

Law: the changes of a key are listed in the order of their revisions. Those that are in the window are all there; some
that went may be there still.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter

from sortedcontainers import SortedSet

from paxosd.core.types import Revision
from paxosd.machine.kv.records import Change

LOOSE_PART = 8
"""One in so many of the changes that are listed for a key may be out of the window."""
_revision = itemgetter(0)


class ChangesByKey:
    """The changes of each key, and which keys are not there any more."""

    def __init__(self) -> None:
        self._of_key: dict[bytes, list[Change]] = {}
        self._gone_keys = SortedSet()

    def add(self, change: Change) -> None:
        """One more, which is the latest."""
        _, key, record, previous = change
        of_key = self._of_key.get(key)
        if of_key is None:
            self._of_key[key] = [change]
        else:
            of_key.append(change)
            if previous is None:
                self._gone_keys.discard(key)
        if record is None:
            self._gone_keys.add(key)

    def undo(self, change: Change) -> None:
        """The latest one did not happen."""
        _, key, record, previous = change
        of_key = self._of_key[key]
        of_key.pop()
        if record is None:
            self._gone_keys.discard(key)
        if not of_key:
            del self._of_key[key]
        elif previous is None:
            self._gone_keys.add(key)

    def forget(self, change: Change) -> None:
        """The oldest one is out of the window: take it, sooner or later, out of what is listed for its key."""
        revision, key, record, _ = change
        of_key = self._of_key[key]
        if of_key[-1] is change:
            del self._of_key[key]
            if record is None:
                self._gone_keys.discard(key)
        elif of_key[len(of_key) // LOOSE_PART][0] <= revision:
            del of_key[: bisect_right(of_key, revision, key=_revision)]

    def record_at(self, key: bytes, revision: Revision, now: bytes | None) -> bytes | None:
        """The record that a key had after this revision; `now` is the one that it has now."""
        of_key = self._of_key.get(key)
        if of_key is None or of_key[-1][0] <= revision:
            return now
        return of_key[bisect_right(of_key, revision, key=_revision)][3]

    def gone_keys(self, low: bytes, high: bytes | None, descending: bool) -> Iterator[bytes]:
        """The keys that are not there any more, and have changes in the window, in order."""
        return self._gone_keys.irange(low, high, (True, False), descending)  # type: ignore[no-any-return]
