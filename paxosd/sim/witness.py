"""Those who stand beside the code under test and see what passes: what a machine is given, and what a node says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from paxosd.config import Config
from paxosd.core.messages import Message
from paxosd.core.types import NodeId, Revision
from paxosd.machine.base import Changes, StateMachine
from paxosd.machine.log import CHAIN_KEY
from paxosd.sim.check.invariants import Order, ensure
from paxosd.sim.watched_log import KeyChange, WatchedLog
from paxosd.wire.frames import Codec

WITNESSED_KEY = b"\xffwitnessed"
"""The row of the kept state in which a witness keeps how far it is."""


class WitnessedMachine:
    """The user's state machine, and a witness of what it was given."""

    def __init__(self, node: NodeId, machine: StateMachine, order: Order) -> None:
        self.revision: Revision = 0
        self.is_wrong = False  # a bit of its state is another one, and it may differ from the others
        self._node = node
        self._machine = machine
        self._order = order

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        results = self._machine.apply(first_revision, commands, log_time_ms)
        digest = None if self.is_wrong else self._machine.digest()
        self._order.applied(self._node, first_revision, commands, digest)
        self.revision = first_revision + len(commands) - 1
        return results

    def query(self, question: bytes, revision: Revision, log_time_ms: int) -> bytes:
        return self._machine.query(question, revision, log_time_ms)

    @property
    def due_ms(self) -> int | None:
        return self._machine.due_ms

    def expire(self, revision: Revision, log_time_ms: int) -> None:
        self._machine.expire(revision, log_time_ms)
        self.revision = revision

    def digest(self) -> bytes:
        return self._machine.digest()

    def flip_a_bit(self) -> None:
        """A bit in the memory of a log is another one from now on."""
        chain = self._machine.digest()
        self._machine.restore([(CHAIN_KEY, bytes([chain[0] ^ 1]) + chain[1:])])
        self.is_wrong = True

    @property
    def changed_rows(self) -> int:
        return self._machine.changed_rows + 1

    def changes(self) -> Changes:
        changes = self._machine.changes()
        return Changes([*changes.put, (WITNESSED_KEY, b"%d" % self.revision)], changes.delete)

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        kept = dict(rows)
        self.revision = int(kept.pop(WITNESSED_KEY, b"0"))
        self._machine.restore(kept.items())
        self._order.restored(self._node, self.revision, self._machine.digest())


class WitnessedWatchable(WitnessedMachine):
    """The same, where the machine can be watched."""

    _machine: WatchedLog

    @property
    def first_revision(self) -> Revision:
        return self._machine.first_revision

    def revisions(self, first: Revision, stop: Revision) -> Iterator[tuple[Revision, list[KeyChange]]]:
        ensure(stop <= self.revision + 1, "35 watches", f"{self._node} is asked for what it has not applied")
        return self._machine.revisions(first, stop)

    def encode_change(self, change: KeyChange, previous: bool) -> bytes:
        return self._machine.encode_change(change, previous)


def witnessed(node: NodeId, machine: StateMachine, order: Order) -> WitnessedMachine:
    """A machine with its witness."""
    kind = WitnessedWatchable if isinstance(machine, WatchedLog) else WitnessedMachine
    return kind(node, machine, order)


class WatchedCodec(Codec):
    """The production codec, and somebody who sees every message that is sent."""

    def __init__(self, config: Config, node: NodeId, incarnation: int, watch: Callable[[Message], None]) -> None:
        super().__init__(config.digest, node, incarnation, config.limits.frame_bytes_max)
        self._watch = watch

    def pack(self, message: Message) -> bytes:
        self._watch(message)
        return super().pack(message)
