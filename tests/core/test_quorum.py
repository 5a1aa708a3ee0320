"""Quorums: sets of names, and what is said of a system in which two of them need not meet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxosd.core.quorum import Quorum
from paxosd.core.types import NodeId
from tests.core.helpers import always_the_same

NAMES = ("a1", "a2", "a3", "a4", "a5")
weights = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(lambda found: dict(zip(NAMES, found, strict=False)))


def subsets(names: tuple[NodeId, ...]) -> Iterator[tuple[NodeId, ...]]:
    return chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))


def two_quorums_can_miss_each_other(quorum: Quorum) -> bool:
    """By the definition, with no arithmetic: some prepare set and some accept set have nobody in common."""
    names = tuple(quorum.weights)
    prepares = [set(some) for some in subsets(names) if quorum.can_prepare(some)]
    accepts = [set(some) for some in subsets(names) if quorum.can_accept(some)]
    return any(not prepare & accept for prepare in prepares for accept in accepts)


@pytest.mark.parametrize(("acceptors", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_a_majority_is_more_than_half(acceptors: int, needed: int) -> None:
    names = [f"a{number}" for number in range(acceptors)]
    quorum = Quorum.majority(dict.fromkeys(names, 1))

    assert (quorum.prepare, quorum.accept) == (needed, needed)
    assert quorum.can_prepare(names[:needed])
    assert not quorum.can_prepare(names[: needed - 1])
    assert quorum.can_accept(names[:needed])
    assert not quorum.can_accept(names[: needed - 1])


def test_a_majority_of_weights_is_more_than_half_of_the_weight() -> None:
    quorum = Quorum.majority({"a1": 3, "a2": 1, "a3": 1, "a4": 1})

    assert quorum.can_accept(["a1", "a2"])
    assert not quorum.can_accept(["a1"])
    assert not quorum.can_accept(["a2", "a3", "a4"])


def test_an_acceptor_counts_once_however_often_it_is_named() -> None:
    quorum = Quorum.majority(dict.fromkeys(NAMES[:3], 1))

    assert not quorum.can_prepare(["a1", "a1", "a1"])
    assert not quorum.can_accept(["a1", "a1", "a1"])


def test_a_stranger_counts_for_nothing() -> None:
    quorum = Quorum.majority(dict.fromkeys(NAMES[:3], 1))

    assert not quorum.can_accept(["a1", "p1", "l1", ""])


def test_the_two_phases_have_sizes_of_their_own() -> None:
    quorum = Quorum(dict.fromkeys(NAMES, 1), prepare=4, accept=2)

    assert not quorum.can_prepare(NAMES[:3])
    assert quorum.can_prepare(NAMES[:4])
    assert quorum.can_accept(NAMES[:2])
    assert not quorum.can_accept(NAMES[:1])
    assert quorum.problems() == []


@always_the_same
@given(weights)
def test_a_majority_is_always_sound(found: dict[NodeId, int]) -> None:
    quorum = Quorum.majority(found)

    assert quorum.problems() == []
    assert not two_quorums_can_miss_each_other(quorum)


@always_the_same
@given(weights, st.integers(-1, 21), st.integers(-1, 21))
def test_a_system_is_sound_exactly_if_it_can_be_met_and_every_two_quorums_share_an_acceptor(
    found: dict[NodeId, int], prepare: int, accept: int
) -> None:
    quorum = Quorum(found, prepare, accept)
    somebody = prepare >= 1 and accept >= 1
    can_be_met = quorum.can_prepare(found) and quorum.can_accept(found)

    sound = somebody and can_be_met and not two_quorums_can_miss_each_other(quorum)

    assert (quorum.problems() == []) == sound


def test_weights_can_make_a_system_sound_whose_sums_alone_do_not_promise_it() -> None:
    # 3 + 3 is not more than 6, but no set weighs exactly 3.
    assert Quorum({"a1": 2, "a2": 2, "a3": 2}, prepare=3, accept=3).problems() == []


def test_a_problem_names_the_numbers() -> None:
    names = dict.fromkeys(NAMES, 1)

    assert Quorum(names, 3, 2).problems() == [
        "prepare: 3 and accept: 2 need not share an acceptor: one set can weigh 3 while the others weigh 2 (of 5), "
        "and two values could be chosen for one slot"
    ]
    assert Quorum(names, 0, 6).problems() == [
        "prepare: 0 is not between 1 and 5, the total weight of the acceptors",
        "accept: 6 is not between 1 and 5, the total weight of the acceptors",
    ]
