"""Proof that disks went back, or lost what they held: learners know slots to be chosen that a quorum does not know.

Every learner tells all proposers how far the log is durable with it, now and then and when one canvasses. All below is
chosen.

Laws:
1. Let slot s be chosen when a proposer sends its first Prepare of ballot b, and let a prepare quorum promise b. Then s
   was chosen in a lower ballot: an accept quorum has promised a higher one otherwise, and shares an acceptor with those
   that promise b. So one of these voted in s before it promised, and tells that vote, or a watermark or floor above s.
   If none does, a disk does not know what it told. There is no other way, so this is proof.
2. A ballot that is bound to a decree proposes nothing above it, and knows nothing of what newer voters chose there
   (`voters.py`, law 3). So what is asked of it ends there.
3. Who has such a proof does not lead: it would decide again what is decided. It goes on listening to the acceptors that
   have not promised yet, begins anew as often as an election does, and leads once those that promise tell all.
4. Who is told more than it proposed while it leads, or than its quorum knows after it had begun to prepare, does not
   lead on. Another one may be about with a higher ballot: that is no proof yet, but its next ballot will show.

A leader that hears of it too late (all learners are slow to tell) cannot find out from acceptors: those that promise it
are whom a disk that is found has asked already (`participant.py`). And to wait for learners would be to need them.

A learner is believed. One that lies about this keeps all proposers from leading until they are started again.
"""

from __future__ import annotations

from collections.abc import Collection

from paxosd.core.history import History
from paxosd.core.phase1 import PhaseOne
from paxosd.core.types import FIRST_SLOT, NodeId, Slot

KEEP_THE_LOG = (
    "it serves nothing any more, and what others lost may be in its data directory: stop it, keep that, and look at "
    "the directories of all nodes with `paxosd rescue --plan`: acceptors were put back, or lost their disks"
)


def has_another(history: History, slot: Slot, value: bytes) -> bool:
    """Whether a learner has learned another value in this slot than it is told now: two were chosen."""
    own = next(iter(history.learned(slot, slot + 1, 1)), None)
    return own is not None and own[0] == slot and own[1] != value


class ToldChosen:
    """The slots that learners told to be chosen: for each the highest that it told to this life of the proposer."""

    def __init__(self) -> None:
        self._stops: dict[NodeId, Slot] = {}

    def tell(self, learner: NodeId, stop: Slot) -> None:
        """This learner has every slot below on its disk; or had it."""
        self._stops[learner] = max(stop, self._stops.get(learner, FIRST_SLOT))

    @property
    def stop(self) -> Slot:
        """Every slot below is chosen."""
        return max(self._stops.values(), default=FIRST_SLOT)

    def by(self, stop: Slot) -> str:
        """Who told so much."""
        return ", ".join(sorted(learner for learner, told in self._stops.items() if told >= stop))


def first_lost(phase1: PhaseOne, stop: Slot) -> Slot | None:
    """The first slot of those below `stop`, all known to be chosen before phase 1 began, that a prepare quorum does not
    know; None if it knows all."""
    known = phase1.known_stop
    if known >= stop:
        return None
    decree = phase1.decree(phase1.watermark)
    return None if decree is not None and known > decree[0] else known


def told_loss(first: Slot, stop: Slot, learners: str, heard: Collection[NodeId], missing: Collection[NodeId]) -> str:
    """What is wrong and what to do, for people."""
    wrong = (
        f"the disks of {', '.join(sorted(heard))} do not know slots {first} to {stop - 1}, which are chosen, as "
        f"{learners} tells: disks went back, or lost what they held; nobody leads, so that nothing is decided twice"
    )
    if missing:
        return f"{wrong}; start {', '.join(sorted(missing))} with the directory that it had"
    return f"{wrong}; no acceptor is left that knows: back up the state of {learners}, and restore it"
