"""The keys hold under random commands, and bugs that are planted into them are found by the model of them."""

from __future__ import annotations

import multiprocessing

import pytest

from paxosd.sim.keys.playing import play
from paxosd.sim.planted.hunting import Hunt, hunt
from paxosd.sim.planted.keys import LOGS

SOME = (
    "keys: what a refused transaction did stays",
    "keys: missing is empty",
    "keys: a past revision is the one before it",
    "keys: a key that was deleted is still its lease's",
    "keys: a key that was deleted comes back at a restart",
)
"""`paxosd sim --planted` hunts all of them."""


@pytest.mark.parametrize("seed", range(0, 200, 10))
def test_nothing_is_wrong_with_the_keys(seed: int) -> None:
    assert [each for each in range(seed, seed + 10) if play(each)] == []


def test_bugs_that_are_planted_into_the_keys_are_found() -> None:
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        hunts: list[Hunt] = pool.starmap(hunt, [(name, (LOGS,)) for name in SOME], chunksize=1)

    assert [found.bug for found in hunts if not found.violation] == []
