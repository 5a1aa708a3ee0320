"""Who may vote: a fact that the log decides, from slot to slot.

A *decree* chosen in slot t makes the voters that decide the slots above t. The birth makes the first ones.

Laws:
1. A ballot counts with one set of voters, those that its proposer knew when it prepared. A vote or a promise counts
   only if it comes from the very disk that these voters name.
2. An acceptor takes part only in ballots of exactly the voters that it knows. It tells who knows older ones, and
   takes up newer ones first; what it knows is durable with the promise or the vote.
3. A ballot that proposes a decree proposes nothing above it. Once every slot up to it is chosen, its leader takes up
   the new voters and prepares anew, in a higher ballot. Nobody else has the new voters earlier.
4. Who knows a watermark knows every decree below it: a watermark is told with the slot of the latest decree, and is
   taken up only by who knows that one. So whoever prepares with old voters asks for the slot of the decree, too.
5. A leader that is bound to a decree in slot t by a vote of ballot b, and is told a vote of a higher ballot in a
   slot above t, proposes the no-op in t. That higher ballot has passed over the decree (see below).
6. Before the birth a ballot needs the promise of every acceptor of the membership file, however many would do later.
7. A disk that a later decree names promises and votes only after it has copied, from a prepare quorum of the other
   voters, the highest vote of every slot up to that decree and the highest promise (see `copying.py`).

Why no slot gets two values. Let the voters V decide the slots from some slot on; let D, a decree in slot t, be the
first one that these voters choose there, b* the lowest ballot that chose it, and V' what it makes of V.

(a) Slot t and those below, above the decree that made V: only ballots of V propose there (laws 3 and 4), so this is
    one instance of Paxos for each slot, and "P2c. For any v and n, if a proposal with value v and number n is issued,
    then there is a set S consisting of a majority of acceptors such that either (a) no acceptor in S has accepted any
    proposal numbered less than n, or (b) v is the value of the highest-numbered proposal among all proposals numbered
    less than n accepted by the acceptors in S" (Paxos Made Simple, 2.2) holds, but where law 5 applies. There, let b'
    be the leader, D told with ballot b1, and a vote in slot s > t with ballot b2 > b1. By law 2 b2 is a ballot of V.
    It proposes in the order of slots and nothing above a decree, so it proposed another value than D in t, or knew
    that t is chosen and no decree. Were D chosen below b2, it could not have. Were anything else chosen in t below
    b', the quorum of b' would have told it, and not D, as the highest. So nothing is chosen in t below b', and any
    value may be proposed.
(b) No ballot of V that proposes D in t leaves anything behind above t: if ballot b proposes D, then in no slot above
    t anything is chosen by V in a lower ballot. By induction over the ballots that propose D. The one that invents D
    was told no vote in t or above. One that repeats D was told it last with some ballot b1; below b1 the claim holds
    already, b1 itself proposed nothing above t, and of a higher one its quorum would have told a vote, and law 5
    would apply. So once D is chosen nothing ever is above t by V: lower ballots are done by (b), and higher ones
    propose D and stop.
(c) Above t the ballots of V' decide. All that propose anything are higher than b*: the prepare quorum of a ballot of
    V' has a node in common with the accept quorum that chose D in b*. If that node votes with the same disk as then,
    it has promised b* or more. If D gave it a new disk, that one has taken up the promises of a prepare quorum of V
    without this node, of which one voted for D in b* before it answered (law 7; who asks knows that D is chosen). So
    votes of ballots of V above t are lower than all these, and bind nobody to what contradicts something chosen: each
    slot above t is one instance of Paxos with the voters V', until the next decree. By induction over decrees this
    holds for all slots.
(d) The birth. Every ballot before it needs a promise of every acceptor, by law 6. If a birth was chosen in ballot b,
    a higher ballot hears one of the disks that voted for it, unless all of these are lost, and proposes it again.
    That every acceptor must answer, and not a quorum of the disks that a told birth names, is no caution: let a1 with
    disk X1 alone vote for birth B in ballot 1, and promise ballot 9 and then lose its disk. With its new disk Y1 and
    a2, a3, who know of nothing, ballot 2 invents birth C and {a2, Y1} choose it. Then ballot 9, which counts X1 and
    a3 as a quorum of B, would propose B, and {a2, a3} could choose that too. With law 6 ballot 9 also hears a2, and
    C.
(e) A learner may take the highest vote of a prepare quorum of the latest voters as chosen, in every slot that was
    known to be chosen when it asked (`catchup.py`): a new disk has all that the one before it could have told (law
    7).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from paxosd.core.continuing import Continues
from paxosd.core.membership import Membership
from paxosd.core.quorum import Quorum
from paxosd.core.types import FIRST_SLOT, HISTORY_BYTES, NO_DISK, NO_HISTORY, DiskId, HistoryId, NodeId, Slot

WEIGHTS_MAX = 1 << 20
"""Of all voters together: more than any membership file can say."""


class Voter(NamedTuple):
    """An acceptor, and the disk with which it votes, named by the decree in slot `since`."""

    node: NodeId
    disk: DiskId
    since: Slot
    weight: int


class Voters(NamedTuple):
    """Who may vote above slot `decreed`, where the latest decree is that is known; `birth` is the slot of the first.

    Nobody is named before the birth; a history may have been heard of even then (`hearsay.py`).
    """

    history: HistoryId
    decreed: Slot
    birth: Slot
    prepare: int
    accept: int
    named: tuple[Voter, ...]

    @classmethod
    def of(cls, plain: Any) -> Voters:
        """The same from arrays of arrays; raises ValueError or TypeError if they are none."""
        history, decreed, birth, prepare, accept, named = plain
        voters = cls(history, decreed, birth, prepare, accept, tuple(Voter(*voter) for voter in named))
        if problem := voters.problem():
            raise ValueError(problem)
        return voters

    def problem(self) -> str:
        """Why these can be nobody's voters, whoever says so; empty if they can."""
        if type(self.history) is not bytes or len(self.history) not in (0, HISTORY_BYTES):
            return "a history is 16 bytes"
        numbers = (self.decreed, self.birth, self.prepare, self.accept)
        if not all(map(_is_number, numbers)) or not all(_is_voter(voter) for voter in self.named):
            return "a number of voters is none"
        if sum(voter.weight for voter in self.named) > WEIGHTS_MAX or not all(voter.weight for voter in self.named):
            return "a weight of voters is none"
        if bool(self.named) > bool(self.history) or self.birth > self.decreed:
            return "voters without a birth"
        if len({voter.node for voter in self.named}) < len(self.named):
            return "an acceptor is named twice"
        return ""

    @property
    def are_named(self) -> bool:
        """Whether the history is born, as far as is known."""
        return bool(self.named)

    @property
    def age(self) -> tuple[bool, Slot, bool]:
        """Of two sets of voters of one history the one with the higher age is the newer."""
        return bool(self.named), self.decreed, bool(self.history)

    @property
    def quorum(self) -> Quorum:
        """The quorum system, by node; whose vote counts is decided by the disk before (see `Count`)."""
        return Quorum({voter.node: voter.weight for voter in self.named}, self.prepare, self.accept)

    def voter(self, node: NodeId) -> Voter | None:
        """What is decreed about this node."""
        return next((voter for voter in self.named if voter.node == node), None)

    def disk_of(self, node: NodeId) -> DiskId:
        """The disk with which this node votes."""
        found = self.voter(node)
        return NO_DISK if found is None else found.disk

    def replaced(self, slot: Slot, node: NodeId, old: DiskId, new: DiskId) -> Voters:
        """What a decree in this slot makes: the node votes with another disk. Nobody changes if `old` is not its."""
        named = tuple(
            Voter(node, new, slot, voter.weight) if (voter.node, voter.disk) == (node, old) else voter
            for voter in self.named
        )
        return self._replace(decreed=slot, named=named)

    def difference(self, membership: Membership) -> list[str]:
        """What the membership file says otherwise, one sentence each. Such a file must not be used."""
        if not self.named:
            return []
        found: list[str] = []
        born, file = self.quorum, membership.quorum
        for node in sorted({*born.weights, *file.weights}):
            ours, theirs = born.weights.get(node), file.weights.get(node)
            if theirs is None:
                found.append(f"acceptor {node} was there at the birth and is not in the file")
            elif ours is None:
                found.append(f"acceptor {node} is in the file and was not there at the birth")
            elif ours != theirs:
                found.append(f"acceptor {node} has weight {ours} since the birth, and weight {theirs} in the file")
        for name in ("prepare", "accept"):
            ours, theirs = getattr(born, name), getattr(file, name)
            if ours != theirs:
                found.append(f"quorum.{name} is {ours} since the birth, and {theirs} in the file")
        return found


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_voter(voter: Voter) -> bool:
    return type(voter.node) is str and all(map(_is_number, (voter.disk, voter.since, voter.weight)))


NO_VOTERS = Voters(NO_HISTORY, 0, 0, 0, 0, ())
"""Nothing is known: the cluster is not born yet, or has not been heard."""


class Count:
    """Whose word counts in one ballot, with these voters (law 1)."""

    def __init__(self, voters: Voters) -> None:
        self.voters = voters
        self.quorum = voters.quorum
        self._disks = {voter.node: voter.disk for voter in voters.named if voter.disk != NO_DISK}

    def counts(self, node: NodeId, disk: DiskId) -> bool:
        """Whether this is the disk with which this node votes."""
        return disk != NO_DISK and self._disks.get(node) == disk


class Known:
    """The newest voters that a node knows, and what their disks told of themselves: one for all roles of a process."""

    def __init__(self) -> None:
        self.voters = NO_VOTERS
        self.continues: Continues | None = None  # what this node was restored of
        self.seen: dict[DiskId, int] = {}  # the most commits that each disk told; of disks that are named now
        self.difference = ""  # in what this node's log or state differs from that of the others; empty: in nothing

    def restore(self, records: Iterable[object]) -> None:
        """Take up what an earlier life knew."""
        for record in records:
            if isinstance(record, Voters):
                self.voters = record
            elif isinstance(record, Continues):
                self.continues = record

    def differ(self, what: str) -> str:
        """This node has something else than the others: from now on, for the rest of this life, it serves nothing."""
        self.difference = what
        return what

    def refuses(self, history: HistoryId) -> bool:
        """Whether this is the history that is over here (`continuing.py`, law 1)."""
        return self.continues is not None and self.continues.refuses(history)

    @property
    def is_hearsay(self) -> bool:
        """Whether a history was heard of, and nothing else is known of it (`hearsay.py`)."""
        voters = self.voters
        return not voters.named and voters.history != NO_HISTORY

    @property
    def told(self) -> Voters:
        """What is told to others of who votes."""
        return NO_VOTERS if self.is_hearsay else self.voters

    def hear_of(self, history: HistoryId) -> bool:
        """Another node speaks of a history; whether that is news here, to be kept."""
        if self.continues is not None or self.voters.history:
            return False
        self.voters = NO_VOTERS._replace(history=history)
        return True

    def forget_hearsay(self) -> None:
        """Nobody has what was heard of."""
        if self.is_hearsay:
            self.voters = NO_VOTERS

    def is_same_history(self, voters: Voters) -> bool:
        """Whether these can be of the history to which this node belongs: one of the two may be none."""
        if self.continues is not None and self.continues.refuses(voters.history, voters.birth):
            return False
        return not self.voters.are_named or voters.history in (NO_HISTORY, self.voters.history)

    def take_up(self, voters: Voters) -> bool:
        """Whether these are newer than what was known, and of the same history; they are known from now on."""
        if not voters.are_named or voters.age <= self.voters.age or not self.is_same_history(voters):
            return False
        self.voters = voters
        named = {voter.disk for voter in voters.named}
        self.seen = {disk: commits for disk, commits in self.seen.items() if disk in named}
        return True

    def see(self, disk: DiskId, commits: int) -> None:
        """A disk has so many commits, or had: it told somebody."""
        if commits > self.seen.get(disk, 0) and any(voter.disk == disk for voter in self.voters.named):
            self.seen[disk] = commits

    @property
    def watermark(self) -> Slot:
        """Voters are told only once every slot up to their decree is chosen (law 3)."""
        return self.voters.decreed + 1 if self.voters.named else FIRST_SLOT
