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
      |               |                 |                   | <-FetchSnapshot-  ... or a copy of another one's state
      |               |                 |                   | --SnapshotPart->
      |               |                 |<-----------------Durable----------|   how far its state is synced
      |               |                 |-------Trim------->|               |   votes below may go
      |---ReadLog---->|----ReadIndex--->|                   |               |   reads: the leader confirms that it leads
      |<---LogPage----|<-ReadIndexReply-|                   |               |   by a Heartbeat round of its own
      |-----Query---->|                 |                   |               |   and questions to machines
      |<---Answer-----|                 |                   |               |
      |---ReadSlots-->|                 |                   |               |   for a backup: values of slots
      |<---SlotPage---|                 |                   |               |   ... and, where the log is trimmed,
      |-ReadSnapshot->|                 |                   |               |   the state
      |<-SnapshotPage-|                 |                   |               |
      |--WatchKeys--->|                 |                   |               |   what happens to keys is told,
      |<---Watching---|                 |                   |               |   in a stream of numbered messages
      |<--WatchEvents-|                 |                   |               |
      |<---WatchMark--|                 |                   |               |   nothing more happened so far
      |---WatchTaken->|                 |                   |               |   the client is there, and has room again
      |----Unwatch--->|----WantTime---->|                   |               |   something runs out: the log must know
      |---GetStatus-->|--Ping-->(every node)                |               |
      |<-StatusReport-|<--Pong--(every node)  --Outlived-->(an earlier life of a node)
      |               |<-DiskSpace-(every node, to proposers and learners too)   once a second: how its disk is

Laws:
1. Delivery promises nothing: any message may be lost, late, repeated or out of order.
2. A message is a value: immutable, comparable, and without reference to its sender's state.
3. Fields are append-only on the wire (see `wire/frames.py`); a new meaning is a new message.
4. A field about disks or decrees that is left out counts for nothing: nobody has disk 0 (see `core/voters.py`).
"""

from __future__ import annotations

from typing import TypeAlias

from paxosd.core.messages.backup import ReadSlots, ReadSnapshot, SlotPage, SnapshotPage
from paxosd.core.messages.catchup import Fetch, Fetched, FetchedVotes, FetchVotes
from paxosd.core.messages.clients import (
    Applied,
    GetStatus,
    LogPage,
    NodeStatus,
    OpenSession,
    Propose,
    ReadLog,
    Refused,
    SessionOpened,
    StatusReport,
)
from paxosd.core.messages.election import (
    Heartbeat,
    HeartbeatReply,
    Nack,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    Resign,
)
from paxosd.core.messages.kept import Durable, Trim
from paxosd.core.messages.nodes import Outlived, Ping, Pong
from paxosd.core.messages.phase2 import Accept, Accepted, Chosen, Watermark
from paxosd.core.messages.queries import Answer, Query
from paxosd.core.messages.service import Forward, ForwardRefused, ReadIndex, ReadIndexReply
from paxosd.core.messages.snapshots import FetchSnapshot, SnapshotPart
from paxosd.core.messages.space import DiskSpace
from paxosd.core.messages.voters import Outdated, Recall, Recalled, SeenCommits
from paxosd.core.messages.watches import (
    Unwatch,
    WantTime,
    WatchEvents,
    Watching,
    WatchKeys,
    WatchMark,
    WatchTaken,
)

__all__ = [
    "Accept",
    "Accepted",
    "AcceptorInbound",
    "Answer",
    "Applied",
    "Chosen",
    "DiskSpace",
    "Durable",
    "Fetch",
    "FetchSnapshot",
    "FetchVotes",
    "Fetched",
    "FetchedVotes",
    "Forward",
    "ForwardRefused",
    "FromClient",
    "FromPeer",
    "GatewayInbound",
    "GetStatus",
    "Heartbeat",
    "HeartbeatReply",
    "LearnerInbound",
    "LogPage",
    "Message",
    "Nack",
    "NodeInbound",
    "NodeStatus",
    "OpenSession",
    "Outdated",
    "Outlived",
    "Ping",
    "Pong",
    "PreVote",
    "PreVoteReply",
    "Prepare",
    "Promise",
    "Propose",
    "ProposerInbound",
    "Query",
    "ReadIndex",
    "ReadIndexReply",
    "ReadLog",
    "ReadSlots",
    "ReadSnapshot",
    "Recall",
    "Recalled",
    "Refused",
    "Resign",
    "SeenCommits",
    "SessionOpened",
    "SlotPage",
    "SnapshotPage",
    "SnapshotPart",
    "StatusReport",
    "ToClient",
    "Trim",
    "Unwatch",
    "WantTime",
    "WatchEvents",
    "WatchKeys",
    "WatchMark",
    "WatchTaken",
    "Watching",
    "Watermark",
]

# ---- what each role takes --------------------------------------------------------------------

_LeadersWord: TypeAlias = Accept | Watermark | Heartbeat
_OfDisks: TypeAlias = FetchVotes | FetchedVotes | Recall | Recalled | Outdated
AcceptorInbound: TypeAlias = PreVote | Prepare | _LeadersWord | Resign | Trim | DiskSpace | _OfDisks
_Answers: TypeAlias = PreVoteReply | Promise | Nack | Outdated | Accepted | HeartbeatReply | Durable | DiskSpace
ProposerInbound: TypeAlias = _Answers | _LeadersWord | Resign | Forward | ReadIndex | WantTime
_CatchingUp: TypeAlias = Fetch | Fetched | FetchedVotes | FetchSnapshot | SnapshotPart
LearnerInbound: TypeAlias = PreVote | Chosen | Watermark | Heartbeat | _CatchingUp | DiskSpace
_OfWatches: TypeAlias = WatchKeys | Unwatch | WatchTaken
_Reads: TypeAlias = ReadLog | Query | ReadSlots | ReadSnapshot
FromClient: TypeAlias = OpenSession | Propose | _Reads | GetStatus | _OfWatches
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
_OfNodes: TypeAlias = Ping | Pong | Outlived | DiskSpace
_Service: TypeAlias = Forward | ForwardRefused | ReadIndex | ReadIndexReply | WantTime | _OfNodes

FromPeer: TypeAlias = _Election | _Phase2 | _CatchUp | _Service
_Told: TypeAlias = Watching | WatchEvents | WatchMark
_Read: TypeAlias = LogPage | Answer | SlotPage | SnapshotPage
ToClient: TypeAlias = SessionOpened | Applied | Refused | _Read | StatusReport | _Told
Message: TypeAlias = FromPeer | FromClient | ToClient
