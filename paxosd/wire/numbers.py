"""The numbers of messages on the wire, and which of them each plane takes. A number is never used again."""

from __future__ import annotations

from typing import Any, get_args

import paxosd.core.messages as m

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
    13: m.Fetch,
    14: m.Fetched,
    15: m.FetchVotes,
    16: m.FetchedVotes,
    17: m.Forward,
    18: m.ForwardRefused,
    19: m.ReadIndex,
    20: m.ReadIndexReply,
    21: m.Ping,
    22: m.Pong,
    23: m.Outlived,
    24: m.Outdated,
    25: m.Recall,
    26: m.Recalled,
    30: m.Durable,
    31: m.Trim,
    32: m.FetchSnapshot,
    33: m.SnapshotPart,
    36: m.ReadSlots,
    37: m.SlotPage,
    38: m.ReadSnapshot,
    39: m.SnapshotPage,
    46: m.DiskSpace,
    48: m.WantTime,
    64: m.OpenSession,
    65: m.SessionOpened,
    66: m.Propose,
    67: m.Applied,
    68: m.Refused,
    69: m.ReadLog,
    70: m.LogPage,
    71: m.GetStatus,
    72: m.StatusReport,
    73: m.Query,
    74: m.Answer,
    80: m.WatchKeys,
    81: m.Unwatch,
    82: m.WatchTaken,
    83: m.Watching,
    84: m.WatchEvents,
    85: m.WatchMark,
}

NUMBER_OF = {message_type: number for number, message_type in NUMBERS.items()}


def _numbers(union: Any) -> frozenset[int]:
    return frozenset(NUMBER_OF[message_type] for message_type in get_args(union))


FROM_PEER, FROM_CLIENT, TO_CLIENT = _numbers(m.FromPeer), _numbers(m.FromClient), _numbers(m.ToClient)
