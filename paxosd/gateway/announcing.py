"""What a gateway does unasked: it tells what happens to keys that are watched, and has the log know the time when
something runs out, or when there is little room and some of the log need not be kept any more.

Laws:
1. Watches are served while this gateway hears a leader and is not behind; otherwise its clients are told so, or hear
   nothing, and go elsewhere.
2. Where its state is not that of the others, nothing is told out of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from paxosd.core.agent import earliest
from paxosd.core.messages import Unwatch, WantTime, WatchKeys, WatchTaken
from paxosd.core.options import Limits, Timing
from paxosd.core.reasons import Reason
from paxosd.core.types import ClientAddress, Instant, NodeId
from paxosd.gateway.due import Due
from paxosd.gateway.reading import Reading
from paxosd.gateway.replicated import Replicated
from paxosd.gateway.watches import Watches


class Announcing(Reading):
    """A gateway, as far as it is about watches and time."""

    def __init__(
        self,
        node_id: NodeId,
        cluster: str,
        timing: Timing,
        limits: Limits,
        endpoints: Mapping[NodeId, str],
        replicated: Replicated,
    ) -> None:
        super().__init__(node_id, cluster, timing, limits, endpoints, replicated)
        self._watches = Watches(replicated, self.send)
        self._due = Due(timing.retry_s)
        self._draining = False
        self._is_short = False  # of room, on the disk of this node
        self._now: Instant = 0.0

    def next_deadline(self) -> Instant | None:
        return earliest(
            super().next_deadline(),
            self._leadership.ends_at(),
            self._watches.next_deadline(self._marks(self._now), self._now) if self._watches else None,
            self._next_due(),
        )

    def _next_due(self) -> Instant | None:
        """When the leader, if there is one, is to be asked for the time."""
        due_ms = self._due_ms
        return None if due_ms is None or self._leadership.leader(self._now) is None else self._due.deadline(due_ms)

    def tick(self, now: Instant) -> None:
        self._now = now
        super().tick(now)
        self._announce(now)
        self._want_time(now)

    def _on_watch(self, client: ClientAddress, message: WatchKeys | Unwatch | WatchTaken, now: Instant) -> None:
        match message:
            case WatchKeys():
                self._watches.register(client, message, self._why_no_watches(now), now)
            case Unwatch():
                self._watches.unregister(client, message, now)
            case WatchTaken():
                self._watches.take(client, message, now)

    def _why_no_watches(self, now: Instant) -> Reason | None:
        """Why this gateway serves none now."""
        if self.known.difference:
            return Reason.DIFFERS
        if self._draining:
            return Reason.STOPPING
        if self._progress.lag:
            return Reason.BEHIND
        return Reason.NO_LEADER if self._leadership.leader(now) is None else None

    def _marks(self, now: Instant) -> bool:
        return bool(self._watches) and self._why_no_watches(now) is None

    def _announce(self, now: Instant) -> None:
        if not self._watches:
            return
        if self.known.difference or self._draining:
            return self._watches.end_all(Reason.DIFFERS if self.known.difference else Reason.STOPPING)
        return self._watches.turn(self._marks(now), now)

    @property
    def _due_ms(self) -> int | None:
        """The log time at which something runs out next, if what is known here can be trusted."""
        if self.known.difference:
            return None
        due_ms = self._replicated.due_ms
        if not self._is_short:
            return due_ms
        return min((at for at in (due_ms, self._replicated.trims_ms) if at is not None), default=None)

    def _want_time(self, now: Instant) -> None:
        """Where something ran out, and nobody proposes what would tell the log so, the leader shall."""
        due_ms = self._due_ms
        if due_ms is None:
            return
        leader = self._leadership.leader(now)
        if leader is not None and self._due.is_due(due_ms, now):
            self.send_early(leader, WantTime(due_ms))
