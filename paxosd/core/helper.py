"""A learner, as far as it helps others to catch up: with pages of the log, and with its state as a whole.

Answers wait for the end of a turn, a page for each asker (`questions.py`), and parts of a snapshot (`snapshots.py`).
"""

from __future__ import annotations

from paxosd.core.agent import Agent, Timer
from paxosd.core.ahead import SLOTS_AHEAD_MAX
from paxosd.core.membership import Membership
from paxosd.core.messages import Fetched, FetchSnapshot
from paxosd.core.options import Limits
from paxosd.core.questions import Questions
from paxosd.core.snapshots import Shelf, Telling
from paxosd.core.types import FIRST_SLOT, Instant, NodeId, Slot


class Helper(Agent):
    """Tells other learners what it has."""

    def __init__(self, node_id: NodeId, membership: Membership, limits: Limits, history: Shelf) -> None:
        super().__init__(node_id)
        self._limits = limits
        self._history = history
        self._learners = frozenset(membership.learners)
        self.next_slot: Slot = FIRST_SLOT  # every slot below is handed on
        self.watermark: Slot = FIRST_SLOT
        self._stored_stop: Slot = FIRST_SLOT  # slots below are in the history, from an earlier life
        self._fetches: Questions[Slot] = Questions()  # others that ask for slots from this one on
        self._telling = Telling(history, limits.page_bytes_max)

    def _on_fetch(self, source: NodeId, first: Slot, now: Instant) -> None:
        if source not in self._learners or source == self.node_id:
            return self.ignore("fetch by a node that is no learner")
        self._fetches.ask(source, first)
        if self.next_slot - first > SLOTS_AHEAD_MAX:
            self._telling.go_on(now)

    def _on_fetch_snapshot(self, source: NodeId, question: FetchSnapshot, now: Instant) -> None:
        if source not in self._learners:  # the gateway beside us asks for its clients
            return self.ignore("fetch by a node that is no learner")
        self._telling.ask(source, question, now)
        self._await_questions()

    def _await_questions(self) -> None:
        if (deadline := self._telling.deadline) is not None:
            self.arm(Timer.OFFER, deadline)

    def _answer(self, now: Instant) -> None:
        """What was asked, or some of it: the rest in the next turn."""
        for learner, first in self._fetches.take():
            self._tell_chosen(learner, first)
        for learner, part in self._telling.answers(self.known.told, now):
            self.send(learner, part)
        if self._fetches or self._telling:
            self.arm(Timer.ANSWER, now)

    def _tell_chosen(self, learner: NodeId, first: Slot) -> None:
        rows = self._history.learned(first, max(self.next_slot, self._stored_stop), self._limits.page_bytes_max)
        values = tuple(value for slot, (have, value) in enumerate(rows, first) if have == slot)
        told = self.known.told
        self.send(learner, Fetched(first, values, self.watermark, self._history.learned_start(), told.decreed, told))
