"""Commands on their way into a value: what gateways forwarded and the leader has not proposed yet.

Nothing here makes a command happen once; applying does (see `machine/ledger.py`, law 2), so a repetition may be
dropped or not, at will. Dropping what is already on its way only keeps impatient clients from filling the log.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TypeAlias

from paxosd.core.messages import Forward
from paxosd.core.options import PENDING_LEAST_BYTES
from paxosd.core.reasons import Reason
from paxosd.core.room import Room
from paxosd.core.types import Instant, NodeId, SessionId, Slot
from paxosd.core.values import BATCH_BYTES, Batch

HELD_BYTES = 400
"""What a batch that waits holds in memory besides its body; a tiny one is nearly nothing else."""

_Name: TypeAlias = tuple[SessionId, int, int]


def _name(forward: Forward) -> _Name:
    return forward.session, forward.first_seq, forward.count


def _batch(forward: Forward) -> Batch:
    told = forward.session, forward.acknowledged, forward.first_seq, forward.count, forward.body, forward.machine
    return Batch(*told)


class Intake:
    """A bounded queue of forwarded batches, of which each gateway has its share, and the names of those in flight. One
    batch always has room."""

    def __init__(self, pending_bytes_max: int, value_bytes_max: int) -> None:
        self._room = Room(min(PENDING_LEAST_BYTES, pending_bytes_max), pending_bytes_max)
        self._value_bytes_max = value_bytes_max
        self._pending: deque[tuple[NodeId, Forward]] = deque()
        self._pending_bytes = 0
        self._bytes_of: Counter[NodeId] = Counter()  # how many of these each gateway forwarded
        self._on_their_way: set[_Name] = set()
        self._in_slot: dict[Slot, list[_Name]] = {}

    def __bool__(self) -> bool:
        return bool(self._pending)

    def add(self, gateway: NodeId, forward: Forward, now: Instant) -> Reason | None:
        """Queue a batch, or say why not. A batch that is on its way already is left where it is."""
        name = _name(forward)
        withdraws = not forward.body and forward.first_seq > 0  # must not be taken for what it withdraws
        if name in self._on_their_way and not withdraws:
            return None
        size = len(forward.body) + HELD_BYTES
        if not self._room.admits(gateway, self._bytes_of[gateway], self._pending_bytes, size, now):
            return Reason.OVERLOADED
        self._pending.append((gateway, forward))
        self._pending_bytes += size
        self._bytes_of[gateway] += size
        self._on_their_way.add(name)
        return None

    def take(self, slot: Slot, now: Instant) -> list[Batch]:
        """The batches for this slot: in the order they came, up to the cap of a value, at least one."""
        batches: list[Batch] = []
        names: list[_Name] = []
        size = 0
        waited_bytes = self._pending_bytes
        while self._pending:
            gateway, forward = self._pending[0]
            size += len(forward.body) + BATCH_BYTES
            if batches and size > self._value_bytes_max:
                break
            self._pending.popleft()
            self._pending_bytes -= len(forward.body) + HELD_BYTES
            self._bytes_of[gateway] -= len(forward.body) + HELD_BYTES
            names.append(_name(forward))
            batches.append(_batch(forward))
        self._in_slot[slot] = names
        self._room.left(waited_bytes - self._pending_bytes, now)
        return batches

    def chosen(self, slot: Slot) -> None:
        """The batches of this slot are in the log; from now on a repetition is a new question."""
        self._on_their_way.difference_update(self._in_slot.pop(slot, ()))

    def drop_waiting(self) -> list[tuple[NodeId, Forward]]:
        """Empty the queue, and go on with what is in flight: what was never proposed, with the gateway of each."""
        dropped = self._empty()
        self._on_their_way.difference_update(_name(forward) for _, forward in dropped)
        return dropped

    def drop_all(self) -> list[tuple[NodeId, Forward]]:
        """Empty the queue: what was never proposed, with the gateway that forwarded it."""
        dropped = self._empty()
        self._on_their_way.clear()
        self._in_slot.clear()
        return dropped

    def _empty(self) -> list[tuple[NodeId, Forward]]:
        dropped = list(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._bytes_of.clear()
        return dropped
