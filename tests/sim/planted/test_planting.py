"""The simulator is seen to fail: every planted bug is found, and names the source that it changes."""

from __future__ import annotations

import importlib.util
import multiprocessing
from pathlib import Path

import pytest

from paxosd.sim.planted.bugs import BUGS, Bug
from paxosd.sim.planted.planting import Hunt, Seeds, hunt

FOUND_AT_ONCE = (
    "skip fsync before p1b",
    "skip fsync before p2b",
    "reply before fsync",
    "quorum = n//2",
    "no-op over reported value",
    "accepted not restored",
    "a repeated command is applied again",
    "window not kept",
)
"""Bugs that a handful of seeds finds; `paxosd sim --planted` hunts all of them."""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_changes_a_text_that_stands_once_in_the_source(bug: Bug) -> None:
    for module, old, new in bug.changes:
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).read_text().count(old) == 1
        assert new != old


def test_planted_bugs_are_found() -> None:
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        hunts: list[Hunt] = pool.starmap(hunt, [(name, Seeds(0, 10)) for name in FOUND_AT_ONCE], chunksize=1)

    assert [found.bug for found in hunts if not found.violation] == []
