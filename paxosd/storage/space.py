"""How much room a data directory has: what the file system says, held against a quota and a reserve.

Laws:
1. A look is bounded and cheap: one question to the file system and one listing of a directory of a few files. It is
   taken once a second, more often only when the limit could be reached sooner, and at once when a write found no room:
   somebody else can fill a file system in a moment.
2. A limit is left behind only when there is clearly more room than at the limit, so that nobody flaps.
3. What can be used again inside of the file of records counts as room. What stands in the journal alone counts twice,
   for the file of records grows by as much when it is moved there. And a ballast that is gone counts as used (see
   `ballast.py`), for it comes back first.
4. What cannot be looked at says nothing new, and ends nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from paxosd.core.messages.space import (
    DiskSpace,
)
from paxosd.core.space import TOLD_EVERY_S, Space
from paxosd.core.types import Instant
from paxosd.storage.ballast import Ballast

QUOTA_SPARE_BYTES_MAX = 32 * 1024 * 1024
"""So far below the quota no new commands are taken any more, or a tenth of the quota if that is less."""
RESERVE_BYTES_MAX, RESERVE_BYTES_MIN = 256 * 1024 * 1024, 48 * 1024 * 1024
"""A tenth of the file system is left free, but no more than the one, and no less than the other or a third of it."""
SMALL_BYTES = 1024 * 1024 * 1024
"""On a smaller file system, or below a smaller quota, the journal is always kept short."""

FILLS_BYTES_PER_S = 400 * 1024 * 1024
"""Faster than disks fill up; so the next look comes before half of what is left can be used up."""
LOOK_EVERY_S_MIN, LOOK_EVERY_S_MAX = 0.05, 1.0
FILES_MAX = 1000
"""So many files of a data directory are looked at; there are about ten."""
BLOCK_BYTES = 512
"""What `st_blocks` counts in, on every file system."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One look, in bytes: what the directory takes, what of it can be used again, what is free, and how large the file
    system is. `owed`: what is free, but has its use already."""

    data: int
    reusable: int
    free: int
    size: int
    owed: int = 0


class Gauge:
    """Makes one of three words of each look. `quota` and `reserve` in bytes; None: no quota, the usual reserve; a
    reserve of 0: nobody cares how full the file system is."""

    def __init__(self, quota: int | None = None, reserve: int | None = None) -> None:
        self.space = Space.UNKNOWN
        self._quota = quota
        self._reserve = reserve

    def measure(self, usage: Usage) -> Space:
        """How much room there is, given how much there was."""
        self.space = max(self._by_file_system(usage), self._by_quota(usage))
        return self.space

    def room_bytes(self, usage: Usage) -> int:
        """How much more the directory may take before there is little room."""
        rooms = [_free(usage) - self._reserve_of(usage)]
        if self._quota is not None:
            rooms.append(self._quota - _spare(self._quota) - _used(usage))
        return max(0, min(rooms))

    def _reserve_of(self, usage: Usage) -> int:
        if self._reserve is not None:
            return self._reserve
        return min(RESERVE_BYTES_MAX, max(usage.size // 10, min(RESERVE_BYTES_MIN, usage.size // 3)))

    def is_small(self, usage: Usage) -> bool:
        """Whether a long journal would be a good part of all the room there is."""
        return min(usage.size, self._quota or usage.size) < SMALL_BYTES

    def _by_file_system(self, usage: Usage) -> Space:
        reserve, free = self._reserve_of(usage), _free(usage)
        low = reserve * 5 // 4 if self.space.is_short else reserve
        full = reserve // 2 if self.space is Space.FULL else reserve // 4
        return Space.FULL if free < full else Space.LOW if free < low else Space.ENOUGH

    def _by_quota(self, usage: Usage) -> Space:
        if self._quota is None:
            return Space.ENOUGH
        spare, used = _spare(self._quota), _used(usage)
        low = self._quota - (spare * 3 // 2 if self.space.is_short else spare)
        full = self._quota - (spare // 2 if self.space is Space.FULL else 0)
        return Space.FULL if used > full else Space.LOW if used > low else Space.ENOUGH


def _free(usage: Usage) -> int:
    return usage.free + usage.reusable - usage.owed


def _used(usage: Usage) -> int:
    return usage.data - usage.reusable + usage.owed


def _spare(quota: int) -> int:
    return min(QUOTA_SPARE_BYTES_MAX, quota // 10)


class Economical(Protocol):
    """A store that can tell, and spare, what it takes of the disk."""

    def reusable_bytes(self) -> int:
        """What its file has that it can use again without growing."""
        ...

    def unmoved_bytes(self) -> int:
        """About how much its file grows when the journal is moved into it; not less."""
        ...

    def save_room(self, saves: bool) -> None:
        """Keep the journal short, or as long as is fast."""
        ...


class Watch:
    """Looks now and then, as the loop's turns allow, and says what there is to tell.

    `usage` looks; it may raise `OSError`. `on_look` hears of each look that is told, and whether the word is a new one.
    `is_urgent`: whether something happened that calls for a look now.
    """

    def __init__(
        self,
        usage: Callable[[], Usage],
        gauge: Gauge,
        on_look: Callable[[Usage, Space, bool], None],
        is_urgent: Callable[[], bool] = lambda: False,
    ) -> None:
        self._usage = usage
        self._gauge = gauge
        self._on_look = on_look
        self._is_urgent = is_urgent
        self._next_look_at: Instant = float("-inf")
        self._told_at: Instant = float("-inf")
        self._told = Space.UNKNOWN

    def look(self, now: Instant) -> DiskSpace | None:
        """What there is to tell, at once when it changed and then once a second."""
        if now < self._next_look_at and not self._is_urgent():
            return None
        try:
            usage = self._usage()
        except OSError:
            self._next_look_at = now + LOOK_EVERY_S_MAX
            return None
        space, room = self._gauge.measure(usage), self._gauge.room_bytes(usage)
        self._next_look_at = now + min(max(room / 2 / FILLS_BYTES_PER_S, LOOK_EVERY_S_MIN), LOOK_EVERY_S_MAX)
        if space is self._told and now - self._told_at < TOLD_EVERY_S:
            return None
        self._on_look(usage, space, space is not self._told)
        self._told, self._told_at = space, now
        return DiskSpace(space, usage.data, room, refuses=False)


def directory_watch(
    directory: Path,
    store: Economical,
    ballast: Ballast,
    gauge: Gauge,
    on_space: Callable[[Space], None] = lambda space: None,
) -> Watch:
    """A watch on one data directory, which minds its ballast and its journal. `on_space` is told each new word."""

    def on_look(usage: Usage, space: Space, is_new: bool) -> None:
        ballast.mind(usage.free, space)
        if is_new:
            store.save_room(space.is_short or gauge.is_small(usage))
            on_space(space)

    return Watch(lambda: usage_of(directory, store, ballast), gauge, on_look, lambda: ballast.was_needed)


def usage_of(directory: Path, store: Economical, ballast: Ballast) -> Usage:
    """What the file system says now; raises `OSError`."""
    found = os.statvfs(directory)
    size, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    owed = ballast.owed_bytes(size, free) + store.unmoved_bytes()
    return Usage(_data_bytes(directory), store.reusable_bytes(), free, size, owed)


def _data_bytes(directory: Path) -> int:
    total = 0
    with os.scandir(directory) as entries:
        for count, entry in enumerate(entries):
            if count == FILES_MAX:
                break
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
            except FileNotFoundError:  # a draft that has its name by now
                continue
    return total
