"""What became of a command, where it was unknown: the answers to `client.outcome`."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

from paxosd.client.errors import Outcome
from paxosd.core.types import Revision, SessionId, Slot
from paxosd.core.values import RESULT_DROPPED, UNKNOWN_MACHINE

LATE_MAX = 4096
LATE_BYTES_MAX = 4 * 1024 * 1024
"""Of how many commands a client remembers what came after its caller was told that nobody knows; the earliest go."""


class Receipt(NamedTuple):
    """Where a command stands in the log, and what its machine said; the machine `log` says nothing."""

    revision: Revision
    slot: Slot
    result: bytes = b""


@dataclass(frozen=True, slots=True)
class WasApplied:
    """It is applied, once. `result_dropped`: what its machine said was too much to be kept, and is not in `receipt`.

    The result is what the machine said, as bytes; of keys `paxosd.kv.decode_result` reads it, and it may say that they
    refused the request, or that a condition did not hold.
    """

    receipt: Receipt
    result_dropped: bool = False
    outcome: ClassVar[Outcome] = "applied"


@dataclass(frozen=True, slots=True)
class NeverApplied:
    """It was not applied, and never will be: its number is used up, and whatever of it is still on its way is void."""

    outcome: ClassVar[Outcome] = "not_applied"


@dataclass(frozen=True, slots=True)
class NoLongerKnown:
    """Nobody can know any more whether it was applied, for the reason in `why`. It will not be applied from now on."""

    why: str
    outcome: ClassVar[Outcome] = "unknown"


CommandOutcome: TypeAlias = WasApplied | NeverApplied | NoLongerKnown


def outcome_of(receipt: Receipt) -> CommandOutcome:
    """What became of a command whose number the log has. Revision 0: it was withdrawn."""
    if not receipt.revision or receipt.result == UNKNOWN_MACHINE:
        return NeverApplied()
    if receipt.result == RESULT_DROPPED:
        return WasApplied(receipt._replace(result=b""), result_dropped=True)
    return WasApplied(receipt)


class LateResults:
    """What came after callers were told that nobody knows: a client acknowledges it, and then it alone has it."""

    def __init__(self) -> None:
        self._receipts: OrderedDict[tuple[SessionId, int], Receipt] = OrderedDict()
        self._bytes = 0

    def note(self, session: SessionId, seq: int, receipt: Receipt) -> None:
        """One more."""
        if (session, seq) in self._receipts:
            return
        self._receipts[session, seq] = receipt
        self._bytes += len(receipt.result)
        while len(self._receipts) > LATE_MAX or self._bytes > LATE_BYTES_MAX:
            self._bytes -= len(self._receipts.popitem(last=False)[1].result)

    def of(self, session: SessionId, seq: int) -> CommandOutcome | None:
        """What became of this command; None: it is not among these."""
        receipt = self._receipts.get((session, seq))
        return None if receipt is None else outcome_of(receipt)
