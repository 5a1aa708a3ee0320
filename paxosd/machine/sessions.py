"""The table of sessions: what is remembered of every client, and who has to go where there is too much.

Laws:
1. What is remembered is bounded. A session is forgotten if it holds more than `RESULTS_PER_SESSION_MAX` results itself:
   its client does not acknowledge. If there are more than `sessions_max`, or all hold more than `RESULTS_MAX`, the
   longest unused session of the owner goes that has the most sessions, or the most results.
2. Nothing counts but the calls and their order. What decides who goes is kept with the rows: each use and each change
   has a number, so a table that was restored decides as the one that wrote the rows would.
3. Results stand in blocks, and a full block is written once: what is written of a session depends on what changed.
   What a machine said at length stands in a row of its own.
4. A result counts as one, and as one more for each `WEIGHED_BYTES` of what machines said in it. A session holds no more
   than `SAID_PER_SESSION_MAX` bytes of that: the ledger lets go of what would be more, and says so in its place.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import TypeAlias

from paxosd.core.agent import require
from paxosd.core.shares import Holdings, Shares
from paxosd.core.types import Outcome, Revision, SessionId, Slot
from paxosd.core.values import commands, encode_body
from paxosd.machine.base import Changes

RESULTS_PER_SESSION_MAX = 65536
"""Results that one session holds; a client of ours has a fourth of that under way, and acknowledges all others."""
RESULTS_MAX = 1 << 20
"""Results that all sessions together hold, 150 to 280 bytes each. Every learner must have the same numbers here."""
WEIGHED_BYTES = 128
SAID_PER_SESSION_MAX = 4 * 1024 * 1024
SAID_PER_RUN_MAX = 256 * 1024
"""How much of what a machine said one run holds, or one result."""
BLOCK_RUNS = 64
"""How many results a full block holds; fewer stand in the row of the session itself."""
INLINE_BYTES_MAX = 256
"""What was said at greater length has a row of its own."""

Owner: TypeAlias = bytes

_SESSION, _BLOCK, _SAID, _OWNER = b"s", b"r", b"m", b"o"
"""How the keys of rows begin: of a session, of a block of its results, of what a machine said in one of them, of an
owner that lost a session."""
_NUMBER = Struct(">Q")
_TWO = Struct(">QQ")
_HEAD = Struct(">QQQQQB")
_RUN = Struct(">QIQQI")
_ELSEWHERE = 2**32 - 1
"""Stands for the size of what was said, where that has a row of its own."""


@dataclass(frozen=True, slots=True)
class Run:
    """The result of `count` commands in a row: revisions from `revision` on (0: withdrawn), in `slot`.

    `said`: what their machine said to each, as the body of a batch has commands; empty if it said nothing.
    """

    first_seq: int
    count: int
    revision: Revision
    slot: Slot
    said: bytes = b""

    @property
    def weight(self) -> int:
        """How many results it counts for."""
        return 1 + len(self.said) // WEIGHED_BYTES

    @property
    def stands_elsewhere(self) -> bool:
        """Whether what was said has a row of its own."""
        return len(self.said) > INLINE_BYTES_MAX


def said_of(results: Sequence[bytes]) -> bytes:
    """What a machine said to some commands in a row, as a run keeps it."""
    return encode_body(results) if any(results) else b""


def weight_of(outcome: Outcome) -> int:
    """How many results this outcome, which `OpenedSession.results` told, counts for where results are told again."""
    return 1 + len(outcome.said) // WEIGHED_BYTES


class OpenedSession:
    """What is remembered of one client: how far it got, and the results that it did not acknowledge."""

    __slots__ = (
        "_acknowledged",
        "_blocks_from",
        "_blocks_stop",
        "_gone",
        "_told",
        "held",
        "held_at",
        "is_kept",
        "last_seq",
        "owner",
        "runs",
        "said_bytes",
        "used_at",
    )

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.last_seq = 0
        self.runs: list[Run] = []  # most have one: an empty deque takes as much as a whole session without it
        self.held = 0  # how many results it holds, by their weight
        self.said_bytes = 0  # of what machines said in them
        self.used_at = 0  # the number of its last use
        self.held_at = 0  # the number of the last change of how many results it holds
        self.is_kept = False  # whether it has a row
        self._acknowledged = 0  # how many results it had that are gone
        self._blocks_from = self._blocks_stop = 0  # which blocks have rows
        self._told = 0  # results below, counted from its first one on, have rows
        self._gone: list[int] = []  # those of them that are gone, and had a row of their own

    def append(self, run: Run) -> None:
        """One more result."""
        self.last_seq = run.first_seq + run.count - 1
        self._hold(run)

    def _hold(self, run: Run) -> None:
        self.runs.append(run)
        self.held += run.weight
        self.said_bytes += len(run.said)

    def acknowledge(self, below: int) -> None:
        """Let go of the results of all commands below."""
        count = bisect_right(self.runs, below, key=_stop_seq)
        for run in self.runs[:count]:
            self.held -= run.weight
            self.said_bytes -= len(run.said)
            if run.stands_elsewhere and self._acknowledged < self._told:
                self._gone.append(self._acknowledged)
            self._acknowledged += 1
        del self.runs[:count]

    def results(self, session: SessionId, first_seq: int, stop_seq: int) -> Iterator[Outcome]:
        """The stored results of [first_seq, stop_seq); those that were acknowledged are gone."""
        begin = bisect_right(self.runs, first_seq, key=_stop_seq)
        end = bisect_left(self.runs, stop_seq, begin, key=_first_seq)
        for index in range(begin, end):
            run = self.runs[index]
            first, stop = max(first_seq, run.first_seq), min(stop_seq, _stop_seq(run))
            skip = first - run.first_seq
            said = run.said
            if said and stop - first < run.count:
                said = encode_body(commands(said, run.count)[skip : stop - run.first_seq])
            revision = run.revision and run.revision + skip
            yield Outcome("applied", session, first, stop - first, revision, run.slot, said=said)

    # ---- as rows ----

    def rows(self, key: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """What changed since the last time; None: this row is gone."""
        first, stop = self._acknowledged, self._acknowledged + len(self.runs)
        full = stop // BLOCK_RUNS
        live = min(first // BLOCK_RUNS, full)
        for block in range(self._blocks_from, min(self._blocks_stop, live)):
            yield _block_key(key, block), None
        for block in range(max(self._blocks_stop, live), full):
            begin = max(block * BLOCK_RUNS, first)
            yield _block_key(key, block), _NUMBER.pack(begin) + self._packed(begin, (block + 1) * BLOCK_RUNS)
        for index in self._gone:
            yield _said_key(key, index), None
        for index, run in enumerate(self.runs[max(0, self._told - first) :], max(self._told, first)):
            if run.stands_elsewhere:
                yield _said_key(key, index), run.said
        self._blocks_from, self._blocks_stop, self._told, self.is_kept = live, full, stop, True
        self._gone.clear()
        head = _HEAD.pack(self.last_seq, self.used_at, self.held_at, first, stop, len(self.owner))
        yield _SESSION + key, head + self.owner + self._packed(max(full * BLOCK_RUNS, first), stop)

    def _packed(self, first: int, stop: int) -> bytes:
        """These of all results that it ever had, counted from 0 on."""
        return b"".join(map(_pack, self.runs[first - self._acknowledged : stop - self._acknowledged]))

    def kept_keys(self, key: bytes) -> Iterator[bytes]:
        """The keys of all its rows."""
        if self.is_kept:
            yield _SESSION + key
        for block in range(self._blocks_from, self._blocks_stop):
            yield _block_key(key, block)
        held_elsewhere = (index for index, run in enumerate(self.runs, self._acknowledged) if run.stands_elsewhere)
        for index in (*self._gone, *(index for index in held_elsewhere if index < self._told)):
            yield _said_key(key, index)

    @staticmethod
    def of_rows(content: bytes, blocks: Iterable[bytes], said: Mapping[int, bytes]) -> OpenedSession:
        """The session that `rows` told: its own row, its blocks in their order, and what stands elsewhere."""
        last_seq, used_at, held_at, first, stop, owner_bytes = _HEAD.unpack_from(content)
        tail = _HEAD.size + owner_bytes
        session = OpenedSession(content[_HEAD.size : tail])
        session.last_seq, session.used_at, session.held_at, session._acknowledged = last_seq, used_at, held_at, first
        for block in (*blocks, _NUMBER.pack(max(first, stop // BLOCK_RUNS * BLOCK_RUNS)) + content[tail:]):
            begin = _NUMBER.unpack_from(block)[0]
            for index, run in enumerate(_runs(block[_NUMBER.size :], begin, said), begin):
                if index >= first:
                    session._hold(run)
        require(len(session.runs) == stop - first, "a session has not the results that its row counts")
        session._told = stop
        session._blocks_stop = stop // BLOCK_RUNS
        session._blocks_from = min(first // BLOCK_RUNS, session._blocks_stop)
        session.is_kept = True
        return session


def _pack(run: Run) -> bytes:
    size = _ELSEWHERE if run.stands_elsewhere else len(run.said)
    head = _RUN.pack(run.first_seq, run.count, run.revision, run.slot, size)
    return head if run.stands_elsewhere else head + run.said


def _runs(packed: bytes, index: int, said: Mapping[int, bytes]) -> Iterator[Run]:
    """The runs that are packed there, of which the first one is the `index`th."""
    position = 0
    while position < len(packed):
        first_seq, count, revision, slot, size = _RUN.unpack_from(packed, position)
        position += _RUN.size
        if size == _ELSEWHERE:
            of_run = said.get(index, b"")
        else:
            of_run = packed[position : position + size]
            position += size
        yield Run(first_seq, count, revision, slot, of_run)
        index += 1


def _said_key(key: bytes, index: int) -> bytes:
    return _SAID + key + _NUMBER.pack(index)


def _block_key(key: bytes, block: int) -> bytes:
    return _BLOCK + key + _NUMBER.pack(block)


def _first_seq(run: Run) -> int:
    return run.first_seq


def _stop_seq(run: Run) -> int:
    return run.first_seq + run.count


class Sessions:
    """All sessions, at most `sessions_max` of them."""

    def __init__(self, sessions_max: int) -> None:
        self.results = 0  # how many all of them hold
        self._sessions_max = sessions_max
        self._sessions: dict[SessionId, OpenedSession] = {}
        self._shares: Shares[Owner, SessionId] = Shares()  # who owns which session, in the order of their use
        self._held: Holdings[Owner] = Holdings()  # how many results the sessions of each owner hold
        self._moves = 0  # how many uses and changes there were
        self._losses: dict[Owner, tuple[int, int]] = {}  # when an owner that has others lost a session, and results
        self._changed: dict[SessionId, None] = {}
        self._rows: dict[bytes, bytes | None] = {}  # of what is gone, and of owners

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session: SessionId) -> OpenedSession | None:
        """What is remembered of it; None: it was never opened, or is forgotten."""
        return self._sessions.get(session)

    def open(self, session: SessionId, owner: Owner) -> None:
        """Remember a new one; another one may have to go."""
        known = self._sessions[session] = OpenedSession(owner)
        self._use(session, known)
        if len(self._sessions) > self._sessions_max:
            self._forget(self._shares.next_to_go[1])

    def used(self, session: SessionId, results_before: int) -> None:
        """It was used, and held so many results before; some, perhaps itself, may have to go."""
        known = self._sessions[session]
        self._use(session, known)
        more = known.held - results_before
        if more:
            known.held_at = self._next_move()
            self._hold(known.owner, more)
        if known.held > RESULTS_PER_SESSION_MAX:
            self._forget(session)
        while self.results > RESULTS_MAX:
            self._forget(self._shares.longest_unused(self._held.greediest))

    def _use(self, session: SessionId, known: OpenedSession) -> None:
        known.used_at = self._next_move()
        self._shares.use(known.owner, session)
        self._changed[session] = None

    def _next_move(self) -> int:
        self._moves += 1
        return self._moves

    def _hold(self, owner: Owner, more: int) -> None:
        self.results += more
        self._held.change(owner, more)

    def _forget(self, session: SessionId) -> None:
        forgotten = self._sessions.pop(session)
        owner, held = forgotten.owner, forgotten.held
        self._shares.drop(owner, session)
        lost_at, results_lost_at = self._next_move(), self._losses.get(owner, (0, 0))[1]
        if held:
            results_lost_at = self._next_move()
            self._hold(owner, -held)
        if self._shares.of(owner):
            self._losses[owner] = lost_at, results_lost_at
            self._rows[_OWNER + owner] = _TWO.pack(lost_at, results_lost_at)
        elif self._losses.pop(owner, None):
            self._rows[_OWNER + owner] = None
        self._changed.pop(session, None)
        self._rows.update(dict.fromkeys(forgotten.kept_keys(session)))

    # ---- as rows ----

    @property
    def changed_rows(self) -> int:
        """About how many rows `changes` would tell."""
        return len(self._changed) + len(self._rows)

    def changes(self) -> Changes:
        """The rows that changed since the last time."""
        rows, self._rows = self._rows, {}
        for session in self._changed:
            rows.update(self._sessions[session].rows(session))
        self._changed.clear()
        put = [(key, content) for key, content in rows.items() if content is not None]
        return Changes(put, [key for key, content in rows.items() if content is None])

    def totals(self) -> tuple[int, int, int]:
        """What stands beside the rows, so that a row that is missing is seen: sessions, results, and moves so far."""
        return len(self._sessions), self.results, self._moves

    def restore(self, rows: Iterable[tuple[bytes, bytes]], totals: tuple[int, int, int]) -> None:
        """Become the table that these rows are."""
        heads: list[tuple[SessionId, bytes]] = []
        blocks: dict[SessionId, list[bytes]] = {}
        said: dict[SessionId, dict[int, bytes]] = {}
        for key, content in sorted(rows):
            kind, name = key[:1], key[1:]
            if kind == _SESSION:
                heads.append((name, content))
            elif kind == _BLOCK:
                blocks.setdefault(name[: -_NUMBER.size], []).append(content)
            elif kind == _SAID:
                said.setdefault(name[: -_NUMBER.size], {})[_NUMBER.unpack(name[-_NUMBER.size :])[0]] = content
            elif kind == _OWNER:
                self._losses[name] = _TWO.unpack(content)
        for session, content in heads:
            self._sessions[session] = OpenedSession.of_rows(content, blocks.get(session, ()), said.get(session, {}))
        self._moves = totals[2]
        self._count_shares()
        require(self.totals() == totals, f"the kept sessions and results are {self.totals()} and not {totals}")

    def _count_shares(self) -> None:
        """Who owns and holds how much, in the order in which that came about: see `Shares` and `Holdings`."""
        in_use = sorted(self._sessions.items(), key=lambda item: item[1].used_at)
        owned: dict[Owner, list[SessionId]] = {}
        moved, changed, held = dict[Owner, int](), dict[Owner, int](), dict[Owner, int]()
        for session, known in in_use:
            owner = known.owner
            lost_at, results_lost_at = self._losses.get(owner, (0, 0))
            owned.setdefault(owner, []).append(session)
            moved[owner] = max(lost_at, known.used_at)
            changed[owner] = max(results_lost_at, changed.get(owner, 0), known.held_at)
            held[owner] = held.get(owner, 0) + known.held
        for owner in sorted(owned, key=moved.__getitem__):
            for session in owned[owner]:
                self._shares.use(owner, session)
        for owner in sorted(owned, key=changed.__getitem__):
            if held[owner]:
                self._hold(owner, held[owner])
