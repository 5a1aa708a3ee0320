"""Every message, who sends it to whom, and what it means.

    client        gateway        proposer (leader)      acceptor        learner
      |--OpenSession->|                 |                   |               |   a session, once per client
      |<-SessionOpened|                 |                   |               |
      |---Propose---->|----Forward----->|                   |               |   commands towards the leader
      |               |<-ForwardRefused-|                   |               |   ... who does not lead, or is full
      |<---Refused----|                 |                   |               |
      |               |                 |------PreVote----->|               |   would a quorum follow me?
      |               |                 |<---PreVoteReply---|               |
      |               |                 |------Prepare----->|               |   phase 1, once per leadership
      |               |                 |<--Promise | Nack--|               |   ... or Outdated: who votes has changed
      |               |                 |-------Accept----->|               |   phase 2, per slot
      |               |                 |<--Accepted | Nack-|               |
      |               |                 |-----Chosen / Watermark----------->|   what is chosen, and how far
      |<---Applied----|                 |                   |               |   after apply, from the gateway
      |               |                 |-----Heartbeat---->|-------------->|   to every node; acceptors answer
      |               |                 |<--HeartbeatReply--|               |
      |               |                 |                   |--Recall | Recalled--(every acceptor), once in each life
      |               |                 |------Resign------>|-------------->|   to every other node: campaign now
      |               |                 |                   |  <---Fetch----|   catching up: from another learner
      |               |                 |                   |  --Fetched--> |
      |               |                 |                   |<--FetchVotes--|   ... or from a quorum of acceptors
      |               |                 |                   |--FetchedVotes>|   (new disks of acceptors ask, too)
      |---ReadLog---->|----ReadIndex--->|                   |               |   reads: the leader confirms that it leads
      |<---LogPage----|<-ReadIndexReply-|                   |               |   by a Heartbeat round of its own
      |---ReadSlots-->|                 |                   |               |   for a backup (`messages_backup.py`)
      |---GetStatus-->|--Ping-->(every node)                |               |
      |<-StatusReport-|<--Pong--(every node)  --Outlived-->(an earlier life of a node)

Laws:
1. Delivery promises nothing: any message may be lost, late, repeated or out of order.
2. A message is a value: immutable, comparable, and without reference to its sender's state.
3. Fields are append-only on the wire (see `wire/frames.py`); a new meaning is a new message.
4. A field about disks or decrees that is left out counts for nothing: nobody has disk 0 (see `voters.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from paxosd.core.messages_backup import ReadSlots, ReadSnapshot, SlotPage, SnapshotPage
from paxosd.core.messages_catchup import Fetch, Fetched, FetchedVotes, FetchVotes
from paxosd.core.messages_kept import Durable, FetchSnapshot, SnapshotPart, Trim
from paxosd.core.messages_nodes import Outlived, Ping, Pong
from paxosd.core.messages_space import DiskSpace
from paxosd.core.messages_voters import Outdated, Recall, Recalled, SeenCommits
from paxosd.core.reasons import Reason
from paxosd.core.types import (
    NO_DISK,
    NO_HISTORY,
    NO_LAG,
    Ballot,
    DiskId,
    Entry,
    HistoryId,
    Lag,
    NodeId,
    Revision,
    SessionId,
    Slot,
    Vote,
    Wish,
)  # fmt: skip
from paxosd.core.voters import NO_VOTERS, Voters

# ---- election and phase 1 --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PreVote:
    """Proposer to acceptor: would you promise this ballot? Changes nothing (Ongaro's thesis, 9.6)."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class PreVoteReply:
    """Acceptor to proposer: `granted` unless it promised more or hears from another leader."""

    ballot: Ballot
    granted: bool
    promised: Ballot
    watermark: Slot
    disk: DiskId = NO_DISK
    voters: Voters = NO_VOTERS


@dataclass(frozen=True, slots=True)
class Prepare:
    """Proposer to acceptor: promise this ballot, which counts with these voters, and tell your votes from `from_slot`
    on."""

    ballot: Ballot
    from_slot: Slot
    voters: Voters = NO_VOTERS


@dataclass(frozen=True, slots=True)
class Promise:
    """Acceptor to proposer: no lower ballot any more; my votes in [from_slot, stop), but for those below `floor`.

    `end`: there are none from `stop` on either; otherwise ask on with Prepare(ballot, stop).
    `watermark`: every slot below is chosen, as far as this acceptor was told.
    `floor`: what this acceptor voted for below this slot may be gone (see `floor.py`). Every slot below is chosen.
    `past`: what the disk held before it had a history (see `records.py`); counts before the birth alone.
    """

    ballot: Ballot
    from_slot: Slot
    stop: Slot
    end: bool
    votes: tuple[Vote, ...]
    watermark: Slot
    floor: Slot
    disk: DiskId = NO_DISK
    past: bytes = b""


@dataclass(frozen=True, slots=True)
class Nack:
    """Acceptor to proposer: your `ballot` is below the `promised` one."""

    ballot: Ballot
    promised: Ballot


# ---- phase 2 ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accept:
    """Leader to acceptor: vote for this value in this slot. Every slot below `watermark` is chosen.

    `decreed`, here and elsewhere: the slot of the latest decree that the sender knows.
    """

    ballot: Ballot
    slot: Slot
    value: bytes
    watermark: Slot
    decreed: Slot = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """Acceptor to leader: my vote for your value in this slot is on my disk."""

    ballot: Ballot
    slot: Slot
    disk: DiskId = NO_DISK


@dataclass(frozen=True, slots=True)
class Chosen:
    """To a learner, from the leader or from the acceptor beside it: this value is chosen in this slot."""

    slot: Slot
    value: bytes


@dataclass(frozen=True, slots=True)
class Watermark:
    """Leader to replicas and learners: every slot below is chosen; those I proposed, with my value."""

    ballot: Ballot
    watermark: Slot
    decreed: Slot = 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Leader to every node: I lead. `sequence` grows within a ballot; `log_time_ms` is the latest stamp.

    `voters` are who votes above the latest decree. `seen`: how many commits each of their disks told
    (`HeartbeatReply`).
    """

    ballot: Ballot
    sequence: int
    watermark: Slot
    log_time_ms: int
    voters: Voters = NO_VOTERS
    seen: tuple[SeenCommits, ...] = ()


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """Acceptor to leader: when your heartbeat `sequence` came I had promised no higher ballot.

    `commits`: so many durable commits are on this disk. A guest answers too; it counts for nothing.
    """

    ballot: Ballot
    sequence: int
    disk: DiskId = NO_DISK
    commits: int = 0


@dataclass(frozen=True, slots=True)
class Resign:
    """Leader to every other node: I stop leading; campaign, or turn to others, without waiting for my silence."""

    ballot: Ballot


# ---- commands and reads, between gateway and leader ----------------------------------------------


@dataclass(frozen=True, slots=True)
class Forward:
    """Gateway to leader: put these commands into the log. The fields are those of `Propose`; or, with `first_seq` 0,
    open a session by the wish that stands in `session`, for the client whose tag is `body`.

    It may come any number of times, to any leaders, and get into the log as often: each command is applied once.
    """

    session: SessionId
    attempt: int
    acknowledged: int
    first_seq: int
    count: int
    body: bytes


@dataclass(frozen=True, slots=True)
class ForwardRefused:
    """Leader (or who was taken for it) to gateway: this attempt did not reach the log, and will not."""

    session: SessionId
    attempt: int
    first_seq: int
    count: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class ReadIndex:
    """Gateway to leader: how far must I have applied, so that a read sees all that was acknowledged before?"""

    request: int


@dataclass(frozen=True, slots=True)
class ReadIndexReply:
    """Leader to gateway: apply every slot below `applied`, then read. 0: I do not lead; ask again."""

    request: int
    applied: Slot


# ---- how is everybody ------------------------------------------------------------------------


# ---- between client and gateway --------------------------------------------------------------


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
    """Client to gateway: apply commands first_seq … first_seq + count - 1, in order, each once.

    `attempt` names this sending, so that a refusal is not taken for one of another sending.
    `acknowledged`: the client has the results of all commands below. `body`: see `values.py`; an empty one withdraws.
    """

    session: SessionId
    attempt: int
    acknowledged: int
    first_seq: int
    count: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Applied:
    """Gateway to client: these commands are applied, with consecutive revisions from `revision` on, in `slot`.

    `revision` 0: they were withdrawn. `hint`: the address of a gateway beside the leader; empty if none is better.
    """

    session: SessionId
    first_seq: int
    count: int
    revision: Revision
    slot: Slot
    hint: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Gateway to client: this sending was refused.

    `expected`: for `Reason.GAP` the number to send again from, for `Reason.TOO_LARGE` the bytes of a command, else 0.
    `attempt` is 0 where a refusal was found in the log and is not tied to one sending. For a refused
    `OpenSession`, `session` is the wish and `first_seq` 0. `lag`: how far this gateway is behind, if it is.
    """

    session: SessionId
    attempt: int
    first_seq: int
    count: int
    reason: Reason
    expected: int
    hint: str
    lag: Lag = NO_LAG


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

    `refused`: 0, or the `Reason` why nothing could be read. `first`: where the kept log begins. `lag`: as in `Refused`.
    """

    request: int
    entries: tuple[Entry, ...]
    last: Revision
    refused: int
    hint: str
    first: Revision = 1
    lag: Lag = NO_LAG


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


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Gateway to client: the cluster as this gateway sees it. `leader` is empty if it knows none."""

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


# ---- what each role takes --------------------------------------------------------------------

_LeadersWord: TypeAlias = Accept | Watermark | Heartbeat
_OfDisks: TypeAlias = FetchVotes | FetchedVotes | Recall | Recalled
AcceptorInbound: TypeAlias = PreVote | Prepare | _LeadersWord | Resign | Trim | DiskSpace | _OfDisks
_Answers: TypeAlias = PreVoteReply | Promise | Nack | Outdated | Accepted | HeartbeatReply | Durable | DiskSpace
ProposerInbound: TypeAlias = _Answers | _LeadersWord | Resign | Forward | ReadIndex
_CatchingUp: TypeAlias = Fetch | Fetched | FetchedVotes | FetchSnapshot | SnapshotPart
LearnerInbound: TypeAlias = Chosen | Watermark | Heartbeat | _CatchingUp | DiskSpace
FromClient: TypeAlias = OpenSession | Propose | ReadLog | ReadSlots | ReadSnapshot | GetStatus
_ForGateway: TypeAlias = ForwardRefused | ReadIndexReply | Heartbeat | Resign | Pong | DiskSpace | SnapshotPart
GatewayInbound: TypeAlias = FromClient | _ForGateway
NodeInbound: TypeAlias = Ping
"""What every node takes, whatever its role."""

_Election: TypeAlias = (
    PreVote | PreVoteReply | Prepare | Promise | Nack | Outdated | Heartbeat | HeartbeatReply | Resign
)
_Phase2: TypeAlias = Accept | Accepted | Chosen | Watermark
_OfSnapshots: TypeAlias = FetchSnapshot | SnapshotPart
_CatchUp: TypeAlias = Fetch | Fetched | FetchVotes | FetchedVotes | Durable | Trim | Recall | Recalled | _OfSnapshots
_Service: TypeAlias = Forward | ForwardRefused | ReadIndex | ReadIndexReply | Ping | Pong | Outlived | DiskSpace

FromPeer: TypeAlias = _Election | _Phase2 | _CatchUp | _Service
ToClient: TypeAlias = SessionOpened | Applied | Refused | LogPage | SlotPage | SnapshotPage | StatusReport
Message: TypeAlias = FromPeer | FromClient | ToClient
