"""Leases at their holder: kept unasked, lost before anybody else may win, and what is left to a client is done."""

from __future__ import annotations

import pytest

from paxosd.client.leases import SHARE, HeldLease
from paxosd.client.upkeep import LATER_MAX, PAUSE_S, ConnectionState, Duty, Upkeep
from paxosd.machine.kv.requests import Delete, Keep, Revoke
from paxosd.machine.kv.results import Failed, KeepDone

TTL_MS = 9000


class Client:
    """An upkeep and what it told."""

    def __init__(self, *leases: HeldLease) -> None:
        self.told: list[ConnectionState] = []
        self.upkeep = Upkeep(self.told.append)
        for lease in leases:
            self.upkeep.add(lease)

    def keep(self, now: float) -> Duty:
        (duty,) = self.upkeep.due(now)
        assert isinstance(duty.command, Keep)
        return duty


def lease(number: int = 7, asked_at: float = 100.0) -> HeldLease:
    return HeldLease(number, TTL_MS, asked_at)


def test_a_lease_is_kept_from_a_third_of_its_time_on() -> None:
    client = Client(lease())

    assert client.upkeep.due(102.9) == []
    assert client.upkeep.next_due() == 103.0
    assert client.keep(103.0).command == Keep((7,))
    assert client.upkeep.due(103.5) == [], "one wish at a time"


def test_it_is_valid_from_before_the_wish_on_and_for_less_than_its_time() -> None:
    held = lease()
    client = Client(held)

    client.keep(103.0).done(KeepDone((TTL_MS,)), 106.0)

    assert held.valid_until == 103.0 + 9 * SHARE
    assert client.upkeep.next_due() == 106.0


def test_a_lease_that_nobody_kept_is_lost_without_a_word_from_anywhere() -> None:
    held = lease()

    assert not held.is_lost(108.0)
    assert held.is_lost(108.1)
    assert held.is_lost(108.0), "and stays so, whatever the clock says"


def test_an_answer_that_comes_too_late_brings_nothing_back() -> None:
    held = lease()
    client = Client(held)
    duty = client.keep(103.0)

    duty.done(KeepDone((TTL_MS,)), 108.2)

    assert held.why_lost
    assert [each.command for each in client.upkeep.due(108.3)] == [Revoke(7)]


def test_a_lease_that_the_cluster_does_not_know_is_lost_at_once() -> None:
    held, other = lease(), lease(8)
    client = Client(held, other)
    ended: list[str] = []
    held.watchers.append(lambda: ended.append("told"))

    client.keep(103.0).done(KeepDone((0, TTL_MS)), 103.1)

    assert (bool(held.why_lost), bool(other.why_lost), ended) == (True, False, ["told"])
    assert client.told == [ConnectionState.LOST]


def test_what_failed_is_tried_again_until_the_lease_is_over() -> None:
    held = lease()
    client = Client(held)

    now, wishes = 103.0, 0
    while not held.is_lost(now):
        for duty in client.upkeep.due(now):
            assert duty.deadline == held.valid_until
            wishes += 1
            duty.failed(now)
        now += PAUSE_S / 2

    client.upkeep.due(now)
    assert wishes > 10
    assert client.told == [ConnectionState.SUSPENDED, ConnectionState.LOST]


def test_an_answer_in_time_says_that_it_is_connected_again() -> None:
    client = Client(lease())
    client.keep(103.0).failed(104.0)

    client.keep(104.0 + PAUSE_S).done(KeepDone((TTL_MS,)), 105.0)

    assert client.told == [ConnectionState.SUSPENDED, ConnectionState.CONNECTED]


def test_an_answer_that_makes_no_sense_keeps_nothing() -> None:
    held = lease()
    client = Client(held)

    client.keep(103.0).done(Failed(1, "no"), 103.1)  # type: ignore[arg-type]

    assert held.valid_until == 100.0 + 9 * SHARE


def test_a_lease_that_nobody_needs_is_revoked_until_it_is_certain() -> None:
    held = lease()
    client = Client(held)

    client.upkeep.give_up(held)
    (duty,) = client.upkeep.due(101.0)
    duty.failed(101.0)
    (again,) = client.upkeep.due(101.0 + PAUSE_S)
    again.done(None, 101.5)

    assert duty.command == again.command == Revoke(7)
    assert (client.upkeep.due(200.0), client.upkeep.next_due(), held.why_lost) == ([], None, "")


def test_what_is_left_to_the_client_is_tried_until_it_is_certain() -> None:
    held = lease()
    client = Client(held)
    client.upkeep.later(held, Delete(b"waiter"))

    (duty,) = client.upkeep.due(101.0)
    assert client.upkeep.due(101.1) == []
    duty.failed(101.1)
    (again,) = client.upkeep.due(101.1 + PAUSE_S)

    assert duty.command == again.command == Delete(b"waiter")


def test_what_hangs_on_a_lease_that_is_over_is_not_tried_any_more() -> None:
    held = lease()
    client = Client(held)
    client.upkeep.later(held, Delete(b"waiter"))
    (duty,) = client.upkeep.due(101.0)
    duty.failed(101.1)
    client.upkeep.later(held, Delete(b"another"))

    assert [each.command for each in client.upkeep.due(120.0)] == [Revoke(7)]


@pytest.mark.parametrize("is_mine", [True, False])
def test_a_lease_that_too_much_waits_for_is_given_up_with_all_of_it(is_mine: bool) -> None:
    held = lease()
    client = Client(held)
    for number in range(LATER_MAX + 1):
        client.upkeep.later(held if is_mine else None, Delete(b"%d" % number))

    assert bool(held.why_lost) is is_mine
    assert len(client.upkeep.due(101.0)) == (1 if is_mine else LATER_MAX)
