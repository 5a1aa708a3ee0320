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
from typing import Any, NamedTuple

from paxosd.core.membership import Membership, Role
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    DiskSpace,
    Durable,
    Fetch,
    Fetched,
    FetchedVotes,
    FetchSnapshot,
    FetchVotes,
    Forward,
    ForwardRefused,
    Heartbeat,
    HeartbeatReply,
    Nack,
    Outdated,
    Ping,
    Pong,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    ReadIndex,
    ReadIndexReply,
    Recall,
    Recalled,
    Resign,
    SnapshotPart,
    Trim,
    WantTime,
    Watermark,
)
from paxosd.core.options import Limits
from paxosd.core.plausible import NEWCOMER_SLOTS, ROUND_MAX, ROUND_REACH, SLOT_MAX, SLOT_REACH, Ceiling
from paxosd.core.records import Promised, Record, Round, Told, Voted
from paxosd.core.types import HistoryId, Instant, NodeId, Slot

FAR_ROUND = "round far above what is known"
FAR_SLOT = "slot far above what is known"
TOO_LARGE = "value larger than any message carries"

SENDERS: Mapping[type, Role | None] = {
    PreVote: Role.PROPOSER,
    PreVoteReply: Role.ACCEPTOR,
    Prepare: Role.PROPOSER,
    Promise: Role.ACCEPTOR,
    Nack: Role.ACCEPTOR,
    Outdated: Role.ACCEPTOR,
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
    Durable: Role.LEARNER,
    FetchSnapshot: Role.LEARNER,
    SnapshotPart: Role.LEARNER,
    Trim: Role.PROPOSER,
    Forward: Role.LEARNER,  # the gateways: every learner may serve clients, and nobody else does
    ForwardRefused: Role.PROPOSER,
    ReadIndex: Role.LEARNER,
    ReadIndexReply: Role.PROPOSER,
    WantTime: Role.LEARNER,
    Ping: None,
    Pong: None,
    DiskSpace: None,
    Recall: Role.ACCEPTOR,
    Recalled: None,
}
"""Who may send what to other nodes; None: every node."""

_ALSO: Mapping[type, Role] = {FetchVotes: Role.ACCEPTOR, Outdated: Role.PROPOSER}
"""And acceptors, which ask for what a new disk has to know; and proposers, which tell who votes all the time."""

WITH_VOTERS = (Fetched, Heartbeat, Outdated, Prepare, PreVote, PreVoteReply, SnapshotPart)
"""These say who votes."""

_OF_THE_SENDER = (PreVote, Prepare, Accept, Watermark, Heartbeat, Resign, Trim)
"""In these the ballot is the sender's own."""

_ROUNDS: Mapping[type, tuple[str, ...]] = {
    PreVote: ("ballot",),
    PreVoteReply: ("ballot", "promised"),
    Prepare: ("ballot",),
    Promise: ("ballot",),
    Nack: ("ballot", "promised"),
    Outdated: ("ballot", "promised"),
    Accept: ("ballot",),
    Accepted: ("ballot",),
    Watermark: ("ballot",),
    Heartbeat: ("ballot",),
    HeartbeatReply: ("ballot",),
    FetchedVotes: ("promised",),
    Resign: ("ballot",),
    Trim: ("ballot",),
    Pong: ("ballot",),
}
_SLOTS: Mapping[type, tuple[str, ...]] = {
    PreVoteReply: ("watermark",),
    Prepare: ("from_slot",),
    Promise: ("from_slot", "stop", "watermark", "floor"),
    Accept: ("slot", "watermark", "decreed"),
    Accepted: ("slot",),
    Chosen: ("slot",),
    Watermark: ("watermark", "decreed"),
    Heartbeat: ("watermark",),
    Fetch: ("first",),
    Fetched: ("first", "watermark", "floor", "decreed"),
    FetchVotes: ("first", "stop"),
    FetchedVotes: ("first", "asked_stop", "stop", "watermark", "floor", "decreed"),
    Durable: ("slot",),
    Recall: ("decreed",),
    FetchSnapshot: ("above",),
    SnapshotPart: ("slot",),
    Trim: ("safe", "everywhere"),
    ReadIndexReply: ("applied",),
    Pong: ("watermark", "applied"),
}
"""Which fields hold rounds (in a ballot) and slots; those of votes are looked at besides."""


class _Rule(NamedTuple):
    """What is looked at in one kind of message."""

    senders: frozenset[NodeId]
    is_senders_ballot: bool
    rounds: tuple[str, ...]
    slots: tuple[str, ...]
    has_value: bool
    is_page: bool
    has_voters: bool


def _having(membership: Membership, *roles: Role) -> set[NodeId]:
    return {node for role in roles for node in membership.having(role)}


class Admission:
    """Decides for one node which messages of others its roles see."""

    def __init__(self, membership: Membership, limits: Limits) -> None:
        self._rules = {
            kind: _Rule(
                frozenset(membership.nodes if role is None else _having(membership, role, _ALSO.get(kind, role))),
                kind in _OF_THE_SENDER,
                _ROUNDS.get(kind, ()),
                _SLOTS.get(kind, ()),
                kind in (Accept, Chosen),
                kind in (Promise, Fetched, FetchedVotes),
                kind in WITH_VOTERS,
            )
            for kind, role in SENDERS.items()
        }
        self._value_bytes_max = limits.carried_bytes_max
        self._rounds = Ceiling(ROUND_REACH, ROUND_MAX)
        self._slots = Ceiling(SLOT_REACH, SLOT_MAX)
        self._is_newcomer = True

    def restore(self, records: Iterable[Record], watermark: int, history: HistoryId) -> None:
        """What the own disk holds is true; `watermark`: every slot below is known to be chosen."""
        self._is_newcomer = not history
        self._slots.know(watermark)
        for record in records:
            match record:
                case Round(number):
                    self._rounds.know(number)
                case Promised(ballot):
                    self._rounds.know(ballot.round)
                case Told(slot) | Voted(slot):
                    self._slots.know(slot)

    def refusal(self, source: NodeId, message: Any, now: Instant) -> str:
        """Why no role may see this message of another node; empty if all is well."""
        rule = self._rules.get(type(message))
        if rule is None or source not in rule.senders:
            return f"{type(message).__name__} is not for the sender's role"
        if rule.is_senders_ballot and message.ballot.proposer != source:
            return "message of a foreign ballot"
        for name in rule.rounds:
            if not self._rounds.admits(getattr(message, name).round, now):
                return FAR_ROUND
        for name in rule.slots:
            if not self._admits_slot(getattr(message, name), now):
                return FAR_SLOT
        if rule.has_voters and not self._admits_slot(message.voters.decreed, now):
            return FAR_SLOT
        if isinstance(message, Heartbeat) and message.voters.named:
            self._is_newcomer = False
        if rule.has_value and len(message.value) > self._value_bytes_max:
            return TOO_LARGE
        return self._refusal_of_page(message, now) if rule.is_page else ""

    def _admits_slot(self, claimed: Slot, now: Instant) -> bool:
        if self._is_newcomer and claimed <= NEWCOMER_SLOTS:
            self._slots.know(claimed)
        return self._slots.admits(claimed, now)

    def _refusal_of_page(self, page: Promise | Fetched | FetchedVotes, now: Instant) -> str:
        values: Iterable[bytes]
        if isinstance(page, Fetched):
            values = page.values
        else:
            if not self._rounds.admits(max((vote.ballot.round for vote in page.votes), default=0), now):
                return FAR_ROUND
            if not self._admits_slot(max((vote.slot for vote in page.votes), default=0), now):
                return FAR_SLOT
            values = (vote.value for vote in page.votes)
        return TOO_LARGE if max(map(len, values), default=0) > self._value_bytes_max else ""
