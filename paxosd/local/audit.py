"""What every learner of a stopped cluster has, held against what its clients were told.

Laws:
1. It is read from the learner's own file, and made anew from slot 1 on by the code that applies it in a node. What
   a node says of itself counts for nothing here.
2. An acknowledged value must stand at the revision of its receipt; found anywhere else, it is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from paxosd.config import Config
from paxosd.core.types import FIRST_SLOT, Entry, NodeId, Revision
from paxosd.core.values import is_noop
from paxosd.machine.ledger import Ledger
from paxosd.server.machines import machines_of
from paxosd.storage.base import Store
from paxosd.storage.directory import STORE_NAME
from paxosd.storage.sqlite.store import SQLiteStore


@dataclass(frozen=True, slots=True)
class LearnerAudit:
    """What one learner has.

    `values`: how many commands it applied. `missing`: how many acknowledged values it does not have at their revision.
    `doubled`: how many of the proposed values it applied more than once. `noops`: slots that hold no command.
    `digest`: of all its values in their order. `agrees`: whether that is the one of the longest log.
    """

    learner: NodeId
    values: int
    missing: int
    doubled: int
    noops: int
    digest: bytes
    agrees: bool = True

    @property
    def complaint(self) -> str:
        """What is wrong with it; empty if nothing is."""
        wrong = []
        if self.missing:
            wrong.append(f"lacks {self.missing} acknowledged values")
        if self.doubled:
            wrong.append(f"applied {self.doubled} values more than once")
        if not self.agrees:
            wrong.append("has another log than the others")
        return f"{self.learner} {' and '.join(wrong)}" if wrong else ""


def audit(
    config: Config, data_dir: Path, proposed: Collection[bytes], acknowledged: Mapping[bytes, Revision]
) -> list[LearnerAudit]:
    """What every learner has; all `proposed` values differ. Raises `StorageError` if a file cannot be read."""
    found = []
    for learner in config.membership.learners:
        with closing(SQLiteStore(data_dir / learner / STORE_NAME)) as store:
            limits = config.limits
            ledger = Ledger(store, machines_of(config), limits.sessions_max, limits.page_bytes_max)
            found.append(_learned(learner, store, ledger, limits.page_bytes_max, proposed, acknowledged))
    longest = max(found, key=lambda learned: learned.values)
    return [replace(learned, agrees=learned.digest == longest.digest) for learned in found]


def _learned(
    learner: NodeId,
    store: Store,
    ledger: Ledger,
    page_bytes_max: int,
    proposed: Collection[bytes],
    acknowledged: Mapping[bytes, Revision],
) -> LearnerAudit:
    if store.learned_start() > FIRST_SLOT:  # the log is not kept from there on
        ledger.restore()
    noops = _replay(store, ledger, page_bytes_max)
    kept = 0
    times: Counter[bytes] = Counter()
    for entry in _entries(ledger, page_bytes_max):
        kept += acknowledged.get(entry.value) == entry.revision
        times[entry.value] += entry.value in proposed
    doubled = sum(count > 1 for count in times.values())
    return LearnerAudit(learner, ledger.revision, len(acknowledged) - kept, doubled, noops, ledger.digest())


def _replay(store: Store, ledger: Ledger, page_bytes_max: int) -> int:
    """Apply all that was learned; returns how many no-ops that were."""
    noops = 0
    while ledger.next_slot < store.learned_stop():
        for slot, value in store.learned(ledger.next_slot, store.learned_stop(), page_bytes_max):
            ledger.apply(slot, value)
            noops += is_noop(value)
    return noops


def _entries(ledger: Ledger, page_bytes_max: int) -> Iterator[Entry]:
    revision = ledger.first_revision
    while revision <= ledger.log_revision:
        page = ledger.page(revision, page_bytes_max)
        yield from page.entries
        revision = page.next
