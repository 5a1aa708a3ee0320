"""Any log at all: the ledger against a model that is too simple to be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.core.records import Learned
from paxosd.core.types import Entry, Outcome, SessionId
from paxosd.core.values import Batch, encode_body, encode_value
from paxosd.machine.ledger import Ledger, opened_session
from paxosd.machine.log import Log
from paxosd.machine.mounts import Mounts
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import session_id

SESSIONS_MAX = 3
PAGE_BYTES = 1 << 20

always_the_same = settings(derandomize=True, deadline=None, max_examples=200)


class Fact(NamedTuple):
    """What became of one command, or of one batch that was refused; `number` is a sequence number."""

    kind: str
    session: SessionId
    number: int
    revision: int = 0
    slot: int = 0
    expected: int = 0


@dataclass
class Known:
    """A session of the model: the result of every command it ever had."""

    owner: bytes
    results: dict[int, tuple[int, int]] = field(default_factory=dict)
    acknowledged: int = 0


class Model:
    """One command at a time, everything remembered, nothing shared."""

    def __init__(self) -> None:
        self.log: list[Entry] = []
        self.sessions: dict[SessionId, Known] = {}  # the longest unused one first
        self.opened: list[SessionId] = []
        self.touched: list[bytes] = []  # owners whose sessions were opened, used or forgotten, the latest last

    def apply(self, slot: int, batch: Batch) -> Iterator[tuple[Fact, bool]]:
        """What becomes of a batch, and whether it must be told: not if the client has it already."""
        if batch.first_seq == 0:
            yield Fact("opened", self._open(opened_session(batch.session, slot), batch.body[:8]), 0), True
        elif batch.session not in self.sessions:
            yield Fact("unknown", batch.session, batch.first_seq), True
        else:
            session = self.sessions[batch.session] = self.sessions.pop(batch.session)
            self.touched.append(session.owner)
            session.acknowledged = max(session.acknowledged, batch.acknowledged)
            expected = len(session.results) + 1
            if batch.first_seq > expected:
                yield Fact("gap", batch.session, batch.first_seq, expected=expected), True
            else:
                yield from self._apply(slot, batch, session)

    def _open(self, session: SessionId, owner: bytes) -> SessionId:
        if session in self.sessions:
            return session
        self.opened.append(session)
        self.sessions[session] = Known(owner)
        self.touched.append(owner)
        if len(self.sessions) > SESSIONS_MAX:
            owners = [known.owner for known in self.sessions.values()]
            last_touched = {owner: at for at, owner in enumerate(self.touched)}
            greediest = max(owners, key=lambda owner: (owners.count(owner), -last_touched[owner]))
            del self.sessions[next(name for name, known in self.sessions.items() if known.owner == greediest)]
            self.touched.append(greediest)
        return session

    def _apply(self, slot: int, batch: Batch, session: Known) -> Iterator[tuple[Fact, bool]]:
        commands = split(batch)
        for number in range(batch.first_seq, batch.first_seq + batch.count):
            if number not in session.results:
                session.results[number] = (0, slot)
                if commands:
                    self.log.append(Entry(len(self.log) + 1, slot, commands[number - batch.first_seq]))
                    session.results[number] = (len(self.log), slot)
            yield Fact("applied", batch.session, number, *session.results[number]), number >= session.acknowledged


def split(batch: Batch) -> list[bytes]:
    """The commands of a batch, taken apart by hand."""
    data, found = batch.body[4 * batch.count :], []
    for index in range(batch.count) if batch.body else ():
        size = int.from_bytes(batch.body[4 * index : 4 * index + 4], "big")
        found.append(data[:size])
        data = data[size:]
    return found


def facts(outcomes: list[Outcome]) -> Iterator[Fact]:
    """The same outcomes, command by command."""
    for outcome in outcomes:
        if outcome.kind == "applied":
            for index in range(outcome.count):
                revision = outcome.revision and outcome.revision + index
                yield Fact("applied", outcome.session, outcome.first_seq + index, revision, outcome.slot)
        else:
            yield Fact(outcome.kind, outcome.session, outcome.first_seq, expected=outcome.expected)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """A batch of one of a few sessions; together they repeat, overlap, skip, and withdraw each other."""
    commands = draw(st.lists(st.binary(max_size=2), max_size=4))
    body = encode_body(commands) if draw(st.integers(0, 4)) else b""
    owner = draw(st.sampled_from([b"", b"", b"me", b"you", b"him"]))
    session = draw(st.sampled_from([ONE] * 4 + [OTHER] * 4 + [THIRD, session_id(4)]))
    first_seq = draw(st.sampled_from([1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 0, 0]))
    if not first_seq:
        return Batch(session_id(draw(st.integers(1, 3))), 0, 0, 1, owner)
    return Batch(session, draw(st.integers(0, 6)), first_seq, len(commands), body)


opening = [Batch(session_id(1), 0, 0, 1, b""), Batch(session_id(2), 0, 0, 1, b"")]
ONE, OTHER = (opened_session(batch.session, 1) for batch in opening)
THIRD = opened_session(session_id(3), 2)
logs = st.lists(st.lists(batches(), max_size=5), min_size=1, max_size=12).map(lambda slots: [opening, *slots])


def replay(log: list[list[Batch]]) -> tuple[Ledger, Model]:
    """Apply a log to both, and compare what is told after every slot."""
    store, model = MemoryStore(), Model()
    ledger = Ledger(store, {"log": Log()}, SESSIONS_MAX, PAGE_BYTES)
    for slot, held in enumerate(log, 1):
        value = encode_value(slot, held)
        store.commit([Learned(slot, value)])
        told = list(facts(ledger.apply(slot, value)))
        for batch in held:
            for fact, must_be_told in model.apply(slot, batch):
                if told and told[0] == fact:
                    del told[0]
                else:
                    assert not must_be_told, f"{fact} was not told in slot {slot}"
        assert told == [], f"told in slot {slot} and not so"
    return ledger, model


@always_the_same
@given(logs, st.integers(1, 400))
def test_any_log_gives_what_the_model_gives_in_pages_of_any_size(log: list[list[Batch]], bytes_max: int) -> None:
    ledger, model = replay(log)
    machine = Log()
    machine.apply(1, [entry.value for entry in model.log], 0)
    read: list[Entry] = []
    while page := ledger.entries(len(read) + 1, bytes_max):
        read += page

    assert read == model.log
    assert ledger.revision == len(model.log)
    assert ledger.digest() == Mounts({"log": machine}).digest()
    assert {session for session in model.opened if ledger.knows(session)} == set(model.sessions)


@always_the_same
@given(logs)
def test_any_log_gives_every_learner_the_same(log: list[list[Batch]]) -> None:
    (one, _), (other, _) = replay(log), replay(log)

    assert one.digest() == other.digest()
    assert one.entries(1, PAGE_BYTES) == other.entries(1, PAGE_BYTES)


@always_the_same
@given(logs)
def test_a_log_that_is_delivered_twice_is_applied_once(log: list[list[Batch]]) -> None:
    without_openings = [[batch for batch in slot if not batch.opens] for slot in log[1:]]
    once, _ = replay([opening, *without_openings])
    one_by_one = [[batch] for slot in without_openings for batch in slot]
    twice, _ = replay([opening, *(slot for slot in one_by_one for _ in range(2))])

    assert [entry.value for entry in twice.entries(1, PAGE_BYTES)] == [
        entry.value for entry in once.entries(1, PAGE_BYTES)
    ]
    assert twice.digest() == once.digest()
