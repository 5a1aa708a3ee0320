"""What a member may say: looked at in one place, before any role sees the message.

Laws:
1. A member speaks for its own role only, and of its own ballot only where it claims to lead. A replica has all roles.
2. A round or a slot that is too far above what is known is refused, wherever in a message it stands (see
   `plausible.py`).
3. A value that does not fit every message that carries one is refused, or a slot could be voted for and never told.
4. What is refused is counted under a name, and nothing else happens. What a node says to itself is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from paxosd.core.membership import Membership, Role
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    Fetch,
    Fetched,
    FetchedVotes,
    FetchVotes,
    Forward,
    ForwardRefused,
    Heartbeat,
    HeartbeatReply,
    Message,
    Nack,
    Ping,
    Pong,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    ReadIndex,
    ReadIndexReply,
    Resign,
    Watermark,
)
from paxosd.core.options import Limits
from paxosd.core.plausible import ROUND_MAX, ROUND_REACH, SLOT_MAX, SLOT_REACH, Ceiling
from paxosd.core.records import Promised, Record, Round, Told, Voted
from paxosd.core.types import Instant, NodeId

SENDERS: Mapping[type, Role | None] = {
    PreVote: Role.PROPOSER,
    PreVoteReply: Role.ACCEPTOR,
    Prepare: Role.PROPOSER,
    Promise: Role.ACCEPTOR,
    Nack: Role.ACCEPTOR,
    Accept: Role.PROPOSER,
    Accepted: Role.ACCEPTOR,
    Chosen: Role.PROPOSER,
    Watermark: Role.PROPOSER,
    Heartbeat: Role.PROPOSER,
    HeartbeatReply: Role.ACCEPTOR,
    Resign: Role.PROPOSER,
    Fetch: Role.LEARNER,
    Fetched: Role.LEARNER,
    FetchVotes: Role.LEARNER,
    FetchedVotes: Role.ACCEPTOR,
    Forward: Role.LEARNER,  # the gateways: every learner may serve clients, and nobody else does
    ForwardRefused: Role.PROPOSER,
    ReadIndex: Role.LEARNER,
    ReadIndexReply: Role.PROPOSER,
    Ping: Role.LEARNER,
    Pong: None,
}
"""Who may send what to other nodes; None: every node."""

_OF_THE_SENDER = (PreVote, Prepare, Accept, Watermark, Heartbeat, Resign)
"""In these the ballot is the sender's own."""

_ROUNDS: Mapping[type, tuple[str, ...]] = {
    PreVote: ("ballot",),
    PreVoteReply: ("ballot", "promised"),
    Prepare: ("ballot",),
    Promise: ("ballot",),
    Nack: ("ballot", "promised"),
    Accept: ("ballot",),
    Accepted: ("ballot",),
    Watermark: ("ballot",),
    Heartbeat: ("ballot",),
    HeartbeatReply: ("ballot",),
    Resign: ("ballot",),
    Pong: ("ballot",),
}
_SLOTS: Mapping[type, tuple[str, ...]] = {
    PreVoteReply: ("watermark",),
    Prepare: ("from_slot",),
    Promise: ("from_slot", "stop", "watermark", "floor"),
    Accept: ("slot", "watermark"),
    Accepted: ("slot",),
    Chosen: ("slot",),
    Watermark: ("watermark",),
    Heartbeat: ("watermark",),
    Fetch: ("first",),
    Fetched: ("first", "watermark"),
    FetchVotes: ("first", "stop"),
    FetchedVotes: ("first", "asked_stop", "stop", "watermark"),
    ReadIndexReply: ("applied",),
    Pong: ("watermark", "applied"),
}
"""Which fields hold rounds (in a ballot) and slots; those of votes are looked at besides."""


def _numbers(fields: Mapping[type, tuple[str, ...]], suffix: str) -> dict[type, Any]:
    """For each message that has such fields: what gives the largest of them."""

    def largest_of(names: tuple[str, ...]) -> Any:
        get = attrgetter(*(name + suffix for name in names))
        return get if len(names) == 1 else lambda message: max(get(message))

    return {message_type: largest_of(names) for message_type, names in fields.items()}


class Admission:
    """Decides for one node which messages of others its roles see."""

    def __init__(self, membership: Membership, limits: Limits) -> None:
        self._may_send = {
            message_type: frozenset(membership.nodes if role is None else membership.having(role))
            for message_type, role in SENDERS.items()
        }
        self._round_of = _numbers(_ROUNDS, ".round")
        self._slot_of = _numbers(_SLOTS, "")
        self._value_bytes_max = limits.carried_bytes_max
        self._rounds = Ceiling(ROUND_REACH, ROUND_MAX)
        self._slots = Ceiling(SLOT_REACH, SLOT_MAX)

    def restore(self, records: Iterable[Record], watermark: int) -> None:
        """What the own disk holds is true; `watermark`: every slot below is known to be chosen."""
        self._slots.know(watermark)
        for record in records:
            match record:
                case Round(number):
                    self._rounds.know(number)
                case Promised(ballot):
                    self._rounds.know(ballot.round)
                case Told(slot) | Voted(slot):
                    self._slots.know(slot)

    def refusal(self, source: NodeId, message: Message, now: Instant) -> str:
        """Why no role may see this message of another node; empty if all is well."""
        kind = type(message)
        if source not in self._may_send.get(kind, ()):
            return f"{kind.__name__} is not for the sender's role"
        if isinstance(message, _OF_THE_SENDER) and message.ballot.proposer != source:
            return "message of a foreign ballot"
        round_of, slot_of = self._round_of.get(kind), self._slot_of.get(kind)
        if round_of is not None and not self._rounds.admits(round_of(message), now):
            return "round far above what is known"
        if slot_of is not None and not self._slots.admits(slot_of(message), now):
            return "slot far above what is known"
        if isinstance(message, Accept | Chosen):
            return self._refusal_of_size(len(message.value))
        if isinstance(message, Fetched):
            return self._refusal_of_size(max(map(len, message.values), default=0))
        if isinstance(message, Promise | FetchedVotes) and message.votes:
            return self._refusal_of_votes(message, now)
        return ""

    def _refusal_of_size(self, largest: int) -> str:
        return "value larger than any message carries" if largest > self._value_bytes_max else ""

    def _refusal_of_votes(self, message: Promise | FetchedVotes, now: Instant) -> str:
        if not self._rounds.admits(max(vote.ballot.round for vote in message.votes), now):
            return "round far above what is known"
        if not self._slots.admits(max(vote.slot for vote in message.votes), now):
            return "slot far above what is known"
        return self._refusal_of_size(max(len(vote.value) for vote in message.votes))
