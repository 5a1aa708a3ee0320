"""How far above what a node knows a number may be that somebody claims.

Rounds and slots only grow, and what a node takes over it keeps, some of it on disk for ever. One claim of 2**63 - 1
would leave no higher number for anybody. So a claim is taken up to a ceiling and refused above it:

1. The ceiling starts `reach` above what the own disk holds, or at twice of it if that is more. A claim above it lifts
   it by as much, at most once in `RISE_EVERY_S`, and is then looked at again. It never falls.
2. So nobody honest is locked out for ever. Whoever was down while the others went on to n times `reach` hears that
   number again and again (heartbeats and pre-votes never end) and follows in n times `RISE_EVERY_S`; who missed less
   than half of a long life follows at once. What wrong members lift in an hour, honest ones follow within an hour.
3. A newcomer, whose disk knows nothing of any history, has nothing to compare with, and nothing to lose: it takes slots
   up to `NEWCOMER_SLOTS`, until a leader of a history was heard. So a new disk in an old cluster need not wait.
4. So nothing comes near the end of what a message can carry. That would take decades of uninterrupted lies, and
   `ROUND_MAX` and `SLOT_MAX` are refused even then, so that adding to a number is safe.
5. A ceiling is kept in memory alone, and every node judges for itself. Two nodes that judge differently lose
   messages to each other, which is always allowed: a refused message is a lost one. A refusal never changes what a
   node promised or voted for.
6. Two leaders: neither can keep the other out, for each hears the other's round in a refusal (`Nack`) or in a
   pre-vote's answer, and climbs above it in the way of law 2.

What this cannot do: a member that keeps its role and lies within reach is believed. A leader that says "chosen" about
what is not undoes agreement, and a watermark that is too high makes new leaders begin above slots that nobody voted
for: learners then wait below them. A leader may not simply fill such slots where no vote is told. That is safe only as
long as no acceptor lost its disk: those who lost theirs tell no votes either, and a no-op would come into a slot that
was chosen. Nothing but authentication, and knowing whose disk is lost, would help against that.

The numbers of a value (log time) are bounded by the same rule, at the proposer: what is too high is left out there
and the message counts all the same, because an older leader may have put such a stamp into the log for good.
"""

from __future__ import annotations

import math

from paxosd.core.types import FIRST_SLOT, Instant, Slot

RISE_EVERY_S = 1.0
"""How often a ceiling may rise. One step is far more than honest nodes need in this time."""

ROUND_REACH = 2**28
"""Rounds. Each life of a proposer may take 2**15 of them (`candidate.py`). A learner keeps none, and takes at once what
8,000 such lives took."""
ROUND_MAX = 2**63 - 2**32
"""No round above is taken, so that the next ones still fit a message and a row of the store."""

SLOT_REACH = 2**17
"""Slots. Who was down for an hour of a short life, at 1,000 slots a second, hears of the others after 30 seconds."""
NEWCOMER_SLOTS = 2**40
"""Slots: more than thirty years at 1,000 a second."""
SLOT_MAX = 2**60
"""No slot above is taken, and what the own disk holds above is passed over."""

LOG_TIME_REACH_MS = 2**32
"""Milliseconds: seven weeks. Log time goes on while a cluster works, and a node may be down for long."""
LOG_TIME_MAX_MS = 2**53
"""No stamp that is taken for true is above this, so that adding to it never leaves what a message can carry."""

VOTES_ABOVE_WATERMARK_MAX = 65536
"""How far above its own watermark an acceptor can have a vote: the largest window that a membership file may have. It
bounds the holes that a new leader fills with no-ops on one acceptor's word."""


class Ceiling:
    """The highest claim that is taken now. `known` is what the own disk holds."""

    def __init__(self, reach: int, most: int) -> None:
        self._reach = reach
        self._most = most
        self._ceiling = reach
        self._rose_at: Instant = -math.inf

    def know(self, number: int) -> None:
        """The own disk holds this number, or it is believed, whatever others say."""
        self._reach = min(max(self._reach, number), self._most)
        self._ceiling = max(self._ceiling, min(number + self._reach, self._most))

    def admits(self, claimed: int, now: Instant) -> bool:
        """Whether this claim is taken. One that is too high lifts the ceiling a little, for the next time."""
        if claimed <= self._ceiling:
            return True
        if now - self._rose_at < RISE_EVERY_S:
            return False
        self._rose_at = now
        self._ceiling = min(self._ceiling + self._reach, self._most)
        return claimed <= self._ceiling


def believed_watermark(told: Slot, last_vote: Slot) -> Slot:
    """The watermark to believe of a disk that holds this one and its last vote in that slot.

    An earlier version recorded whatever was claimed. What cannot be true is replaced by what the last vote proves:
    the leader that asked for it said that every slot is chosen but those of its window.
    """
    return told if told <= SLOT_MAX else max(FIRST_SLOT, last_vote + 1 - VOTES_ABOVE_WATERMARK_MAX)
