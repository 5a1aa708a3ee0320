"""Which life of a node counts: by counting and by what peers have seen, and nobody is silenced for ever."""

from __future__ import annotations

import logging

import pytest

from paxosd.lives import (
    CHANCE_BITS,
    COUNT_MAX,
    COUNT_STEP_MAX,
    FOLLOWED_COUNT_MAX,
    HEARD_AFTER_S,
    NEWCOMER_S,
    RISES_MAX,
    SILENT_S,
    TELL_EVERY_S,
    TOLD_MAX,
    Lives,
    OwnLife,
)

NOON = 1000.0


def number(count: int, chance: int = 0) -> int:
    return count << CHANCE_BITS | chance


def speaks(lives: Lives, life: int, at: float) -> bool:
    """Whether it is heard; it is told why not, as the driver does."""
    heard = lives.hears("a2", life, at)
    if not heard:
        lives.seen_above("a2", life, at)
    return heard


# ---- the lives of peers ----------------------------------------------------------------------


def test_of_two_lives_that_speak_the_higher_one_is_heard() -> None:
    lives = Lives()

    assert [lives.hears("a2", number(count), NOON) for count in (5, 6, 5, 6)] == [True, True, False, True]


def test_the_life_of_a_wiped_directory_is_heard_once_the_earlier_one_is_silent() -> None:
    lives = Lives()
    lives.hears("a2", number(1_796_000_000_000), NOON)  # an earlier version took it from a clock

    assert not speaks(lives, number(1), NOON + SILENT_S - HEARD_AFTER_S)
    assert not speaks(lives, number(1), NOON + SILENT_S - 0.1)
    assert speaks(lives, number(1), NOON + SILENT_S)


def test_a_lower_life_is_heard_after_a_long_silence_too_only_once_it_was_told_to_count_on() -> None:
    lives, life = Lives(), OwnLife(1, 3)
    lives.hears("a2", number(4, 9), NOON)
    first = lives.hears("a2", life.number, NOON + 60)
    told = lives.seen_above("a2", life.number, NOON + 60)
    raised = life.rise_above(told, "a1", NOON + 60)
    heard = lives.hears("a2", life.number, NOON + 60)

    assert (first, told, raised, heard) == (False, number(4, 9), True, True)
    assert not lives.hears("a2", number(4, 9), NOON + 61)  # a late frame of the life before
    assert lives.hears("a2", life.number, NOON + 61)


def test_a_lower_life_is_told_until_it_counts_on_though_the_first_word_was_lost() -> None:
    lives, life = Lives(), OwnLife(1, 3)
    lives.hears("a2", number(4, 9), NOON)
    heard = []
    for tenth in range(10):
        now = NOON + 60 + tenth / 10
        heard.append(lives.hears("a2", life.number, now))
        told = 0 if heard[-1] else lives.seen_above("a2", life.number, now)
        if told and tenth:
            life.rise_above(told, "a1", now)

    assert heard == [tenth > 5 for tenth in range(10)]
    assert life.number > number(4, 9)


def test_a_lower_life_that_does_not_count_on_is_heard_after_it_was_told_for_a_while() -> None:
    lives = Lives()
    lives.hears("a2", number(4), NOON)
    heard = [speaks(lives, number(1), NOON + 60 + tenth / 10) for tenth in range(20)]

    assert heard == [tenth / 10 >= HEARD_AFTER_S for tenth in range(20)]


def test_two_lower_lives_are_both_told_and_neither_keeps_the_other_one_from_being_heard() -> None:
    lives = Lives()
    lives.hears("a2", number(4), NOON)
    heard = [speaks(lives, number(1 + tenth % 2), NOON + 60 + tenth / 10) for tenth in range(20)]

    assert True in heard[: int(2 * HEARD_AFTER_S * 10)]


def test_of_many_lives_of_one_peer_few_are_remembered() -> None:
    lives = Lives()
    lives.hears("a2", number(1 << 20), NOON)
    for count in range(1000):
        speaks(lives, number(count), NOON + count * TELL_EVERY_S / 100)
        lives.hears("a2", number(1 << 20), NOON + count * TELL_EVERY_S / 100)

    assert len(lives._known["a2"].told) <= TOLD_MAX


def test_frames_of_a_life_that_is_not_heard_do_not_keep_the_other_one_alive() -> None:
    lives = Lives()
    lives.hears("a2", number(9), NOON)
    heard = [speaks(lives, number(1), NOON + tenth / 10) for tenth in range(100)]

    assert heard == [tenth / 10 >= SILENT_S for tenth in range(100)]


@pytest.mark.parametrize("claimed", [number(5 + COUNT_STEP_MAX, 1), number(COUNT_MAX + 1), 2**62, 2**63 - 1])
def test_a_claim_far_above_what_is_known_silences_nobody(claimed: int) -> None:
    lives = Lives()
    lives.hears("a2", number(5), NOON)

    assert not lives.hears("a2", claimed, NOON + 1)
    assert lives.hears("a2", number(5), NOON + 1)


def test_a_claim_that_was_believed_silences_a_node_for_some_seconds_only() -> None:
    lives = Lives()
    assert lives.hears("a2", number(COUNT_MAX), NOON)  # the first that is heard of it
    assert not speaks(lives, number(5), NOON + 1)

    assert speaks(lives, number(5), NOON + SILENT_S)


def test_no_life_is_heard_above_what_a_number_has_room_for_not_even_the_first() -> None:
    assert not Lives().hears("a2", 2**63 - 1, NOON)


def test_who_is_not_heard_is_told_what_is_known_now_and_then() -> None:
    lives = Lives()
    lives.hears("a2", number(9), NOON)
    told = [lives.seen_above("a2", number(5), NOON + at) for at in (0, 0.1, TELL_EVERY_S)]

    assert told == [number(9), 0, number(9)]
    assert lives.seen_above("a2", 2**62, NOON + 9) == 0  # it claims more than is known: nothing to rise above


# ---- the own life ----------------------------------------------------------------------------


def test_a_newcomer_counts_on_above_what_was_seen_durably() -> None:
    kept: list[int] = []
    life = OwnLife(1, 77, kept.append)
    life.meet(NOON)

    assert life.rise_above(number(1000, 5), "a2", NOON + 1)
    assert (life.number, kept) == (number(1001, 77), [1001])


def test_a_word_about_a_lower_life_changes_nothing() -> None:
    life = OwnLife(7, 0)

    assert not life.rise_above(number(7), "a2", NOON)
    assert not life.rise_above(number(6, 99), "a2", NOON)


def test_who_ran_before_says_that_a_second_process_has_its_id_and_never_outbids_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    life = OwnLife(7, 0)
    life.meet(NOON)
    with caplog.at_level(logging.ERROR, logger="paxosd"):
        raised = [life.rise_above(number(8), "a2", NOON + NEWCOMER_S + second) for second in range(5)]

    assert not any(raised)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "another process with the id of this node" in caplog.text


def test_who_ran_before_and_is_told_for_a_moment_alone_raises_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    lives, life = Lives(), OwnLife(1, 0)
    life.meet(NOON)
    lives.hears("a2", number(8), NOON)  # by a peer that stood still since then, and remembers an earlier life
    heard = []
    for tenth in range(20):
        now = NOON + NEWCOMER_S + 60 + tenth / 10
        heard.append(lives.hears("a2", life.number, now))
        told = 0 if heard[-1] else lives.seen_above("a2", life.number, now)
        if told:
            life.rise_above(told, "a1", now)

    assert heard[-1]
    assert not caplog.records


def test_a_newcomer_follows_neither_for_ever_nor_to_where_no_room_is_left() -> None:
    life = OwnLife(1, 0)

    assert not life.rise_above(number(FOLLOWED_COUNT_MAX), "a2", NOON)
    assert not life.rise_above(2**63 - 1, "a2", NOON)
    assert sum(life.rise_above(life.number + 1, "a2", NOON) for _ in range(100)) == RISES_MAX


def test_a_wiped_directory_is_heard_at_once_by_everybody_who_remembers_more() -> None:
    peer, life = Lives(), OwnLife(1, 3)
    peer.hears("a2", number(400), NOON)
    assert not peer.hears("a2", life.number, NOON + 1)
    life.rise_above(peer.seen_above("a2", life.number, NOON + 1), "a1", NOON + 1)

    assert peer.hears("a2", life.number, NOON + 1)
