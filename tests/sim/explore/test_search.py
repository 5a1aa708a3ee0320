"""Small worlds, visited whole: every law holds in every one, and nothing that can happen is left out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from paxosd.core.messages import Heartbeat
from paxosd.sim.explore.bounds import WORLDS, Configuration
from paxosd.sim.explore.laws import Judge
from paxosd.sim.explore.search import explore
from paxosd.sim.explore.steps import Worlds
from paxosd.sim.explore.values import frozen
from paxosd.sim.explore.world import Part, Seat

ONE_ACCEPTOR = Configuration(acceptors=1, slots=2, rounds=1, crashes=1)
"""Small enough to be visited whole, and everything interesting happens."""

TWO_SLOTS = Configuration(slots=2, rounds=1, crashes=1)
"""Two proposers duel for two slots."""


# ---- it is right about the roles as they are -------------------------------------------------


def test_a_world_of_one_acceptor_and_one_crash_is_visited_whole() -> None:
    report = explore(ONE_ACCEPTOR)

    assert (report.complete, report.violation) == (True, None)
    assert report.distinct_states == 12_012
    assert None not in report.seen.values()


def test_promises_told_one_vote_at_a_time_break_no_law() -> None:
    report = explore(Configuration(acceptors=1, slots=2, rounds=1, crashes=1, page_bytes_max=1))

    assert (report.complete, report.violation) == (True, None)
    assert None not in report.seen.values()


@pytest.mark.slow
def test_a_world_of_three_acceptors_one_slot_and_one_crash_is_visited_whole() -> None:
    report = explore(Configuration(slots=1, rounds=1, crashes=1, window_slots=1))

    assert (report.complete, report.violation) == (True, None)
    assert report.distinct_states == 1_040_675


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_five_million_worlds_of_two_slots_and_one_crash_keep_every_law() -> None:
    report = explore(TWO_SLOTS, 5_000_000)

    assert report.violation is None
    assert report.distinct_states >= 5_000_000
    assert None not in report.seen.values()


def test_the_same_world_is_visited_in_the_same_way_each_time() -> None:
    first, second = (explore(TWO_SLOTS, 5_000) for _ in range(2))

    assert first == second


def test_a_search_tells_how_far_it_is_and_stops_where_it_shall() -> None:
    told: list[tuple[int, int]] = []
    report = explore(TWO_SLOTS, 2_000, lambda depth, states: told.append((depth, states)))

    assert not report.complete
    assert 2_000 <= report.distinct_states < 2_100
    assert [depth for depth, _ in told] == list(range(1, report.depth))


def test_a_turn_taken_again_is_the_same_turn() -> None:
    worlds = Worlds(ONE_ACCEPTOR, Judge(ONE_ACCEPTOR.window_slots))
    worlds_of(worlds)
    known = [
        (seat, state, letter) for seat in worlds.seats for state, heard in enumerate(seat.heard) for letter in heard
    ]
    for seat, state, letter in known:
        first, again = seat.heard[state][letter].turn, seat.turn(seat.states.rows[state], letter)

        assert again is not None
        assert (again[:3], again.state.identity) == (first[:3], first.state.identity)
    assert len(known) > 500


def worlds_of(worlds: Worlds) -> set[int]:
    """Every world that the steps lead to."""
    known, waiting = {worlds.first()}, deque([worlds.first()])
    while waiting:
        world = waiting.popleft()
        for after in [worlds.take(world, move) for move in worlds.moves(world)]:
            if after not in known:
                known.add(after)
                waiting.append(after)
    return known


# ---- nothing is left out -------------------------------------------------------------------

Whole = tuple[int, tuple[Part, ...]]
"""A world of the plain search: crashes so far, and the parts of all nodes."""


def plain_steps(worlds: Worlds, world: Whole, crashes_max: int) -> Iterator[Whole]:
    """Every single turn that can follow, cut short wherever it can be, with nothing put off and nothing hurried."""
    crashes, parts = world
    said = 0
    for part in parts:
        said |= part.said
    for seat, part in zip(worlds.seats, parts, strict=True):
        for crashed, after in plain_turns(worlds, seat, part, said & worlds.letters.arriving.get(seat.node, 0)):
            if crashes + crashed <= crashes_max:
                yield crashes + crashed, (*parts[: seat.index], after, *parts[seat.index + 1 :])


def plain_turns(worlds: Worlds, seat: Seat, part: Part, inbox: int) -> Iterator[tuple[int, Part]]:
    disk = seat.states.rows[part.state].disk
    yield 1, part._replace(state=seat.start(disk))
    for _, effect in seat.effects(part.state, inbox):
        early = part.said | worlds.letters.bits(seat.node, effect.turn.early)
        voted = part.voted | effect.voted
        yield 0, Part(effect.state, part.said | effect.said, voted)
        yield 1, Part(seat.start(disk), early, part.voted)
        yield 1, Part(seat.start(effect.turn.state.disk), early, voted)


def came_to(worlds: Worlds, parts: Iterable[Part]) -> tuple[object, ...]:
    """What is on all disks, every vote that ever was, and what was proposed and called chosen."""
    found: list[object] = []
    for seat, part in zip(worlds.seats, parts, strict=True):
        known = seat.pasts.rows[seat.past_of[seat.part(*part)]]
        found.append((frozen(seat.states.rows[part.state].disk), part.voted, known.proposed, known.told))
    return tuple(found)


def by_plain_search(configuration: Configuration) -> tuple[int, set[tuple[object, ...]]]:
    worlds = Worlds(configuration, Judge(configuration.window_slots))
    first: Whole = (0, tuple(Part(seat.start(seat.player.disk()), 0, frozenset()) for seat in worlds.seats))
    known, waiting = {first}, deque([first])
    while waiting:
        for after in plain_steps(worlds, waiting.popleft(), configuration.crashes):
            if after not in known:
                known.add(after)
                waiting.append(after)
    return len(known), {came_to(worlds, parts) for _, parts in known}


def by_steps(configuration: Configuration) -> tuple[int, set[tuple[object, ...]]]:
    worlds = Worlds(configuration, Judge(configuration.window_slots))
    known = worlds_of(worlds)
    parts = ([seat.parts.rows[seat.part_of(world)] for seat in worlds.seats] for world in known)
    return len(known), {came_to(worlds, each) for each in parts}


CALM_SLOT = Configuration(slots=1, rounds=1, crashes=1, window_slots=1, lost=(Heartbeat,))


@pytest.mark.parametrize(
    "configuration",
    [
        pytest.param(replace(CALM_SLOT, acceptors=1), id="one acceptor"),
        pytest.param(replace(CALM_SLOT, acceptors=3, proposers=1, crashes=0), id="three acceptors, one proposer"),
        pytest.param(replace(CALM_SLOT, acceptors=2, proposers=1, lost=()), id="two acceptors, one proposer"),
        pytest.param(
            replace(CALM_SLOT, acceptors=1, lost=()), id="one acceptor, with heartbeats", marks=pytest.mark.slow
        ),
        pytest.param(replace(CALM_SLOT, acceptors=2, crashes=0), id="two of each", marks=pytest.mark.slow),
        pytest.param(replace(CALM_SLOT, acceptors=1, slots=2, crashes=0), id="two slots"),
    ],
)
def test_putting_turns_off_and_answering_at_once_leaves_nothing_out(configuration: Configuration) -> None:
    worlds, found = by_steps(configuration)
    plain_worlds, all_there_is = by_plain_search(configuration)

    assert found == all_there_is
    assert worlds < plain_worlds


def test_a_search_ends_at_its_time_and_says_that_there_is_more() -> None:
    report = explore(WORLDS["two slots"], until=time.monotonic())

    assert not report.complete
    assert report.violation is None
    assert report.distinct_states > 0
