"""Taking a backup of a live cluster, through any of its gateways.

Laws:
1. The first answer decides how far the backup goes: it is linearizable, unless the caller wants what one gateway has.
   Everything up to there never changes any more, so it may come from other gateways, and later.
2. An interrupted backup of the same history goes on where it stopped; of another one it is begun anew.
3. One page is in memory at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from paxosd import __version__
from paxosd.backup.errors import BackupError
from paxosd.backup.file import BackupWriter, Header, Position, draft_exists
from paxosd.backup.snapshot import SnapshotTeller, begin_with_state
from paxosd.core.messages.backup import (
    SlotPage,
)
from paxosd.core.types import FIRST_SLOT, Slot

PAUSE_S = 0.1
"""How long to wait before a gateway that is behind is asked again."""


class LiveCluster(SnapshotTeller, Protocol):
    """What is asked of a cluster (see `client/client.py`)."""

    def slots(self, first: Slot, linearizable: bool = True, timeout: float | None = None) -> SlotPage:
        """The values of the slots from `first` on, as many as one answer holds."""
        ...


def take(
    cluster: LiveCluster,
    file: Path,
    timeout_s: float,
    stale: bool = False,
    progress: Callable[[Slot, Slot], None] = lambda done, total: None,
) -> tuple[Header, Position]:
    """Write a backup to `file`, which must not exist; returns what it is of, and how far it goes.

    `timeout_s` bounds each answer. `progress` is told how much is done of how much: bytes of a snapshot, or
    slots. Raises `BackupError`, or `PaxosError` of the client; what is there by then is kept, for the next call.
    """
    with BackupWriter(file) as writer:
        begun = writer.resume() if draft_exists(file) else None
        page = cluster.slots(writer.next_slot if begun else FIRST_SLOT, not stale, timeout_s)
        header = header_of(page)
        if begun is not None and _goes_on(begun, header, writer.next_slot, page):
            header = begun
        else:
            page = page if page.first == FIRST_SLOT else cluster.slots(FIRST_SLOT, not stale, timeout_s)
            if page.start == FIRST_SLOT:
                writer.begin(header)
            else:
                aside = file.with_name(f"{file.name}.snapshot")
                header = begin_with_state(cluster, writer, aside, header, timeout_s, progress)
                page = cluster.slots(writer.next_slot, not stale, timeout_s)
        position = Position(page.watermark, page.revision, page.log_time_ms, page.digest.hex(), int(time.time()))
        _take_values(cluster, writer, page, timeout_s, stale, progress)
        writer.finish(position)
    return header, position


def _goes_on(begun: Header, header: Header, next_slot: Slot, page: SlotPage) -> bool:
    """Whether what was begun is of the same history, with all of its state, and the log reaches back to its end."""
    is_same = (begun.cluster, begun.history) == (header.cluster, header.history)
    return is_same and begun.kept <= next_slot and page.start <= next_slot


def _take_values(
    cluster: LiveCluster,
    writer: BackupWriter,
    page: SlotPage,
    timeout_s: float,
    stale: bool,
    progress: Callable[[Slot, Slot], None],
) -> None:
    """Take the values of this page, and ask for more, until all below its watermark are there."""
    watermark, asked_until = page.watermark, time.monotonic() + timeout_s
    while True:
        _require_kept(page, writer.next_slot)
        for value in page.values[: max(0, watermark - writer.next_slot)]:
            writer.value(value)
        progress(writer.next_slot - FIRST_SLOT, watermark - FIRST_SLOT)
        if writer.next_slot >= watermark:
            return
        if page.values:
            asked_until = time.monotonic() + timeout_s
        elif time.monotonic() > asked_until:
            raise BackupError(
                f"no gateway has the value of slot {writer.next_slot} any more, which one had at the beginning: it is "
                f"cut off or stopped (`paxosctl status`); run the same command again, and it goes on from there"
            )
        else:
            time.sleep(PAUSE_S)
        # One that is behind answers a linearizable question only once it has caught up.
        page = cluster.slots(writer.next_slot, not (page.values or stale), timeout_s)


def _require_kept(page: SlotPage, first: Slot) -> None:
    if page.start > first:
        raise BackupError(
            f"slot {first} is needed, and the log begins at slot {page.start} by now: it is trimmed faster than it is "
            f"taken; keep more of it (`log` in the membership file), or run the same command again when less is written"
        )


def header_of(page: SlotPage) -> Header:
    """What a backup is of that begins with this page."""
    voters = page.voters
    weights = {voter.node: voter.weight for voter in voters.named}
    terms = voters.prepare, voters.accept, weights
    return Header(page.cluster, voters.history.hex(), FIRST_SLOT, FIRST_SLOT, *terms, __version__)
