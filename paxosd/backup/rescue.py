"""What can be rescued of disks that are left: which are here, what is provably chosen, what may be lost, what to do.

Laws:
1. A value counts as chosen only by proof: a slot below a watermark that some node was told, or votes of one ballot on
   disks that are an accept quorum. Everything else is said to be possible.
2. A disk counts if the newest voters that any directory knows name it, if it has copied what it must know, and if
   nobody saw more of it than is here (`core/voters.py`).
3. Nothing is lost if the disks that are missing are no accept quorum: every chosen value has a vote on a disk that is
   here, and the highest one of its slot has that value (Paxos Made Simple, P2b). Otherwise what they alone voted for is
   gone without a trace, and nobody can say how much that was.
   That is so from the highest floor on. Below one its disk may have let go of a higher vote than all that are here
   (`core/floor.py`): the value is that of a learner's log, or of an accept quorum of votes, or it is gone.
4. A plan changes nothing. New directories are a new history, and only made when that is asked for by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import combinations, groupby

from paxosd.backup.disks import ReadDisk, ReadDisks
from paxosd.backup.errors import BackupError
from paxosd.backup.file import Header, KeptRows, Position, RevisionRows, Rows, Values
from paxosd.core.quorum import Quorum
from paxosd.core.types import FIRST_SLOT, NO_HISTORY, HistoryId, MachineName, NodeId, Slot, Vote
from paxosd.core.values import encode_value, readable_stamp_ms
from paxosd.core.voters import NO_VOTERS, Voters
from paxosd.machine.ledger import LEDGER

PAGE_BYTES = 4 * 1024 * 1024
ROWS_AT_ONCE = 1024
UNCOPIED = "has not copied what it must know"
"""Why the votes on a disk do not count that was named, and had no time to copy."""


@dataclass(frozen=True, slots=True)
class RescuePlan:
    """What is known.

    `chosen_stop`: every slot below is provably chosen. `held_stop`: and its value is provably here. `end`: where a
    history made of all this would end: the first slot that is chosen and has no value here, or the first one that no
    disk voted in. `floor`: below it votes may be gone, and values with them. `may_be_lost`: chosen values may have been
    on missing disks alone. `uncopied`: of the missing ones those whose disk is here, but has not copied what it must
    know.
    """

    cluster: str
    history: HistoryId
    voters: Voters
    counted: dict[NodeId, ReadDisk]
    missing: tuple[NodeId, ...]
    uncopied: tuple[NodeId, ...]
    not_counted: tuple[tuple[ReadDisk, str], ...]
    log: ReadDisk | None
    chosen_stop: Slot
    held_stop: Slot
    end: Slot
    floor: Slot
    may_be_lost: bool

    @property
    def quorum(self) -> Quorum:
        return self.voters.quorum

    @property
    def can_go_on(self) -> bool:
        """Whether the disks that are here elect a leader and choose values, and tell learners all that is chosen."""
        return self.quorum.can_prepare(self.counted) and self.quorum.can_accept(self.counted) and not self.lacks_log

    @property
    def lacks_log(self) -> bool:
        """Whether values are chosen that acceptors let go of, and no learner here has them (law 3)."""
        return self.end < min(self.floor, self.chosen_stop)

    @property
    def waits_for(self) -> list[tuple[NodeId, ...]]:
        """The smallest sets of missing disks with any of which the cluster goes on, and nothing is lost.

        A disk that is here and has not copied what it must know is nothing to be brought back: it copies by itself,
        once the others go on.
        """
        return self._enough([node for node in self.missing if node not in self.uncopied]) or self._enough(self.missing)

    def _enough(self, missing: Sequence[NodeId]) -> list[tuple[NodeId, ...]]:
        for size in range(len(missing) + 1):
            enough = [
                more
                for more in combinations(missing, size)
                if self.quorum.can_prepare([*self.counted, *more]) and self.quorum.can_accept([*self.counted, *more])
            ]
            if enough:
                return enough
        return []


def plan(disks: ReadDisks) -> RescuePlan:
    """What these directories are worth together. Raises `BackupError` if none of them knows of a history."""
    history = _history(disks.read)
    ours = [disk for disk in disks.read if disk.voters.history == history]
    voters = max((disk.voters for disk in ours), key=lambda known: known.age, default=NO_VOTERS)
    if not voters.are_named:
        raise BackupError(
            "no directory here belongs to a history, so there is nothing to rescue: start the nodes; or, if the "
            "cluster had data, name the directories that have it"
        )
    counted: dict[NodeId, ReadDisk] = {}
    not_counted: list[tuple[ReadDisk, str]] = []
    for disk in disks.read:
        objection = _objection(disk, history, voters, disks.read)
        if objection:
            not_counted.append((disk, objection))
        elif disk.is_acceptor:
            counted[disk.node] = disk
    missing = tuple(voter.node for voter in voters.named if voter.node not in counted)
    log = max((disk for disk in ours if disk.is_learner), key=lambda disk: disk.store.learned_stop(), default=None)
    told = max(disk.watermark for disk in ours)
    held = log.store.learned_stop() if log else FIRST_SLOT
    lost = voters.quorum.can_accept(missing)
    floor = max((disk.floor for disk in counted.values()), default=FIRST_SLOT)
    chosen_stop, held_stop, end = _look_at_votes(voters.quorum, counted, told, held, floor, lost)
    return RescuePlan(
        ours[0].identity.cluster,
        history,
        voters,
        counted,
        missing,
        tuple(disk.node for disk, why in not_counted if why == UNCOPIED),
        tuple(not_counted),
        log,
        chosen_stop,
        held_stop,
        end,
        floor,
        lost,
    )


def _history(disks: Sequence[ReadDisk]) -> HistoryId:
    """The one that most of these disks are of."""
    known = [disk.voters.history for disk in disks if disk.voters.are_named]
    return max(sorted(set(known)), key=known.count, default=NO_HISTORY)


def _objection(disk: ReadDisk, history: HistoryId, voters: Voters, others: Sequence[ReadDisk]) -> str:
    """Why the votes on this disk do not count; empty if they do, or if it has none."""
    if disk.voters.history != history:
        theirs = disk.voters.history.hex()[:8]
        return f"is of history {theirs}" if theirs else "belongs to no history yet"
    if not disk.is_acceptor:
        return ""
    voter = voters.voter(disk.node)
    if voter is None or voter.disk != disk.disk:
        return "is not the disk with which this node votes: a guest, or one that was replaced"
    seen = max((other.seen.get(disk.disk, 0) for other in others), default=0)
    if seen > disk.store.commits:
        return f"went back in time: {seen} commits of it were seen, and it has {disk.store.commits}"
    return UNCOPIED if voter.since > voters.birth and not disk.copied else ""


def _look_at_votes(
    quorum: Quorum, counted: dict[NodeId, ReadDisk], told: Slot, held: Slot, floor: Slot, may_be_lost: bool
) -> tuple[Slot, Slot, Slot]:
    """`chosen_stop`, `held_stop` and `end` of a plan; slots below `told` are chosen, values below `held` here, and
    votes below `floor` may be gone."""
    chosen_stop, held_stop, next_slot = told, held, held
    for slot, votes in _votes(counted, held):
        proven = _is_chosen(quorum, votes)
        if next_slot < min(slot, told) or (slot < floor and not proven):
            break
        if slot == held_stop and (proven or (slot < told and not may_be_lost)):
            held_stop = slot + 1
        if slot == chosen_stop and proven:
            chosen_stop = slot + 1
        next_slot = slot + 1
    return chosen_stop, held_stop, next_slot


def _votes(counted: dict[NodeId, ReadDisk], first: Slot) -> Iterator[tuple[Slot, list[tuple[NodeId, Vote]]]]:
    """The votes of each slot from this one on, slot by slot."""
    streams = [_votes_of(node, disk, first) for node, disk in counted.items()]
    told = merge(*streams, key=lambda found: found[1].slot)
    for slot, found in groupby(told, key=lambda found: found[1].slot):
        yield slot, list(found)


def _votes_of(node: NodeId, disk: ReadDisk, first: Slot) -> Iterator[tuple[NodeId, Vote]]:
    return ((node, vote) for vote in disk.votes(first))


def _is_chosen(quorum: Quorum, votes: list[tuple[NodeId, Vote]]) -> bool:
    ballots = {vote.ballot for _, vote in votes}
    return any(quorum.can_accept([node for node, vote in votes if vote.ballot == ballot]) for ballot in ballots)


class RescuedLog:
    """The most advanced state that is left, as a `Source`: the longest log, and above it the highest votes.

    A slot without a vote below one that has some becomes the no-op, as a new leader would have it, unless it is chosen:
    then this ends there. `machines`: the names of those that the cluster has.
    """

    def __init__(self, found: RescuePlan, machines: Sequence[MachineName]) -> None:
        self._machines = machines
        self._plan = found
        store = found.log.store if found.log else None
        weights = {voter.node: voter.weight for voter in found.voters.named}
        terms = found.voters.prepare, found.voters.accept, weights
        first = store.learned_start() if store else FIRST_SLOT
        kept = store.kept_slot() if store and first > FIRST_SLOT else FIRST_SLOT
        self.header = Header(found.cluster, found.history.hex(), first, kept, *terms)
        self.position = Position(found.end, 0, 0, "")
        self.last_value, self.largest_value = b"", 0

    def rows(self) -> Iterator[Rows]:
        """All of it, in the order of a backup."""
        log = self._plan.log
        if log is not None and self.header.kept > FIRST_SLOT:
            for owner in (LEDGER, *self._machines):
                for key, content in log.store.kept_rows(owner):
                    yield KeptRows([(owner, key, content)])
            yield from self._revisions(log)
        stamp_ms = 0
        next_slot = self.header.first
        for slot, value in self._values():
            while next_slot < slot:
                yield Values(next_slot, [encode_value(stamp_ms)])
                next_slot += 1
            yield Values(slot, [value])
            stamp_ms = max(stamp_ms, readable_stamp_ms(value))
            next_slot = slot + 1

    def _revisions(self, log: ReadDisk) -> Iterator[Rows]:
        revision = log.store.first_revision()
        while found := log.store.revisions(revision, ROWS_AT_ONCE):
            rows = [row for row in found if row.first >= revision and row.slot < self.header.kept]
            if not rows:
                return
            yield RevisionRows([(row.first, row.slot, row.about) for row in rows])
            revision = rows[-1].first + 1

    def _values(self) -> Iterator[tuple[Slot, bytes]]:
        log, first = self._plan.log, self.header.first
        if log is not None:
            stop = log.store.learned_stop()
            while first < stop and (page := log.store.learned(first, stop, PAGE_BYTES)):
                yield from page
                first = page[-1][0] + 1
        for slot, votes in _votes(self._plan.counted, first):
            if slot >= self._plan.end:
                return
            yield slot, max(votes, key=lambda found: found[1].ballot)[1].value
