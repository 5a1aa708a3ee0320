"""The numbers of messages on the wire, and which of them each plane takes. A number is never used again."""

from __future__ import annotations

from typing import Any, get_args

import paxosd.core.messages as m
from paxosd.core.messages_backup import ReadSlots, ReadSnapshot, SlotPage, SnapshotPage
from paxosd.core.messages_catchup import Fetch, Fetched, FetchedVotes, FetchVotes
from paxosd.core.messages_kept import Durable, FetchSnapshot, SnapshotPart, Trim
from paxosd.core.messages_nodes import Outlived, Ping, Pong
from paxosd.core.messages_space import DiskSpace
from paxosd.core.messages_voters import Outdated, Recall, Recalled

NUMBERS: dict[int, type[m.Message]] = {
    1: m.PreVote,
    2: m.PreVoteReply,
    3: m.Prepare,
    4: m.Promise,
    5: m.Nack,
    6: m.Accept,
    7: m.Accepted,
    8: m.Chosen,
    9: m.Watermark,
    10: m.Heartbeat,
    11: m.HeartbeatReply,
    12: m.Resign,
    13: Fetch,
    14: Fetched,
    15: FetchVotes,
    16: FetchedVotes,
    17: m.Forward,
    18: m.ForwardRefused,
    19: m.ReadIndex,
    20: m.ReadIndexReply,
    21: Ping,
    22: Pong,
    23: Outlived,
    24: Outdated,
    25: Recall,
    26: Recalled,
    30: Durable,
    31: Trim,
    32: FetchSnapshot,
    33: SnapshotPart,
    36: ReadSlots,
    37: SlotPage,
    38: ReadSnapshot,
    39: SnapshotPage,
    46: DiskSpace,
    64: m.OpenSession,
    65: m.SessionOpened,
    66: m.Propose,
    67: m.Applied,
    68: m.Refused,
    69: m.ReadLog,
    70: m.LogPage,
    71: m.GetStatus,
    72: m.StatusReport,
}

NUMBER_OF = {message_type: number for number, message_type in NUMBERS.items()}


def _numbers(union: Any) -> frozenset[int]:
    return frozenset(NUMBER_OF[message_type] for message_type in get_args(union))


FROM_PEER, FROM_CLIENT, TO_CLIENT = _numbers(m.FromPeer), _numbers(m.FromClient), _numbers(m.ToClient)
