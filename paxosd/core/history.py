"""What a node may read back of its own records: the part of the log it does not hold in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from paxosd.core.types import Revision, RevisionRow, Slot, Vote

ROW_BYTES = 256
"""What a row counts for besides its value, so that a page of tiny values is bounded too."""


def known_slots(known: Mapping[Slot, object], first: Slot, stop: Slot) -> list[Slot]:
    """The known slots of [first, stop), in order, without walking a range that may be much longer: its ends may be
    what somebody claims."""
    if stop - first < len(known):
        return [slot for slot in range(first, stop) if slot in known]
    return sorted(slot for slot in known if first <= slot < stop)


class History(Protocol):
    """Read access to the committed records of this node; it never changes anything.

    `votes` and `learned` return rows in slot order, start at the first row whose slot is >= `first` and < `stop`, and
    end when the next row would bring the sum of len(value) + ROW_BYTES over `bytes_max`; at least one row is
    returned if there is one. A row that cannot be trusted raises, it is never left out.
    """

    @property
    def commits(self) -> int:
        """How many durable commits this disk has had; what may be lost does not count."""
        ...

    def votes(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[Vote]:
        """The acceptor's votes in [first, stop); none below the `Floor` on record, whose rows may be gone."""
        ...

    def learned(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[tuple[Slot, bytes]]:
        """The learner's chosen values in [first, stop)."""
        ...

    def learned_stop(self) -> Slot:
        """The first slot from the kept one on that was not learned. All from `learned_start` to it can be read."""
        ...

    def learned_start(self) -> Slot:
        """What was learned below is kept no longer; from here on up to `learned_stop` no slot is missing."""
        ...

    def kept_slot(self) -> Slot:
        """The kept state is that of every slot below; 1: none is kept."""
        ...

    def kept_rows(self, owner: str) -> Iterable[tuple[bytes, bytes]]:
        """All rows of the kept state that are this owner's: keys and contents, in the order of the keys."""
        ...

    def revisions(self, revision: Revision, rows_max: int) -> Sequence[RevisionRow]:
        """The kept row of the slot that holds this revision, and those after it, in order; empty if there is none."""
        ...
