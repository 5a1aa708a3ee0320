"""What can go wrong, each with what became of the command."""

from __future__ import annotations

from typing import Literal

Outcome = Literal["not_applied", "unknown"]


class PaxosError(Exception):
    """The root of all errors of the library.

    `outcome`: "not_applied", it is certain that nothing happened and nothing will; "unknown", the command may have
    been applied, or may have been on its way when it was withdrawn. `retryable`: the same call may work later.
    """

    outcome: Outcome = "not_applied"
    retryable = False


class NoQuorum(PaxosError):
    """Nobody could lead in time: too few acceptors, or no proposer, reach each other."""

    retryable = True


class Unavailable(PaxosError):
    """No gateway answered in time, and the command was never taken by one."""

    retryable = True


class Overloaded(PaxosError):
    """The leader, or this client, holds as many commands as it may."""

    retryable = True


class ProposeTimeout(PaxosError, TimeoutError):
    """No result in time; the command may have been applied. Read the log before proposing again."""

    outcome: Outcome = "unknown"


class ReadTimeout(PaxosError, TimeoutError):
    """No answer to a read in time; nothing was changed by it."""

    retryable = True


class TooLarge(PaxosError):
    """The value is over the limit of the cluster (limits.command_bytes)."""


class SessionExpired(PaxosError):
    """The cluster forgot this client's session, and with it whether this command was applied."""

    outcome: Outcome = "unknown"


class ConfigurationError(PaxosError):
    """The client was given something that cannot work."""


class WrongCluster(PaxosError):
    """The gateway belongs to another cluster, or has another membership file."""


class ClientClosed(PaxosError):
    """The client was closed while the call was under way, or before it."""

    def __init__(self, text: str, outcome: Outcome = "not_applied") -> None:
        super().__init__(text)
        self.outcome = outcome
