"""What can go wrong, each with what became of the command.

A text says what happened, why as far as it is known, and what to do next; its first words are the outcome.
"""

from __future__ import annotations

from typing import Literal

from paxosd.core.types import NO_SESSION, Revision, SessionId
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Failure

Outcome = Literal["not_applied", "unknown", "applied"]


class PaxosError(Exception):
    """The root of all errors of the library.

    `outcome`: "not_applied", it is certain that nothing happened and nothing will; "unknown", the command may have
    been applied, or may have been on its way when it was withdrawn; "applied", it is applied, and only its result is
    lost. `retryable`: the same call may work later, and cannot make a command happen twice.

    Of a command that was sent and whose outcome is unknown, `session` and `seq` are the name: `client.outcome` resolves
    it. They are empty and 0 of everything else.
    """

    outcome: Outcome = "not_applied"
    retryable = False
    session: SessionId = NO_SESSION
    seq: int = 0

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} (this was command {self.seq} of session {self.session.hex()})" if self.seq else text


class NoQuorum(PaxosError):
    """Not applied: nobody could lead in time; too few acceptors, or no proposer, reach each other.

    Bring nodes back (`paxosctl status` names those that are missing) and call again.
    """

    retryable = True


class Unavailable(PaxosError):
    """Not applied: no gateway answered in time, and none was ever sent the command.

    Check the addresses and whether their daemons run, and call again.
    """

    retryable = True


class Overloaded(PaxosError):
    """Not applied: the leader, or this client, holds as many commands as it may. Call again later, or more slowly."""

    retryable = True


class NoSpace(PaxosError):
    """Not applied: disks of the cluster are nearly full, and it takes no commands until there is room.

    `paxosctl status` names them: make room, or raise `storage.quota` there, and call again. It reads all the while.
    """

    retryable = True


class ProposeTimeout(PaxosError, TimeoutError):
    """Unknown: the command was sent and no result came in time, so it may have been applied.

    Read the log before proposing it again.
    """

    outcome: Outcome = "unknown"


class ReadTimeout(PaxosError, TimeoutError):
    """No answer to a read, or to a question for the status, in time; nothing was changed by it. Ask again."""

    retryable = True


class Compacted(PaxosError):
    """The log is not kept any more at the revision that was asked for (`log` in the membership file says how much is).

    Nothing was changed by it. Read from `first_available` on: what was below is gone from the log.
    """

    def __init__(self, text: str, first_available: Revision = 1) -> None:
        super().__init__(text)
        self.first_available = first_available


class BeyondEnd(PaxosError):
    """There is no such revision yet: the log ends before, at `last`.

    Nothing was changed by it. Read from `last` + 1 on for what comes next; a cluster that was restored from a backup
    may end earlier than the one before.
    """

    def __init__(self, text: str, last: Revision = 0) -> None:
        super().__init__(text)
        self.last = last


class Conflict(PaxosError):
    """Not applied: a condition of the call did not hold. `current` is the key as it was then; None: it was missing.

    Look at what is there, and decide anew.
    """

    def __init__(self, text: str, current: KeyValue | None = None) -> None:
        super().__init__(text)
        self.current = current


class KeysRefused(PaxosError):
    """Not applied, or not answered: the keys refuse the request, for the reason in `failure`. Mend the call."""

    def __init__(self, text: str, failure: Failure = Failure.INVALID) -> None:
        super().__init__(text)
        self.failure = failure


class WaitTimeout(PaxosError, TimeoutError):
    """What was waited for did not come in time: a turn, an entry, an open barrier. Nothing of the call is left behind.

    Call again, or do something else.
    """

    retryable = True


class HoldLost(PaxosError):
    """What was held, or waited for, is lost: its lease ran out, or its key was removed. Others may have it.

    Stop what depends on it. What was done under it meanwhile is refused where its fence is looked at.
    """

    outcome: Outcome = "unknown"


class TooLarge(PaxosError):
    """Not applied: the value is over the limit of the cluster (`limits.command_bytes`). Propose a smaller one."""


class ResultDropped(PaxosError):
    """Applied, at `revision`; what the machine said of it was too much to be kept. Ask for less at once."""

    outcome: Outcome = "applied"

    def __init__(self, text: str, revision: Revision = 0) -> None:
        super().__init__(text)
        self.revision = revision


class QuestionRefused(PaxosError):
    """The machine does not answer this question; the text says why. Nothing was changed by it."""


class SessionExpired(PaxosError):
    """Unknown: the cluster forgot this client's session, and with it whether this command was applied.

    Read the log before proposing it again.
    """

    outcome: Outcome = "unknown"


class Withdrawn(PaxosError):
    """Not applied: somebody asked for the outcome of this command, or of a later one of the same session, before it was
    in the log. So it never will be. Propose it again, unless whoever asked does."""

    retryable = True


class OutOfResources(PaxosError):
    """Not applied: this process may have no more threads, file descriptors or memory, and the client needs some.

    Free some, or raise the limit (`ulimit -n`, `ulimit -u`, a container's pids), and call again.
    """

    retryable = True


class ConfigurationError(PaxosError):
    """Not applied: the client was given something that cannot work, such as a broken file or address. Mend it."""


class WrongCluster(PaxosError):
    """Every gateway belongs to another cluster, has another membership file or speaks another version.

    `outcome` is "unknown" only for a command that the right cluster had been sent before.
    """

    def __init__(self, text: str, outcome: Outcome = "not_applied") -> None:
        super().__init__(text)
        self.outcome = outcome


class WrongHistory(PaxosError):
    """The cluster has another history than the one this client belongs to: it was wiped, or restored from a backup.

    `outcome` is "unknown" only for a command that had been sent before. The client is of no use any more: make a new
    one, which belongs to the history that there is now, and read the log before anything is proposed again.
    """

    def __init__(self, text: str, outcome: Outcome = "not_applied") -> None:
        super().__init__(text)
        self.outcome = outcome


class ClientClosed(PaxosError):
    """The client was closed before the call, or while it was under way; only then `outcome` may be "unknown"."""

    def __init__(self, text: str, outcome: Outcome = "not_applied") -> None:
        super().__init__(text)
        self.outcome = outcome
