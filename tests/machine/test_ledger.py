"""The ledger applies each command exactly once, in order, and every learner makes the same of the same log."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from paxosd.client.outbox import WINDOW_COMMANDS_MAX
from paxosd.core.agent import InvariantBroken
from paxosd.core.history import ROW_BYTES
from paxosd.core.records import Learned
from paxosd.core.types import Entry, Outcome, SessionId, Slot, Wish
from paxosd.core.values import OLD_OPENING, Batch, encode_body, encode_value, old_session
from paxosd.machine import sessions
from paxosd.machine.entries import ENTRIES_PER_PAGE_MAX
from paxosd.machine.ledger import REPEATED_RESULTS_MAX, Ledger
from paxosd.machine.log import Log
from paxosd.storage.memory import MemoryStore
from tests.core.counting import operations
from tests.core.helpers import session_id

PAGE_BYTES = 1 << 20


class Learner:
    """A ledger with its history, and the verbs of these tests."""

    def __init__(self, sessions_max: int = 100) -> None:
        self.store = MemoryStore()
        self.ledger = Ledger(self.store, {"log": Log()}, sessions_max, PAGE_BYTES)
        self._stamp = 0
        self._wishes = 0

    def learn(self, *batches: Batch) -> list[Outcome]:
        """The next slot holds these batches."""
        self._stamp += 1000
        return self.learn_value(encode_value(self._stamp, batches))

    def learn_value(self, value: bytes) -> list[Outcome]:
        slot = self.ledger.next_slot
        self.store.commit([Learned(slot, value)])
        return self.ledger.apply(slot, value)

    def open_session(self, owner: bytes = b"") -> SessionId:
        self._wishes += 1
        wish = session_id(1000 + self._wishes)
        (outcome,) = self.learn(opening(wish, owner))
        assert (outcome.kind, outcome.wish) == ("opened", wish)
        return outcome.session

    def stored(self, session: SessionId, first_seq: int, count: int) -> list[Outcome] | None:
        found = self.ledger.stored(session, first_seq, count)
        return None if found is None else list(found)

    def log(self, start: int = 1, bytes_max: int = PAGE_BYTES) -> list[Entry]:
        """All entries from `start` on, page by page, as a client reads them."""
        found: list[Entry] = []
        while page := self.ledger.entries(start, bytes_max):
            found += page
            start = page[-1].revision + 1
        return found

    def values(self) -> list[bytes]:
        return [entry.value for entry in self.log()]


@pytest.fixture
def learner() -> Learner:
    return Learner()


def batch(session: SessionId, first_seq: int, *commands: bytes, acknowledged: int = 1) -> Batch:
    return Batch(session, acknowledged, first_seq, len(commands), encode_body(commands))


def opening(wish: Wish, owner: bytes = b"") -> Batch:
    return Batch(wish, 0, 0, 1, owner)


def withdrawal(session: SessionId, first_seq: int, count: int) -> Batch:
    return Batch(session, 1, first_seq, count, b"")


def applied(session: SessionId, first_seq: int, count: int, revision: int, slot: Slot) -> Outcome:
    return Outcome("applied", session, first_seq, count, revision, slot)


def numbered(first: int, stop: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, stop)]


# ---- applying ----


def test_revisions_count_applied_commands_and_nothing_else(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"a", b"b"))
    learner.learn()
    learner.learn(batch(session, 3, b"c"))

    assert learner.log() == [Entry(1, 2, b"a"), Entry(2, 2, b"b"), Entry(3, 4, b"c")]
    assert (learner.ledger.revision, learner.ledger.next_slot, learner.ledger.noops) == (3, 5, 1)


def test_a_slot_that_is_not_the_next_one_is_a_broken_invariant(learner: Learner) -> None:
    for slot in (0, 2):
        with pytest.raises(InvariantBroken):
            learner.ledger.apply(slot, encode_value(1))


def test_several_batches_of_several_sessions_share_a_slot(learner: Learner) -> None:
    first, second = learner.open_session(), learner.open_session()
    outcomes = learner.learn(batch(first, 1, b"a"), batch(second, 1, b"b", b"c"), batch(first, 2, b"d"))

    assert outcomes == [applied(first, 1, 1, 1, 3), applied(second, 1, 2, 2, 3), applied(first, 2, 1, 4, 3)]
    assert learner.values() == [b"a", b"b", b"c", b"d"]


def test_log_time_is_the_latest_stamp_and_never_goes_back(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn_value(encode_value(9000, [batch(session, 1, b"a")]))
    learner.learn_value(encode_value(4000, [batch(session, 2, b"b")]))

    assert learner.ledger.log_time_ms == 9000


# ---- exactly once ----


def test_l01_a_repetition_gets_the_stored_result_and_changes_nothing(learner: Learner) -> None:
    session = learner.open_session()
    first = learner.learn(batch(session, 1, b"a", b"b"))
    again = learner.learn(batch(session, 1, b"a", b"b"))

    assert again == first == [applied(session, 1, 2, 1, 2)]
    assert learner.values() == [b"a", b"b"]


def test_l01_a_repetition_within_one_value_is_applied_once(learner: Learner) -> None:
    session = learner.open_session()
    outcomes = learner.learn(batch(session, 1, b"a"), batch(session, 1, b"a"))

    assert outcomes == [applied(session, 1, 1, 1, 2)] * 2
    assert learner.values() == [b"a"]


def test_a_repetition_that_says_something_else_gets_the_first_result(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"a"))

    assert learner.learn(batch(session, 1, b"other")) == [applied(session, 1, 1, 1, 2)]
    assert learner.values() == [b"a"]


def test_an_overlap_applies_only_what_is_new(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"1", b"2", b"3"))
    outcomes = learner.learn(batch(session, 2, b"2", b"3", b"4", b"5"))

    assert outcomes == [applied(session, 2, 2, 2, 2), applied(session, 4, 2, 4, 3)]
    assert learner.values() == numbered(1, 6)


def test_a_repetition_over_several_slots_gets_each_piece_of_the_result(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"1", b"2"))
    learner.learn(withdrawal(session, 3, 1))
    learner.learn(batch(session, 4, b"4", b"5"))

    assert learner.learn(batch(session, 2, *numbered(2, 5))) == [
        applied(session, 2, 1, 2, 2),
        applied(session, 3, 1, 0, 3),
        applied(session, 4, 1, 3, 4),
    ]


def test_l04_a_number_that_skips_one_is_refused_with_the_one_expected(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"1"))
    (gap,) = learner.learn(batch(session, 3, b"3"))
    late = learner.learn(batch(session, 2, b"2"), batch(session, 3, b"3"))

    assert (gap.kind, gap.first_seq, gap.count, gap.expected) == ("gap", 3, 1, 2)
    assert late == [applied(session, 2, 1, 2, 4), applied(session, 3, 1, 3, 4)]
    assert learner.values() == numbered(1, 4)


def test_withdrawn_commands_use_up_their_numbers_and_no_revision(learner: Learner) -> None:
    session = learner.open_session()
    withdrawn = learner.learn(withdrawal(session, 1, 2))
    late = learner.learn(batch(session, 1, b"1", b"2"))
    learner.learn(batch(session, 3, b"3"))

    assert withdrawn == late == [applied(session, 1, 2, 0, 2)]
    assert learner.log() == [Entry(1, 4, b"3")]


def test_a_withdrawal_that_comes_too_late_tells_what_was_applied(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"1", b"2"))
    outcomes = learner.learn(withdrawal(session, 1, 3))

    assert outcomes == [applied(session, 1, 2, 1, 2), applied(session, 3, 1, 0, 3)]
    assert learner.values() == [b"1", b"2"]


def test_acknowledged_results_are_let_go_and_others_kept(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"1"))
    learner.learn(batch(session, 2, b"2"))
    learner.learn(batch(session, 3, b"3", acknowledged=2))

    assert learner.stored(session, 1, 1) == []
    assert learner.stored(session, 2, 2) == [
        applied(session, 2, 1, 2, 3),
        applied(session, 3, 1, 3, 4),
    ]


def test_stored_tells_nothing_until_all_of_the_commands_are_applied(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"1", b"2"))

    assert learner.stored(session, 1, 3) is None
    assert learner.stored(session, 2, 1) == [applied(session, 2, 1, 2, 2)]
    assert learner.stored(session_id(1), 1, 1) is None


# ---- sessions ----


def test_the_id_of_a_session_is_made_of_what_its_client_drew_and_of_the_slot(learner: Learner) -> None:
    wish, other = session_id(7), session_id(8)
    told = [outcome for _ in range(2) for outcome in learner.learn(opening(wish), opening(other), opening(wish))]
    ids = [outcome.session for outcome in told]

    assert [outcome.wish for outcome in told] == [wish, other, wish] * 2
    assert ids[0] == ids[2] != ids[1]
    assert len(set(ids)) == 4
    assert learner.ledger.sessions == 4
    assert ids[0] == bytes.fromhex("8a160611d673109535964e380e213678")
    assert [learner.ledger.next_seq(session) for session in (ids[0], wish)] == [1, 0]


def test_the_next_number_of_a_session_follows_what_is_applied(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"1", b"2"), batch(session, 9, b"gap"), withdrawal(session, 3, 2))

    assert learner.ledger.next_seq(session) == 5


def test_l01_a_session_that_was_forgotten_does_not_come_back_with_a_late_copy_of_its_opening() -> None:
    learner = Learner(sessions_max=1)
    (opened,) = learner.learn(opening(session_id(7)))
    learner.learn(batch(opened.session, 1, b"1", b"2"))
    learner.open_session()
    learner.learn(opening(session_id(7)))
    told = learner.learn(batch(opened.session, 1, b"1", b"2"), batch(opened.session, 3, b"3"))

    assert [outcome.kind for outcome in told] == ["unknown"] * 2
    assert learner.values() == [b"1", b"2"]


def test_a_session_that_was_never_opened_is_unknown(learner: Learner) -> None:
    (outcome,) = learner.learn(batch(session_id(5), 1, b"a"))

    assert (outcome.kind, outcome.session, outcome.first_seq, outcome.count) == ("unknown", session_id(5), 1, 1)
    assert learner.values() == []


def test_the_longest_unused_session_is_forgotten_at_the_limit() -> None:
    learner = Learner(sessions_max=2)
    used, unused = learner.open_session(), learner.open_session()
    learner.learn(batch(used, 1, b"a"))
    learner.open_session()
    (refused,) = learner.learn(batch(unused, 1, b"x"))

    assert learner.ledger.sessions == 2
    assert (refused.kind, refused.session) == ("unknown", unused)
    assert learner.learn(batch(used, 1, b"a")) == [applied(used, 1, 1, 1, 3)]
    assert learner.values() == [b"a"]


def test_any_batch_of_a_session_counts_as_use() -> None:
    learner = Learner(sessions_max=2)
    used, unused = learner.open_session(), learner.open_session()
    learner.learn(batch(used, 5, b"gap"))
    learner.open_session()

    assert learner.ledger.knows(used)
    assert not learner.ledger.knows(unused)


def test_a_session_that_acknowledges_nothing_is_forgotten_when_its_results_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "RESULTS_PER_SESSION_MAX", 3)
    learner = Learner()
    careless, careful = learner.open_session(), learner.open_session()
    for seq in range(1, 10):
        learner.learn(batch(careful, seq, b"%d" % seq, acknowledged=max(1, seq - 2)))
    for seq in range(1, 5):
        (told,) = learner.learn(batch(careless, seq, b"x"))
        assert told.kind == "applied"
    (refused,) = learner.learn(batch(careless, 4, b"x"))

    assert (refused.kind, learner.ledger.knows(careless), learner.ledger.knows(careful)) == ("unknown", False, True)
    assert learner.ledger.results == 3
    assert learner.values() == [*numbered(1, 10), *[b"x"] * 4]


def test_when_all_sessions_together_hold_too_many_results_the_longest_unused_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "RESULTS_MAX", 4)
    learner = Learner()
    opened: list[SessionId] = []
    for _ in range(4):
        opened.append(learner.open_session())
        for seq in (1, 2):
            learner.learn(batch(opened[-1], seq, b"x"))

    assert [learner.ledger.knows(session) for session in opened] == [False, False, True, True]
    assert learner.ledger.results == 4
    learner.learn(batch(opened[2], 3, b"x", acknowledged=3))
    assert learner.ledger.results == 3


def test_who_opens_too_many_sessions_loses_its_own_and_nobody_elses() -> None:
    learner = Learner(sessions_max=4)
    modest = [learner.open_session(owner=owner) for owner in (b"one", b"two")]
    greedy = [learner.open_session(owner=b"greedy") for _ in range(9)]

    assert [session for session in modest if learner.ledger.knows(session)] == modest
    assert [session for session in greedy if learner.ledger.knows(session)] == greedy[-2:]
    assert learner.ledger.sessions == 4


def test_the_greedy_owner_loses_the_session_that_it_used_the_longest_ago() -> None:
    learner = Learner(sessions_max=4)
    used, unused, _ = (learner.open_session(owner=b"greedy") for _ in range(3))
    learner.open_session(owner=b"modest")
    learner.learn(batch(used, 1, b"a"))
    learner.open_session(owner=b"third")

    assert (learner.ledger.knows(used), learner.ledger.knows(unused)) == (True, False)


def test_of_owners_that_have_equally_many_the_longest_unused_one_loses() -> None:
    learner = Learner(sessions_max=3)
    first, second, third = (learner.open_session(owner=owner) for owner in (b"one", b"two", b"three"))
    learner.learn(batch(first, 1, b"a"))
    learner.open_session(owner=b"four")

    assert [learner.ledger.knows(session) for session in (first, second, third)] == [True, False, True]


def test_who_holds_too_many_results_loses_its_own_sessions_and_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "RESULTS_MAX", 8)
    learner = Learner()
    modest = [learner.open_session(owner=b"%d" % number) for number in range(4)]
    for session in modest:
        learner.learn(batch(session, 1, b"x"))
    greedy = [learner.open_session(owner=b"greedy") for _ in range(3)]
    for session in greedy:
        for seq in (1, 2):
            learner.learn(batch(session, seq, b"y"))

    assert all(learner.ledger.knows(session) for session in modest)
    assert [learner.ledger.knows(session) for session in greedy] == [False, True, True]
    assert learner.ledger.results == 8


def test_what_is_held_of_owners_goes_with_their_sessions() -> None:
    learner = Learner(sessions_max=2)
    for number in range(50):
        session = learner.open_session(owner=b"%d" % number)
        learner.learn(batch(session, 1, b"x"))
    held = learner.ledger._sessions

    assert (len(held._shares._keys), len(held._held._held), held.results) == (2, 2, 2)


def test_a_long_tag_counts_in_its_first_bytes_only() -> None:
    learner = Learner(sessions_max=2)
    long = [learner.open_session(owner=b"12345678" + b"%d" % number) for number in range(2)]
    other = learner.open_session(owner=b"other")

    assert [learner.ledger.knows(session) for session in (*long, other)] == [False, True, True]


def test_opening_and_forgetting_cost_the_same_however_many_sessions_there_are() -> None:
    def one_more(sessions: int) -> int:
        learner = Learner(sessions_max=sessions)
        for number in range(sessions):
            learner.open_session(owner=b"%d" % (number // 2))
        value = encode_value(1, [opening(session_id(7), b"new")])
        return operations(lambda: learner.ledger.apply(learner.ledger.next_slot, value))

    assert one_more(2000) == one_more(20)


def test_a_repetition_costs_no_more_the_more_results_its_session_holds() -> None:
    def repeat(results: int) -> tuple[int, int]:
        learner = Learner()
        session = learner.open_session()
        for seq in range(1, results + 1):
            learner.learn(batch(session, seq, b"x"))
        value = encode_value(1, [withdrawal(session, 1, results)])
        told = [Outcome("gap", session_id(0), 0, 0)]
        steps = operations(lambda: told.extend(learner.ledger.apply(learner.ledger.next_slot, value)))
        return len(told) - 1, steps // 100

    few, many = REPEATED_RESULTS_MAX, 8 * REPEATED_RESULTS_MAX
    assert repeat(few)[0] == repeat(many)[0] == REPEATED_RESULTS_MAX
    assert repeat(many)[1] <= repeat(few)[1] + 1


def test_the_results_that_a_repetition_was_not_told_can_be_asked_for(learner: Learner) -> None:
    session, many = learner.open_session(), REPEATED_RESULTS_MAX + 2
    for seq in range(1, many + 1):
        learner.learn(batch(session, seq, b"x"))

    found = learner.stored(session, REPEATED_RESULTS_MAX, 3)
    assert found == [applied(session, seq, 1, seq, seq + 1) for seq in range(many - 2, many + 1)]


def test_no_client_of_ours_has_so_many_results_to_acknowledge() -> None:
    assert sessions.RESULTS_PER_SESSION_MAX >= 4 * WINDOW_COMMANDS_MAX


# ---- logs of version 0.2.0 ----


def old_value(*batches: Batch) -> bytes:
    """A value of kind 0, as that version made it: sessions are numbers."""
    parts = [bytes(7) + b"\x01"]
    for one in batches:
        numbers = (one.acknowledged, one.first_seq)
        parts.append(one.session[8:] + b"".join(number.to_bytes(8, "big") for number in numbers))
        parts.append(one.count.to_bytes(4, "big") + len(one.body).to_bytes(4, "big") + one.body)
    return b"".join(parts)


def test_an_old_log_means_what_it_meant_and_goes_on_with_sessions_of_today() -> None:
    learner = Learner(sessions_max=2)
    told = [learner.learn_value(old_value(Batch(OLD_OPENING, 0, nonce, 1, b"me"))) for nonce in (7, 7, 8)]
    assert [(one.kind, one.session, one.wish) for (one,) in told] == [
        ("opened", old_session(number), OLD_OPENING) for number in (1, 2, 3)
    ]
    learner.learn_value(old_value(batch(old_session(1), 1, b"forgotten"), batch(old_session(2), 1, b"a", b"b")))
    learner.learn_value(old_value(batch(old_session(2), 2, b"b", b"c"), batch(old_session(2), 9, b"gap")))
    new = learner.open_session()
    learner.learn(batch(new, 1, b"d"))

    assert learner.values() == [b"a", b"b", b"c", b"d"]
    assert [learner.ledger.knows(session) for session in (old_session(2), old_session(3), new)] == [True, False, True]


def test_nobody_opens_an_old_session_today(learner: Learner) -> None:
    learner.learn_value(old_value(Batch(OLD_OPENING, 0, 1, 1, b"")))
    (told,) = learner.learn(opening(old_session(2)))

    assert told.kind == "unknown"
    assert not learner.ledger.knows(old_session(2))


def test_a_decree_is_nothing_for_a_ledger(learner: Learner) -> None:
    session = learner.open_session()

    assert learner.learn_value(b"\x02" + bytes(7) + b"whatever it says") == []
    assert learner.learn(batch(session, 1, b"a")) == [applied(session, 1, 1, 1, 3)]


# ---- what cannot be read ----


@pytest.mark.parametrize("value", [b"", b"1234567", encode_value(1) + b"half a batch"], ids=["empty", "short", "torn"])
def test_a_value_that_cannot_be_read_is_a_no_op(learner: Learner, value: bytes) -> None:
    session = learner.open_session()

    assert learner.learn_value(value) == []
    assert learner.learn(batch(session, 1, b"a")) == [applied(session, 1, 1, 1, 3)]
    assert learner.log() == [Entry(1, 3, b"a")]


def test_a_body_that_cannot_be_read_counts_as_withdrawn(learner: Learner) -> None:
    session = learner.open_session()
    outcomes = learner.learn(Batch(session, 1, 1, 2, b"not two commands"), batch(session, 3, b"c"))

    assert outcomes == [applied(session, 1, 2, 0, 2), applied(session, 3, 1, 1, 2)]
    assert learner.log() == [Entry(1, 2, b"c")]


@pytest.mark.parametrize("count", [0, 2**32 - 1])
def test_odd_counts_do_no_harm(learner: Learner, count: int) -> None:
    session = learner.open_session()
    learner.learn(Batch(session, 1, 1, count, b""), Batch(session, 1, 1, count, b"x"))
    learner.learn(Batch(session_id(1), 0, 0, count, b"x"))
    learner.learn(batch(session, count + 1, b"a"))

    assert learner.log() == [Entry(1, 4, b"a")]


# ---- reading ----


def slots_of(learner: Learner, session: SessionId, sizes: Iterable[int]) -> None:
    first_seq = 1
    for size in sizes:
        learner.learn(batch(session, first_seq, *numbered(first_seq, first_seq + size)))
        first_seq += size


def test_a_page_starts_in_the_middle_of_a_slot(learner: Learner) -> None:
    slots_of(learner, learner.open_session(), [3, 4, 5])

    for start in range(1, 13):
        assert learner.ledger.entries(start, PAGE_BYTES)[0].revision == start
        assert [entry.value for entry in learner.log(start)] == numbered(start, 13)


def test_pages_of_any_size_make_up_the_whole_log(learner: Learner) -> None:
    slots_of(learner, learner.open_session(), [1, 7, 2, 1, 30])

    whole = learner.log()
    assert [entry.value for entry in whole] == numbered(1, 42)
    for bytes_max in (1, ROW_BYTES, 3 * ROW_BYTES, 500):
        assert learner.log(1, bytes_max) == whole


def test_a_page_holds_no_more_entries_than_a_frame_takes(learner: Learner) -> None:
    session = learner.open_session()
    slots_of(learner, session, [ENTRIES_PER_PAGE_MAX + 5, 3])

    assert len(learner.ledger.entries(1, PAGE_BYTES)) == ENTRIES_PER_PAGE_MAX
    assert learner.values() == numbered(1, ENTRIES_PER_PAGE_MAX + 9)


def test_a_page_before_the_first_revision_starts_at_the_first(learner: Learner) -> None:
    slots_of(learner, learner.open_session(), [2, 2])

    assert learner.ledger.entries(0, PAGE_BYTES) == learner.ledger.entries(1, PAGE_BYTES) != ()


def test_a_page_after_the_last_revision_is_empty(learner: Learner) -> None:
    assert learner.ledger.entries(1, PAGE_BYTES) == ()
    slots_of(learner, learner.open_session(), [2])

    assert learner.ledger.entries(3, PAGE_BYTES) == ()


def test_entries_leave_out_repetitions_gaps_and_unknown_sessions(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"1", b"2"), batch(session, 1, b"1", b"2"), batch(session, 9, b"gap"))
    learner.learn(batch(session_id(99), 1, b"unknown"), batch(session, 2, b"2", b"3"), withdrawal(session, 4, 1))
    learner.learn(batch(session, 1, b"1"))
    learner.learn(batch(session, 5, b"5"))

    assert learner.log() == [Entry(1, 2, b"1"), Entry(2, 2, b"2"), Entry(3, 3, b"3"), Entry(4, 5, b"5")]


def test_a_page_tells_how_much_was_read_for_it_also_where_nothing_was_applied(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"a"))
    short = learner.ledger.page(1, PAGE_BYTES)
    for _ in range(10):
        learner.learn(batch(session, 1, b"a"), batch(session_id(99), 1, b"unknown"))
    long = learner.ledger.page(1, PAGE_BYTES)

    assert short.entries == long.entries != ()
    assert (short.slots_read, long.slots_read) == (1, 11)
    assert long.bytes_read > short.bytes_read > 0
    assert learner.ledger.page(2, PAGE_BYTES) == ((), 0, 0, 2)


def test_slots_in_which_nothing_was_applied_are_not_remembered(learner: Learner) -> None:
    session = learner.open_session()
    learner.learn(batch(session, 1, b"a"), batch(session, 1, b"a"))
    for _ in range(10):
        learner.learn(batch(session, 1, b"a"), batch(session_id(99), 1, b"unknown"))

    assert learner.values() == [b"a"]
    assert [row.slot for row in learner.ledger.keep().revisions] == [2]
