"""Who is inside of a lock that its holder may take again, and how often."""

from __future__ import annotations

import pytest

from paxosd.recipes.reentry import Reentry


class Lost(Exception):
    """It is not held any more."""


class Thing:
    """Something that is held, until it is `lost`."""

    lost = False

    def require(self) -> None:
        if self.lost:
            raise Lost


def test_what_was_taken_three_times_is_given_back_at_the_third_exit() -> None:
    reentry: Reentry[Thing] = Reentry()
    thing = reentry.first("a", Thing())

    assert [reentry.again("a"), reentry.again("a")] == [thing, thing]
    assert [reentry.out("a") for _ in range(3)] == [None, None, thing]
    assert reentry.again("a") is None


def test_who_is_not_inside_neither_comes_in_again_nor_goes_out() -> None:
    reentry: Reentry[Thing] = Reentry()
    reentry.first("a", Thing())

    assert reentry.again("b") is None
    with pytest.raises(RuntimeError, match="only its holder"):
        reentry.out("b")


def test_who_lost_it_does_not_come_in_again_and_goes_out_as_often_as_it_came_in() -> None:
    reentry: Reentry[Thing] = Reentry()
    thing = reentry.first("a", Thing())
    reentry.again("a")
    thing.lost = True
    with pytest.raises(Lost):
        reentry.again("a")

    assert [reentry.out("a"), reentry.out("a")] == [None, thing]


def test_each_gives_back_its_own() -> None:
    reentry: Reentry[Thing] = Reentry()
    mine, theirs = reentry.first("a", Thing()), reentry.first("b", Thing())

    assert (reentry.out("a"), reentry.out("b")) == (mine, theirs)
