"""A gateway tells what happens while it hears a leader, and has the leader stamp the time when something runs out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paxosd.core.messages import DiskSpace, Unwatch, WantTime, WatchEvents, Watching, WatchKeys, WatchMark, WatchTaken
from paxosd.core.options import BEHIND_SLOTS
from paxosd.core.reasons import Reason
from paxosd.core.space import Space
from paxosd.core.types import Outcome
from tests.core.helpers import NOON, TIMING, heartbeat
from tests.gateway.fake_keys import FakeKeys
from tests.gateway.test_gateway import B3, B4, ME, Desk, T

BEGUN = int(NOON * 1_000_000)
WATCH = WatchKeys(7, 1, "kv", b"k", b"", 0, False, 1 << 18)


def desk_with_keys(desk: Desk | None = None) -> tuple[Desk, FakeKeys]:
    desk = desk or Desk()
    keys = FakeKeys()
    desk.state.machines["kv"] = keys
    return desk, keys


def put(desk: Desk, keys: FakeKeys, key: bytes = b"k") -> None:
    """A slot that puts this key is applied, and the driver turns once more."""
    desk.state.revision = keys.put(key)
    desk.apply(desk.state.next_slot)


def test_what_a_slot_did_is_told_in_the_turn_behind_it() -> None:
    desk, keys = desk_with_keys()
    desk.deliver(ME, WATCH)
    desk.expect_sent(ME, Watching(7, BEGUN, 1, 1, 0))
    put(desk, keys)

    told = desk.take_one(WatchEvents, ME)

    assert (told.number, told.watches, told.upto) == (2, (1,), 1)
    desk.deliver(ME, Unwatch(7, (1,)))
    put(desk, keys)
    desk.expect_silence()


def test_a_driver_does_not_sleep_while_something_that_was_applied_is_to_be_told() -> None:
    desk, keys = desk_with_keys()
    desk.deliver(ME, WATCH)
    desk.set_aside()
    desk.state.revision = keys.put(b"k")

    assert desk.agent.next_deadline() == desk.now
    desk.turn()
    assert (desk.agent.next_deadline() or 0) > desk.now
    desk.take_one(WatchEvents, ME)


def test_as_long_as_a_leader_is_heard_clients_are_told_how_far_nothing_happened_and_else_nothing() -> None:
    desk, keys = desk_with_keys()
    desk.deliver(ME, WATCH)
    desk.set_aside()
    put(desk, keys, b"elsewhere")
    for _ in range(10):
        desk.wait(T / 5)
        desk.deliver("p1", heartbeat(B3))
    assert {message for _, message in desk.take(WatchMark)} == {WatchMark(7, BEGUN, 2, 1), WatchMark(7, BEGUN, 3, 1)}
    desk.wait(T + 0.1)
    desk.set_aside()
    desk.wait(5)

    assert desk.take(WatchMark) == []
    desk.set_aside()


@pytest.mark.parametrize("why", [Reason.NO_LEADER, Reason.BEHIND, Reason.STOPPING, Reason.DIFFERS])
def test_where_nobody_can_be_served_a_registration_is_refused_by_name(why: Reason) -> None:
    desk, _ = desk_with_keys(Desk(hears=None if why is Reason.NO_LEADER else B3))
    match why:
        case Reason.BEHIND:
            desk.deliver("p1", replace(heartbeat(B3), watermark=BEHIND_SLOTS + 2))
        case Reason.STOPPING:
            desk.agent.drain(desk.now)
        case Reason.DIFFERS:
            desk.agent.known.differ("it is another state")
    desk.deliver(ME, WATCH)

    desk.expect_sent(ME, Watching(7, 0, 0, 1, 0, why))
    desk.set_aside()


@pytest.mark.parametrize("why", [Reason.STOPPING, Reason.DIFFERS])
def test_who_watches_is_told_when_this_gateway_serves_nothing_more(why: Reason) -> None:
    desk, keys = desk_with_keys()
    desk.deliver(ME, WATCH)
    desk.set_aside()
    if why is Reason.STOPPING:
        desk.agent.drain(desk.now)
    else:
        desk.agent.known.differ("it is another state")
    put(desk, keys)

    desk.expect_sent(ME, Watching(7, 0, 0, 0, 0, why))
    desk.expect_silence()
    desk.deliver(ME, WatchTaken(7, 1))
    desk.expect_sent(ME, Watching(7, 0, 0, 0, 0, Reason.STREAM_UNKNOWN))


# ---- time ------------------------------------------------------------------------------------


def test_when_something_runs_out_the_leader_is_asked_at_that_very_time_and_again_until_it_ran_out() -> None:
    desk = Desk()
    desk.deliver("p1", replace(heartbeat(B3), log_time_ms=5000))
    desk.state.due_ms = 5300
    desk.wait(0.29)
    desk.expect_silence()
    desk.wait(0.02)
    desk.expect_sent("p1", WantTime(5300), early=True)
    desk.wait(TIMING.retry_s)
    desk.expect_sent("p1", WantTime(5300), early=True)
    desk.state.due_ms = None
    desk.wait(T / 4)
    desk.expect_silence()


def test_what_runs_out_next_is_asked_for_without_waiting_for_a_repetition() -> None:
    desk = Desk()
    desk.deliver("p1", replace(heartbeat(B3), log_time_ms=5000))
    desk.state.due_ms = 4000
    desk.turn()
    desk.expect_sent("p1", WantTime(4000), early=True)
    desk.state.due_ms = 5001
    desk.wait(0.002)

    desk.expect_sent("p1", WantTime(5001), early=True)


def test_where_room_is_short_the_log_goes_on_as_long_as_that_makes_room() -> None:
    desk = Desk()
    desk.deliver("p1", replace(heartbeat(B3), log_time_ms=5000))
    desk.state.trims_ms = 4001
    desk.turn()
    desk.expect_silence()
    desk.deliver("l1", DiskSpace(Space.LOW, 1, 1, False))
    desk.expect_sent("p1", WantTime(4001), early=True)
    desk.state.due_ms = 3000
    desk.turn()
    desk.expect_sent("p1", WantTime(3000), early=True)
    desk.state.due_ms = None
    desk.deliver("l1", DiskSpace(Space.ENOUGH, 1, 1, False))
    desk.wait(T / 4)

    desk.expect_silence()


def test_nobody_is_asked_where_nobody_leads_and_the_next_leader_is() -> None:
    desk = Desk(hears=None)
    desk.state.due_ms = 0
    desk.wait(T)
    desk.expect_silence()
    desk.deliver("p2", heartbeat(B4))

    desk.expect_sent("p2", WantTime(0), early=True)


def test_a_gateway_that_has_another_state_than_the_others_asks_for_no_time() -> None:
    desk = Desk()
    desk.state.due_ms = 0
    desk.agent.known.differ("it is another state")
    desk.agent.applied(1, list[Outcome](), desk.now)
    desk.wait(T / 2)

    desk.expect_silence()
