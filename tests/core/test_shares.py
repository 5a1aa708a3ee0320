"""Shares: who holds the most is found at once, and loses what it did not use for longest."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from paxosd.core.shares import Holdings, Shares
from tests.core.counting import operations
from tests.core.helpers import always_the_same


def test_the_greediest_is_who_holds_the_most() -> None:
    holdings: Holdings[str] = Holdings()
    for owner, by in (("a", 2), ("b", 3), ("c", 1), ("b", -2), ("c", 4)):
        holdings.change(owner, by)

    assert [holdings.of(owner) for owner in "abcd"] == [2, 1, 5, 0]
    assert holdings.greediest == "c"
    holdings.change("c", -5)
    assert holdings.greediest == "a"


def test_of_several_that_hold_the_most_it_is_the_one_that_was_untouched_for_longest() -> None:
    holdings: Holdings[str] = Holdings()
    for owner in "abc":
        holdings.change(owner, 2)
    holdings.touch("a")

    assert holdings.greediest == "b"


@always_the_same
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-3, 3)), max_size=40))
def test_any_changes_give_what_counting_gives(changes: list[tuple[str, int]]) -> None:
    holdings: Holdings[str] = Holdings()
    held: Counter[str] = Counter()
    for owner, by in changes:
        step = max(by, -held[owner])
        holdings.change(owner, step)
        held[owner] += step
        if held.total():
            assert held[holdings.greediest] == max(held.values())

    assert holdings._held == {owner: much for owner, much in held.items() if much}


def test_the_longest_unused_key_of_the_greediest_is_next_to_go() -> None:
    shares: Shares[str, int] = Shares()
    for owner, key in (("a", 1), ("b", 2), ("b", 3), ("b", 2)):
        shares.use(owner, key)

    assert (len(shares), shares.of("b"), shares.longest_unused("b")) == (3, 2, 3)
    assert shares.next_to_go == ("b", 3)
    shares.drop("b", 3)
    assert shares.next_to_go == ("a", 1)
    assert sorted(shares) == [("a", 1), ("b", 2)]


def test_nothing_is_left_of_owners_without_keys() -> None:
    shares: Shares[int, int] = Shares()
    for number in range(10):
        shares.use(number, number)
    for number in range(10):
        shares.drop(number, number)

    assert (len(shares), shares._keys, shares._holdings._held, shares._holdings._levels) == (0, {}, {}, {})


def test_every_call_costs_the_same_however_many_there_are() -> None:
    def cost(owners: int) -> list[int]:
        shares: Shares[int, int] = Shares()
        for number in range(4 * owners):
            shares.use(number % owners, number)
        use = operations(lambda: shares.use(0, -1))
        find = operations(lambda: shares.next_to_go)
        return [use, find, operations(lambda: shares.drop(0, -1))]

    assert cost(1000) == cost(10)
