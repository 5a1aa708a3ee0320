"""Between client and gateway, but for what a backup takes (`backup.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.reasons import Reason
from paxosd.core.types import (
    LOG,
    NO_DISK,
    NO_HISTORY,
    NO_LAG,
    Ballot,
    DiskId,
    Entry,
    HistoryId,
    Lag,
    MachineName,
    NodeId,
    Revision,
    Sentence,
    SessionId,
    Slot,
    Wish,
)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Client to gateway: give me a session. It may come any number of times, and each may give one."""

    wish: Wish
    attempt: int


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """Gateway to client: the session that this wish opened. Its commands are numbered 1, 2, 3 …"""

    wish: Wish
    session: SessionId
    hint: str


@dataclass(frozen=True, slots=True)
class Propose:
    """Client to gateway: apply commands first_seq … first_seq + count - 1 to this machine, in order, each once.

    `attempt` names this sending, so that a refusal is not taken for one of another sending.
    `acknowledged`: the client has the results of all commands below. `body`: see `values.py`; an empty one withdraws.
    """

    session: SessionId
    attempt: int
    acknowledged: int
    first_seq: int
    count: int
    body: bytes
    machine: MachineName = LOG


@dataclass(frozen=True, slots=True)
class Applied:
    """Gateway to client: these commands are applied, with consecutive revisions from `revision` on, in `slot`.

    `revision` 0: they were withdrawn. `hint`: the address of a gateway beside the leader; empty if none is better.
    `said`: what their machine said to each, as a body has commands; empty if it said nothing.
    """

    session: SessionId
    first_seq: int
    count: int
    revision: Revision
    slot: Slot
    hint: str
    said: bytes = b""


@dataclass(frozen=True, slots=True)
class Refused:
    """Gateway to client: this sending was refused.

    `expected`: for `Reason.GAP` the number to send again from, for `Reason.TOO_LARGE` the bytes of a command, else 0.
    `attempt` is 0 where a refusal is not tied to one sending: it was found in the log, or another one leads, and what
    the one before was sent may be lost; then `first_seq` is `expected`. For a refused `OpenSession`, `session` is the
    wish and `first_seq` 0.
    `lag`: how far this gateway is behind, if it is.
    `why`: what keeps everybody from leading, as far as this gateway knows; for people.
    """

    session: SessionId
    attempt: int
    first_seq: int
    count: int
    reason: Reason
    expected: int
    hint: str
    lag: Lag = NO_LAG
    why: Sentence = ""


@dataclass(frozen=True, slots=True)
class ReadLog:
    """Client to gateway: the entries from revision `start` on; 0: from the first one that is kept.

    `linearizable`: with all that was acknowledged before this request; otherwise what this gateway has, but
    not before it applied revision `seen`. `wait_ms`: if there is no such entry yet, how long to wait for one.
    """

    request: int
    start: Revision
    linearizable: bool
    seen: Revision
    wait_ms: int


@dataclass(frozen=True, slots=True)
class LogPage:
    """Gateway to client: entries from the revision asked for on, maybe none; `last` is the latest one applied.

    `refused`: 0, or the `Reason` why nothing could be read. `first`: where the kept log begins. `lag` and `why`: as in
    `Refused`. `next`: where to go on reading; revisions between that are not told are of other machines.
    """

    request: int
    entries: tuple[Entry, ...]
    last: Revision
    refused: int
    hint: str
    first: Revision = 1
    lag: Lag = NO_LAG
    why: Sentence = ""
    next: Revision = 0


@dataclass(frozen=True, slots=True)
class GetStatus:
    """Client to gateway: who leads, and how is every node?"""

    request: int


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One row of a `StatusReport`. `silent_ms`: since when nothing came, -1: ever. `per_s`: slots applied in one."""

    node: NodeId
    role: str
    reachable: bool
    silent_ms: int
    leading: bool
    ballot: Ballot
    watermark: Slot
    applied: Slot
    revision: Revision
    space: int = 0  # of `DiskSpace`, as is what follows
    data_bytes: int = 0
    room_bytes: int = 0
    refuses: bool = False
    per_s: int = 0
    history: HistoryId = NO_HISTORY  # of `Pong`, as is what follows
    disk: DiskId = NO_DISK
    standing: str = ""
    waits_for: str = ""
    alarm: Sentence = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Gateway to client: the cluster as this gateway sees it. `leader` is empty if it knows none; `why`: as in
    `Refused`."""

    request: int
    cluster: str
    gateway: NodeId
    leader: str
    ballot: Ballot
    watermark: Slot
    applied: Slot
    revision: Revision
    nodes: tuple[NodeStatus, ...]
    history: HistoryId = NO_HISTORY
    why: Sentence = ""
