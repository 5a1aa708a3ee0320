"""Reads that wait at a gateway: for a confirmed read index, for apply to get there, or for a next entry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from paxosd.core.messages import ReadLog
from paxosd.core.types import ClientAddress, Instant, Revision, Slot

READERS_MAX = 65536
"""How many reads may wait; the oldest is forgotten first, and its client asks again."""
ANSWERED_PER_TURN_MAX = 16
"""How many reads one turn answers: a page of the log may have a megabyte, and one frame asks for thousands."""
HELD_S_MAX = 10.0
"""How long a read may wait for a next entry, whatever its client wishes."""
FORGOTTEN_AFTER_S = 60.0
"""How much later a read is forgotten that cannot be answered: its client has asked again, or is gone."""


@dataclass(slots=True)
class _Reader:
    client: ClientAddress
    read: ReadLog
    deadline: Instant  # when waiting for a next entry ends
    confirmed: bool
    applied: Slot = 0  # every slot below must be applied before this read is answered


class Readers:
    """The reads of one gateway. Reads that come while a round is under way share the next one."""

    def __init__(self) -> None:
        self._readers: list[_Reader] = []
        self._in_round: list[_Reader] = []
        self._round = 0
        self._first_round = 0  # above every round of an earlier life, whose answers may still be on their way
        self._deadline: Instant | None = None
        self._left = ANSWERED_PER_TURN_MAX  # in this turn

    def begin_turn(self) -> None:
        """From now on as many can be answered as in any turn."""
        self._left = ANSWERED_PER_TURN_MAX

    @property
    def unconfirmed(self) -> bool:
        """Whether a read waits for a read index."""
        return any(not reader.confirmed for reader in self._readers)

    def add(self, client: ClientAddress, read: ReadLog, now: Instant) -> None:
        if not self._round:
            self._first_round = int(now * 1_000_000)
        deadline = now + min(read.wait_ms / 1000, HELD_S_MAX)
        self._readers.append(_Reader(client, read, deadline, not read.linearizable))
        if len(self._readers) > READERS_MAX:
            self._readers.pop(0)

    def start_round(self) -> int:
        """The number of a new round, for every read that is not confirmed by now."""
        self._round = max(self._round + 1, self._first_round)
        self._in_round = [reader for reader in self._readers if not reader.confirmed]
        return self._round

    def confirm(self, round_number: int, applied: Slot) -> bool:
        """The leader's answer to a round; False if it answers another one. `applied` 0 confirms nothing."""
        if round_number != self._round:
            return False
        if applied:
            for reader in self._in_round:
                reader.confirmed, reader.applied = True, applied
        self._in_round = []
        return True

    def give_up(self) -> list[tuple[ClientAddress, int]]:
        """Forget all reads that wait for a read index: who asked, and the number of the request."""
        lost = [reader for reader in self._readers if not reader.confirmed]
        self._readers = [reader for reader in self._readers if reader.confirmed]
        self._in_round = []
        return [(reader.client, reader.read.request) for reader in lost]

    def ready(self, next_slot: Slot, revision: Revision, now: Instant) -> Iterator[tuple[ClientAddress, ReadLog]]:
        """The reads that can be answered now, the first ones of them if they are many; each is forgotten."""
        if not self._readers:
            return
        waiting: list[_Reader] = []
        self._deadline = None
        for reader in self._readers:
            caught_up = reader.confirmed and next_slot >= reader.applied and revision >= reader.read.seen
            if caught_up and (revision >= reader.read.start or now >= reader.deadline):
                if self._left:
                    self._left -= 1
                    yield reader.client, reader.read
                else:
                    waiting.append(reader)
                    self._deadline = now
                continue
            if now - reader.deadline >= FORGOTTEN_AFTER_S:
                continue
            waiting.append(reader)
            if caught_up and (self._deadline is None or reader.deadline < self._deadline):
                self._deadline = reader.deadline
        self._readers = waiting

    def next_deadline(self) -> Instant | None:
        """When there is a read to answer, if no message comes before: one that waits for a next entry waits no longer,
        or one that can be answered was left for the next turn.
        """
        return self._deadline
