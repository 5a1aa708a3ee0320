"""A ledger that was kept and restored, at whatever slot and however often, is the one that never stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paxosd.core.agent import InvariantBroken
from paxosd.core.records import Kept, KeptKey, Learned
from paxosd.core.types import Outcome, SessionId
from paxosd.core.values import DIGESTS, Batch, encode_body, encode_value
from paxosd.machine import sessions
from paxosd.machine.ledger import LEDGER, TOTALS_KEY, Ledger, opened_session
from paxosd.machine.log import Log
from paxosd.machine.sessions import BLOCK_RUNS
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import session_id

SESSIONS_MAX = 3
PAGE_BYTES = 1 << 20


class Node:
    """A learner's disk, and the ledger of this life."""

    def __init__(self, sessions_max: int = SESSIONS_MAX) -> None:
        self.store = MemoryStore()
        self._sessions_max = sessions_max
        self.ledger = Ledger(self.store, {"log": Log()}, sessions_max, PAGE_BYTES)
        self.ledger.restore()

    def learn(self, *batches: Batch) -> list[Outcome]:
        slot = self.ledger.next_slot
        value = encode_value(1000 * slot, batches)
        self.store.commit([Learned(slot, value)])
        return self.ledger.apply(slot, value)

    def keep(self) -> Kept:
        kept = self.ledger.keep()
        self.store.commit([kept])
        return kept

    def restart(self) -> None:
        """A new life: what was kept, and the rest of the log above it."""
        stop = self.ledger.next_slot
        self.ledger = Ledger(self.store, {"log": Log()}, self._sessions_max, PAGE_BYTES)
        self.ledger.restore()
        for slot, value in self.store.learned(self.ledger.next_slot, stop, 1 << 30):
            self.ledger.apply(slot, value)

    def open_session(self, owner: bytes = b"") -> SessionId:
        (outcome,) = self.learn(Batch(session_id(7), 0, 0, 1, owner))
        return outcome.session


def command(session: SessionId, seq: int, text: bytes = b"x", acknowledged: int = 1) -> Batch:
    return Batch(session, acknowledged, seq, 1, encode_body([text]))


def state(ledger: Ledger) -> list[Any]:
    """All of it that anybody can see, or that decides later."""
    table = ledger._sessions
    return [
        (ledger.revision, ledger.next_slot, ledger.log_time_ms, ledger.noops, ledger.results, ledger.state_digest()),
        ledger.entries(1, PAGE_BYTES),
        {name: (known.last_seq, list(known.runs), known.owner) for name, known in table._sessions.items()},
        {owner: list(keys) for owner, keys in table._shares._keys.items()},
        order(table._shares._holdings),
        order(table._held),
    ]


def order(holdings: Any) -> dict[int, list[bytes]]:
    return {level: list(owners) for level, owners in holdings._levels.items()}


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    commands = draw(st.lists(st.binary(max_size=2), max_size=4))
    body = encode_body(commands) if draw(st.integers(0, 4)) else b""
    owner = draw(st.sampled_from([b"", b"me", b"you", b"him"]))
    if not draw(st.integers(0, 6)):
        return Batch(session_id(draw(st.integers(4, 5))), 0, 0, 1, owner)
    first_seq = draw(st.sampled_from([1, 1, 2, 3, 4, 5, 6]))
    return Batch(draw(st.sampled_from(KNOWN)), draw(st.integers(0, 6)), first_seq, len(commands), body)


OPENINGS = [Batch(session_id(number), 0, 0, 1, owner) for number, owner in enumerate([b"me", b"me", b"you"], 1)]
KNOWN = [opened_session(opening.session, slot) for slot, opening in enumerate(OPENINGS, 1)]
KNOWN += [opened_session(session_id(number), slot) for number in (4, 5) for slot in (4, 5, 6, 7)]
"""Sessions that are opened, some of them perhaps."""


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Bounds so low that sessions are forgotten, and blocks so small that results need several."""
    for name, value in {"RESULTS_MAX": 5, "RESULTS_PER_SESSION_MAX": 4, "BLOCK_RUNS": 2}.items():
        monkeypatch.setattr(sessions, name, value)
    yield


steps = st.lists(st.tuples(st.lists(batches(), max_size=4), st.sampled_from(["", "", "keep", "restart", "both"])))


@settings(
    derandomize=True, deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps)
def test_any_log_with_any_restarts_gives_what_it_gives_without_them(
    tight: None, steps: list[tuple[list[Batch], str]]
) -> None:
    steady, other = Node(), Node()
    for held, event in [*(([opening], "") for opening in OPENINGS), *steps]:
        assert other.learn(*held) == steady.learn(*held)
        if event in ("keep", "both"):
            other.keep()
        if event in ("restart", "both"):
            other.restart()
            assert state(other.ledger) == state(steady.ledger)
    other.keep()
    other.restart()

    assert state(other.ledger) == state(steady.ledger)


def test_a_life_that_starts_applies_only_what_is_above_the_kept_slot() -> None:
    node = Node()
    session = node.open_session()
    for seq in range(1, 101):
        node.learn(command(session, seq))
    node.keep()
    ledger = Ledger(node.store, {"log": Log()}, SESSIONS_MAX, PAGE_BYTES)

    assert ledger.restore() == 100
    assert (ledger.next_slot, ledger.digest()) == (102, node.ledger.digest())


def test_a_result_is_told_again_by_a_life_that_never_applied_its_command() -> None:
    node = Node()
    session = node.open_session()
    told = node.learn(command(session, 1))
    node.keep()
    node.restart()

    assert list(node.ledger.stored(session, 1, 1) or ()) == told
    assert node.learn(command(session, 1)) == told


def test_what_did_not_change_is_not_written_again() -> None:
    node = Node(sessions_max=100)
    opened = [node.open_session() for _ in range(50)]
    first = node.keep()
    node.learn(command(opened[7], 1))
    second = node.keep()

    assert len(first.put) == 50 + 1  # and the totals
    assert len(second.put) == 3  # the session, the totals, and the machine
    assert [row.first for row in second.revisions] == [1]


def test_a_session_that_does_not_acknowledge_writes_each_result_about_once() -> None:
    node = Node()
    session = node.open_session()
    written = 0
    for seq in range(1, 20 * BLOCK_RUNS + 1):
        node.learn(command(session, seq))
        if seq % 32 == 0:
            written += sum(len(row.content) for row in node.keep().put)

    assert written < 3 * 20 * BLOCK_RUNS * 28
    node.restart()
    assert len(list(node.ledger.stored(session, 1, 20 * BLOCK_RUNS) or ())) == 20 * BLOCK_RUNS


def test_rows_of_what_is_acknowledged_or_forgotten_go() -> None:
    node = Node(sessions_max=1)
    session = node.open_session()
    for seq in range(1, 3 * BLOCK_RUNS + 1):
        node.learn(command(session, seq))
    node.keep()
    assert len(list(node.store.kept_rows(LEDGER))) == 5
    node.learn(command(session, 3 * BLOCK_RUNS + 1, acknowledged=3 * BLOCK_RUNS + 1))
    node.keep()
    assert len(list(node.store.kept_rows(LEDGER))) == 2
    node.open_session(b"another")
    node.keep()

    assert len(list(node.store.kept_rows(LEDGER))) == 2
    node.restart()
    assert not node.ledger.knows(session)


def test_nothing_of_the_index_stays_in_memory_once_it_is_kept() -> None:
    node = Node()
    session = node.open_session()
    for seq in range(1, 500):
        node.learn(command(session, seq))
    node.keep()

    assert node.ledger._revisions._fresh == []
    assert node.ledger.entries(250, 2000)[0].revision == 250
    assert len(node.ledger.entries(1, PAGE_BYTES)) == 499


def test_a_page_goes_from_what_is_kept_to_what_is_not() -> None:
    node = Node()
    session = node.open_session()
    for seq in range(1, 11):
        node.learn(command(session, seq, b"%d" % seq))
        if seq == 5:
            node.keep()

    assert [entry.value for entry in node.ledger.entries(1, PAGE_BYTES)] == [b"%d" % seq for seq in range(1, 11)]
    assert [entry.value for entry in node.ledger.entries(8, PAGE_BYTES)] == [b"8", b"9", b"10"]


@pytest.mark.parametrize("what", ["session", "totals", "block"])
def test_kept_state_of_which_a_row_is_missing_is_refused(what: str) -> None:
    node = Node()
    session = node.open_session()
    for seq in range(1, 2 * BLOCK_RUNS):
        node.learn(command(session, seq))
    kept = node.keep()
    first = {"session": b"s", "totals": TOTALS_KEY, "block": b"r"}[what]
    key = next(row.key for row in kept.put if row.owner == LEDGER and row.key[:1] == first)
    node.store.commit([Kept(kept.slot, (), (KeptKey(LEDGER, key),))])

    with pytest.raises(InvariantBroken):
        node.restart()


def test_the_digest_of_the_state_tells_of_more_than_the_machine() -> None:
    one, other = Node(), Node()
    for node in (one, other):
        session = node.open_session()
        node.learn(command(session, 1))
    assert one.ledger.state_digest() == other.ledger.state_digest()
    one.learn(command(session, 1))
    other.learn()

    assert one.ledger.digest() == other.ledger.digest()
    assert one.ledger.state_digest() != other.ledger.state_digest()


def test_a_digest_in_the_log_changes_nothing_and_is_handed_on() -> None:
    node = Node()
    session = node.open_session()
    told = node.learn(Batch(DIGESTS, 4096, 2, 1, b"a digest of them"), command(session, 1))

    assert told[0] == Outcome("digest", DIGESTS, 2, 1, slot=2, expected=4096, wish=b"a digest of them")
    assert [entry.value for entry in node.ledger.entries(1, PAGE_BYTES)] == [b"x"]
