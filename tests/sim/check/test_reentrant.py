"""The checker counts again who is inside of a lock that its holder may take again."""

from __future__ import annotations

import pytest

from paxosd.client.leases import HeldLease, KeyHold
from paxosd.sim.check.invariants import Violation
from paxosd.sim.check.reentrant import LockEntries
from paxosd.sim.check.turns import HeldTurn


def turn(fence: int) -> HeldTurn:
    """A turn that was had with this fence."""
    hold = KeyHold(HeldLease(1, 10_000, 0.0))
    return HeldTurn("c1", b"lock/job/", 1, True, b"lock/job/%d" % fence, fence, hold, lambda: 1.0)


def test_who_came_in_as_often_as_it_went_out_is_not_inside() -> None:
    entries, had = LockEntries(), turn(1)
    for _ in range(2):
        entries.came_in("one", had)
    entries.went_out("one", None)
    assert entries.times("one") == 1
    entries.went_out("one", had)
    entries.came_in("two", turn(2))

    assert (entries.times("one"), entries.times("two")) == (0, 1)


def test_what_one_has_is_not_told_to_another_one() -> None:
    entries, had = LockEntries(), turn(1)
    entries.came_in("one", had)

    with pytest.raises(Violation, match="48 re-entrant locks: two is told that it has what"):
        entries.came_in("two", had)


def test_what_was_lost_is_not_told_once_more_and_what_was_not_is_not_told_lost() -> None:
    entries, had = LockEntries(), turn(1)
    entries.came_in("one", had)
    with pytest.raises(Violation, match="has lost"):
        entries.told_lost("one")
    had.hold.lease.lose("it ran out")
    entries.told_lost("one")

    with pytest.raises(Violation, match="has it no more"):
        entries.came_in("one", had)
    with pytest.raises(Violation, match="lost what it does not have"):
        entries.told_lost("two")


def test_who_is_inside_does_not_come_in_with_another_fence() -> None:
    entries = LockEntries()
    entries.came_in("one", turn(1))

    with pytest.raises(Violation, match="it is inside with fence 1"):
        entries.came_in("one", turn(2))


@pytest.mark.parametrize("times", [1, 2])
def test_it_is_given_back_at_the_last_exit_alone_and_only_ones_own(times: int) -> None:
    entries, had = LockEntries(), turn(1)
    for _ in range(times):
        entries.came_in("one", had)

    with pytest.raises(Violation, match=f"inside {times - 1} times still"):
        entries.went_out("one", turn(2) if times == 1 else had)
