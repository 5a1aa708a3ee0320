"""What became of a command, by what a gateway says: the error that its caller is told, or none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from paxosd.client import verdicts
from paxosd.client.calls import Command
from paxosd.client.errors import PaxosError
from paxosd.client.outcomes import Receipt
from paxosd.core.messages import Applied, Refused
from paxosd.core.reasons import Reason
from paxosd.core.values import OF_THE_LEDGER, RESULT_DROPPED, UNKNOWN_MACHINE, MalformedValue, commands


def results_of(message: Applied) -> Sequence[bytes] | None:
    """What the machine said to each command; empty: it said nothing; None: nobody can read what it said."""
    try:
        return commands(message.said, message.count) if message.said else ()
    except MalformedValue:
        return None


def receipts(message: Applied, results: Sequence[bytes], places: range) -> list[Receipt]:
    """Those of the commands in these places among those of the message."""
    first = message.revision + places.start
    revisions = range(first, first + len(places)) if message.revision else repeat(0, len(places))
    said = results[places.start : places.stop] if results else repeat(b"")
    return list(map(Receipt._make, zip(revisions, repeat(message.slot), said, strict=False)))


def of_result(command: Command, receipt: Receipt) -> PaxosError | None:
    """The log has the number of this command: what is wrong. Revision 0: it was withdrawn, and not by its client."""
    if not receipt.revision:
        return verdicts.withdrawn_by_others()
    if not receipt.result.startswith(OF_THE_LEDGER):  # as nearly all
        return None
    if receipt.result == UNKNOWN_MACHINE:
        return verdicts.unknown_machine(command.machine)
    return verdicts.result_dropped(receipt.revision) if receipt.result == RESULT_DROPPED else None


def of_refusal(command: Command, message: Refused) -> PaxosError | None:
    """A sending with this command was refused: why it never can be applied; None: it may be sent again."""
    if message.reason is Reason.TOO_LARGE and command.size > message.expected:
        return verdicts.too_large(command.size, message.expected)  # no gateway takes it, so no earlier one did
    if message.reason is Reason.UNKNOWN_MACHINE:
        return verdicts.unknown_machine(command.machine)  # the same
    if message.reason is Reason.MALFORMED and not command.unaccounted:
        return verdicts.unreadable()
    return None
