"""In which order planted bugs are hunted, and what becomes of those for which there is no time."""

from __future__ import annotations

import time

from paxosd.commands.sim.hunt import hunt_all, in_order
from paxosd.sim.planted.bugs import BUGS
from paxosd.sim.planted.places import KeyLogs, Scenarios, Seeds


def test_bugs_of_the_list_are_hunted_first_and_of_each_kind_those_that_are_found_soonest() -> None:
    bugs = in_order(BUGS)
    listed = [bug.listed for bug in bugs]
    others = [type(bug.shows_in) for bug in bugs if not bug.listed]

    assert len(bugs) == len(BUGS)
    assert listed == sorted(listed, reverse=True)
    assert list(dict.fromkeys(others)) == [KeyLogs, Scenarios, Seeds]


def test_where_no_time_is_left_nothing_is_hunted() -> None:
    started = time.monotonic()
    hunts = hunt_all(1, until=started)

    assert [hunted.bug for hunted in hunts] == [bug.name for bug in BUGS]
    assert {hunted.where for hunted in hunts} == {""}
