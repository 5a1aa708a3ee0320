"""The ledger: everything that is a function of the log. Sessions, revisions, the index, and the user's state.

Laws:
1. Slots come in order, 1, 2, 3 …, each once. Every decision is made from the log alone, so every learner
   makes the same one.
2. A command is applied when its number is the next one of its session, and never again, however often it is in
   the log: a repetition gets the stored result, a number that skips one is refused and changes nothing.
3. A revision is given to each applied command and to nothing else.
4. What is remembered is bounded. A session is forgotten, and each later command of it is refused as of an unknown
   one, if it holds more than `RESULTS_PER_SESSION_MAX` results itself: its client does not acknowledge. If there are
   more than `sessions_max`, or all hold more than `RESULTS_MAX`, the longest unused session of the owner goes that has
   the most sessions, or the most results. That too is decided from the log alone.
5. Who owns a session says the body of the batch that opened it: a tag that the gateway made of the client's
   connection. All without one (from before there were tags) have one owner, so that an old log means what it meant.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from paxosd.core.agent import require
from paxosd.core.history import History
from paxosd.core.shares import Holdings, Shares
from paxosd.core.types import FIRST_SLOT, Entry, Outcome, Page, Revision, SessionId, Slot
from paxosd.core.values import NO_SESSION, Batch, MalformedValue, batches, commands, stamp_ms
from paxosd.machine.base import StateMachine

ENTRIES_PER_PAGE_MAX = 8192
ENTRY_BYTES = 32
"""What an entry of a page takes besides its command."""
RESULTS_PER_SESSION_MAX = 65536
"""Results that one session holds; a client of ours has a fourth of that under way, and acknowledges all others."""
RESULTS_MAX = 1 << 20
"""Results that all sessions together hold, some 150 bytes each. Every learner must have the same numbers here."""
REPEATED_RESULTS_MAX = 256
"""How many stored results one repetition in the log is told: sixty bytes can name all that a session holds. The client
asks again for the others, and its gateway knows them by then."""
OWNER_BYTES_MAX = 8
"""How much of an owner's tag counts."""

Owner: TypeAlias = bytes


@dataclass(frozen=True, slots=True)
class _Run:
    """The result of `count` commands in a row: revisions from `revision` on (0: withdrawn), in `slot`."""

    first_seq: int
    count: int
    revision: Revision
    slot: Slot


class _Session:
    """What is remembered of one client: how far it got, and the results that it did not acknowledge."""

    __slots__ = ("last_seq", "owner", "runs")

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.last_seq = 0
        self.runs: deque[_Run] = deque()

    def acknowledge(self, below: int) -> None:
        """Let go of the results of all commands below."""
        while self.runs and _stop_seq(self.runs[0]) <= below:
            self.runs.popleft()

    def results(self, session: SessionId, first_seq: int, stop_seq: int) -> Iterator[Outcome]:
        """The stored results of [first_seq, stop_seq); those that were acknowledged are gone."""
        begin = bisect_right(self.runs, first_seq, key=_stop_seq)
        end = bisect_left(self.runs, stop_seq, begin, key=_first_seq)
        for index in range(begin, end):
            run = self.runs[index]
            first, stop = max(first_seq, run.first_seq), min(stop_seq, _stop_seq(run))
            revision = run.revision and run.revision + first - run.first_seq
            yield Outcome("applied", session, first, stop - first, revision, run.slot)


def _first_seq(run: _Run) -> int:
    return run.first_seq


def _stop_seq(run: _Run) -> int:
    return run.first_seq + run.count


class Ledger:
    """Applies values, slot by slot, and answers what became of them.

    `history` reads values back for `entries`; at most `sessions_max` sessions are remembered.
    """

    def __init__(self, history: History, machine: StateMachine, sessions_max: int, page_bytes_max: int) -> None:
        self.revision: Revision = 0
        self.next_slot: Slot = FIRST_SLOT
        self.log_time_ms = 0
        self.noops = 0
        self.results = 0  # how many the sessions hold
        self._history = history
        self._machine = machine
        self._sessions_max = sessions_max
        self._page_bytes_max = page_bytes_max
        self._sessions: dict[SessionId, _Session] = {}
        self._shares: Shares[Owner, SessionId] = Shares()  # who owns which session, in the order of their use
        self._results: Holdings[Owner] = Holdings()  # how many results the sessions of each owner hold
        self._opened = 0
        self._first_revisions = array("Q")  # of each slot that has any
        self._slots = array("Q")  # which slot that is
        self._skipped: dict[Slot, array[int]] = {}  # of slots that have revisions: how many of each batch got none

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    def digest(self) -> bytes:
        """The digest of the user's state."""
        return self._machine.digest()

    # ---- applying ----

    def apply(self, slot: Slot, value: bytes) -> list[Outcome]:
        """Apply the next slot; what became of each batch, in runs."""
        require(slot == self.next_slot, f"slot {slot} is applied where {self.next_slot} is next")
        self.next_slot += 1
        found = _batches(value)
        if not found:
            self.noops += 1
            return []
        self.log_time_ms = max(self.log_time_ms, stamp_ms(value))
        before = self.revision
        outcomes: list[Outcome] = []
        skipped = array("I", [self._apply_batch(slot, batch, outcomes) for batch in found])
        if self.revision > before:
            self._first_revisions.append(before + 1)
            self._slots.append(slot)
            if any(skipped):
                self._skipped[slot] = skipped
        return outcomes

    def _apply_batch(self, slot: Slot, batch: Batch, outcomes: list[Outcome]) -> int:
        """Apply what is new in a batch; returns how many of its commands, from the first on, were skipped."""
        if batch.session == NO_SESSION:
            outcomes.append(self._open(batch.first_seq, batch.body[:OWNER_BYTES_MAX], slot))
            return batch.count
        session = self._sessions.get(batch.session)
        if session is None:
            outcomes.append(Outcome("unknown", batch.session, batch.first_seq, batch.count, slot=slot))
            return batch.count
        held = len(session.runs)
        skipped = self._apply_to_session(slot, batch, session, outcomes)
        self._shares.use(session.owner, batch.session)
        self._hold_results(session, len(session.runs) - held)
        if len(session.runs) > RESULTS_PER_SESSION_MAX:
            self._forget(batch.session)
        while self.results > RESULTS_MAX:
            self._forget(self._shares.longest_unused(self._results.greediest))
        return skipped

    def _apply_to_session(self, slot: Slot, batch: Batch, session: _Session, outcomes: list[Outcome]) -> int:
        session.acknowledge(batch.acknowledged)
        next_seq, stop_seq = session.last_seq + 1, batch.first_seq + batch.count
        if batch.first_seq > next_seq:
            gap = Outcome("gap", batch.session, batch.first_seq, batch.count, slot=slot, expected=next_seq)
            outcomes.append(gap)
            return batch.count
        if batch.first_seq < next_seq:
            stored = session.results(batch.session, batch.first_seq, min(stop_seq, next_seq))
            outcomes += islice(stored, REPEATED_RESULTS_MAX)
        if stop_seq <= next_seq:
            return batch.count
        return self._apply_new(slot, batch, session, next_seq - batch.first_seq, outcomes)

    def _apply_new(self, slot: Slot, batch: Batch, session: _Session, known: int, outcomes: list[Outcome]) -> int:
        """Apply a batch without its `known` first commands."""
        count = batch.count - known
        fresh = _commands(batch)[known:]
        revision = self.revision + 1 if fresh else 0
        if fresh:
            self._machine.apply(revision, fresh)
            self.revision += count
        run = _Run(batch.first_seq + known, count, revision, slot)
        session.runs.append(run)
        session.last_seq = batch.first_seq + batch.count - 1
        outcomes.append(Outcome("applied", batch.session, run.first_seq, count, revision, slot))
        return known

    def _hold_results(self, session: _Session, more: int) -> None:
        if more:
            self.results += more
            self._results.change(session.owner, more)

    def _open(self, nonce: int, owner: Owner, slot: Slot) -> Outcome:
        self._opened += 1
        self._sessions[self._opened] = _Session(owner)
        self._shares.use(owner, self._opened)
        if len(self._sessions) > self._sessions_max:
            self._forget(self._shares.next_to_go[1])
        return Outcome("opened", self._opened, nonce, 1, slot=slot)

    def _forget(self, session: SessionId) -> None:
        forgotten = self._sessions.pop(session)
        self._shares.drop(forgotten.owner, session)
        self._hold_results(forgotten, -len(forgotten.runs))

    # ---- asking ----

    def knows(self, session: SessionId) -> bool:
        """Whether this session was opened and is remembered."""
        return session in self._sessions

    def forgot(self, session: SessionId) -> bool:
        """Whether this session was opened and is not remembered any more: its commands have no results here."""
        return 0 < session <= self._opened and session not in self._sessions

    def stored(self, session: SessionId, first_seq: int, count: int) -> Iterator[Outcome] | None:
        """The results of these commands; None unless all of them are applied."""
        known = self._sessions.get(session)
        if known is None or known.last_seq < first_seq + count - 1:
            return None
        return known.results(session, first_seq, first_seq + count)

    def entries(self, start: Revision, bytes_max: int) -> tuple[Entry, ...]:
        """The applied commands from this revision on, as many as fit; empty if there is none yet."""
        return self.page(start, bytes_max).entries

    def page(self, start: Revision, bytes_max: int) -> Page:
        """The same, and what it cost: slots in which nothing was applied are read, too."""
        start = max(start, 1)
        if start > self.revision:
            return Page((), 0, 0)
        index = bisect_right(self._first_revisions, start) - 1
        revision = self._first_revisions[index]
        rows = self._history.learned(self._slots[index], self.next_slot, bytes_max)
        read = len(rows), sum(len(value) for _, value in rows)
        entries: list[Entry] = []
        for slot, value in rows:
            for command in self._applied(slot, value):
                if revision >= start:
                    bytes_max -= len(command) + ENTRY_BYTES
                    if entries and (bytes_max < 0 or len(entries) == ENTRIES_PER_PAGE_MAX):
                        return Page(tuple(entries), *read)
                    entries.append(Entry(revision, slot, command))
                revision += 1
        return Page(tuple(entries), *read)

    def _applied(self, slot: Slot, value: bytes) -> Iterator[bytes]:
        """The commands of a slot that got revisions, in order."""
        if not self._has_revisions(slot):
            return
        found = _batches(value)
        skipped = self._skipped.get(slot, (0,) * len(found))
        for batch, skip in zip(found, skipped, strict=True):
            if skip < batch.count:
                yield from _commands(batch)[skip:]

    def _has_revisions(self, slot: Slot) -> bool:
        index = bisect_left(self._slots, slot)
        return index < len(self._slots) and self._slots[index] == slot


def _batches(value: bytes) -> list[Batch]:
    """The batches of a value; none if it cannot be read, which every learner finds alike."""
    try:
        return list(batches(value))
    except MalformedValue:
        return []


def _commands(batch: Batch) -> list[bytes]:
    """The commands of a batch; none if it is withdrawn, or cannot be read, which every learner finds alike."""
    if not batch.body:
        return []
    try:
        return commands(batch.body, batch.count)
    except MalformedValue:
        return []
