"""What a gateway tells of all nodes: their status, why nobody leads, and who is of another history.

Laws: those of `foreigners.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from paxosd.core.agent import Timer
from paxosd.core.membership import Membership
from paxosd.core.messages import GetStatus, NodeStatus, Ping, Query, ReadLog, ReadSlots, ReadSnapshot
from paxosd.core.options import Limits, Timing
from paxosd.core.reasons import Reason
from paxosd.core.types import ClientAddress, HistoryId, Instant, NodeId, Sentence
from paxosd.gateway.announcing import Announcing
from paxosd.gateway.foreigners import Foreigners
from paxosd.gateway.replicated import Replicated
from paxosd.gateway.status import StatusBoard


class Reporting(Announcing):
    """A gateway, as far as it is about how all nodes are."""

    def __init__(
        self,
        node_id: NodeId,
        cluster: str,
        membership: Membership,
        timing: Timing,
        limits: Limits,
        endpoints: Mapping[NodeId, str],
        replicated: Replicated,
    ) -> None:
        super().__init__(node_id, cluster, timing, limits, endpoints, replicated)
        self._board = StatusBoard(node_id, cluster, membership)
        self._foreigners = Foreigners(node_id, self._silent_after_s)
        self._stands_still: tuple[Instant, Sentence] = -math.inf, ""

    def meet_foreign(self, source: NodeId, history: HistoryId, now: Instant) -> None:
        self._foreigners.hear(source, history, now)

    def on_timer(self, timer: Timer, now: Instant) -> None:
        match timer:
            case Timer.PING:
                self._ping(now)
            case Timer.STATUS:
                self._report_status(now)
            case _:
                super().on_timer(timer, now)

    # ---- status ----

    def _ping(self, now: Instant) -> None:
        for node in self._board.others:
            self.send_early(node, Ping(self._board.next_sequence()))
        self.send_early(self.node_id, Ping(self._board.next_sequence()))
        self.arm(Timer.PING, now + self._timing.ping_s)

    def _serve_status(self, now: Instant) -> None:
        """Ask all nodes once more for those who want to know, and answer in a moment."""
        if self._board.asked and Timer.STATUS not in self._deadlines:
            self._ping(now)
            self.arm(Timer.STATUS, now + self._timing.retry_s)

    def _report_status(self, now: Instant) -> None:
        # Everybody was pinged a ping ago at most, and again for this report: a node may miss one of the two.
        rows = tuple(self._named(row, now) for row in self._board.rows(now, self._silent_after_s, self.voters))
        leader, ballot = self._leadership.leader(now) or "", self._leadership.ballot
        why = "" if leader else self._standstill(now)
        for answer in self._board.reports(rows, leader, ballot, self._replicated.revision, self.history, why):
            self.send(*answer)

    @property
    def _silent_after_s(self) -> float:
        return self._timing.ping_s + self._timing.retry_s

    # ---- why nobody leads ----

    def _standstill(self, now: Instant) -> Sentence:
        if self._stands_still[0] != now:  # looked at once a turn, however many are refused in it
            why = self._contradiction(now) or self._board.standstill(self.voters, now, self._silent_after_s)
            self._stands_still = now, why
        return self._stands_still[1]

    def _why_no_leader(self, now: Instant) -> Reason:
        return Reason.FOREIGN if self._contradiction(now) else Reason.NO_LEADER

    # ---- nodes of another history ----

    def _refuses_for_history(
        self, client: ClientAddress, message: ReadLog | Query | ReadSlots | ReadSnapshot | GetStatus, now: Instant
    ) -> bool:
        """Refuse this if our history may be the wrong one; whether it is done with by that."""
        told = self._contradiction(now)
        if told and isinstance(message, GetStatus):  # who agrees with most shows more (law 3)
            alike = self._board.speaking(now, self._silent_after_s)
            told = told if self._foreigners.outnumber(self.history, alike, now) else ""
        if told:
            self._refuse_reads([(client, message.request)], Reason.FOREIGN, told)
        return bool(told)

    def _contradiction(self, now: Instant) -> Sentence:
        """Why nothing may be given out of our log, because others have another one; empty if a leader is heard."""
        if self._leadership.leader(now) is not None:
            return ""
        return self._foreigners.contradiction(self.history, self._board.speaking(now, self._silent_after_s), now)

    def _named(self, row: NodeStatus, now: Instant) -> NodeStatus:
        """The row of a node, with what is to be said if it is of another history."""
        alarm = self._foreigners.alarm(row.node, self.history, now)
        if not alarm:
            return row
        return replace(row, reachable=False, history=self._foreigners.now(now)[row.node], standing="", alarm=alarm)
