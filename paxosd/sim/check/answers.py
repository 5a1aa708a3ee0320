"""What clients may be told: checked when an answer leaves a gateway, and again when a client takes it.

Whether an answer arrives, nobody who gave it knows. So whatever left a gateway counts as seen, and every answer must be
right, also one that its client does not wait for any more.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from paxosd.core.messages import Answer, Applied, LogPage, Query, ReadLog
from paxosd.core.reasons import Reason
from paxosd.core.types import Revision
from paxosd.core.values import MalformedValue, commands
from paxosd.machine.kv.encoding import decode_question
from paxosd.sim.check.invariants import Violation, ensure
from paxosd.sim.check.order import Order
from paxosd.sim.check.replay import KEYS, Replay

WAITED_SHARE = 0.9
"""How much of the time that a read is to wait it waits at least: clocks drift."""
FAST_CLOCK = 1.1
"""How much more than was told an answer may be old, where the clock that counted was slow; and one step of a clock."""


@dataclass(frozen=True, slots=True)
class _Read:
    message: ReadLog | Query
    invoked_s: float
    seen_before: Revision  # the highest revision that any gateway had told


class Answers:
    """What was told of the log `order`, and every read that was asked. No two clients use one number for requests.
    `replay`: what the keys must say, where there are any."""

    def __init__(self, order: Order, replay: Replay | None = None) -> None:
        self.order = order
        self.replay = replay
        self.seen: Revision = 0  # the highest revision that any gateway told to anybody
        self._seen_at: list[tuple[float, Revision]] = [(0.0, 0)]  # since when it is how high
        self._reads: dict[int, _Read] = {}

    def asked(self, read: ReadLog | Query, now: float) -> None:
        """A client asks this."""
        self._reads[read.request] = _Read(read, now, self.seen)

    def told(self, message: Applied | LogPage | Answer, now: float, at: float | None = None) -> None:
        """A client takes this now, or a gateway hands it to the network `at` this time, having made it up `now`."""
        match message:
            case Applied(_, _, count, revision, _):
                if revision:
                    self._check_said(message)
                    self._saw(revision + count - 1, at or now)
            case LogPage():
                read = self._reads.get(message.request)
                if read is None or not isinstance(read.message, ReadLog):
                    return
                if not message.refused:
                    self._check(read, read.message, message, now)
                    self._saw(message.last, at or now)
                elif message.refused == Reason.COMPACTED:
                    self._check_compacted(read.message.start, message.first)
            case Answer():
                read = self._reads.get(message.request)
                if read is not None and isinstance(read.message, Query):
                    self._check_answer(read, read.message, message)
                    if at is not None:
                        self._check_age(message, now)
                    self._saw(message.revision, at or now)

    def _saw(self, revision: Revision, at: float) -> None:
        if revision > self.seen:
            self.seen = revision
            while self._seen_at[-1][0] > at:  # a turn takes its time, and another one began later and was quicker
                self._seen_at.pop()
            self._seen_at.append((at, revision))

    def _seen_before(self, at: float) -> Revision:
        """The highest revision that any gateway had told at this time."""
        return self._seen_at[max(0, bisect_right(self._seen_at, at, key=lambda each: each[0]) - 1)][1]

    def _check(self, read: _Read, asked: ReadLog, page: LogPage, now: float) -> None:
        """18, 20: a linearizable read shows all that anybody had seen before it began, and nothing but the log."""
        last = page.last
        seen_before = read.seen_before if asked.linearizable else asked.seen
        start = max(1, asked.start)
        if last < seen_before:
            raise Violation("20 reads", f"a read shows revision {last} and began after {seen_before} was told")
        if last > len(self.order.log):
            raise Violation("20 reads", f"a read shows revision {last} of {len(self.order.log)}")
        shown = [(entry.revision, entry.value) for entry in page.entries]
        stop = shown[-1][0] + 1 if shown else min(page.next or last + 1, last + 1)
        if shown != list(self.order.entries(start, stop)):
            raise Violation("20 reads", f"a read at {start} shows another log")
        if not shown and stop > last:
            early = now - read.invoked_s < asked.wait_ms / 1000 * WAITED_SHARE
            ensure(not early, "20 reads", f"a read that waits for revision {start} was answered before its time")

    def _check_compacted(self, start: Revision, first: Revision) -> None:
        """20: a read is refused only below what is kept, and what is kept begins at some revision of the log."""
        known = start < first <= len(self.order.log)
        ensure(known, "20 reads", f"a read at {start} is refused, for the log is kept from {first} on")

    # ---- keys ----

    def _check_answer(self, read: _Read, asked: Query, answer: Answer) -> None:
        """18, 20: an answer is right as of its revision, which is new enough for what was asked."""
        at = answer.revision
        if at > len(self.order.log):
            raise Violation("20 reads", f"an answer is of revision {at} of {len(self.order.log)}")
        least = read.seen_before if asked.linearizable else asked.seen
        ensure(
            at >= least, "20 reads", f"an answer is of revision {at}, and was to be of {least} at least, {asked} {read}"
        )
        if not asked.linearizable and asked.max_age_ms >= 0:
            least = self._seen_before(read.invoked_s - asked.max_age_ms / 1000 * FAST_CLOCK - 0.001)
            what = f"an answer is of revision {at}, and {asked.max_age_ms} ms before it was asked {least} was told"
            ensure(at >= least, "20 reads", what)
        if self.replay is not None and asked.machine == KEYS and not answer.refused:
            self.replay.check_answer(f"request {asked.request}", decode_question(asked.question), at, answer.answer)

    def _check_age(self, answer: Answer, now: float) -> None:
        """20: an answer is no older than it says."""
        if answer.age_ms > 0:
            least = self._seen_before(now - answer.age_ms / 1000 * FAST_CLOCK - 0.001)
            what = f"an answer of revision {answer.revision} is said to be {answer.age_ms} ms old at most"
            ensure(answer.revision >= least, "20 reads", what)

    def _check_said(self, message: Applied) -> None:
        """21: what is told again of a command is what was said first."""
        if self.replay is None or not message.said:
            return
        try:
            said = commands(message.said, message.count)
        except MalformedValue as error:
            raise Violation("21 acknowledged is present", f"results that cannot be read: {error}") from error
        for place, each in enumerate(said):
            must = self.replay.at(message.revision + place)
            is_so = (must.session, must.seq, must.said) == (message.session, message.first_seq + place, each)
            what = f"revision {message.revision + place} is told as that of another command, or with another result"
            ensure(is_so, "21 acknowledged is present", what)

    # ---- proposals ----

    def acked(self, command: bytes, revision: Revision, seen_before: Revision) -> None:
        """18, 21: a client learns that its command was applied; `seen_before`: `seen` when it was proposed."""
        log = self.order.log
        if not (0 < revision <= len(log) and log[revision - 1] == command):
            raise Violation("21 acknowledged is present", f"{command[:20]!r} is not at revision {revision}")
        if revision <= seen_before:
            raise Violation("18 real-time order", f"{command[:20]!r} at {revision} began after {seen_before}")
