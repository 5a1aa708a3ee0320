"""The order of all that the learners apply, whichever machine it is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paxosd.core.types import LOG, MachineName, NodeId, Revision
from paxosd.sim.check.invariants import Violation

RAN_OUT = b""
"""Stands in the place of a command for what ran out in a machine."""


class Order:
    """`log`: the command of each revision, from 1 on; `machines`: which machine it is for."""

    def __init__(self, log: Sequence[bytes] = ()) -> None:
        self.log: list[bytes] = []
        self.machines: list[MachineName] = []
        self.digests: dict[Revision, bytes] = {}
        self._latest: dict[bytes, int] = {}  # of each client, the number of its command that is in the log last
        for revision, command in enumerate(log, 1):
            self._append("", revision, command, LOG)

    def applied(
        self,
        node: NodeId,
        first: Revision,
        commands: Sequence[bytes],
        digest: bytes | None,
        machine: MachineName = LOG,
    ) -> None:
        """13, 15, 16, 17: a learner applied these commands from revision `first` on, and this machine has this digest
        after it, if it must not be any."""
        for revision, command in enumerate(commands, first):
            if revision > len(self.log):
                self._append(node, revision, command, machine)
            if self.log[revision - 1] != command or self.machines[revision - 1] != machine:
                raise Violation("13 applied prefix", f"{node} applies another revision {revision}")
        last = first + len(commands) - 1
        if digest is not None and self.digests.setdefault(last, digest) != digest:
            raise Violation("15 state digest", f"{node} differs after revision {last}")

    def restored(self, node: NodeId, revision: Revision, digest: bytes) -> None:
        """15: the state of a machine that a learner kept, which it had after this revision, is the one that it was."""
        if revision > len(self.log) or self.digests.get(revision, digest) != digest:
            raise Violation("15 state digest", f"{node} kept another state at revision {revision}")

    def entries(self, start: Revision, stop: Revision) -> Iterator[tuple[Revision, bytes]]:
        """The commands of the machine `log` from this revision on, below `stop`."""
        for revision in range(start, min(stop, len(self.log) + 1)):
            if self.machines[revision - 1] == LOG:
                yield revision, self.log[revision - 1]

    def _append(self, node: NodeId, revision: Revision, command: bytes, machine: MachineName) -> None:
        if revision != len(self.log) + 1:
            raise Violation("13 applied prefix", f"{node} skips to revision {revision}")
        if machine == LOG:
            client, _, number = command.partition(b"#")[0].rpartition(b"-")
            if int(number) <= self._latest.get(client, 0):
                raise Violation("16, 17 exactly once, in order", f"{command[:20]!r} comes late or twice")
            self._latest[client] = int(number)
        self.log.append(command)
        self.machines.append(machine)
