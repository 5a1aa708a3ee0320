"""Continuous archiving: a cluster's log is followed into an archive, for as long as the caller likes.

Laws:
1. Nothing is missed: if the log does not reach back to where the archive ends, that is said, and nothing is written.
2. A cluster that does not answer is asked again. One of another history ends it (`WrongHistory`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from paxosd.backup.archive import ArchiveWriter, Followed
from paxosd.backup.errors import BackupError
from paxosd.backup.taking import LiveCluster, header_of
from paxosd.client.errors import PaxosError
from paxosd.core.messages.backup import (
    SlotPage,
)
from paxosd.core.types import FIRST_SLOT, Slot

POLL_S = 0.5
"""How long to wait when there is nothing new."""


def follow(
    cluster: LiveCluster,
    folder: Path,
    timeout_s: float,
    once: bool,
    told: Callable[[Slot, Slot], None] = lambda done, total: None,
    trouble: Callable[[str], None] = lambda text: None,
) -> Slot:
    """Archive into `folder`, for ever, or with `once` until all that is acknowledged by now is there.

    `told` hears which slots below are archived, and how many there are; `trouble` what is tried again. Returns the
    first slot that is not archived. Raises `BackupError`, or `PaxosError` of the client.
    """
    page = cluster.slots(FIRST_SLOT, False, timeout_s)
    if not page.voters.history:  # a gateway that is new knows it once it has applied what a leader knows
        page = cluster.slots(FIRST_SLOT, True, timeout_s)
    header = header_of(page)
    with ArchiveWriter(folder, Followed(header.cluster, header.history)) as writer:
        page = cluster.slots(writer.next_slot or FIRST_SLOT, once, timeout_s)
        goal = page.watermark
        next_slot = _add(writer, page)
        while not once or next_slot < goal:
            told(next_slot, max(goal, page.watermark))
            if next_slot >= page.watermark:
                time.sleep(POLL_S)
            try:
                page = cluster.slots(next_slot, False, timeout_s)
            except PaxosError as error:
                if once or not error.retryable:
                    raise
                trouble(f"{error}; tried again")
            else:
                next_slot = _add(writer, page)
        told(next_slot, goal)
    return next_slot


def _add(writer: ArchiveWriter, page: SlotPage) -> Slot:
    """Archive what is new in a page; returns the slot that comes next."""
    next_slot = writer.next_slot or max(page.start, FIRST_SLOT)
    if page.start > next_slot:
        raise _gap(writer.folder, next_slot, page.start)
    if page.values:
        writer.add(page.first, page.values)
    return writer.next_slot or next_slot


def _gap(folder: Path, next_slot: Slot, start: Slot) -> BackupError:
    return BackupError(
        f"the log begins at slot {start} by now, and {folder} ends below slot {next_slot}: what is between is gone. "
        f"Begin a new archive in another directory, and take a backup then; this archive is good up to its end"
    )
