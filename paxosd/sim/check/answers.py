"""What clients may be told: checked when an answer leaves a gateway, and again when a client takes it.

Whether an answer arrives, nobody who gave it knows. So whatever left a gateway counts as seen, and every answer must be
right, also one that its client does not wait for any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.messages import Applied, LogPage, ReadLog
from paxosd.core.reasons import Reason
from paxosd.core.types import Revision
from paxosd.sim.check.invariants import Order, Violation, ensure

WAITED_SHARE = 0.9
"""How much of the time that a read is to wait it waits at least: clocks drift."""


@dataclass(frozen=True, slots=True)
class _Read:
    message: ReadLog
    invoked_s: float
    seen_before: Revision  # the highest revision that any gateway had told


class Answers:
    """What was told of the log `order`, and every read that was asked. No two clients use one number for requests."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.seen: Revision = 0  # the highest revision that any gateway told to anybody
        self._reads: dict[int, _Read] = {}

    def asked(self, read: ReadLog, now: float) -> None:
        """A client asks this."""
        self._reads[read.request] = _Read(read, now, self.seen)

    def told(self, message: Applied | LogPage, now: float) -> None:
        """A gateway hands this to the network, or a client takes it."""
        match message:
            case Applied(_, _, count, revision, _):
                if revision:
                    self.seen = max(self.seen, revision + count - 1)
            case LogPage():
                read = self._reads.get(message.request)
                if read is None:
                    return
                if not message.refused:
                    self._check(read, message, now)
                    self.seen = max(self.seen, message.last)
                elif message.refused == Reason.COMPACTED:
                    self._check_compacted(read.message.start, message.first)

    def _check(self, read: _Read, page: LogPage, now: float) -> None:
        """18, 20: a linearizable read shows all that anybody had seen before it began, and nothing but the log."""
        asked, last, log = read.message, page.last, self.order.log
        seen_before = read.seen_before if asked.linearizable else asked.seen
        start = max(1, asked.start)
        values = [entry.value for entry in page.entries]
        if last < seen_before:
            raise Violation("20 reads", f"a read shows revision {last} and began after {seen_before} was told")
        if last > len(log):
            raise Violation("20 reads", f"a read shows revision {last} of {len(log)}")
        if log[start - 1 : start - 1 + len(values)] != values or _misnumbered(page, start):
            raise Violation("20 reads", f"a read at {start} shows another log")
        if not values:
            ensure(last < start, "20 reads", f"a read at {start} shows nothing, and there are {last} revisions")
            early = now - read.invoked_s < asked.wait_ms / 1000 * WAITED_SHARE
            ensure(not early, "20 reads", f"a read that waits for revision {start} was answered before its time")

    def _check_compacted(self, start: Revision, first: Revision) -> None:
        """20: a read is refused only below what is kept, and what is kept begins at some revision of the log."""
        known = start < first <= len(self.order.log)
        ensure(known, "20 reads", f"a read at {start} is refused, for the log is kept from {first} on")

    # ---- proposals ----

    def acked(self, command: bytes, revision: Revision, seen_before: Revision) -> None:
        """18, 21: a client learns that its command was applied; `seen_before`: `seen` when it was proposed."""
        log = self.order.log
        if not (0 < revision <= len(log) and log[revision - 1] == command):
            raise Violation("21 acknowledged is present", f"{command[:20]!r} is not at revision {revision}")
        if revision <= seen_before:
            raise Violation("18 real-time order", f"{command[:20]!r} at {revision} began after {seen_before}")


def _misnumbered(page: LogPage, start: Revision) -> bool:
    return [entry.revision for entry in page.entries] != list(range(start, start + len(page.entries)))
