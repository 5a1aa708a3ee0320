"""Whom a learner asks for what it misses, and what the answers prove.

Another learner's word is enough: it has the value as chosen. Acceptors only have votes, and one acceptor's
vote proves nothing. But in a slot that was known to be chosen when the question was asked, the vote of the
highest ballot among a prepare quorum is the chosen value: let it be chosen in ballot b. The quorum that voted
for it in b shares an acceptor with every prepare quorum, so a vote of b or higher is told; and every proposal
of a higher ballot than b has the same value (Paxos Made Simple, P2b). So these votes need not be of one ballot, and
answers may be late, repeated or mixed: what was chosen stays chosen. An acceptor counts once, for what its page
covers.

That needs each of them to tell its vote, or truly to have none: below its floor an acceptor may have let go of it. So
one whose floor is above the first slot asked for does not count; other learners have what is below.

All of this is about disks, those of the newest voters that the learner knows: a disk that took the place of another
one knows all that the one before could tell (`copying.py`). Before the birth acceptors are not asked: nobody knows yet
whether one of them lost its disk.
"""

from __future__ import annotations

from random import Random

from paxosd.core.membership import Membership
from paxosd.core.messages import Fetched, FetchedVotes
from paxosd.core.standstill import told_gone
from paxosd.core.types import NodeId, Slot, Vote
from paxosd.core.voters import NO_VOTERS, Count, Voters

ACCEPTORS: NodeId = ""
"""Stands for all acceptors together, where one learner's name would stand otherwise."""

FEW_SLOTS = 8


class CatchUp:
    """One question at a time, to each other learner and to the acceptors in turn."""

    def __init__(self, node_id: NodeId, membership: Membership, random: Random) -> None:
        others = [node for node in membership.learners if node != node_id]
        random.shuffle(others)
        self._targets: list[NodeId] = [*others, ACCEPTORS]
        self._turn = 0
        self._waited_from: Slot = 0  # for slots from where on somebody was asked last
        self._acceptors = membership.acceptors
        self._count = Count(NO_VOTERS)
        self._asked: tuple[NodeId, Slot] | None = None
        self._asked_stop: Slot = 0
        self._answers: dict[NodeId, FetchedVotes] = {}
        self._lacked: Slot = 0  # the slot that all that follows is about
        self._questions = 0
        self._let_go: set[NodeId] = set()  # acceptors whose floors are above it
        self._without: set[NodeId] = set()  # learners that have nothing of it, and nothing above

    def target(self, first: Slot, watermark: Slot, leader: NodeId) -> NodeId:
        """Who is asked for the slots from `first` on. For a few slots it is first who leads, if it can tell them: it is
        alive, and who led before may be one of the others."""
        is_first = first < watermark <= first + FEW_SLOTS and first != self._waited_from
        return leader if is_first and leader in self._targets else self.next_target()

    def next_target(self) -> NodeId:
        """Who is next to be asked."""
        target = self._targets[self._turn % len(self._targets)]
        self._turn += 1
        return target

    def await_from(self, first: Slot, watermark: Slot) -> float:
        """Somebody is asked for slots from `first` on. How long the answer is waited for, as a part of the usual time.

        Few slots are told at once, or by nobody: a change of leader leaves such a gap, nobody is served before it is
        closed, and who is asked first may be the one that died.
        """
        is_first = self._waited_from != first
        if first < watermark:  # else nobody has it yet, as far as is known, and who says nothing may be alive
            self._waited_from = first
        return 0.25 if is_first and watermark - first <= FEW_SLOTS else 1.0

    def count_with(self, voters: Voters) -> None:
        """From now on acceptors are counted by these; any earlier question is over."""
        self._count = Count(voters)
        self._asked = None

    def ask_learner(self, learner: NodeId, first: Slot) -> None:
        """Remember that this learner is asked for slots from `first` on; any earlier question is over."""
        self._ask(learner, first)

    def _ask(self, target: NodeId, first: Slot) -> None:
        self._asked = (target, first)
        if first != self._lacked:
            self._lacked, self._questions, self._let_go, self._without = first, 0, set(), set()
        self._questions += 1

    def take_learner(self, learner: NodeId, answer: Fetched) -> bool:
        """Whether this is the answer that is awaited."""
        if self._asked != (learner, answer.first):
            return False
        self._asked = None
        if not answer.values and answer.floor <= answer.first:
            self._without.add(learner)
        return True

    def ask_acceptors(self, first: Slot, stop: Slot) -> tuple[NodeId, ...]:
        """Remember that all acceptors are asked for [first, stop), all of it known to be chosen by now."""
        self._ask(ACCEPTORS, first)
        self._asked_stop = stop
        self._answers = {}
        return self._acceptors

    def take_votes(self, acceptor: NodeId, answer: FetchedVotes) -> list[tuple[Slot, bytes]] | None:
        """Count an answer; with a prepare quorum of them, the chosen values from the first slot asked for on."""
        if not self._count.counts(acceptor, answer.disk):
            return None
        if self._asked != (ACCEPTORS, answer.first) or answer.asked_stop != self._asked_stop:
            return None
        if answer.floor > answer.first:
            self._let_go.add(acceptor)
            return None
        self._answers[acceptor] = answer
        if not self._count.quorum.can_prepare(self._answers):
            return None
        self._asked = None
        stop = min(self._asked_stop, *(told.stop for told in self._answers.values()))
        return self._highest(answer.first, stop)

    def gone(self, slot: Slot) -> str:
        """What there is to say if nobody that is heard can tell this slot, though it is chosen; else nothing."""
        if slot != self._lacked or self._questions <= len(self._targets):
            return ""
        if not self._let_go or self._count.quorum.can_prepare(set(self._acceptors) - self._let_go):
            return ""
        others = [node for node in self._targets if node not in (ACCEPTORS, *self._without)]
        return told_gone(slot, sorted(others))

    def _highest(self, first: Slot, stop: Slot) -> list[tuple[Slot, bytes]]:
        highest: dict[Slot, Vote] = {}
        for answer in self._answers.values():
            for vote in answer.votes:
                known = highest.get(vote.slot)
                if known is None or vote.ballot > known.ballot:
                    highest[vote.slot] = vote
        found: list[tuple[Slot, bytes]] = []
        for slot in range(first, stop):
            if slot not in highest:
                break  # cannot be for a chosen slot; whatever it is, nothing may be invented here
            found.append((slot, highest[slot].value))
        return found
