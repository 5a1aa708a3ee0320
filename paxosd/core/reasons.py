"""Why something was refused: the words that nodes and clients tell each other instead of a result."""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """Why a command or a read was refused. All of them mean of a named attempt: it did not reach the log."""

    NO_LEADER = 1
    NOT_LEADER = 2
    OVERLOADED = 3
    TOO_LARGE = 4
    MALFORMED = 5
    STOPPING = 6
    GAP = 7
    """An earlier command of the session is missing; send again from `expected`."""
    SESSION_UNKNOWN = 8
    """The session is not in the log: it was forgotten with the results that it had, for it was unused for longest or
    never acknowledged; or it was never opened in this log."""
    BEHIND = 9
    """This gateway has not applied as much as the client has seen: it does not know the session yet, or the revision.
    Ask again, or elsewhere."""
    COMPACTED = 12
    """The log is kept from a later revision on than the one that was asked for; see `LogPage.first`."""
    DIFFERS = 14
    """The state of this gateway is not that of the other learners: it serves nothing. Ask elsewhere."""
    FOREIGN = 30
    """This gateway has a directory of another history than other nodes: it serves nothing. Ask elsewhere."""
    NO_SPACE = 13
    """Disks are nearly full: too few of those that have room could take it (see `space.py`)."""
    UNKNOWN_MACHINE = 15
    """No machine of this name is mounted; or it is not one that tells what it did."""
    QUERY_REFUSED = 16
    """The machine does not answer this question, and says why."""
    ACKNOWLEDGED = 17
    """These commands are in the log, or withdrawn, and their client acknowledged the results: they are kept no more."""
    STREAM_UNKNOWN = 20
    """This gateway knows nothing of that stream of watches: it was started since, or heard nothing for too long."""
