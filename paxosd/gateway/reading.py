"""What a gateway does for those who read: the log, and what machines answer; and what backups are taken of.

Laws:
1. A linearizable read waits for a round of the leader that was started after the read came in.
2. There is one question to the leader at a time, and only who was asked answers it.
3. Whatever cannot be answered is refused by name.
4. Who is told how old an answer is was told no less than it is (see `freshness.py`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace

from paxosd.core.agent import Agent, Timer, earliest
from paxosd.core.messages import Answer, LogPage, Query, ReadIndex, ReadLog, ReadSlots, ReadSnapshot, SnapshotPart
from paxosd.core.options import Limits, Timing
from paxosd.core.reasons import Reason
from paxosd.core.types import SENTENCE_CHARS_MAX, ClientAddress, Instant, NodeId, Sentence, Slot
from paxosd.gateway.backups import Backups
from paxosd.gateway.freshness import Freshness
from paxosd.gateway.leadership import Leadership
from paxosd.gateway.pages import Pages
from paxosd.gateway.progress import Progress
from paxosd.gateway.readers import Asked, Readers
from paxosd.gateway.replicated import Replicated
from paxosd.gateway.strangers import Strangers


class Reading(Agent):
    """A gateway, as far as it is about reads."""

    def __init__(
        self,
        node_id: NodeId,
        cluster: str,
        timing: Timing,
        limits: Limits,
        endpoints: Mapping[NodeId, str],
        replicated: Replicated,
    ) -> None:
        super().__init__(node_id)
        self._timing = timing
        self._replicated = replicated
        self._leadership = Leadership(node_id, endpoints, timing.election_s)
        self._progress = Progress()
        self._strangers = Strangers()
        self._readers = Readers()
        self._freshness = Freshness()
        self._pages = Pages(replicated, limits.page_bytes_max)
        self._backups = Backups(cluster, timing.retry_s)
        self._read_asked_of: NodeId | None = None  # whose answer to a read index is awaited

    def next_deadline(self) -> Instant | None:
        return earliest(super().next_deadline(), self._readers.next_deadline(), self._backups.deadline)

    def on_timer(self, timer: Timer, now: Instant) -> None:
        if timer is Timer.READS:
            self._read_asked_of = None  # the question or its answer is lost; ask again in this tick
        else:
            super().on_timer(timer, now)

    def _serve_reads(self, now: Instant) -> None:
        """What one turn does for reads."""
        self._readers.begin_turn()
        self._pages.begin_turn()
        self._ask_read_index(now)
        self._answer_reads(now)
        self._ask_snapshot(now)

    # ---- coming, and refused ----

    def _add_read(self, client: ClientAddress, read: ReadLog | Query | ReadSlots, now: Instant) -> None:
        self._refuse_reads(self._readers.add(client, read, now), Reason.OVERLOADED)

    def _add_query(self, client: ClientAddress, query: Query, now: Instant) -> None:
        """One that wants a younger state than this is waits for a round, as one does that wants the latest."""
        if self._is_too_old(query, now):
            query = replace(query, linearizable=True)
        if query.linearizable and self._progress.lag:
            self._refuse_reads([(client, query.request)], Reason.BEHIND)
        elif self._replicated.machine(query.machine) is None:
            self.send_early(client, Answer(query.request, b"", 0, -1, Reason.UNKNOWN_MACHINE))
        else:
            self._add_read(client, query, now)

    def _is_too_old(self, query: Query, now: Instant) -> bool:
        if query.linearizable or query.max_age_ms < 0:
            return False
        return not 0 <= self._freshness.age_ms(self._replicated.next_slot, now) <= query.max_age_ms

    def _add_backup(self, client: ClientAddress, read: ReadSnapshot) -> None:
        if not self._backups.ask(client, read):
            self._refuse_reads([(client, read.request)], Reason.OVERLOADED)

    @abstractmethod
    def _standstill(self, now: Instant) -> Sentence:
        """What keeps everybody from leading, as far as is known here."""

    def _refuse_reads(self, refused: Iterable[Asked], reason: Reason, why: Sentence = "") -> None:
        """Whichever kind of read it was: a client knows by the number of the request which one is refused."""
        for client, request in refused:
            self.send_early(client, LogPage(request, (), 0, reason, "", lag=self._progress.lag, why=why))

    # ---- rounds of the leader ----

    def _ask_read_index(self, now: Instant) -> None:
        """One question to the leader for all reads, and all that is to be known of strangers, since the last one."""
        wanted = self._readers.unconfirmed or self._strangers.unconfirmed or self._freshness.wants_round(now)
        if self._read_asked_of is not None or not wanted:
            return
        leader = self._leadership.leader(now)
        if leader is None:
            self._strangers.give_up()
            return self._refuse_reads(self._readers.give_up(), Reason.NO_LEADER, self._standstill(now))
        self._read_asked_of = leader
        self.arm(Timer.READS, now + self._timing.retry_s)
        self._freshness.round_begins(now)
        return self.send_early(leader, ReadIndex(self._readers.start_round(now)))

    def _on_read_index_reply(self, source: NodeId, request: int, applied: Slot) -> None:
        if source != self._read_asked_of or not self._readers.confirm(request, applied):
            return self.ignore("read index that is not awaited")
        if applied:
            self._strangers.confirm(request, applied)
            self._freshness.confirm(applied)
            self._await_no_index()
        # otherwise it does not lead: the timer asks again, by then perhaps somebody else
        return None

    def _await_no_index(self) -> None:
        """The question is answered, or nobody is left who would."""
        self._read_asked_of = None
        self.disarm(Timer.READS)

    # ---- answers ----

    def _answer_reads(self, now: Instant) -> None:
        if not self._readers:
            return
        replicated = self._replicated
        self._readers.move_on(replicated.next_slot, replicated.revision, replicated.log_revision, now)
        self._refuse_reads(self._readers.overdue(now), Reason.BEHIND)
        while self._pages.has_room and (taken := self._readers.take()) is not None:
            client, read = taken
            if isinstance(read, ReadSlots):
                self._tell_slots(client, read, now)
            elif isinstance(read, Query):
                self._tell_answer(client, read, now)
            else:
                self._tell_entries(client, read, now)

    def _tell_slots(self, client: ClientAddress, read: ReadSlots, now: Instant) -> None:
        hint = self._leadership.hint(now)
        page = self._backups.slots(read, self._replicated, self._pages, self.known.told, hint)
        if page is None:
            return self._refuse_reads([(client, read.request)], Reason.BEHIND)
        self.send(client, page)

    def _tell_entries(self, client: ClientAddress, read: ReadLog, now: Instant) -> None:
        last, first = self._replicated.revision, self._replicated.first_revision
        hint = self._leadership.hint(now)
        if 0 < read.start < first:
            return self.send(client, LogPage(read.request, (), last, Reason.COMPACTED, hint, first))
        page = self._pages.answer(read.start)
        return self.send(client, LogPage(read.request, page.entries, last, 0, hint, first, next=page.next))

    def _tell_answer(self, client: ClientAddress, query: Query, now: Instant) -> None:
        if self._is_too_old(query, now):
            return self._add_query(client, query, now)  # it grew older while it waited for its turn
        answer, why = self._replicated.query(query.machine, query.question)
        self._pages.count_answer(len(answer))
        age_ms = 0
        if not query.linearizable:
            age_ms = self._freshness.age_ms(self._replicated.next_slot, now)
            self._freshness.told(now)
        refused = Reason.QUERY_REFUSED if why else 0
        told = query.request, answer, self._replicated.revision, age_ms, refused, _sentence(why)
        return self.send(client, Answer(*told, self._leadership.hint(now)))

    def _ask_snapshot(self, now: Instant) -> None:
        if (question := self._backups.next_question(now)) is not None:
            self.send_early(self.node_id, question)

    def _on_snapshot_part(self, source: NodeId, part: SnapshotPart) -> None:
        answer = self._backups.answer(part) if source == self.node_id else None
        if answer is not None:
            self.send(*answer)


def _sentence(said: str) -> Sentence:
    """What a machine said, as people may be shown it."""
    return "".join(sign if sign.isprintable() else " " for sign in said[:SENTENCE_CHARS_MAX])
