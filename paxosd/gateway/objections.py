"""What a sending of commands must be like to enter the log; looked at before it is forwarded."""

from __future__ import annotations

from paxosd.core.messages import Propose
from paxosd.core.options import Limits
from paxosd.core.reasons import Reason
from paxosd.core.types import Sending
from paxosd.core.values import COMMANDS_MAX, MalformedValue, lengths


def is_impossible(message: Propose | Sending) -> bool:
    """Whether a client that numbers its commands 1, 2, 3 … within a session cannot have sent this."""
    numbered = message.first_seq > 0 and 0 < message.count <= COMMANDS_MAX
    return not numbered or message.acknowledged > message.first_seq


def objection(message: Propose, limits: Limits) -> Reason | None:
    """Why these commands cannot enter the log; None if they can."""
    if not message.body:
        return None  # withdrawn
    if len(message.body) > limits.body_bytes_max:
        return Reason.TOO_LARGE
    try:
        largest = max(lengths(message.body, message.count))
    except MalformedValue:
        return Reason.MALFORMED
    return Reason.TOO_LARGE if largest > limits.command_bytes_max else None
