"""Phase 2 of one ballot: many slots in flight, each until a quorum voted for its value.

Laws:
1. One ballot proposes one value per slot, and sends that same value again when votes are missing.
2. A value is chosen when a quorum of acceptors, by name, voted for it in this ballot.
3. No slot is proposed at or above watermark + window, and none while the values in flight fill `window_bytes_max`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from paxosd.core.agent import require
from paxosd.core.quorum import Quorum
from paxosd.core.types import Instant, NodeId, Slot


@dataclass(slots=True)
class Proposal:
    """A value in flight."""

    value: bytes
    sent_at: Instant
    voters: set[NodeId] = field(default_factory=set)


class PhaseTwo:
    """The slots that one leadership proposed, and how far they are chosen."""

    def __init__(self, quorum: Quorum, watermark: Slot, window_slots_max: int, window_bytes_max: int) -> None:
        self.watermark = watermark
        self.next_slot = watermark
        self._quorum = quorum
        self._window = window_slots_max
        self._bytes_max = window_bytes_max
        self._bytes = 0
        self._in_flight: dict[Slot, Proposal] = {}
        self._chosen_above: set[Slot] = set()

    @property
    def has_room(self) -> bool:
        return self.next_slot < self.watermark + self._window and self._bytes < self._bytes_max

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def propose(self, value: bytes, now: Instant) -> Slot:
        """Put this value into the next slot."""
        where = f"slot {self.next_slot} is beyond the window above {self.watermark}"
        require(self.has_room, f"{where}, with {self._bytes} bytes in flight")
        slot = self.next_slot
        self._in_flight[slot] = Proposal(value, now)
        self._bytes += len(value)
        self.next_slot += 1
        return slot

    def vote(self, voter: NodeId, slot: Slot) -> bytes | None:
        """Count a vote in this ballot; the value, if this very vote makes it chosen."""
        proposal = self._in_flight.get(slot)
        if proposal is None:
            return None
        proposal.voters.add(voter)
        if not self._quorum.can_accept(proposal.voters):
            return None
        del self._in_flight[slot]
        self._bytes -= len(proposal.value)
        self._chosen_above.add(slot)
        while self.watermark in self._chosen_above:
            self._chosen_above.remove(self.watermark)
            self.watermark += 1
        return proposal.value

    def overdue(self, now: Instant, retry_s: float) -> Iterator[tuple[Slot, Proposal]]:
        """What to send again; each is then left alone for another `retry_s`."""
        for slot, proposal in self._in_flight.items():
            if now - proposal.sent_at >= retry_s:
                proposal.sent_at = now
                yield slot, proposal
