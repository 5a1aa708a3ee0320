"""The ledger: everything that is a function of the log. Sessions, revisions, and the user's state.

Laws:
1. Slots come in order, 1, 2, 3 …, each once. Every decision is made from the log alone, so every learner
   makes the same one.
2. A command is applied when its number is the next one of its session, and never again, however often it is in
   the log: a repetition gets the stored result, a number that skips one is refused and changes nothing.
3. A revision is given to each applied command and to nothing else.
4. What is remembered is bounded (see `sessions.py`). A session is forgotten, and each later command of it is refused
   as of an unknown one; that too is decided from the log alone.
5. Who owns a session says the body of the batch that opened it: a tag that the gateway made of the client's
   connection. All without one (from before there were tags) have one owner, so that an old log means what it meant.
6. What `keep` tells is the whole state at one slot, as far as it differs from what was told before: rows of sessions
   and of the machine, of revisions, and the slot itself. So it is written as a whole or not at all.
7. A session that was forgotten never comes back, also where a late copy of what opened it gets into the log: its id is
   made of what its client drew, which nobody else knows, and of the slot. So that copy opens another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from struct import Struct

from paxosd.core.agent import require
from paxosd.core.history import ROW_BYTES, History
from paxosd.core.options import Retention
from paxosd.core.records import Kept, KeptKey, KeptRow
from paxosd.core.types import FIRST_SLOT, SESSION_BYTES, Entry, Outcome, Page, Revision, SessionId, Slot, Wish
from paxosd.core.values import DIGESTS, OLD_OPENING, Batch, MalformedValue, batches, commands, old_session, stamp_ms
from paxosd.machine.base import StateMachine
from paxosd.machine.retention import LogEnd, Retained
from paxosd.machine.revisions import About, Revisions
from paxosd.machine.sessions import OpenedSession, Run, Sessions

ENTRIES_PER_PAGE_MAX = 8192
ENTRY_BYTES = 32
"""What an entry of a page takes besides its command."""
REPEATED_RESULTS_MAX = 256
"""How many stored results one repetition in the log is told: sixty bytes can name all that a session holds. The client
asks again for the others, and its gateway knows them by then."""
OWNER_BYTES_MAX = 8
"""How much of an owner's tag counts."""

LEDGER, MACHINE = "ledger", "log"
"""Whose rows are kept: the sessions', with the totals, and those of the machine."""
TOTALS_KEY = b""
_TOTALS = Struct(">11Q")
_NOTHING = _TOTALS.pack(FIRST_SLOT, *(0,) * 8, 1, FIRST_SLOT)
FOR_EVER = Retention()


def opened_session(wish: Wish, slot: Slot) -> SessionId:
    """The session that is opened by this wish in this slot."""
    return blake2b(wish + slot.to_bytes(8, "big"), digest_size=SESSION_BYTES).digest()


class Ledger:
    """Applies values, slot by slot, and answers what became of them.

    `history` reads values back for `entries`; at most `sessions_max` sessions are remembered.
    """

    def __init__(
        self,
        history: History,
        machine: StateMachine,
        sessions_max: int,
        page_bytes_max: int,
        retention: Retention = FOR_EVER,
    ) -> None:
        self.revision: Revision = 0
        self.next_slot: Slot = FIRST_SLOT
        self.log_time_ms = 0
        self.noops = 0
        self._history = history
        self._machine = machine
        self._sessions_max = sessions_max
        self._retention = retention
        self._sessions = Sessions(sessions_max)
        self._revisions = Revisions(history)
        self._retained = Retained(retention, self._revisions)
        self._opened = 0  # by values of kind 0, which number sessions in the order of their opening
        self._bytes = 0  # of all commands that got revisions
        self._kept_slot: Slot = FIRST_SLOT

    @property
    def sessions(self) -> int:
        """How many sessions are remembered."""
        return len(self._sessions)

    @property
    def results(self) -> int:
        """How many results they hold."""
        return self._sessions.results

    @property
    def known_stop(self) -> Slot:
        """Every slot below stands on this node's disk, applied or not."""
        return max(self.next_slot, self._history.learned_stop())

    @property
    def first_slot(self) -> Slot:
        """The first slot whose value stands on this node's disk still: those who take a snapshot read on from its end,
        while readers of the log are told of what is retained alone."""
        return self._history.learned_start()

    def digest(self) -> bytes:
        """The digest of the user's state."""
        return self._machine.digest()

    def state_digest(self) -> bytes:
        """Over all that the log made: equal on all learners that have applied the same slots."""
        applied = self.next_slot, self.revision, self.log_time_ms, self.noops, self._opened, self._bytes
        facts = Struct(">9Q").pack(*applied, *self._sessions.totals())
        return blake2b(facts + self._machine.digest(), digest_size=SESSION_BYTES).digest()

    # ---- applying ----

    def apply(self, slot: Slot, value: bytes) -> list[Outcome]:
        """Apply the next slot; what became of each batch, in runs."""
        require(slot == self.next_slot, f"slot {slot} is applied where {self.next_slot} is next")
        self.next_slot += 1
        found = _batches(value)
        outcomes = self._apply_batches(slot, value, found) if found else []
        self.noops += not found
        self._retained.look(slot, LogEnd(self.revision, self._bytes, self.log_time_ms))
        return outcomes

    def _apply_batches(self, slot: Slot, value: bytes, found: list[Batch]) -> list[Outcome]:
        self.log_time_ms = max(self.log_time_ms, stamp_ms(value))
        revision, bytes_before = self.revision, self._bytes
        outcomes: list[Outcome] = []
        skipped = tuple([self._apply_batch(slot, batch, outcomes) for batch in found])
        if self.revision > revision:
            about = About(self.log_time_ms, bytes_before, skipped if any(skipped) else ())
            self._revisions.add(revision + 1, slot, about)
        return outcomes

    def _apply_batch(self, slot: Slot, batch: Batch, outcomes: list[Outcome]) -> int:
        """Apply what is new in a batch; returns how many of its commands, from the first on, were skipped."""
        if batch.opens:
            outcomes.append(self._open(batch, slot))
            return batch.count
        session = self._sessions.get(batch.session)
        if batch.session == DIGESTS:
            told = batch.first_seq, batch.count, 0, slot, batch.acknowledged, batch.body
            outcomes.append(Outcome("digest", DIGESTS, *told))
            return batch.count
        if session is None:
            outcomes.append(Outcome("unknown", batch.session, batch.first_seq, batch.count, slot=slot))
            return batch.count
        held = len(session.runs)
        skipped = self._apply_to_session(slot, batch, session, outcomes)
        self._sessions.used(batch.session, held)
        return skipped

    def _apply_to_session(self, slot: Slot, batch: Batch, session: OpenedSession, outcomes: list[Outcome]) -> int:
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

    def _apply_new(self, slot: Slot, batch: Batch, session: OpenedSession, known: int, outcomes: list[Outcome]) -> int:
        """Apply a batch without its `known` first commands."""
        count = batch.count - known
        fresh = _commands(batch)[known:]
        revision = self.revision + 1 if fresh else 0
        if fresh:
            self._machine.apply(revision, fresh, self.log_time_ms)
            self.revision += count
            self._bytes += sum(map(len, fresh))
        run = Run(batch.first_seq + known, count, revision, slot)
        session.append(run)
        outcomes.append(Outcome("applied", batch.session, run.first_seq, count, revision, slot))
        return known

    def _open(self, batch: Batch, slot: Slot) -> Outcome:
        """Open a session, unless this very slot did: then this is a repetition."""
        wish = batch.session
        if wish == OLD_OPENING:
            self._opened += 1
            session = old_session(self._opened)
        else:
            session = opened_session(wish, slot)
        if not self.knows(session):
            self._sessions.open(session, batch.body[:OWNER_BYTES_MAX])
        return Outcome("opened", session, 0, 1, slot=slot, wish=wish)

    # ---- keeping ----

    @property
    def unkept_slots(self) -> int:
        """How many slots were applied since `keep` told."""
        return self.next_slot - self._kept_slot

    @property
    def unkept_rows(self) -> int:
        """About how many rows `keep` would tell."""
        return self._sessions.changed_rows + self._machine.changed_rows + self._revisions.changed_rows

    def keep(self) -> Kept:
        """What has changed since the last time; it counts as written from now on."""
        put = [KeptRow(LEDGER, TOTALS_KEY, self._totals())]
        delete: list[KeptKey] = []
        for owner, changes in ((LEDGER, self._sessions.changes()), (MACHINE, self._machine.changes())):
            put += [KeptRow(owner, key, content) for key, content in changes.put]
            delete += [KeptKey(owner, key) for key in changes.delete]
        self._kept_slot = self.next_slot
        revisions = tuple(self._revisions.changes())
        first, first_revision = self._retained.slot, self._retained.revision
        return Kept(self.next_slot, tuple(put), tuple(delete), revisions, first, first_revision)

    def _totals(self) -> bytes:
        held = self._sessions.totals()
        applied = self.next_slot, self.revision, self.log_time_ms, self.noops, self._opened, self._bytes
        return _TOTALS.pack(*applied, *held, self._retained.revision, self._retained.slot)

    def restore(self) -> Revision:
        """Become the state that is kept in the history, whatever it was before; returns the latest revision in it."""
        kept_slot = self._history.kept_slot()
        rows = dict(self._history.kept_rows(LEDGER))
        totals = rows.pop(TOTALS_KEY, _NOTHING)
        fields = _TOTALS.unpack(totals)
        self.next_slot, self.revision, self.log_time_ms, self.noops, self._opened, self._bytes = fields[:6]
        require(self.next_slot == kept_slot, f"the kept state is of slot {self.next_slot} and not of {kept_slot}")
        self._kept_slot = kept_slot
        self._revisions = Revisions(self._history)
        self._retained = Retained(self._retention, self._revisions, fields[9], fields[10])
        self._sessions = Sessions(self._sessions_max)
        self._sessions.restore(rows.items(), (fields[6], fields[7], fields[8]))
        self._machine.restore(self._history.kept_rows(MACHINE))
        return self.revision

    # ---- asking ----

    @property
    def due_ms(self) -> int | None:
        """The log time at which something runs out next, in any machine; None: nothing does."""
        return self._machine.due_ms

    def machine(self, name: str) -> StateMachine | None:
        """The machine that is mounted under this name; None: there is none."""
        return self._machine if name == MACHINE else None

    def knows(self, session: SessionId) -> bool:
        """Whether this session was opened and is remembered."""
        return self._sessions.get(session) is not None

    def next_seq(self, session: SessionId) -> int:
        """The number of its next command; 0: it is not known."""
        known = self._sessions.get(session)
        return 0 if known is None else known.last_seq + 1

    def stored(self, session: SessionId, first_seq: int, count: int) -> Iterator[Outcome] | None:
        """The results of these commands; None unless all of them are applied."""
        known = self._sessions.get(session)
        if known is None or known.last_seq < first_seq + count - 1:
            return None
        return known.results(session, first_seq, first_seq + count)

    def values(self, first: Slot, bytes_max: int) -> tuple[bytes, ...]:
        """The values of this slot and those behind it that are applied, as many as fit."""
        rows = self._history.learned(first, self.next_slot, bytes_max)
        return tuple(value for slot, (have, value) in enumerate(rows, first) if have == slot)

    @property
    def first_revision(self) -> Revision:
        """The log is kept from this revision on; 1: all of it is."""
        return self._retained.revision

    def entries(self, start: Revision, bytes_max: int) -> tuple[Entry, ...]:
        """The applied commands from this revision on, as many as fit; empty if there is none yet. What is kept no
        longer is passed over."""
        return self.page(start, bytes_max).entries

    def page(self, start: Revision, bytes_max: int) -> Page:
        """The same, and what it cost: slots in which nothing was applied are read, too."""
        start = max(start, self.first_revision)
        if start > self.revision:
            return Page((), 0, 0)
        index = {row.slot: row for row in self._revisions.rows_from(start, bytes_max // ROW_BYTES + 1)}
        first = next(iter(index.values()))
        rows = self._history.learned(first.slot, self.next_slot, bytes_max)
        read = len(rows), sum(len(value) for _, value in rows)
        entries: list[Entry] = []
        for slot, value in rows:
            if slot not in index:
                continue
            for revision, command in enumerate(_applied(value, index[slot].about), index[slot].first):
                if revision >= start:
                    bytes_max -= len(command) + ENTRY_BYTES
                    if entries and (bytes_max < 0 or len(entries) == ENTRIES_PER_PAGE_MAX):
                        return Page(tuple(entries), *read)
                    entries.append(Entry(revision, slot, command))
        return Page(tuple(entries), *read)


def _applied(value: bytes, about: bytes) -> Iterator[bytes]:
    """The commands of a value that got revisions, in order."""
    found = _batches(value)
    skipped = About.unpack(about).skipped or (0,) * len(found)
    for batch, skip in zip(found, skipped, strict=True):
        if skip < batch.count:
            yield from _commands(batch)[skip:]


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
