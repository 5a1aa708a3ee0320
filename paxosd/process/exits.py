"""Exit codes of `paxosd` and `paxosctl`, the same for both."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a process tells the one who started it."""

    OK = 0
    ERROR = 1
    """Something that no other code names; the message says what."""
    USAGE = 2
    """The command line is wrong, or what it reads or prints to is closed; nothing was done."""
    UNWRITTEN = 3
    """The answer came, but could not be written to stdout; the message says what had been done."""
    UNKNOWN = 4
    """No quorum, or no answer in time; the message says what became of the command."""
    UNHEALTHY = 5
    """The cluster or the daemon answered that it is not well."""
    NO_SPACE = 6
    """Disks of the cluster are nearly full: the command was refused, and not applied."""
    CONFIGURATION = 7
    """The membership file, or what was asked of it, is wrong; nothing was started."""
    STORAGE = 8
    """The data directory cannot be used, or a write to it failed."""
    NETWORK = 9
    """An address cannot be bound."""
    BROKEN = 10
    """An invariant of the protocol was found broken; the process stopped before it told anybody anything."""
    HISTORY = 11
    """The cluster was wiped or restored meanwhile; the message says what became of the command."""
    INTERRUPTED = 130
    """SIGINT."""
    TERMINATED = 143
    """SIGTERM, of a command that is no daemon."""
