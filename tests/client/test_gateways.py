"""Whose turn it is among the gateways: with a clock that is only a number."""

from __future__ import annotations

from itertools import pairwise

import pytest

from paxosd.client.gateways import AVOIDED_S, DOUBTED_S, HINT_EVERY_S, SILENCE_S, Gateways
from paxosd.transport.base import REFUSES

L1, L2, L3 = "tcp://l1:7100", "tcp://l2:7100", "tcp://l3:7100"
HINTED = "tcp://l9:7100"


@pytest.fixture
def gateways() -> Gateways:
    return Gateways([L1, L2, L3])


def test_the_first_one_is_asked_first_and_the_others_in_turn(gateways: Gateways) -> None:
    asked = [gateways.current]
    for _ in range(3):
        gateways.turn(0.0)
        asked.append(gateways.current)

    assert asked == [L1, L2, L3, L1]


def test_one_that_was_silent_is_passed_over_for_a_while_and_then_has_its_turn_again(gateways: Gateways) -> None:
    gateways.found_silent(0.0)
    assert gateways.current == L2
    asked = []
    for now in (1.0, 2.0, AVOIDED_S - 0.1, AVOIDED_S, AVOIDED_S):
        gateways.turn(now)
        asked.append(gateways.current)

    assert asked == [L3, L2, L3, L1, L2]


def test_when_all_were_silent_the_one_left_the_longest_ago_has_its_turn(gateways: Gateways) -> None:
    asked = []
    for now in (0.0, 0.4, 0.8, 1.2, 1.6, 2.0):
        gateways.found_silent(now)
        asked.append(gateways.current)

    assert asked == [L2, L3, L1, L2, L3, L1]
    assert all(gateways.avoids(known, 2.0) for known in (L1, L2, L3))


def test_a_word_of_one_that_was_silent_ends_its_avoidance(gateways: Gateways) -> None:
    for now in (0.0, 0.1, 0.2):
        gateways.found_silent(now)
    assert gateways.current == L1
    gateways.heard()

    assert not gateways.avoids(L1, 0.3)
    assert gateways.avoids(L2, 0.3)


def test_the_only_one_that_answers_and_serves_nobody_is_left_for_one_that_was_silent_a_moment_ago(
    gateways: Gateways,
) -> None:
    for now in (0.0, 0.4):
        gateways.found_silent(now)
    asked = []
    for now in (0.5, DOUBTED_S, 1.2):
        gateways.turn(now, serves_nobody=True)
        asked.append(gateways.current)

    assert asked == [L3, L1, L3]  # 0.5: both were asked just now; 1.2: L1 is avoided still, L3 never was
    gateways.found_silent(1.3)
    gateways.heard()


def test_the_only_one_that_answers_is_kept_while_all_others_are_silent(gateways: Gateways) -> None:
    gateways.found_silent(0.0)
    gateways.found_silent(0.4)
    gateways.turn(1.0)

    assert gateways.current == L3


def test_a_single_gateway_is_asked_again_however_silent() -> None:
    gateways = Gateways([L1])
    gateways.found_silent(0.0)

    assert gateways.current == L1


def test_where_there_is_nobody_to_turn_to_another_way_to_the_same_one_is_wanted() -> None:
    gateways = Gateways([L1])
    gateways.found_silent(0.0)
    assert gateways.ways == 0
    gateways.found_silent(1.0)
    assert gateways.ways == 1
    gateways.heard()
    gateways.turn(2.0)
    gateways.turn(3.0)

    assert gateways.ways == 2


def test_while_there_are_others_to_turn_to_no_other_way_is_wanted(gateways: Gateways) -> None:
    for now in range(20):
        gateways.found_silent(now)

    assert gateways.ways == 0


def test_a_hint_to_an_address_that_was_not_given_is_not_followed(gateways: Gateways) -> None:
    gateways.follow(HINTED, 0.0)

    assert gateways.current == L1


def test_hints_are_followed_once_a_second_at_most(gateways: Gateways) -> None:
    gateways.follow(L2, 0.0)
    gateways.follow(L3, HINT_EVERY_S - 0.01)
    assert gateways.current == L2
    gateways.follow(L3, HINT_EVERY_S)

    assert gateways.current == L3


def test_a_hint_to_one_that_was_silent_is_not_followed_while_it_is_avoided(gateways: Gateways) -> None:
    gateways.found_silent(0.0)
    gateways.follow(L1, 5.0)
    assert gateways.current == L2
    gateways.follow(L1, AVOIDED_S)

    assert gateways.current == L1


def test_one_of_another_cluster_is_never_asked_again_and_is_named_with_the_reason(gateways: Gateways) -> None:
    gateways.set_aside(L1, "other cluster", 0.0)
    assert gateways.current == L2
    asked = set()
    for second in range(100):
        gateways.turn(float(second))
        gateways.follow(L1, float(second))
        asked.add(gateways.current)

    assert asked == {L2, L3}
    assert str(gateways) == f"{L1} (set aside: other cluster), {L2}, {L3}"


def test_another_one_that_is_set_aside_does_not_move_the_turn(gateways: Gateways) -> None:
    gateways.set_aside(L3, "other cluster", 0.0)

    assert gateways.current == L1
    assert not gateways.none_left


def test_with_all_set_aside_none_is_left(gateways: Gateways) -> None:
    for known in (L1, L2, L3):
        gateways.set_aside(known, "other cluster", 0.0)

    assert gateways.none_left


def test_a_hint_to_one_that_was_given_and_leads_nowhere_is_followed_less_and_less_often(gateways: Gateways) -> None:
    followed: list[int] = []
    for second in range(3000):
        gateways.follow(L2, float(second))
        if gateways.current == L2:
            followed.append(second)
            gateways.found_silent(second + 0.4)
            gateways.current = L1
            gateways.heard()

    assert [later - sooner for sooner, later in pairwise(followed)] == [11, 21, 41, 81, 161, 321, 641, 641, 641]


def test_a_word_of_it_makes_hints_to_it_as_good_as_ever(gateways: Gateways) -> None:
    for _ in range(5):
        gateways.current = L2
        gateways.found_silent(0.0)
    gateways.current = L2
    gateways.heard()
    gateways.current = L1
    gateways.follow(L2, 1.0)

    assert gateways.current == L2


def test_why_gateways_cannot_be_reached_is_told_with_their_addresses() -> None:
    troubles = {L1: "name not found: l1"}
    gateways = Gateways([L1, L2], troubles)
    assert str(gateways) == f"{L1} (name not found: l1), {L2}"
    assert gateways.names_not_found == []
    troubles[L2] = "name not found: l2"

    assert gateways.names_not_found == ["name not found: l1", "name not found: l2"]


def test_one_that_is_asked_again_because_the_other_serves_nobody_has_to_say_a_word_before_it_is_sent_commands() -> None:
    gateways = Gateways(["a", "b"])
    gateways.found_silent(0.0)
    gateways.turn(2.0, serves_nobody=True)
    gateways.heard()  # which the one before said

    assert (gateways.current, gateways.wants_a_word(), gateways.is_asked) == ("a", True, True)
    gateways.heard()
    assert (gateways.wants_a_word(), gateways.is_asked) == (False, False)


def test_one_that_says_no_word_is_left_again_and_the_next_one_need_say_none() -> None:
    gateways = Gateways(["a", "b"])
    gateways.found_silent(0.0)
    gateways.turn(2.0, serves_nobody=True)
    assert gateways.wants_a_word()
    gateways.found_silent(2.5)

    assert (gateways.current, gateways.wants_a_word(), gateways.is_asked) == ("b", False, False)


# ---- nobody listens --------------------------------------------------------------------------


def dialled(*refusing: str) -> Gateways:
    """The first one was sent something, and at these addresses nobody listens."""
    gateways = Gateways([L1, L2, L3], dict.fromkeys(refusing, f"it {REFUSES}"))
    gateways.dialed = gateways.current
    return gateways


def test_nobody_has_to_be_waited_for_where_nobody_listens() -> None:
    assert dialled(L1).leads_nowhere(0.0)
    assert not dialled(L2).leads_nowhere(0.0)


def test_what_was_found_before_it_was_dialled_this_time_does_not_count() -> None:
    gateways = Gateways([L1, L2, L3], {L1: REFUSES})

    assert not gateways.leads_nowhere(0.0)


def test_where_nobody_listens_anywhere_each_is_dialled_once_in_a_while() -> None:
    gateways = dialled(L1, L2, L3)
    went_on = []
    for now in (0.0, 0.01, 0.02, SILENCE_S + 0.1):
        went_on.append(gateways.leads_nowhere(now))
        gateways.found_silent(now)
        gateways.dialed = gateways.current

    assert went_on == [True, True, False, True]


# ---- the leader moves ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hints", "moved"),
    [
        ([""], [False]),
        (["", ""], [False, False]),
        (["l2:7100", "tcp://l2:7100", "l3:7100"], [False, False, True]),
        (["l1:7100", ""], [False, False]),  # beside the leader, as another gateway said before
        (["", "l3:7100"], [False, True]),
    ],
)
def test_the_leader_moved_if_it_is_beside_another_gateway_now(
    gateways: Gateways, hints: list[str], moved: list[bool]
) -> None:
    assert [gateways.note_leader(hint) for hint in hints] == moved
