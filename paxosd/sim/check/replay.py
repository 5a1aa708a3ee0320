"""What the chosen log must come to: a ledger and keys that are as plain as they go, fed with what is chosen.

Laws:
1. It is fed by slots that are chosen, in order, and by nothing that a node makes of them. So a command that a learner
   applies twice, or never, or with another result, is seen.
2. No session is forgotten: plans with keys have room for all.
3. The keys as of every revision are kept, and so are all results. A result is compared without its words for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paxosd.core.types import FIRST_SLOT, NO_SESSION, MachineName, Revision, SessionId, Slot
from paxosd.core.values import DIGESTS, Batch, batches, commands, readable_stamp_ms
from paxosd.machine.kv.encoding import Malformed, decode_command
from paxosd.machine.kv.records import KeyEvent
from paxosd.machine.kv.requests import AskLease, Question, Range
from paxosd.machine.kv.results import Failed, LeaseFound, MalformedResult, Result, decode_result
from paxosd.machine.ledger import opened_session
from paxosd.sim.check.invariants import Violation, ensure
from paxosd.sim.check.order import RAN_OUT
from paxosd.sim.keys.model import NaiveKeys, Refusal, without_resume, without_text

KEYS: MachineName = "kv"
"""The name under which the keys are mounted."""
LAW = "36 keys"


@dataclass(slots=True)
class ReplayedRevision:
    """What one revision is. `result`: what the keys must say to it; `said`: the bytes in which they first did."""

    machine: MachineName
    command: bytes
    session: SessionId
    seq: int
    log_time_ms: int
    result: Result | None = None
    said: bytes | None = None


class Replay:
    """Of one history; `chosen` grows while it is used. `window`: how many revisions of keys are told."""

    def __init__(self, chosen: Mapping[Slot, bytes], window: int) -> None:
        self.keys = NaiveKeys(window)
        self.revisions: list[ReplayedRevision] = []
        self.log_time_ms = 0
        self._chosen = chosen
        self._slot: Slot = FIRST_SLOT
        self._next_seq: dict[SessionId, int] = {}

    @property
    def revision(self) -> Revision:
        """The latest one that is known."""
        return len(self.revisions)

    def advance(self) -> bool:
        """Take all that is chosen by now; whether there was any."""
        before = self._slot
        while (value := self._chosen.get(self._slot)) is not None:
            self._take(self._slot, value)
            self._slot += 1
        return self._slot > before

    def at(self, revision: Revision) -> ReplayedRevision:
        """What this revision must be."""
        if revision > self.revision:
            self.advance()
        ensure(0 < revision <= self.revision, LAW, f"what is chosen makes no revision {revision}")
        return self.revisions[revision - 1]

    # ---- the ledger ----

    def _take(self, slot: Slot, value: bytes) -> None:
        self.log_time_ms = max(self.log_time_ms, readable_stamp_ms(value))
        if any(deadline_ms <= self.log_time_ms for _, deadline_ms in self.keys.leases.values()):
            self.keys.expire(self.log_time_ms)
            self.revisions.append(ReplayedRevision(KEYS, RAN_OUT, NO_SESSION, 0, self.log_time_ms))
        for batch in batches(value):
            if batch.opens:
                self._next_seq.setdefault(opened_session(batch.session, slot), 1)
            elif batch.session != DIGESTS and batch.session in self._next_seq:
                self._take_batch(batch)

    def _take_batch(self, batch: Batch) -> None:
        next_seq = self._next_seq[batch.session]
        if batch.first_seq > next_seq or batch.first_seq + batch.count <= next_seq:
            return
        self._next_seq[batch.session] = batch.first_seq + batch.count
        if not batch.body:
            return
        for seq, command in enumerate(commands(batch.body, batch.count), batch.first_seq):
            if seq >= next_seq:
                self._take_command(batch, seq, command)

    def _take_command(self, batch: Batch, seq: int, command: bytes) -> None:
        result: Result | None = None
        if batch.machine == KEYS:
            result = self._apply(command)
        else:
            self.keys.pass_by()
        self.revisions.append(ReplayedRevision(batch.machine, command, batch.session, seq, self.log_time_ms, result))

    def _apply(self, command: bytes) -> Result:
        try:
            return without_resume(self.keys.apply(decode_command(command), self.log_time_ms))
        except Malformed as malformed:
            self.keys.pass_by()
            return Failed(malformed.failure, "")

    # ---- what is compared with it ----

    def check_applied(self, who: str, revision: Revision, command: bytes, said: bytes, log_time_ms: int) -> None:
        """A learner applied this to its keys, at this log time, and they said that."""
        must = self.at(revision)
        ensure(must.machine == KEYS and must.command == command, LAW, f"{who} applies another command as {revision}")
        ensure(must.log_time_ms == log_time_ms, LAW, f"{who} applies {revision} at another log time")
        self._check_said(who, revision, must, said)

    def check_ran_out(self, who: str, revision: Revision, log_time_ms: int) -> None:
        """A learner let leases run out, as this revision, at this log time."""
        must = self.at(revision)
        is_so = must.machine == KEYS and must.command == RAN_OUT and must.log_time_ms == log_time_ms
        ensure(is_so, LAW, f"{who} lets leases run out at {log_time_ms} ms as {revision}, where that is {must}")

    def check_told(self, who: str, revision: Revision, command: bytes, said: bytes) -> None:
        """A client is told that its command is this revision, and what the keys said."""
        must = self.at(revision)
        is_so = must.machine == KEYS and must.command == command
        ensure(is_so, LAW, f"{who} is told that another command is its revision {revision}")
        self._check_said(who, revision, must, said)

    def _check_said(self, who: str, revision: Revision, must: ReplayedRevision, said: bytes) -> None:
        if said == must.said:
            return
        found = _decoded(who, said)
        ensure(found == must.result, LAW, f"{who} has for {revision} the result {found}, and must have {must.result}")
        ensure(must.said is None, LAW, f"{who} says to {revision} other bytes than others do")
        must.said = said

    def check_answer(self, who: str, asked: Question, revision: Revision, answer: bytes) -> None:
        """The keys answered this as of a revision."""
        if revision:
            self.at(revision)
        found = _decoded(who, answer)
        if isinstance(asked, Range):
            expected = self._expected(asked, revision)
            ensure(found == expected, LAW, f"{who} is told at {revision} {found}, and it was {expected}")
        elif isinstance(asked, AskLease) and isinstance(found, LeaseFound):
            held = tuple(sorted(key for key, kv in self.keys.states[revision].items() if kv.lease == asked.lease))
            is_so = found.keys == held and 0 < found.left_ms <= found.ttl_ms
            ensure(is_so, LAW, f"{who} is told at {revision} of a lease {found}, and it had the keys {held}")

    def _expected(self, asked: Range, revision: Revision) -> Result:
        try:
            return without_resume(self.keys.range_at(asked, revision))
        except Refusal as refusal:
            is_compacted = refusal.failure.name == "COMPACTED"
            return Failed(refusal.failure, "", self.keys.firsts[revision] if is_compacted else 0)

    def events_of(self, revision: Revision) -> set[KeyEvent]:
        """What this revision did to keys."""
        self.at(revision)
        return self.keys.events_of(revision)


def _decoded(who: str, said: bytes) -> Result:
    try:
        return without_text(decode_result(said))
    except MalformedResult as error:
        raise Violation(LAW, f"{who} is told {said[:40]!r}, which nobody can read") from error
