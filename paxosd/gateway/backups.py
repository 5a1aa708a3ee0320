"""What a client takes a backup of: slots as they were chosen, and where they begin too late, a snapshot of the state.

Laws:
1. A snapshot is asked of the learner beside this gateway, a part at a time, whoever asks: clients take turns.
2. Of each client one question waits, of all `ASKED_MAX`; who is one too many is refused by name.
"""

from __future__ import annotations

from paxosd.core.messages import (
    FetchSnapshot,
    ReadSlots,
    ReadSnapshot,
    SlotPage,
    SnapshotPage,
    SnapshotPart,
)
from paxosd.core.types import ClientAddress, Instant
from paxosd.core.voters import Voters
from paxosd.gateway.pages import Pages
from paxosd.gateway.replicated import Replicated

ASKED_MAX = 16
"""How many clients may wait for a part of a snapshot."""


class Backups:
    """The backups that clients take through one gateway. `retry_s`: how long the learner may take for an answer."""

    def __init__(self, cluster: str, retry_s: float) -> None:
        self._cluster = cluster
        self._retry_s = retry_s
        self._asked: dict[ClientAddress, ReadSnapshot] = {}
        self._under_way: tuple[ClientAddress, ReadSnapshot, Instant] | None = None

    def slots(self, read: ReadSlots, log: Replicated, pages: Pages, voters: Voters, hint: str) -> SlotPage | None:
        """The answer to a read of slots; None: this gateway is behind."""
        if read.first > log.next_slot:
            return None
        values = pages.answer_slots(read.first) if read.first >= log.first_slot else ()
        position = log.first_slot, log.next_slot, log.revision, log.log_time_ms, log.digest()
        return SlotPage(read.request, read.first, values, *position, hint, self._cluster, voters)

    def ask(self, client: ClientAddress, read: ReadSnapshot) -> bool:
        """Let a question wait for its turn, instead of an earlier one of this client; False: there are too many."""
        if client not in self._asked and len(self._asked) >= ASKED_MAX:
            return False
        self._asked[client] = read
        return True

    def next_question(self, now: Instant) -> FetchSnapshot | None:
        """What to ask the learner now."""
        if self._under_way is not None and now >= self._under_way[2]:
            self._under_way = None  # it does not answer what it cannot; the client asks again
        if self._under_way is not None or not self._asked:
            return None
        client = next(iter(self._asked))
        read = self._asked.pop(client)
        self._under_way = client, read, now + self._retry_s
        return FetchSnapshot(read.snapshot, read.offset, above=0)

    def answer(self, part: SnapshotPart) -> tuple[ClientAddress, SnapshotPage] | None:
        """Whom a part of the learner's is for; None: nobody waits for it."""
        if self._under_way is None:
            return None
        client, read, _ = self._under_way
        self._under_way = None
        return client, SnapshotPage(
            read.request, part.snapshot, part.slot, part.size, part.digest, part.offset, part.data
        )

    @property
    def deadline(self) -> Instant | None:
        """When `next_question` has something to do."""
        return self._under_way[2] if self._under_way is not None and self._asked else None
