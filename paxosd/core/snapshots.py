"""Snapshots between learners: the state at one slot, told in parts, put aside, checked, and taken up at once.

    asker                                         teller
      |------FetchSnapshot("", 0, my slot)---------->|    makes a copy of its kept state, beside its work
      |<-----SnapshotPart(size 0)--------------------|    ... which is not ready yet
      |------FetchSnapshot("", 0, my slot)---------->|
      |<-----SnapshotPart(id, …, 0, data)------------|
      |------FetchSnapshot(id, next, my slot)------->|    ... until all is there; then check, put, take up

A learner asks for one if another learner cannot tell it the next value any more, or if it misses so much that copying
the state is less work than applying the log.

Laws:
1. What comes in is put aside. The state that stands is used until one commit puts the new one in its place, and only
   after the digest of all of it was right. A node that ends at any step goes on with the old state, or with the new.
2. A part counts only from whom it was asked, as the next bytes of the snapshot that is coming in. So parts that are
   lost, repeated, late or of another snapshot do no harm.
3. A snapshot that is not above what this learner has applied is never taken up.
4. One part is under way at a time, and a teller tells `PARTS_PER_TURN` in a turn, whoever asks: memory is bounded at
   both ends, and several askers share. A teller has one snapshot, for all who ask.
5. A part tells the voters that the teller knows, and the asker takes them up with it: so it knows every decree below
   the slot of the snapshot before it takes that up (`voters.py`, law 4).
6. What was begun is gone on with: after a restart of the asker, or a pause. A teller that started again, or has a newer
   one, sends that, and the asker begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from paxosd.core.history import History
from paxosd.core.messages import (
    FetchSnapshot,
    SnapshotPart,
)
from paxosd.core.questions import Questions
from paxosd.core.records import SnapshotBytes, SnapshotDropped, SnapshotInstalled, SnapshotStep
from paxosd.core.types import Instant, NodeId, Slot
from paxosd.core.voters import Voters

PINNED_BYTES_MAX = 256 * 1024 * 1024
"""How much of the log a teller keeps at most, beyond what it would, so that an asker can go on from its snapshot."""
PART_BYTES_MAX = 256 * 1024
"""How much of a snapshot one message carries, unless pages are smaller."""
PARTS_PER_TURN = 1
"""How many of them one turn tells: copying must not take the turns of those who work."""
FAR_BEHIND_SLOTS = 65536
"""Who misses fewer slots gets them from the log, if it is still there."""
MADE_EVERY_S = 5.0
"""How often a teller begins to make one at most, if that fails or takes long."""
OFFERED_S = 30.0
"""How long a teller keeps a snapshot after it was asked for last."""
TRIES_MAX = 5
"""How often a question is asked before another learner is asked."""
LOOKED_AT_EVERY_S = 0.05
"""How often it is looked at whether a check that goes on elsewhere is over."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of a snapshot: its random id, the slot below which all is in it, its size and its digest."""

    id: bytes
    slot: Slot
    size: int
    digest: bytes


class Stage(Enum):
    """How far a snapshot is that comes in."""

    COMING = "coming"
    """Bytes are missing."""
    CHECKING = "checking"
    """All are there; whether they are right is found out elsewhere."""
    PUTTING = "putting"
    """They are right; its rows are being put beside those that stand."""
    READY = "ready"
    """All its rows stand beside the others: `SnapshotInstalled` takes it up."""
    WRONG = "wrong"
    """Its bytes are not those of its digest, or are no state."""


@dataclass(frozen=True, slots=True)
class IncomingSnapshot:
    """A snapshot that came in, as far as it did."""

    snapshot: Snapshot
    received: int
    stage: Stage


class Shelf(History, Protocol):
    """What a store has of snapshots, beside what it has of the log: one to tell, and one that comes in.

    What was learned from the slot of the one that is told on stays as long as it is told, up to `PINNED_BYTES_MAX`.

    What comes in is written with records: `SnapshotBytes` appends to it, or begins another one; `SnapshotStep` checks
    or puts some more of it; `SnapshotInstalled` makes it the state; `SnapshotDropped` forgets it.
    """

    def offered(self) -> Snapshot | None:
        """The snapshot that can be told; None: there is none, or it is being made."""
        ...

    def offer(self) -> None:
        """Make one of the kept state as it is now, elsewhere. Until it is made the old one is told."""
        ...

    def part(self, offset: int, bytes_max: int) -> bytes:
        """Bytes of the one that can be told."""
        ...

    def withdraw(self) -> None:
        """Nobody asks any more: forget what can be told, and what is being made."""
        ...

    def incoming(self) -> IncomingSnapshot | None:
        """What came in, of an earlier life too."""
        ...


class Telling:
    """Tells others the snapshots of this learner."""

    def __init__(self, shelf: Shelf, page_bytes_max: int) -> None:
        self._shelf = shelf
        self._part_bytes_max = min(page_bytes_max, PART_BYTES_MAX)
        self._questions: Questions[FetchSnapshot] = Questions()
        self._asked_at: Instant | None = None
        self._began_at: Instant = -math.inf  # making one

    def __bool__(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._questions)

    def ask(self, asker: NodeId, question: FetchSnapshot, now: Instant) -> None:
        """Somebody asks for a part."""
        self._questions.ask(asker, question)
        self._asked_at = now

    def go_on(self, now: Instant) -> None:
        """Somebody who is far behind asks for the log: what a snapshot was told for is still needed."""
        if self._asked_at is not None:
            self._asked_at = now

    def answers(self, voters: Voters, now: Instant) -> Iterator[tuple[NodeId, SnapshotPart]]:
        """This turn's answers; `voters` are those that this learner knows."""
        for asker, question in self._questions.take(PARTS_PER_TURN):
            yield asker, self._answer(question, voters, now)

    def _answer(self, question: FetchSnapshot, voters: Voters, now: Instant) -> SnapshotPart:
        shelf, offered = self._shelf, self._shelf.offered()
        if offered is not None and offered.slot > question.above and offered.slot >= shelf.learned_start():
            offset = question.offset if question.snapshot == offered.id else 0
            data = shelf.part(offset, self._part_bytes_max)
            return SnapshotPart(offered.id, offered.slot, offered.size, offered.digest, offset, data, voters)
        if shelf.kept_slot() > question.above and now - self._began_at >= MADE_EVERY_S:
            self._began_at = now
            shelf.offer()
        return SnapshotPart(b"", shelf.kept_slot(), 0, b"", 0, b"", voters)

    def tick(self, now: Instant) -> None:
        """Forget a snapshot that nobody has asked for in a while."""
        if self.deadline is not None and now >= self.deadline:
            self._asked_at, self._began_at = None, -math.inf
            self._shelf.withdraw()

    @property
    def deadline(self) -> Instant | None:
        """When `tick` has something to do."""
        return None if self._asked_at is None else self._asked_at + OFFERED_S


class Step(NamedTuple):
    """What an asker does next: say this to the teller, write this record, and look again at that time."""

    again_at: Instant
    message: FetchSnapshot | None = None
    record: SnapshotStep | SnapshotInstalled | SnapshotDropped | None = None
    why: str = ""
    """Why it is dropped."""


class Taking:
    """Takes one snapshot from another learner."""

    def __init__(self, shelf: Shelf, retry_s: float) -> None:
        self._shelf = shelf
        self._retry_s = retry_s
        self._teller: NodeId | None = None
        self._snapshot: Snapshot | None = None  # that comes in
        self._received = 0
        self._tries = 0

    @property
    def teller(self) -> NodeId | None:
        """Who tells one, empty if nobody does and one is there that came in before; None: nothing is under way."""
        return self._teller

    def begin(self, teller: NodeId) -> None:
        """Ask this learner for one from now on, or nobody (empty). What came in of an earlier one is gone on with."""
        self._teller, self._tries = teller, 0
        incoming = self._shelf.incoming()
        self._snapshot, self._received = (incoming.snapshot, incoming.received) if incoming else (None, 0)

    def end(self) -> None:
        """Nothing is under way any more; what came in stays where it is."""
        self._teller = None

    def awaits(self, source: NodeId, part: SnapshotPart, next_slot: Slot) -> bool:
        """Whether this part counts (law 2)."""
        if not self._teller or source != self._teller:
            return False
        if not part.snapshot:
            return True
        is_next = _snapshot_of(part) == self._snapshot and part.offset == self._received
        is_another = part.offset == 0 and (self._snapshot is None or part.snapshot != self._snapshot.id)
        fits = part.data and part.offset + len(part.data) <= part.size and part.slot > next_slot
        return bool(fits and (is_next or is_another))

    def take(self, part: SnapshotPart, next_slot: Slot) -> SnapshotBytes | None:
        """What to write for a part that counts; None: the teller has no snapshot, or not yet."""
        self._tries = 0
        if not part.snapshot:
            if part.slot <= next_slot:
                self.end()
            return None
        self._snapshot, self._received = _snapshot_of(part), part.offset + len(part.data)
        return SnapshotBytes(part.snapshot, part.slot, part.size, part.digest, part.offset, part.data)

    def step(self, next_slot: Slot, now: Instant) -> Step:
        """Go on: ask for more, check, put, take up, or give up what is of no use."""
        snapshot, incoming = self._snapshot, self._shelf.incoming()
        if incoming is not None and snapshot == incoming.snapshot and snapshot.slot <= next_slot:
            return self._drop("the log was faster", incoming.snapshot, now)
        if snapshot is None or self._received < snapshot.size:
            return self._ask(next_slot, now)
        if incoming is None or incoming.snapshot != snapshot or incoming.received < snapshot.size:
            return Step(now)  # its last bytes are written with this turn
        match incoming.stage:
            case Stage.WRONG:
                self.end()
                return self._drop("it is not what its digest says", snapshot, now)
            case Stage.READY:
                return Step(now, record=SnapshotInstalled(snapshot.id, snapshot.slot))
            case Stage.CHECKING:
                return Step(now + LOOKED_AT_EVERY_S, record=SnapshotStep(snapshot.id))
        return Step(now, record=SnapshotStep(snapshot.id))

    def _drop(self, why: str, snapshot: Snapshot, now: Instant) -> Step:
        self._snapshot, self._received = None, 0
        return Step(now, record=SnapshotDropped(snapshot.id), why=why)

    def _ask(self, next_slot: Slot, now: Instant) -> Step:
        self._tries += 1
        if self._tries > TRIES_MAX or not self._teller:
            self.end()
            return Step(now)
        name, offset = (b"", 0) if self._snapshot is None else (self._snapshot.id, self._received)
        return Step(now + self._retry_s, message=FetchSnapshot(name, offset, next_slot))


def _snapshot_of(part: SnapshotPart) -> Snapshot:
    return Snapshot(part.snapshot, part.slot, part.size, part.digest)


def is_worth_it(next_slot: Slot, watermark: Slot, floor: Slot) -> bool:
    """Whether a learner takes a snapshot of another one that tells every value from `floor` on, and none below."""
    missing = watermark - next_slot
    return floor > next_slot or (missing > FAR_BEHIND_SLOTS and missing > (watermark - floor) // 2)
