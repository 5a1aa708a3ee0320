"""Who leads, as far as a gateway has heard, and where a client would be beside the leader."""

from __future__ import annotations

from collections.abc import Mapping

from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, Instant, NodeId, Slot


class Leadership:
    """What the gateway of `node_id` knows of the leader.

    `endpoints`: as in `Gateway`. `election_s`: after so much silence nobody leads.
    """

    def __init__(self, node_id: NodeId, endpoints: Mapping[NodeId, str], election_s: float) -> None:
        self.ballot: Ballot = NO_BALLOT
        self.watermark: Slot = FIRST_SLOT  # of the latest leader
        self._node_id = node_id
        self._endpoints = endpoints
        self._election_s = election_s
        self._heard_at: Instant | None = None
        self._listened_at: Instant = 0.0  # by then, all that had come was taken in

    def listened(self, now: Instant) -> None:
        """All that had come by now is taken in."""
        self._listened_at = now

    def hear(self, source: NodeId, ballot: Ballot, watermark: Slot, now: Instant) -> bool:
        """A heartbeat; False if it is of no leader, or of an old one."""
        if source != ballot.proposer or (ballot < self.ballot and self.leader(now) is not None):
            return False
        self.ballot, self._heard_at, self.watermark = ballot, now, watermark
        return True

    def resign(self, source: NodeId, ballot: Ballot) -> bool:
        """Whether it is the leader who resigns: then nobody leads."""
        resigned = source == ballot.proposer and ballot == self.ballot
        if resigned:
            self._heard_at = None
        return resigned

    def leader(self, now: Instant) -> NodeId | None:
        """Who leads, as far as is known here; None: nobody was heard for an election timeout."""
        # What the leader said during a long turn of ours is taken in with this turn, maybe behind this very frame.
        return None if self._is_silent else self.ballot.proposer

    def ends_at(self) -> Instant | None:
        """When it is to be looked whether the leader is silent for too long; None: that was seen, or nobody leads."""
        if self._heard_at is None or self._is_silent:
            return None
        return self._heard_at + self._election_s * (1 + 1e-6)  # a little more, or rounding has it looked at for ever

    @property
    def _is_silent(self) -> bool:
        return self._heard_at is None or self._listened_at - self._heard_at > self._election_s

    def hint(self, now: Instant) -> str:
        """Where a client would be beside the leader; empty if it is, or if the leader serves no clients."""
        leader = self.leader(now)
        return "" if leader is None or leader == self._node_id else self._endpoints.get(leader, "")
