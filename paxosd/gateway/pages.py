"""Pages of the log for clients, within what one turn may read and send; what many ask for is read once."""

from __future__ import annotations

from typing import Protocol

from paxosd.core.types import Page, Revision, Slot

ANSWERED_PER_TURN_MAX = 64
"""How many reads one turn answers."""
QUESTIONS_PER_ANSWER = 8
"""So many answers of machines count as one read of the log."""
BYTES_PER_TURN_MAX = 256 * 1024
"""How much one turn reads of its history for clients and sends to them, and one page more."""
SLOT_BYTES = 1024
"""What a slot counts for besides its value: to read an empty one takes as long as to send so much."""
ENTRY_BYTES = 24
"""What an entry counts for besides its value."""


class ReadableLog(Protocol):
    """What clients read (see `machine/ledger.py`)."""

    @property
    def revision(self) -> Revision:
        """The latest revision applied; 0: none."""
        ...

    @property
    def log_revision(self) -> Revision:
        """The latest revision of the machine `log`."""
        ...

    @property
    def first_revision(self) -> Revision:
        """The log is kept from this revision on."""
        ...

    def page(self, start: Revision, bytes_max: int) -> Page:
        """The commands of the machine `log` from this revision on, as many as fit."""
        ...

    def values(self, first: Slot, bytes_max: int) -> tuple[bytes, ...]:
        """The values of this slot and those behind it that are applied, as many as fit."""
        ...


class Pages:
    """The pages of one turn."""

    def __init__(self, log: ReadableLog, bytes_max: int) -> None:
        self._log = log
        self._bytes_max = bytes_max
        self._revision: Revision = 0
        self._read: dict[Revision, Page] = {}  # by where they start, at this revision
        self._answers_left: float = ANSWERED_PER_TURN_MAX
        self._bytes_left = BYTES_PER_TURN_MAX

    def begin_turn(self) -> None:
        """From now on as much can be answered as in any turn."""
        self._read.clear()
        self._answers_left = ANSWERED_PER_TURN_MAX
        self._bytes_left = BYTES_PER_TURN_MAX

    @property
    def has_room(self) -> bool:
        """Whether one more answer fits into this turn."""
        return self._answers_left > 0 and self._bytes_left > 0

    def answer(self, start: Revision) -> Page:
        """The entries from this revision on, for one more client; counts what it takes to read and to send them."""
        if self._revision != self._log.revision:
            self._revision = self._log.revision
            self._read.clear()
        if start not in self._read:
            page = self._log.page(start, self._bytes_max)
            self._read[start] = page
            self._bytes_left -= page.bytes_read + page.slots_read * SLOT_BYTES
        page = self._read[start]
        self._answers_left -= 1
        self._bytes_left -= sum(len(entry.value) + ENTRY_BYTES for entry in page.entries)
        return page

    def count_answer(self, size: int) -> None:
        """A machine answered somebody with so many bytes."""
        self._answers_left -= 1 / QUESTIONS_PER_ANSWER
        self._bytes_left -= size + ENTRY_BYTES

    def answer_slots(self, first: Slot) -> tuple[bytes, ...]:
        """The values of the slots from this one on; counts the same."""
        values = self._log.values(first, self._bytes_max)
        self._answers_left -= 1
        self._bytes_left -= sum(2 * len(value) + SLOT_BYTES for value in values)
        return values
