"""The words of the project, each with one meaning.

A *node* is a process with an id. A *slot* is a place in the log, counted from 1. A *command* is what
one client call asks; a *value* is what a slot holds: a batch of commands, or the explicit no-op (see
`values.py`). A value is *chosen* once a quorum of acceptors voted for it in one ballot. *Below* is
always exclusive: the *watermark* is the slot below which every slot is chosen, *applied* the slot
below which every slot is applied. A *machine* is what commands are applied to; several are mounted side by side, each
under its name. A *revision* counts applied commands of all machines, 1, 2, 3 …; what runs out takes one, too. The
*state* is what sessions, revisions and the machines are once every slot below one is applied; *kept state* is what a
learner's disk has of it.

A *history* is everything that one birth of a cluster chose; it has a random id. A *session* is one client's, in one
history. A *disk* is one life of an acceptor's data directory; it has a random id too. A *decree* is a value that is
about the cluster itself and not for a machine: the *birth* begins a history and names the disks of its acceptors, the
*voters*; a later decree puts a new disk in the place of one. A *guest* is an acceptor whose own disk does not vote, or
not yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

NodeId: TypeAlias = str
MachineName: TypeAlias = str
"""The name that a machine is mounted under; `LOG` has what is proposed without one."""
LOG: MachineName = "log"
MACHINE_NAME_BYTES_MAX = 31
MACHINE_NAME = rf"[a-z][a-z0-9_-]{{0,{MACHINE_NAME_BYTES_MAX - 1}}}"
"""What may be the name of a machine, as a regular expression."""
Slot: TypeAlias = int
Revision: TypeAlias = int
HistoryId: TypeAlias = bytes
"""`HISTORY_BYTES` random ones, or `NO_HISTORY`."""
DiskId: TypeAlias = int
"""63 random bits, never 0 but for `NO_DISK`."""
Wish: TypeAlias = bytes
"""`SESSION_BYTES` random ones, which a client draws that wants a session."""
SessionId: TypeAlias = bytes
"""As many, made of the wish and of the slot that the session was opened in: nobody guesses them, none comes twice."""
Sentence: TypeAlias = str
"""For a person to read: longer than a name, and of `SENTENCE_CHARS_MAX` characters at most."""
SENTENCE_CHARS_MAX = 500
Instant: TypeAlias = float
"""Seconds on a monotonic clock; only differences mean anything, and only on one node."""

ClientAddress: TypeAlias = bytes
"""Where the transport finds a client again; opaque, and good until the client disconnects."""

Source: TypeAlias = NodeId | ClientAddress
"""Who sent a message, or who shall have one: `str` is a node of the cluster, `bytes` a client."""

Age: TypeAlias = int
"""Milliseconds; -1: any, or unknown."""

FIRST_SLOT: Slot = 1

HISTORY_BYTES = 16
NO_HISTORY: HistoryId = b""
"""Not born yet, or not known yet."""
SESSION_BYTES = 16
NO_SESSION: SessionId = b""
"""A client has none yet."""
NO_WISH: Wish = b""
NO_DISK: DiskId = 0
"""The disk of an acceptor that was left out when its history was born. Nobody has it."""


def disk_text(disk: DiskId) -> str:
    """How a disk is shown to people."""
    return f"{disk:016x}"


class Ballot(NamedTuple):
    """A proposer's claim to lead, totally ordered by (round, proposer) and never used twice.

    The proposer's id makes ballots of different proposers disjoint; the round is made durable before
    a ballot is first used, so no two lives of one proposer share a ballot.
    """

    round: int
    proposer: NodeId

    def __str__(self) -> str:
        return f"{self.round}.{self.proposer or '-'}"


NO_BALLOT = Ballot(0, "")
"""Sorts below every ballot that a proposer can use."""


class Vote(NamedTuple):
    """What one acceptor accepted last in one slot."""

    slot: Slot
    ballot: Ballot
    value: bytes


class Entry(NamedTuple):
    """One command of the log as users see it."""

    revision: Revision
    slot: Slot
    value: bytes


class Lag(NamedTuple):
    """How far a node is behind: it applied all below `applied` of what is chosen, below `chosen`, `per_s` a second."""

    applied: Slot
    chosen: Slot
    per_s: int

    def __bool__(self) -> bool:
        return self.chosen > self.applied

    def __str__(self) -> str:
        speed = f"{self.per_s} a second"
        if not self.per_s:
            return f"slot {self.applied} of {self.chosen}"
        return f"slot {self.applied} of {self.chosen}, {speed}, {(self.chosen - self.applied) / self.per_s:.0f} s more"


NO_LAG = Lag(0, 0, 0)


class RevisionRow(NamedTuple):
    """The first revision that a slot holds, and what is remembered about the slot (see `machine/revisions.py`)."""

    first: Revision
    slot: Slot
    about: bytes


class Page(NamedTuple):
    """Some of the log, and how much of the history was read for it: slots, and bytes in them.

    `next`: no entry is left out below this revision; reading goes on there.
    """

    entries: tuple[Entry, ...]
    slots_read: int
    bytes_read: int
    next: Revision


@dataclass(frozen=True, slots=True)
class Sending:
    """What a client's `Propose` says, but for its commands."""

    session: SessionId
    attempt: int
    acknowledged: int
    first_seq: int
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What applying one batch of a value did: a run of `count` commands with consecutive numbers.

    `applied`  commands first_seq … got the revisions `revision` … in slot `slot`; `said`: what their machine said to
               each, as the body of a batch has commands, if it said anything
    `opened`   a session was opened: `session` is its id, `wish` what its client drew
    `gap`      refused, nothing changed: an earlier command of the session is missing; `expected` is its seq
    `unknown`  refused, nothing changed: there is no such session (any more)
    `digest`   a learner told the digest of its state: `first_seq` is its number, `expected` the slot, `wish` the digest
    """

    kind: Literal["applied", "opened", "gap", "unknown", "digest"]
    session: SessionId
    first_seq: int
    count: int
    revision: Revision = 0
    slot: Slot = 0
    expected: int = 0
    wish: Wish = b""
    said: bytes = b""
