"""When what the log made is written down, so that the next life need not apply the whole log again.

Laws:
1. It is written after the turn's commit, each time as of one slot: the rows that changed and the slot in one commit. So
   a torn turn leaves the state of an earlier slot, and the log above it.
2. That commit may be lost, and nothing waits for it. What it says is applied was learned in an earlier commit, which a
   store does not lose before it.
3. One commit holds no more than `ROWS_MAX` rows and what one slot changed: the loop does not stall, however much is
   applied in a turn.
"""

from __future__ import annotations

from typing import Protocol

from paxosd.core.records import Kept
from paxosd.core.types import Instant, Outcome, Revision, Slot
from paxosd.storage.base import Store

SLOTS_MAX = 512
"""How many slots may be applied before they are kept."""
ROWS_MAX = 1024
"""How many rows may change before they are kept."""
BYTES_MAX = 4 * 1024 * 1024
"""How many bytes of values may be applied before that is kept. A commit that keeps also removes more than so much of
the log, where it need not be kept for ever."""
KEPT_EVERY_S = 0.5
"""How long what was applied waits until it is kept, if it is less."""


class Applier(Protocol):
    """What a chosen value is applied to (see `machine/ledger.py`)."""

    @property
    def unkept_slots(self) -> int:
        """How many slots were applied and are not kept."""
        ...

    @property
    def unkept_rows(self) -> int:
        """About how many rows `keep` would tell."""
        ...

    def restore(self) -> Revision:
        """Become what is kept; before anything else. Returns the revision that it had reached."""
        ...

    def apply(self, slot: Slot, value: bytes) -> list[Outcome]:
        """Apply the next slot's value."""
        ...

    def keep(self) -> Kept:
        """What changed since the last time; it is written now."""
        ...


class Keeping:
    """Keeps what `applier` makes of the log in `store`."""

    def __init__(self, applier: Applier, store: Store) -> None:
        self._applier = applier
        self._store = store
        self._bytes = 0  # of the values that were applied and are not kept
        self._waits_since: Instant | None = None  # the first slot that is not kept was applied then

    def applied(self, value_bytes: int, now: Instant) -> None:
        """One more slot is applied, with a value of so many bytes."""
        applier = self._applier
        self._bytes += value_bytes
        if self._waits_since is None:
            self._waits_since = now
        if applier.unkept_slots >= SLOTS_MAX or applier.unkept_rows >= ROWS_MAX or self._bytes >= BYTES_MAX:
            self.keep()

    @property
    def deadline(self) -> Instant | None:
        """When `tick` has something to do."""
        return None if self._waits_since is None else self._waits_since + KEPT_EVERY_S

    def tick(self, now: Instant) -> None:
        """Keep what has waited for long enough."""
        if self._waits_since is not None and now >= self._waits_since + KEPT_EVERY_S:
            self.keep()

    def keep(self) -> None:
        """Keep all that is applied; raises `StorageError`."""
        if self._applier.unkept_slots:
            self._store.commit([self._applier.keep()])
        self._bytes = 0
        self._waits_since = None
