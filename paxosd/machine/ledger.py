"""The ledger: everything that is a function of the log. Sessions, revisions, and machines.

Laws:
1. Slots come in order, 1, 2, 3 …, each once. Every decision is made from the log alone, so every learner
   makes the same one.
2. A command is applied when its number is the next one of its session, and never again, however often it is in
   the log: a repetition gets the stored result, a number that skips one is refused and changes nothing.
3. A revision is given to each applied command, and to what runs out in one machine at the log time of a slot: that
   goes before anything else of the slot, also where the slot holds no command.
4. What is remembered is bounded (see `sessions.py`). A session is forgotten, and each later command of it is refused
   as of an unknown one; that too is decided from the log alone.
5. Who owns a session says the body of the batch that opened it: a tag that the gateway made of the client's
   connection. All without one (from before there were tags) have one owner, so that an old log means what it meant.
6. What `keep` tells is the whole state at one slot, as far as it differs from what was told before: rows of sessions
   and of all machines, of revisions, and the slot itself. So it is written as a whole or not at all.
7. A session that was forgotten never comes back, also where a late copy of what opened it gets into the log: its id is
   made of what its client drew, which nobody else knows, and of the slot. So that copy opens another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from struct import Struct

from paxosd.core.agent import require
from paxosd.core.history import History
from paxosd.core.options import Retention
from paxosd.core.records import Kept, KeptKey, KeptRow
from paxosd.core.types import (
    FIRST_SLOT,
    LOG,
    SESSION_BYTES,
    Entry,
    MachineName,
    Outcome,
    Page,
    Revision,
    SessionId,
    Slot,
    Wish,
)
from paxosd.core.values import DIGESTS, OLD_OPENING, Batch, old_session, readable_stamp_ms
from paxosd.machine.base import StateMachine
from paxosd.machine.entries import batches_of, commands_of, page
from paxosd.machine.mounts import COMMANDS_AT_ONCE, MachineMissing, Mounts
from paxosd.machine.parts import fitting, parts, within
from paxosd.machine.retention import LogEnd, Retained
from paxosd.machine.revisions import About, Revisions
from paxosd.machine.sessions import (
    SAID_PER_SESSION_MAX,
    OpenedSession,
    Run,
    Sessions,
    said_of,
)

REPEATED_RESULTS_MAX = 256
"""How many stored results one repetition in the log is told: sixty bytes can name all that a session holds. The client
asks again for the others, and its gateway knows them by then."""
SAID_PER_SLOT_MAX = 32 * 1024 * 1024
"""How many bytes machines may say to the commands of one slot; results that would be more are dropped."""
OWNER_BYTES_MAX = 8
"""How much of an owner's tag counts."""

LEDGER = "ledger"
"""Whose rows are kept: the sessions', with the totals; those of a machine are kept under its name."""
TOTALS_KEY = b""
_TOTALS = Struct(">13Q")
_NOTHING = _TOTALS.pack(FIRST_SLOT, *(0,) * 10, 1, FIRST_SLOT)
ROW_OF_RESULTS_BYTES = 4096
"""So many bytes of results count as a row that is not kept yet."""
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
        machines: Mapping[MachineName, StateMachine],
        sessions_max: int,
        page_bytes_max: int,
        retention: Retention = FOR_EVER,
    ) -> None:
        self.revision: Revision = 0
        self.log_revision: Revision = 0  # the latest one of the machine `log`
        self.next_slot: Slot = FIRST_SLOT
        self.log_time_ms = 0
        self.noops = 0
        self._history = history
        self._mounts = Mounts(machines)
        self._sessions_max = sessions_max
        self._retention = retention
        self._sessions = Sessions(sessions_max)
        self._revisions = Revisions(history)
        self._retained = Retained(retention, self._revisions)
        self._opened = 0  # by values of kind 0, which number sessions in the order of their opening
        self._bytes = 0  # of all commands that got revisions
        self._entries = 0  # so many of these are of the machine `log`
        self._said_room = 0  # how many bytes machines may still say to the commands of this slot
        self._unkept_said = 0  # how many they said that are not kept yet
        self._kept_slot: Slot = FIRST_SLOT

    @property
    def sessions(self) -> int:
        """How many sessions are remembered."""
        return len(self._sessions)

    @property
    def results(self) -> int:
        """How many results they hold, by their weight."""
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
        """The digest of the state of all machines."""
        return self._mounts.digest()

    def state_digest(self) -> bytes:
        """Over all that the log made: equal on all learners that have applied the same slots."""
        facts = Struct(">11Q").pack(*self._applied(), *self._sessions.totals())
        return blake2b(facts + self._mounts.digest(), digest_size=SESSION_BYTES).digest()

    def _applied(self) -> tuple[int, ...]:
        return (
            self.next_slot,
            self.revision,
            self.log_revision,
            self.log_time_ms,
            self.noops,
            self._opened,
            self._bytes,
            self._entries,
        )

    # ---- applying ----

    def apply(self, slot: Slot, value: bytes) -> list[Outcome]:
        """Apply the next slot; what became of each batch, in runs."""
        require(slot == self.next_slot, f"slot {slot} is applied where {self.next_slot} is next")
        self.next_slot += 1
        self.log_time_ms = max(self.log_time_ms, readable_stamp_ms(value))
        self._said_room = SAID_PER_SLOT_MAX
        revision, before = self.revision, (self._bytes, self._entries)
        self._expire()
        expired = self.revision - revision
        found = batches_of(value)
        outcomes: list[Outcome] = []
        skipped = tuple([self._apply_batch(slot, batch, outcomes) for batch in found])
        if self.revision > revision:
            about = About(self.log_time_ms, *before, expired, skipped if any(skipped) else ())
            self._revisions.add(revision + 1, slot, about)
        self.noops += not found
        self._retained.look(slot, self._end)
        return outcomes

    def _expire(self) -> None:
        """What has run out by log time goes, before anything else of the slot: one revision for each machine."""
        for name in self._mounts.due(self.log_time_ms):
            self.revision += 1
            self._mounts.expire(name, self.revision, self.log_time_ms)

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
        held = session.held
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
            outcomes += within(stored, REPEATED_RESULTS_MAX)
        if stop_seq <= next_seq:
            return batch.count
        return self._apply_new(slot, batch, session, next_seq - batch.first_seq, outcomes)

    def _apply_new(self, slot: Slot, batch: Batch, session: OpenedSession, known: int, outcomes: list[Outcome]) -> int:
        """Apply a batch without its `known` first commands."""
        first_seq, count = batch.first_seq + known, batch.count - known
        fresh = commands_of(batch)[known:]
        if not fresh:
            session.append(Run(first_seq, count, 0, slot))
            outcomes.append(Outcome("applied", batch.session, first_seq, count, 0, slot))
            return known
        revision = self.revision + 1
        for results in parts(self._apply_commands(batch.machine, fresh, SAID_PER_SESSION_MAX - session.said_bytes)):
            said = said_of(results)
            session.append(Run(first_seq, len(results), revision, slot, said))
            outcomes.append(Outcome("applied", batch.session, first_seq, len(results), revision, slot, said=said))
            first_seq += len(results)
            revision += len(results)
        return known

    def _apply_commands(self, machine: MachineName, fresh: list[bytes], room: int) -> list[bytes]:
        """Apply these commands; what was said to each, as far as there is room for so many bytes."""
        results: list[bytes] = []
        room = min(room, self._said_room)
        for begin in range(0, len(fresh), COMMANDS_AT_ONCE):
            some = fresh[begin : begin + COMMANDS_AT_ONCE]
            found = self._mounts.apply(machine, self.revision + 1, some, self.log_time_ms)
            told = fitting(found, room)
            said = sum(map(len, told))
            room -= said
            self._said_room -= said
            self._unkept_said += said
            results += told
            self.revision += len(some)
        if machine == LOG:
            self.log_revision = self.revision
            self._entries += len(fresh)
        self._bytes += sum(map(len, fresh))
        return results

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
        changed = self._sessions.changed_rows + self._mounts.changed_rows + self._revisions.changed_rows
        return changed + self._unkept_said // ROW_OF_RESULTS_BYTES

    def keep(self) -> Kept:
        """What has changed since the last time; it counts as written from now on."""
        put = [KeptRow(LEDGER, TOTALS_KEY, self._totals())]
        delete: list[KeptKey] = []
        for owner, changes in ((LEDGER, self._sessions.changes()), *self._mounts.changes()):
            put += [KeptRow(owner, key, content) for key, content in changes.put]
            delete += [KeptKey(owner, key) for key in changes.delete]
        self._kept_slot = self.next_slot
        self._unkept_said = 0
        revisions = tuple(self._revisions.changes())
        first, first_revision = self._retained.slot, self._retained.revision
        return Kept(self.next_slot, tuple(put), tuple(delete), revisions, first, first_revision)

    def _totals(self) -> bytes:
        held = self._sessions.totals()
        totals = _TOTALS.pack(*self._applied(), *held, self._retained.revision, self._retained.slot)
        return totals + ",".join(self._mounts.names).encode()

    def restore(self) -> Revision:
        """Become the state that is kept in the history, whatever it was before; returns the latest revision in it.

        Raises `MachineMissing` where it is the state of a machine, too, that is not mounted.
        """
        kept_slot = self._history.kept_slot()
        rows = dict(self._history.kept_rows(LEDGER))
        totals = rows.pop(TOTALS_KEY, _NOTHING)
        fields = _TOTALS.unpack_from(totals)
        self.next_slot, self.revision, self.log_revision, self.log_time_ms, self.noops = fields[:5]
        self._opened, self._bytes, self._entries = fields[5:8]
        missing = set(totals[_TOTALS.size :].decode().split(",")) - {"", *self._mounts.names}
        if missing:
            raise MachineMissing(f"the state that is kept is one with the machine {', '.join(sorted(missing))}")
        require(self.next_slot == kept_slot, f"the kept state is of slot {self.next_slot} and not of {kept_slot}")
        self._kept_slot = kept_slot
        self._unkept_said = 0
        self._revisions = Revisions(self._history)
        self._retained = Retained(self._retention, self._revisions, *fields[11:])
        self._sessions = Sessions(self._sessions_max)
        self._sessions.restore(rows.items(), fields[8:11])
        for name in self._mounts.names:
            self._mounts.restore(name, self._history.kept_rows(name))
        return self.revision

    # ---- asking ----

    def machine(self, name: MachineName) -> StateMachine | None:
        """The machine that is mounted under this name; None: there is none."""
        return self._mounts.machine(name)

    @property
    def due_ms(self) -> int | None:
        """The log time at which something runs out next, in any machine; None: nothing does."""
        return self._mounts.due_ms

    @property
    def trims_ms(self) -> int | None:
        """The log time at which more of the log need not be kept; None: time alone changes nothing."""
        return self._retained.due_ms(self._end)

    @property
    def _end(self) -> LogEnd:
        return LogEnd(self.revision, self._bytes, self._entries, self.log_time_ms)

    def query(self, machine: MachineName, question: bytes) -> tuple[bytes, str]:
        """What this machine, which is mounted, answers; or why it does not."""
        return self._mounts.query(machine, question, self.revision, self.log_time_ms)

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
        """The applied commands of the machine `log` from this revision on, as many as fit; empty if there is none yet.
        What is kept no longer is passed over."""
        page = self.page(start, bytes_max)
        while not page.entries and page.next <= self.log_revision:
            page = self.page(page.next, bytes_max)
        return page.entries

    def page(self, start: Revision, bytes_max: int) -> Page:
        """The same of as many slots as may be read at once, and what it cost: slots in which nothing was applied are
        read, too. It may be empty though more follow: reading goes on at `next`."""
        start = max(start, self.first_revision)
        if start > self.log_revision:
            return Page((), 0, 0, max(start, self.revision + 1))
        return page(self._history, self._revisions, start, (self.next_slot, self.revision + 1), bytes_max)
