"""Snapshots between learners: asked for, told in parts, put aside, checked, and taken up at once; or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import paxosd.core.helper as helper_module
import paxosd.core.snapshots as snapshots_module
from paxosd.core.agent import Timer
from paxosd.core.learner import Learner
from paxosd.core.membership import Role
from paxosd.core.messages import (
    Chosen,
    Durable,
    Fetch,
    Fetched,
    FetchedVotes,
    FetchSnapshot,
    FetchVotes,
    SnapshotPart,
)
from paxosd.core.options import Limits
from paxosd.core.records import Kept, KeptRow, Record, SnapshotBytes, SnapshotDropped, SnapshotInstalled
from paxosd.core.snapshots import (
    MADE_EVERY_S,
    OFFERED_S,
    PARTS_PER_TURN,
    TRIES_MAX,
    Snapshot,
    Stage,
    Taking,
    is_worth_it,
)
from paxosd.core.types import Ballot, RevisionRow
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import LIMITS, ROLES, TIMING, heartbeat, learned, learner
from tests.core.helpers import Stage as Play

B3 = Ballot(3, "p1")
END = 41
"""The slot of the state that is told."""
SMALL = replace(LIMITS, page_bytes_max=50)
THREE = {**ROLES, "l3": Role.LEARNER}


def state(end: int = END, name: bytes = b"state") -> list[Record]:
    """What a learner recorded that applied every slot below `end`."""
    values = learned(*(b"%d" % slot for slot in range(1, end)))
    rows = (KeptRow("ledger", b"", name), KeptRow("log", b"k", b"%d" % end))
    return [*values, Kept(end, rows, (), tuple(RevisionRow(slot, slot, b"") for slot in range(1, end)))]


def teller(records: list[Record] | None = None, limits: Limits = SMALL) -> Play[Learner]:
    stage = learner("l2", THREE, limits=limits, records=state() if records is None else records)
    stage.set_aside()
    return stage


def asker(records: list[Record] | None = None) -> Play[Learner]:
    """A learner that heard that others cannot tell it what it misses any more."""
    stage = learner("l1", THREE, limits=SMALL, records=records or [])
    stage.deliver("p1", heartbeat(B3, END + 5))
    while not (asked := stage.take(Fetch)):
        stage.wait(0.1)
    stage.set_aside()
    first = asked[-1][1].first
    stage.deliver(asked[-1][0], Fetched(first, (), END + 5, first + 10))
    told_by = asked[-1][0]
    assert isinstance(told_by, str)
    stage.told_by = told_by  # type: ignore[attr-defined]
    return stage


def told_by(stage: Play[Learner]) -> str:
    found: str = stage.told_by  # type: ignore[attr-defined]
    return found


def asks_another(stage: Play[Learner]) -> bool:
    """Whether it asks for the log, and not for a snapshot."""
    return bool(stage.take(Fetch)) | bool(stage.take(FetchVotes))


def exchange(
    asks: Play[Learner],
    tells: Play[Learner],
    change: Callable[[SnapshotPart], SnapshotPart | None] = lambda part: part,
    parts_max: int = 1000,
) -> int:
    """Carry questions and parts between them until nothing is asked any more; how many parts that were. `change` may
    make another part of one, or lose it."""
    told = 0
    while told < parts_max:
        questions = asks.take(FetchSnapshot, told_by(asks))
        if not questions:
            asks.wait(TIMING.retry_s)
            questions = asks.take(FetchSnapshot, told_by(asks))
            if not questions:
                break
        tells.deliver("l1", questions[-1][1])
        for _, part in tells.take(SnapshotPart, "l1"):
            told += 1
            changed = change(part)
            if changed is not None:
                asks.deliver(told_by(asks), changed)
    return told


def kept(disk: MemoryStore) -> object:
    return disk.kept_slot(), dict(disk.kept_rows("ledger")), dict(disk.kept_rows("log")), disk.revisions(1, 1000)


# ---- when one is taken -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("next_slot", "watermark", "floor", "worth"),
    [
        (5, 100, 1, False),
        (5, 100, 5, False),
        (5, 100, 6, True),  # what it needs next is gone
        (5, 100_000, 1, True),  # it misses nearly all that there is
        (5, 60_000, 1, False),
        (1_000_000, 1_100_000, 1, False),  # it has nearly all that a snapshot would bring
        (1_000_000, 1_100_000, 950_000, True),
    ],
)
def test_a_snapshot_is_taken_where_the_log_is_gone_or_more_work(
    next_slot: int, watermark: int, floor: int, worth: bool
) -> None:
    assert is_worth_it(next_slot, watermark, floor) is worth


def test_a_learner_below_what_the_other_can_tell_asks_it_for_a_snapshot() -> None:
    stage = asker()

    stage.expect_sent(told_by(stage), FetchSnapshot(b"", 0, 1), early=True)
    stage.set_aside()


def test_while_a_snapshot_comes_in_nothing_else_is_asked_for() -> None:
    stage = asker()
    for _ in range(3):
        stage.wait(TIMING.retry_s)
        stage.deliver(told_by(stage), SnapshotPart(b"", END, 0, b"", 0, b""))

    assert not asks_another(stage)
    stage.set_aside()


# ---- from beginning to end -------------------------------------------------------------------


def test_a_learner_takes_up_the_state_of_another_and_goes_on_after_it() -> None:
    asks, tells = asker(), teller()
    parts = exchange(asks, tells)

    assert parts > 5
    assert kept(asks.disk) == kept(tells.disk)
    assert asks.agent.next_slot == asks.disk.learned_stop() == END
    assert asks.chosen == []
    asks.set_aside()
    asks.deliver("p1", heartbeat(B3, END + 2), Chosen(END, b"next"))
    asks.expect_chosen((END, b"next"))
    asks.set_aside()


def test_what_was_learned_ahead_is_handed_on_after_it_and_not_what_is_in_it() -> None:
    asks, tells = asker(learned(b"1", b"2")), teller()
    asks.set_aside()
    asks.deliver("p1", Chosen(7, b"7"), Chosen(END, b"next"))
    asks.wait(TIMING.retry_s)
    exchange(asks, tells)

    assert [slot for slot, _ in asks.chosen if slot >= 7] == [END]
    asks.set_aside()


def test_it_is_told_as_durable_only_after_the_commit_that_took_it_up() -> None:
    asks, tells = asker(), teller()
    exchange(asks, tells)
    installed = next(record for record in asks.records if isinstance(record, SnapshotInstalled))
    durable = [sent for sent in asks.sent if isinstance(sent.message, Durable) and sent.message.slot >= END]

    assert installed.slot == END
    assert all(not sent.early for sent in durable)
    asks.set_aside()


def test_what_it_takes_up_is_not_dropped_by_the_timer_that_is_due_in_the_same_turn() -> None:
    asks, tells = asker(), teller()
    go_on = asks.agent._go_on_taking

    def go_on_as_the_timer_comes(now: float) -> None:
        go_on(now)
        asks.agent.on_timer(Timer.SYNC, now)

    asks.agent._go_on_taking = go_on_as_the_timer_comes  # type: ignore[method-assign]
    exchange(asks, tells)

    assert [record for record in asks.records if isinstance(record, SnapshotDropped)] == []
    assert kept(asks.disk) == kept(tells.disk)
    asks.set_aside()


def test_the_driver_is_told_to_read_the_state_anew_in_the_turn_of_that_commit() -> None:
    asks, tells = asker(), teller()
    seen: list[tuple[bool, list[Record]]] = []
    take = asks.agent.take_output

    def watched() -> object:
        output = take()
        seen.append((output.installed, list(output.records)))
        return output

    asks.agent.take_output = watched  # type: ignore[method-assign, assignment]
    exchange(asks, tells)

    assert [any(isinstance(record, SnapshotInstalled) for record in records) for _, records in seen] == [
        installed for installed, _ in seen
    ]
    asks.set_aside()


# ---- parts that are lost, late, repeated, wrong ---------------------------------------------------


def test_a_part_that_is_lost_is_asked_for_again() -> None:
    asks, tells = asker(), teller()
    count = 0

    def lose(part: SnapshotPart) -> SnapshotPart | None:
        nonlocal count
        count += 1
        return None if count % 3 == 0 else part

    exchange(asks, tells, lose)

    assert count > 10
    assert kept(asks.disk) == kept(tells.disk)
    asks.set_aside()


def test_parts_that_were_not_asked_for_or_come_twice_do_no_harm() -> None:
    asks, tells = asker(), teller()
    tells.disk.offer()
    tells.deliver("l1", FetchSnapshot(b"", 0, 1))
    first = tells.take_one(SnapshotPart)
    tells.deliver("l1", FetchSnapshot(first.snapshot, 100, 1))
    later = tells.take_one(SnapshotPart)
    stranger = {"l2": "l3", "l3": "l2"}[told_by(asks)]
    asks.set_aside()
    asks.deliver(stranger, first)
    asks.deliver(told_by(asks), later, first, first, replace(first, offset=len(first.data), data=b""))

    assert [record for record in asks.records if isinstance(record, SnapshotBytes)] == [
        SnapshotBytes(first.snapshot, first.slot, first.size, first.digest, 0, first.data)
    ]
    asks.set_aside()


def test_a_snapshot_with_one_wrong_byte_is_never_taken_up_and_another_learner_is_asked() -> None:
    asks, tells = asker(learned(b"1")), teller()
    before = kept(asks.disk)

    def flip(part: SnapshotPart) -> SnapshotPart:
        return replace(part, data=bytes([part.data[0] ^ 1]) + part.data[1:]) if part.offset == 150 else part

    exchange(asks, tells, flip)

    assert kept(asks.disk) == before
    assert asks.disk.incoming() is None
    assert any(isinstance(record, SnapshotDropped) for record in asks.records)
    assert asks_another(asks)
    asks.set_aside()


def test_a_teller_that_says_nothing_is_left_for_another_one() -> None:
    asks = asker()
    for _ in range(TRIES_MAX + 3):
        asks.wait(TIMING.retry_s)

    assert len(asks.take(FetchSnapshot)) == TRIES_MAX
    assert asks_another(asks)
    asks.set_aside()


def test_a_teller_that_has_nothing_above_is_left_at_once() -> None:
    asks = asker()
    asks.deliver(told_by(asks), SnapshotPart(b"", 1, 0, b"", 0, b""))
    asks.set_aside()
    asks.wait(TIMING.retry_s)

    assert asks.take(FetchSnapshot) == []
    assert asks_another(asks)
    asks.set_aside()


# ---- restarts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(0, 14, 3))
def test_an_asker_that_starts_again_goes_on_where_it_was(after: int) -> None:
    asks, tells = asker(), teller()
    exchange(asks, tells, parts_max=after)
    asks.restart()
    asks.set_aside()
    incoming = asks.disk.incoming()
    received = incoming.received if incoming else 0
    asks.deliver("p1", heartbeat(B3, END + 5))
    while not (asked := asks.take(Fetch)) and asks.agent.next_slot < END:
        asks.wait(0.1)
    if asked:
        target = asked[-1][0]
        assert isinstance(target, str)
        asks.told_by = target  # type: ignore[attr-defined]
        asks.deliver(target, Fetched(asked[-1][1].first, (), END + 5, END))
        (question,) = [message for _, message in asks.take(FetchSnapshot)]
        assert question.offset == received
        tells.deliver("l1", question)
        for _, part in tells.take(SnapshotPart):
            asks.deliver(target, part)
        exchange(asks, tells)

    assert kept(asks.disk) == kept(tells.disk)
    asks.set_aside()


def test_a_newer_snapshot_of_a_teller_that_started_again_takes_the_place_of_the_one_that_came_in() -> None:
    asks, tells = asker(), teller()
    exchange(asks, tells, parts_max=3)
    tells.disk.commit(state(END + 3, b"newer")[END - 1 :])
    tells.restart()
    tells.set_aside()
    exchange(asks, tells)

    assert kept(asks.disk) == kept(tells.disk)
    assert asks.agent.next_slot == END + 3
    asks.set_aside()


def test_a_snapshot_that_the_log_overtook_is_dropped() -> None:
    asks, tells = asker(), teller()
    exchange(asks, tells, parts_max=3)
    asks.deliver("p1", *(Chosen(slot, b"%d" % slot) for slot in range(1, END + 5)))
    asks.wait(3 * TIMING.retry_s)

    assert asks.disk.incoming() is None
    assert asks.agent.next_slot == END + 5
    asks.set_aside()


# ---- the teller ----------------------------------------------------------------------------------


def test_only_learners_are_told() -> None:
    tells = teller()
    tells.deliver("a1", FetchSnapshot(b"", 0, 1))
    tells.deliver("p1", FetchSnapshot(b"", 0, 1))

    tells.expect_silence()
    tells.expect_ignored("fetch by a node that is no learner", times=2)


def test_several_askers_have_one_snapshot_and_their_turns() -> None:
    tells = teller()
    tells.disk.offer()
    questions = {node: FetchSnapshot(b"", 0, 1) for node in ("l1", "l3")}
    for node, question in questions.items():
        tells.agent.receive(node, question, tells.now)
    tells.turn()
    first = tells.take(SnapshotPart)
    tells.wait(0.0)
    second = tells.take(SnapshotPart)

    assert [len(first), len(second)] == [PARTS_PER_TURN, 1]
    assert {node for node, _ in first + second} == {"l1", "l3"}
    assert len({part for _, part in first + second}) == 1


def test_a_snapshot_that_is_not_made_yet_is_awaited_and_begun_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[float] = []
    tells = teller()
    monkeypatch.setattr(tells.disk, "offer", lambda: begun.append(tells.now))
    for _ in range(20):
        tells.deliver("l1", FetchSnapshot(b"", 0, 1))
        tells.wait(MADE_EVERY_S / 10)

    assert {part for _, part in tells.take(SnapshotPart)} == {SnapshotPart(b"", END, 0, b"", 0, b"")}
    assert len(begun) == 2
    tells.set_aside()


def test_a_snapshot_that_nobody_asks_for_any_more_is_given_up() -> None:
    tells = teller()
    tells.deliver("l1", FetchSnapshot(b"", 0, 1))
    tells.wait(OFFERED_S - 1)
    tells.deliver("l1", FetchSnapshot(b"", 0, 1))
    tells.wait(OFFERED_S - 1)
    still = tells.disk.offered()
    tells.wait(2)

    assert still is not None
    assert tells.disk.offered() is None
    tells.set_aside()


def test_a_snapshot_stays_as_long_as_somebody_who_is_far_behind_asks_for_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(helper_module, "SLOTS_AHEAD_MAX", 0)
    tells = teller()
    tells.deliver("l1", FetchSnapshot(b"", 0, 1))
    tells.wait(OFFERED_S - 1)
    tells.deliver("l1", Fetch(1))
    tells.wait(OFFERED_S - 1)

    assert tells.disk.offered() is not None
    tells.set_aside()


def test_one_behind_which_the_log_is_gone_by_now_is_told_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who took it up would have to ask for another one at once."""
    tells = teller()
    tells.deliver("l1", FetchSnapshot(b"", 0, 1))
    tells.deliver("l1", FetchSnapshot(b"", 0, 1))
    assert [part.slot for _, part in tells.take(SnapshotPart, "l1") if part.size] == [END]
    monkeypatch.setattr(tells.disk, "learned_start", lambda: END + 1)
    tells.deliver("l1", FetchSnapshot(b"", 0, 1))

    assert [part.size for _, part in tells.take(SnapshotPart, "l1")] == [0]
    tells.set_aside()


def test_a_learner_tells_none_that_is_not_above_the_asker() -> None:
    tells = teller()
    tells.deliver("l1", FetchSnapshot(b"", 0, END))

    tells.expect_sent("l1", SnapshotPart(b"", END, 0, b"", 0, b""))


# ---- bounds and odd ends -------------------------------------------------------------------------


def test_a_snapshot_that_is_not_above_what_was_applied_is_not_taken() -> None:
    disk = MemoryStore()
    taking = Taking(disk, 1.0)
    taking.begin("l2")

    assert not taking.awaits("l2", SnapshotPart(b"id", 5, 10, b"d", 0, b"12345"), next_slot=5)
    assert taking.awaits("l2", SnapshotPart(b"id", 6, 10, b"d", 0, b"12345"), next_slot=5)
    assert not taking.awaits("l2", SnapshotPart(b"id", 6, 4, b"d", 0, b"12345"), next_slot=5)


def test_a_disk_that_took_less_than_it_was_given_is_asked_for_the_rest() -> None:
    """The page cache may be gone after a power cut; what is there counts, and nothing else."""
    disk = MemoryStore()
    disk.commit([SnapshotBytes(b"id", 9, 10, b"d", 0, b"123")])
    taking = Taking(disk, 1.0)
    taking.begin("l2")

    step = taking.step(next_slot=5, now=0.0)
    assert step.message == FetchSnapshot(b"id", 3, 5)
    assert disk.incoming() == snapshots_module.IncomingSnapshot(Snapshot(b"id", 9, 10, b"d"), 3, Stage.COMING)


def test_acceptors_are_of_no_use_below_their_floor_and_a_snapshot_is() -> None:
    asks, tells = asker(), teller()
    asks.deliver("a1", FetchedVotes(1, END, END, (), END + 5, END))
    exchange(asks, tells)

    assert asks.agent.next_slot == END
    asks.set_aside()
