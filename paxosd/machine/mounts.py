"""The machines of one log, side by side, each under its name.

Laws:
1. All of them are asked in the order of their names, so that every learner does the same.
2. A command for a machine that is not mounted changes nothing: its result is `UNKNOWN_MACHINE`. Gateways refuse it
   before.
3. A machine gets so many commands at once that what it says to them does not fill the memory, whatever a client sends.
4. What was mounted stays mounted: state that was kept with a machine is not taken up without it, for the log would have
   gone on without the machine, and it could never be mounted again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

from paxosd.core.agent import require
from paxosd.core.types import MachineName, Revision
from paxosd.core.values import UNKNOWN_MACHINE
from paxosd.machine.base import Changes, QueryRefused, StateMachine

COMMANDS_AT_ONCE = 256
DIGEST_BYTES = 16
WRONG = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError)
"""What a program that is wrong raises."""


class MachineMissing(Exception):
    """Kept state belongs to a machine that is not mounted."""


class Mounts:
    """Machines by their names."""

    def __init__(self, machines: Mapping[MachineName, StateMachine]) -> None:
        self._machines = dict(sorted(machines.items()))

    @property
    def names(self) -> tuple[MachineName, ...]:
        """In order."""
        return tuple(self._machines)

    def machine(self, name: MachineName) -> StateMachine | None:
        """The machine of this name; None: there is none."""
        return self._machines.get(name)

    def apply(self, name: MachineName, first: Revision, commands: list[bytes], log_time_ms: int) -> list[bytes]:
        """What this machine says to each of these commands, which have revisions from `first` on."""
        machine = self._machines.get(name)
        if machine is None:
            return [UNKNOWN_MACHINE] * len(commands)
        results = list(machine.apply(first, commands, log_time_ms)) or [b""] * len(commands)
        require(
            len(results) == len(commands),
            f"machine {name} gave {len(results)} results for {len(commands)} commands",
        )
        return results

    def due(self, log_time_ms: int) -> Iterator[MachineName]:
        """In which machines something has run out by then."""
        for name, machine in self._machines.items():
            due_ms = machine.due_ms
            if due_ms is not None and due_ms <= log_time_ms:
                yield name

    @property
    def due_ms(self) -> int | None:
        """The log time at which something runs out next in any of them."""
        first = None
        for machine in self._machines.values():
            due_ms = machine.due_ms
            if due_ms is not None and (first is None or due_ms < first):
                first = due_ms
        return first

    def expire(self, name: MachineName, revision: Revision, log_time_ms: int) -> None:
        """What has run out by then in this machine goes, as this revision."""
        self._machines[name].expire(revision, log_time_ms)

    def query(self, name: MachineName, question: bytes, revision: Revision, log_time_ms: int) -> tuple[bytes, str]:
        """What this machine, which is mounted, answers; or why it does not. To ask changes nothing, so that
        a machine which fails at it has done no harm."""
        try:
            return self._machines[name].query(question, revision, log_time_ms), ""
        except QueryRefused as refused:
            return b"", str(refused) or "the machine does not answer"
        except WRONG as error:
            return b"", f"the machine failed: {type(error).__name__}: {error}"

    def digest(self) -> bytes:
        """Over the digests of all of them."""
        digest = blake2b(digest_size=DIGEST_BYTES)
        for name, machine in self._machines.items():
            of = machine.digest()
            digest.update(b"%d:%b%d:%b" % (len(name), name.encode(), len(of), of))
        return digest.digest()

    @property
    def changed_rows(self) -> int:
        """About how many rows `changes` would tell."""
        return sum(machine.changed_rows for machine in self._machines.values())

    def changes(self) -> Iterator[tuple[MachineName, Changes]]:
        """What to write of each; it counts as written from now on."""
        return ((name, machine.changes()) for name, machine in self._machines.items())

    def restore(self, name: MachineName, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """This machine becomes the state that these rows are."""
        self._machines[name].restore(rows)
