"""Those who stand beside the code under test and see what passes: what a machine is given, and what a node says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from paxosd.config import Config
from paxosd.core.messages import Message
from paxosd.core.types import LOG, MachineName, NodeId, Revision
from paxosd.machine.base import Changes, StateMachine
from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.kv import Kv
from paxosd.machine.log import CHAIN_KEY
from paxosd.sim.check.ghost import Ghost
from paxosd.sim.check.invariants import ensure
from paxosd.sim.check.order import RAN_OUT, Order
from paxosd.sim.check.replay import KEYS, Replay
from paxosd.sim.watched_log import WatchedLog
from paxosd.wire.frames import Codec

SPARE_BYTES = 8 * 1024
"""So little more than what there is stands on a disk, so that keys are written anew in short histories, too."""
WITNESSED_KEY = b"\xffwitnessed"
"""The row of the kept state in which a witness keeps how far it is."""


class WitnessedMachine:
    """The user's state machine, and a witness of what it was given."""

    def __init__(self, node: NodeId, machine: StateMachine, order: Order, name: MachineName = LOG) -> None:
        self.revision: Revision = 0
        self.is_wrong = False  # a bit of its state is another one, and it may differ from the others
        self._node = node
        self._machine = machine
        self._order = order
        self._name = name
        self.node_revision: Callable[[], Revision] = lambda: self.revision
        """What the node has applied, whichever machine it was for."""

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        results = self._machine.apply(first_revision, commands, log_time_ms)
        self._applied(first_revision, commands)
        return results

    def _applied(self, first_revision: Revision, commands: Sequence[bytes]) -> None:
        digest = None if self.is_wrong else self._machine.digest()
        self._order.applied(self._node, first_revision, commands, digest, self._name)
        self.revision = first_revision + len(commands) - 1

    def query(self, question: bytes, revision: Revision, log_time_ms: int) -> bytes:
        return self._machine.query(question, revision, log_time_ms)

    @property
    def due_ms(self) -> int | None:
        return self._machine.due_ms

    def expire(self, revision: Revision, log_time_ms: int) -> None:
        self._machine.expire(revision, log_time_ms)
        self._applied(revision, (RAN_OUT,))

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

    _machine: WatchedLog | Kv

    @property
    def first_revision(self) -> Revision:
        return self._machine.first_revision

    def revisions(self, first: Revision, stop: Revision) -> Iterator[tuple[Revision, list[Any]]]:
        ensure(stop <= self.node_revision() + 1, "35 watches", f"{self._node} is asked for what it has not applied")
        return self._machine.revisions(first, stop)

    def encode_change(self, change: Any, previous: bool) -> bytes:
        return self._machine.encode_change(change, previous)


class WitnessedKeys(WitnessedWatchable):
    """The keys, with a witness who knows what they must say to each command. `advanced` is called when more is known of
    what is chosen."""

    def __init__(
        self, node: NodeId, machine: StateMachine, order: Order, replay: Replay, advanced: Callable[[], None]
    ) -> None:
        super().__init__(node, machine, order, KEYS)
        self._replay = replay
        self._advanced = advanced

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        self._look(first_revision + len(commands) - 1)
        results = super().apply(first_revision, commands, log_time_ms)
        for revision, (command, said) in enumerate(zip(commands, results, strict=True), first_revision):
            self._replay.check_applied(self._node, revision, command, said, log_time_ms)
        return results

    def expire(self, revision: Revision, log_time_ms: int) -> None:
        self._look(revision)
        self._replay.check_ran_out(self._node, revision, log_time_ms)
        super().expire(revision, log_time_ms)

    def _look(self, revision: Revision) -> None:
        if revision > self._replay.revision:
            self._replay.advance()
            self._advanced()


def witnessed(
    node: NodeId, machine: StateMachine, ghost: Ghost, window: int, advanced: Callable[[], None]
) -> dict[MachineName, WitnessedMachine]:
    """The machines of a node, each with its witness: one in the place of the log, and the keys, where there are any,
    which tell a `window` of revisions."""
    in_place_of_log = WitnessedWatchable if isinstance(machine, WatchedLog) else WitnessedMachine
    machines = {LOG: in_place_of_log(node, machine, ghost.order)}
    if ghost.replay is not None:
        kv = Kv(KvBounds(window_revisions=window, spare_bytes=SPARE_BYTES))
        machines[KEYS] = WitnessedKeys(node, kv, ghost.order, ghost.replay, advanced)
    for each in machines.values():
        each.node_revision = lambda: max(each.revision for each in machines.values())
    return machines


class WatchedCodec(Codec):
    """The production codec, and somebody who sees every message that is sent."""

    def __init__(self, config: Config, node: NodeId, incarnation: int, watch: Callable[[Message], None]) -> None:
        super().__init__(config.digest, node, incarnation, config.limits.frame_bytes_max)
        self._watch = watch

    def pack(self, message: Message) -> bytes:
        self._watch(message)
        return super().pack(message)
