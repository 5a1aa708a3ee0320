"""When a leader decrees that a new disk takes the place of one that is silent."""

from __future__ import annotations

import pytest

from paxosd.core.decrees import Replace
from paxosd.core.guests import SILENT_T_E, Guests
from paxosd.core.quorum import Quorum
from paxosd.core.types import DiskId
from paxosd.core.voters import Count
from tests.core.helpers import ROLES, born, disk_of, membership

NEW: DiskId = 77
ELECTION_S = 1.0
LATE = SILENT_T_E * ELECTION_S


def guests(prepare: int, accept: int) -> Guests:
    """Of a leadership that began at 0, with three acceptors."""
    quorum = Quorum({"a1": 1, "a2": 1, "a3": 1}, prepare, accept)
    return Guests(Count(born(membership(ROLES, quorum))), ELECTION_S, 0.0)


def test_a_disk_that_was_silent_for_long_gives_way_to_the_one_that_speaks_now() -> None:
    found = guests(2, 2)
    found.hear("a2", NEW, LATE - 0.1)
    assert found.decree(["a1", "a3"], LATE - 0.1) is None
    found.hear("a2", NEW, LATE)

    assert found.decree(["a1", "a3"], LATE) == Replace("a2", disk_of("a2"), NEW)


def test_a_disk_that_speaks_is_not_replaced_whoever_else_speaks_in_its_name() -> None:
    found = guests(2, 2)
    found.hear("a2", disk_of("a2"), LATE)
    found.hear("a2", NEW, LATE)

    assert found.decree(["a1", "a2", "a3"], LATE) is None


def test_a_new_disk_that_is_silent_again_is_not_admitted() -> None:
    found = guests(2, 2)
    found.hear("a2", NEW, LATE)

    assert found.decree(["a1", "a3"], LATE + ELECTION_S) is None


@pytest.mark.parametrize(
    ("prepare", "accept", "takes_part"),
    [(2, 2, ["a1"]), (2, 2, ["a1", "a2"]), (3, 1, ["a1", "a3"])],
    ids=["one alone", "itself does not count", "no quorum without it"],
)
def test_no_disk_is_replaced_where_the_others_could_not_begin_a_ballot_without_it(
    prepare: int, accept: int, takes_part: list[str]
) -> None:
    found = guests(prepare, accept)
    found.hear("a2", NEW, LATE)

    assert found.decree(takes_part, LATE) is None
