"""A learner whose state is not that of the others finds out from what all of them told, and serves nothing more."""

from __future__ import annotations

import pytest

from paxosd.core.messages import (
    FetchSnapshot,
    Forward,
    GetStatus,
    LogPage,
    OpenSession,
    ReadSlots,
    ReadSnapshot,
    Refused,
)
from paxosd.core.reasons import Reason
from paxosd.core.types import Outcome
from paxosd.core.values import DIGESTS
from paxosd.gateway.agreement import DIGEST_EVERY_SLOTS, SLOTS_REMEMBERED, Agreement
from tests.gateway.test_gateway import B3, ME, Desk, propose, read

MINE, OTHER, THIRD = b"m" * 16, b"o" * 16, b"t" * 16
SLOT = DIGEST_EVERY_SLOTS


def told(number: int, digest: bytes, slot: int = SLOT) -> Outcome:
    return Outcome("digest", DIGESTS, number, 1, slot=slot + 9, expected=slot, wish=digest)


def heard(*digests: bytes, learners: int = 3, own: bytes = MINE) -> list[bool]:
    """Whether something is wrong after each of these digests, told by one learner after the other."""
    agreement = Agreement("l1", tuple(f"l{number}" for number in range(1, learners + 1)))
    agreement.note(SLOT, own)
    return [bool(agreement.hear(told(number, digest))) for number, digest in enumerate(digests, 1)]


def test_nothing_is_wrong_while_all_tell_the_same() -> None:
    assert heard(MINE, MINE, MINE) == [False, False, False]


def test_who_has_another_state_than_most_differs_and_they_do_not() -> None:
    assert heard(OTHER, MINE, OTHER) == [False, False, True]
    assert heard(OTHER, MINE, OTHER, own=OTHER) == [False, False, False]


def test_of_two_that_differ_each_does() -> None:
    assert heard(MINE, OTHER, learners=2) == [False, True]
    assert heard(MINE, OTHER, learners=2, own=OTHER) == [False, True]


def test_three_that_all_differ_do_and_not_before_all_have_told() -> None:
    assert heard(MINE, OTHER, THIRD) == [False, False, True]


def test_a_learner_counts_once_however_often_it_tells() -> None:
    agreement = Agreement("l1", ("l1", "l2", "l3"))
    agreement.note(SLOT, MINE)

    assert [agreement.hear(told(2, OTHER)) for _ in range(5)] == [""] * 5


def test_what_is_told_of_slots_that_are_not_remembered_or_by_nobody_proves_nothing() -> None:
    agreement = Agreement("l1", ("l1",))
    for number in range(1, SLOTS_REMEMBERED + 2):
        agreement.note(SLOT * number, MINE)

    assert agreement.hear(told(1, OTHER)) == ""
    assert agreement.hear(told(1, OTHER, slot=7)) == ""
    assert agreement.hear(told(2, OTHER, SLOT * 5)) == agreement.hear(told(0, OTHER, SLOT * 5)) == ""
    assert agreement.hear(told(1, OTHER, SLOT * 5))
    assert len(agreement._own) == SLOTS_REMEMBERED


def test_a_gateway_tells_its_digest_after_every_so_many_slots() -> None:
    desk = Desk()
    desk.state.digest_now = MINE
    desk.apply(SLOT - 1)
    assert desk.take(Forward) == []
    desk.apply(SLOT)

    assert desk.take_one(Forward, B3.proposer) == Forward(DIGESTS, 0, SLOT, 1, 1, MINE)


def test_a_gateway_that_differs_says_so_and_serves_nothing_but_the_status() -> None:
    desk = Desk()
    desk.state.digest_now = MINE
    desk.apply(SLOT)
    desk.apply(SLOT + 9, told(1, MINE), told(2, OTHER))
    (event,) = (event for event in desk.events if event.name == "state.differs")
    assert f"after slot {SLOT} the state here has the digest {MINE.hex()[:8]}" in str(event.fields["what"])
    desk.set_aside()
    desk.deliver(ME, propose(b"a"), OpenSession(b"a wish of mine..", 1), read(linearizable=False), GetStatus(9))
    desk.deliver(ME, ReadSlots(2, 1, linearizable=False), ReadSnapshot(3, b"", 0))

    assert [refused.reason for _, refused in desk.take(Refused)] == [Reason.DIFFERS] * 2
    assert [page.refused for _, page in desk.take(LogPage)] == [Reason.DIFFERS] * 3
    assert desk.take(FetchSnapshot) == []
    desk.set_aside()


@pytest.mark.parametrize("digests", [(MINE, MINE), (MINE,)])
def test_a_gateway_that_agrees_serves_on(digests: tuple[bytes, ...]) -> None:
    desk = Desk()
    desk.state.digest_now = MINE
    desk.apply(SLOT)
    desk.apply(SLOT + 9, *(told(number, digest) for number, digest in enumerate(digests, 1)))
    desk.set_aside()
    desk.deliver(ME, propose(b"a"))

    assert desk.take(Refused) == []
    desk.set_aside()
