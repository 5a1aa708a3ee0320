"""The scenarios of recipes end as they must, and bugs that are planted into recipes are found by them."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator

import pytest

from paxosd.sim.planted.hunting import Hunt, hunt
from paxosd.sim.planted.places import Scenarios
from paxosd.sim.planted.recipes import RECIPES
from paxosd.sim.scenarios.catalogue import SCENARIOS, play
from paxosd.sim.scenarios.recipes import reentered
from paxosd.sim.scenarios.script import Script
from paxosd.sim.world import World

OF_RECIPES = tuple(name for name in SCENARIOS if name.startswith("R*"))
LAWS = {
    "who waits for an entry does not hear that one is given back": "40 who waits gets on",
    "who leaves a double barrier waits for newcomers, too": "40 who waits gets on",
    "who waits at a double barrier goes in on any change": "46 double barriers",
    "a double barrier is opened by who is gone": "46 double barriers",
    "who watches an election does not hear who comes": "40 who waits gets on",
    "who watches an election looks away before it waits": "40 who waits gets on",
    "who watches an election is not told what its leader says": "40 who waits gets on",
    "a lock that was taken twice is freed at the first exit": "48 re-entrant locks",
    "a lock that was taken twice is never freed": "48 re-entrant locks",
    "a lock that one has is taken again by another one": "48 re-entrant locks",
    "a lock that was lost is taken again": "48 re-entrant locks",
    "how often it was taken is kept over a lost lock": "48 re-entrant locks",
    "who lost a lock gives back that of the next one": "48 re-entrant locks",
}
"""By planted bug, what it breaks in its scenario."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Dropped frames are no news here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", OF_RECIPES)
def test_a_scenario_of_recipes_ends_as_it_must(name: str) -> None:
    rows = [play(name, layout, range(5)) for layout in SCENARIOS[name].layouts]

    assert [(row.layout, row.failed) for row in rows if row.failed] == []


def test_29_a_scenario_of_recipes_with_the_same_seed_has_the_same_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds: list[World] = []
    monkeypatch.setattr(Script, "on_world", worlds.append)
    for _ in range(2):
        reentered(3, "3 replicas")

    assert worlds[0].trace_hash() == worlds[1].trace_hash()


def test_bugs_of_recipes_that_no_seed_shows_are_found_in_their_scenarios_by_what_they_break() -> None:
    bugs = [bug for bug in RECIPES if isinstance(bug.shows_in, Scenarios)]
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        hunts: list[Hunt] = pool.starmap(hunt, [(bug.name, (bug.shows_in,)) for bug in bugs], chunksize=1)

    assert {found.bug: found.violation for found in hunts} == LAWS
