"""Reading the log back: the commands of one value that got revisions, and pages of those of the machine `log`."""

from __future__ import annotations

from collections.abc import Iterator

from paxosd.core.agent import require
from paxosd.core.history import ROW_BYTES, History
from paxosd.core.types import LOG, Entry, Page, Revision, Slot
from paxosd.core.values import Batch, MalformedValue, batches, commands
from paxosd.machine.revisions import About, Revisions

ENTRIES_PER_PAGE_MAX = 8192
ENTRY_BYTES = 32
"""What an entry of a page takes besides its command."""


def batches_of(value: bytes) -> list[Batch]:
    """The batches of a value; none if it cannot be read, which every learner finds alike."""
    try:
        return list(batches(value))
    except MalformedValue:
        return []


def commands_of(batch: Batch) -> list[bytes]:
    """The commands of a batch; none if it is withdrawn, or cannot be read, which every learner finds alike."""
    if not batch.body:
        return []
    try:
        return commands(batch.body, batch.count)
    except MalformedValue:
        return []


def applied(first: Revision, value: bytes, about: About) -> Iterator[tuple[Revision, Batch, list[bytes]]]:
    """The batches of a value of which commands got revisions, in order: the first of these, the batch, the commands.

    `first`: the first revision of the slot, which may be one of what ran out.
    """
    revision = first + about.expired
    found = batches_of(value)
    for batch, skip in zip(found, about.skipped or (0,) * len(found), strict=True):
        if skip < batch.count and (fresh := commands_of(batch)[skip:]):
            yield revision, batch, fresh
            revision += len(fresh)


def page(history: History, revisions: Revisions, start: Revision, end: tuple[Slot, Revision], bytes_max: int) -> Page:
    """The commands of `log` from `start` on, as many as fit, where slots below `end` hold revisions below it."""
    stop, after = end
    index = {row.slot: row for row in revisions.rows_from(start, bytes_max // ROW_BYTES + 2)}
    require(bool(index), f"revision {start} of the log is kept, and nothing says in which slot it stands")
    rows = history.learned(next(iter(index)), stop, bytes_max)
    read = len(rows), sum(len(value) for _, value in rows)
    entries: list[Entry] = []
    for slot, value in rows:
        if slot not in index:
            continue
        about = About.unpack(index[slot].about)
        for first, batch, fresh in applied(index[slot].first, value, about):
            if batch.machine != LOG:
                continue
            for revision, command in enumerate(fresh, first):
                if revision >= start:
                    bytes_max -= len(command) + ENTRY_BYTES
                    if entries and (bytes_max < 0 or len(entries) == ENTRIES_PER_PAGE_MAX):
                        return Page(tuple(entries), *read, revision)
                    entries.append(Entry(revision, slot, command))
    last = rows[-1][0]
    return Page(tuple(entries), *read, next((row.first for row in index.values() if row.slot > last), after))
