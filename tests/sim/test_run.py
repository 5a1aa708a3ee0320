"""Whole clusters under one seed: safe under every mix of faults, live once they end, and the same twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from paxosd.machine.log import Log
from paxosd.sim.draw import WIDE_THINKS_TIMES, draw
from paxosd.sim.families import FAMILIES
from paxosd.sim.plan import Plan
from paxosd.sim.run import run

HASH_OF = """
from paxosd.sim.draw import draw
from paxosd.sim.run import run
print(run(draw({seed})).trace_hash)
"""


@pytest.mark.parametrize("profile", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_no_invariant_breaks_and_a_healed_core_serves(profile: str, seed: int) -> None:
    result = run(draw(seed, profile))

    assert result.text == ""
    assert result.acknowledged > 100


@pytest.mark.parametrize("nodes", range(3, 8))
def test_every_size_of_cluster_serves_after_its_faults(nodes: int) -> None:
    result = run(draw(1, nodes=nodes))

    assert result.text == ""
    assert len(result.plan.roles) == nodes


@pytest.mark.parametrize("seed", [3, 8])
def test_29_the_same_seed_gives_the_same_trace_in_another_process_with_other_hashes(seed: int) -> None:
    hashes = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", HASH_OF.format(seed=seed)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=100)
        hashes.add(done.stdout)

    assert hashes == {run(draw(seed)).trace_hash + "\n"}


def test_other_seeds_give_other_traces() -> None:
    assert run(draw(1)).trace_hash != run(draw(2)).trace_hash


def test_tracing_changes_nothing_but_what_is_kept() -> None:
    plan = replace(draw(4), faults_s=5.0)
    plain, traced = run(plan), run(plan, tracing=True)

    assert plain.trace_hash == traced.trace_hash
    assert plain.trace == []
    assert any("sends Accept(" in line for line in traced.trace)


def test_one_of_sixteen_seeds_of_the_swarm_is_of_the_family_of_keys() -> None:
    assert [seed for seed in range(64) if draw(seed).keys] == [15, 31, 47, 63]


def test_in_seeds_of_locks_callers_take_a_lock_again_and_are_told_where_they_lost_it() -> None:
    marks = sum((run(draw(seed, "locks")).marks for seed in range(3)), Counter[str]())

    assert marks["lock taken again"] > 10
    assert marks["lost lock not taken again"] > 1


def test_clients_of_the_wide_swarm_think_longer_but_for_those_that_use_keys() -> None:
    plans = [draw(seed, "wide") for seed in range(64)]
    of_keys = [plan for plan in plans if plan.keys]

    assert [plan.seed for plan in of_keys] == [15, 31, 47, 63]
    assert max(plan.think_s for plan in of_keys) <= 0.5
    assert min(plan.think_s for plan in plans if not plan.keys) >= 0.1 * WIDE_THINKS_TIMES


def test_a_plan_survives_being_written_down() -> None:
    plan = draw(11)

    assert Plan.from_json(plan.to_json()) == plan


class Forgetful(Log):
    """A state machine whose state is not a function of the log: what a user would do wrong."""

    lives = 0

    def __init__(self) -> None:
        super().__init__()
        Forgetful.lives += 1
        self._life = Forgetful.lives

    def digest(self) -> bytes:
        return super().digest() + (b"odd" if self._life % 2 else b"even")


def test_15_a_users_machine_that_differs_between_nodes_is_found() -> None:
    result = run(draw(1, "quiet"), Forgetful)

    assert result.violation == "15 state digest"
