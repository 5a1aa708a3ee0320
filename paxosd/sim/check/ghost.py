"""What is known of one history by who sees all of it: what is chosen, how it was applied, what was told.

Where a cluster was restored there are two histories, and one of these for each (`sim/restored.py`). A node belongs to
one of them for good, and a client's answers to the one that its client was told of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from paxosd.core.types import HistoryId, NodeId, Revision, Slot
from paxosd.sim.check.answers import Answers
from paxosd.sim.check.attempts import Attempts
from paxosd.sim.check.invariants import Safety
from paxosd.sim.check.log_time import LogTimes
from paxosd.sim.check.marks import Marks
from paxosd.sim.check.order import Order
from paxosd.sim.check.replay import Replay
from paxosd.sim.check.turns import HeldTurns


class Ghost:
    """The ghost state of one history. `weights` maps each acceptor of the membership file to its weight; `window`: how
    many revisions of keys are told, 0: there are no keys."""

    def __init__(
        self,
        weights: Mapping[NodeId, int],
        window_slots: int,
        sessions_max: int,
        learners: Collection[NodeId],
        window: int = 0,
    ) -> None:
        self.marks = Marks(window_slots)
        self.safety = Safety(weights, window_slots, sessions_max, learners)
        self.order = Order()
        self.replay = Replay(self.safety.chosen, window) if window else None
        self.turns = None if self.replay is None else HeldTurns(self.replay)
        self.attempts = None if self.replay is None else Attempts(self.replay, self.marks)
        self.answers = Answers(self.order, self.replay)
        self.log_times = LogTimes(self._chosen_ms)
        self.commands: list[tuple[Any, bytes]] = []  # each that a client began, and its bytes

    def begin_with(self, past: Ghost, watermark: Slot, revision: Revision) -> None:
        """The history of a cluster that was restored: this is how far it is that of another one."""
        safety = self.safety
        safety.chosen = {slot: value for slot, value in past.safety.chosen.items() if slot < watermark}
        safety.watermark, safety.opened = watermark, past.safety.opened
        self.order = Order(past.order.log[:revision])
        self.answers = Answers(self.order)
        self.answers.seen = revision
        self.log_times = past.log_times

    def _chosen_ms(self) -> int:
        if self.replay is None:
            return 0
        self.replay.advance()
        return self.replay.log_time_ms

    @property
    def history(self) -> HistoryId:
        """Its id; none before its birth is chosen."""
        return self.safety.electorate.newest.history
