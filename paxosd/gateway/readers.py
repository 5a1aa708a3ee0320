"""Reads that wait at a gateway: for a confirmed read index, for apply to get there, or for a next entry.

    add ──> a round of the leader ──> apply gets there ──> an entry is there, or the time is over ──> take
      └───────── a cheap read ──────────────^

Laws:
1. What a turn does depends on how many reads move on in it, which is bounded, and not on how many wait.
2. Every read is answered or refused by name. None is forgotten in silence.
3. Clients share: each may have so many reads here; if all together have too many, the client with the most loses one.
   Those that can be answered are taken in turn, client by client.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from paxosd.core.messages import (
    Query,
    ReadLog,
    ReadSlots,
)
from paxosd.core.shares import Shares
from paxosd.core.types import ClientAddress, Instant, Revision, Slot

READERS_MAX = 65536
"""How many reads may wait."""
READERS_PER_CLIENT_MAX = 1024
"""How many of them may be one client's."""
MOVED_PER_TURN_MAX = 4096
"""How many reads one turn moves on from what they waited for; the others go on in the next one."""
QUESTIONS_BYTES_MAX = 32 * 1024 * 1024
"""How many bytes of questions to machines may wait."""
QUESTIONS_PER_CLIENT_BYTES_MAX = 2 * 1024 * 1024
"""How many of them may be one client's; one question always may wait."""
HELD_S_MAX = 10.0
"""How long a read may wait for a next entry, whatever its client wishes."""
REFUSED_AFTER_S = 70.0
"""How long after it came a read is refused that could not be answered."""

SPARE = 64
"""So many that wait no more are never worth clearing away."""

Read: TypeAlias = ReadLog | Query | ReadSlots

Asked: TypeAlias = tuple[ClientAddress, int]
"""Who asked, and the number of the request."""


@dataclass(slots=True)
class _Reader:
    client: ClientAddress
    read: Read
    came_at: Instant
    deadline: Instant  # when waiting for a next entry ends
    waits: bool = True  # False: answered or refused
    ready: bool = False

    @property
    def asked(self) -> Asked:
        return self.client, self.read.request


class _Queue:
    """Readers by a number, the lowest first. Those that wait no more are passed over, and cleared away in time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Reader]] = []
        self._count = 0

    def push(self, number: float, reader: _Reader, waiting: int) -> None:
        """`waiting`: how many readers wait at all; no more than twice as many can be in here."""
        if len(self._heap) > 4 * waiting + SPARE:
            self._heap = [entry for entry in self._heap if entry[2].waits]
            heapify(self._heap)
        self._count += 1
        heappush(self._heap, (number, self._count, reader))

    @property
    def first(self) -> float | None:
        """The lowest number."""
        while self._heap and not self._heap[0][2].waits:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, up_to: float) -> _Reader | None:
        """The first reader, if its number is not higher."""
        first = self.first
        return heappop(self._heap)[2] if first is not None and first <= up_to else None


class Readers:
    """The reads of one gateway. Reads that come while a round is under way share the next one."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Asked, _Reader] = OrderedDict()  # all, as they came
        self._shares: Shares[ClientAddress, Asked] = Shares()
        self._question_bytes: dict[ClientAddress, int] = {}
        self._questions_bytes = 0
        self._unconfirmed: deque[_Reader] = deque()  # that came after the last round began
        self._in_round: deque[_Reader] = deque()
        self._round = 0
        self._applying: list[tuple[Slot, int, deque[_Reader]]] = []  # a heap: which wait for apply to get there
        self._caught_up: deque[_Reader] = deque()  # which wait for nothing but an entry
        self._by_seen = _Queue()  # by the revision that their clients have seen
        self._by_entry = _Queue()  # by the revision of `log` that they wait for
        self._by_deadline = _Queue()
        self._ready: dict[ClientAddress, deque[_Reader]] = {}
        self._turns: deque[ClientAddress] = deque()  # whose turn it is, of those that have ready ones
        self._moves_left = MOVED_PER_TURN_MAX
        self._now: Instant = 0.0
        self._latest: tuple[Revision, Revision] = 0, 0

    def __bool__(self) -> bool:
        """Whether any read waits."""
        return bool(self._waiting)

    def begin_turn(self) -> None:
        """From now on as many can move on as in any turn."""
        self._moves_left = MOVED_PER_TURN_MAX

    # ---- coming and going ----

    def add(self, client: ClientAddress, read: Read, now: Instant) -> list[Asked]:
        """Let a read wait, unless it does already; returns those that are refused for it, perhaps itself."""
        asked = client, read.request
        if asked in self._waiting:
            return []
        held = self._question_bytes.get(client, 0)
        is_large = bool(held) and held + _question_bytes(read) > QUESTIONS_PER_CLIENT_BYTES_MAX
        if is_large or self._shares.of(client) >= READERS_PER_CLIENT_MAX:
            return [asked]
        reader = _Reader(client, read, now, now + _held_s(read))
        self._waiting[asked] = reader
        self._shares.use(client, asked)
        self._count_question(reader, 1)
        (self._unconfirmed if read.linearizable else self._caught_up).append(reader)
        refused = []
        while len(self._waiting) > READERS_MAX or self._questions_bytes > QUESTIONS_BYTES_MAX:
            refused.append(self._make_room())
        return refused

    def _count_question(self, reader: _Reader, sign: int) -> None:
        if size := sign * _question_bytes(reader.read):
            self._questions_bytes += size
            self._question_bytes[reader.client] = self._question_bytes.get(reader.client, 0) + size
            if not self._question_bytes[reader.client]:
                del self._question_bytes[reader.client]

    def _make_room(self) -> Asked:
        _, asked = self._shares.next_to_go
        self._remove(self._waiting[asked])
        return asked

    def _remove(self, reader: _Reader) -> None:
        reader.waits = False
        del self._waiting[reader.asked]
        self._count_question(reader, -1)
        self._shares.drop(reader.client, reader.asked)

    # ---- rounds of the leader ----

    @property
    def unconfirmed(self) -> bool:
        """Whether a read waits for a read index."""
        return bool(self._unconfirmed or self._in_round)

    @property
    def next_round(self) -> int:
        """No round that begins from now on has a lower number."""
        return self._round + 1

    def start_round(self, now: Instant) -> int:
        """The number of a new round, for every read that is not confirmed by now. It is above every number of an
        earlier life, answers to which may still be on their way."""
        self._round = max(self.next_round, int(now * 1_000_000))
        self._in_round += self._unconfirmed
        self._unconfirmed.clear()
        if len(self._in_round) > 2 * len(self._waiting) + SPARE:
            self._in_round = deque(reader for reader in self._in_round if reader.waits)
        return self._round

    def confirm(self, round_number: int, applied: Slot) -> bool:
        """The leader's answer to a round; False if it answers another one. `applied` 0 confirms nothing."""
        if round_number != self._round:
            return False
        if applied and self._in_round:
            heappush(self._applying, (applied, round_number, self._in_round))
            self._in_round = deque()
        return True

    def give_up(self) -> list[Asked]:
        """Refuse reads that wait for a read index, as many as one turn may."""
        given_up = []
        while self._moves_left and self.unconfirmed:
            self._moves_left -= 1
            reader = (self._in_round or self._unconfirmed).popleft()
            if reader.waits:
                self._remove(reader)
                given_up.append(reader.asked)
        return given_up

    # ---- what can be answered ----

    def move_on(self, next_slot: Slot, revision: Revision, log_revision: Revision, now: Instant) -> None:
        """See what can be answered now, as far as this turn goes; `log_revision`: the latest one of `log`."""
        self._now, self._latest = now, (revision, log_revision)
        self._move(self._next_caught_up, next_slot)
        self._move(self._by_seen.pop, revision)
        self._move(self._by_entry.pop, log_revision)
        self._move(self._by_deadline.pop, now)

    def _move(self, step: Callable[[float], _Reader | None], up_to: float) -> None:
        while self._moves_left and (reader := step(up_to)) is not None:
            self._moves_left -= 1
            if reader.waits and not reader.ready:
                self._await_revisions(reader)

    def _next_caught_up(self, next_slot: float) -> _Reader | None:
        """The next one for which apply got far enough."""
        if not self._applying or self._applying[0][0] > next_slot:
            return self._caught_up.popleft() if self._caught_up else None
        readers = self._applying[0][2]
        reader = readers.popleft()
        if not readers:
            heappop(self._applying)
        return reader

    def _await_revisions(self, reader: _Reader) -> None:
        late = self._now >= reader.deadline
        seen, entry = _awaited(reader.read, late)
        revision, log_revision = self._latest
        if revision < seen:
            return self._by_seen.push(seen, reader, len(self._waiting))
        if log_revision >= entry:
            return self._be_ready(reader)
        self._by_entry.push(entry, reader, len(self._waiting))
        return self._by_deadline.push(reader.deadline, reader, len(self._waiting))

    def _be_ready(self, reader: _Reader) -> None:
        reader.ready = True
        ready = self._ready.get(reader.client)
        if ready is None:
            ready = self._ready[reader.client] = deque()
            self._turns.append(reader.client)
        ready.append(reader)

    def take(self) -> tuple[ClientAddress, Read] | None:
        """The next read to answer, which waits no more; None: there is none for now."""
        while self._turns:
            client = self._turns.popleft()
            ready = self._ready[client]
            reader = ready.popleft()
            if ready:
                self._turns.append(client)
            else:
                del self._ready[client]
            if reader.waits:
                self._remove(reader)
                return client, reader.read
        return None

    def overdue(self, now: Instant) -> Iterator[Asked]:
        """Those that waited too long, for a round or for apply; they wait no more."""
        while self._waiting:
            reader = next(iter(self._waiting.values()))
            if reader.ready or now < reader.came_at + REFUSED_AFTER_S or not self._moves_left:
                return
            self._moves_left -= 1
            self._remove(reader)
            yield reader.asked

    def next_deadline(self) -> Instant | None:
        """When a read moves on, or is refused, if no message comes before."""
        if not self._waiting:
            return None
        if self._turns or not self._moves_left:
            return self._now
        refused_at = next(iter(self._waiting.values())).came_at + REFUSED_AFTER_S
        ends_at = self._by_deadline.first
        return refused_at if ends_at is None else min(refused_at, ends_at)


def _held_s(read: Read) -> float:
    """How long it may wait for a next entry. One of slots is answered with what there is."""
    return min(read.wait_ms / 1000, HELD_S_MAX) if isinstance(read, ReadLog) else 0.0


def _awaited(read: Read, late: bool) -> tuple[Revision, Revision]:
    """Which revision, and which one of `log`, must be applied before it is answered; `late`: it waits for no next entry
    any more."""
    if isinstance(read, ReadSlots):
        return 0, 0
    return read.seen, 0 if late or isinstance(read, Query) else read.start


def _question_bytes(read: Read) -> int:
    """How many bytes it holds besides its numbers."""
    return len(read.question) if isinstance(read, Query) else 0
