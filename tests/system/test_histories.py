"""What clients of keys are told is linearizable, while nodes are killed, stopped and cut off.

`PAXOSD_HISTORY=FILE` keeps the history, for a checker that is not ours.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from paxosd.sim.check.linearizability import UNKNOWN, Operation, check
from paxosd.sim.check.objects import CompareAndSet, Read, Register, Write
from tests.system import faults
from tests.system.daemons import REPLICAS, DaemonCluster
from tests.system.histories import Action, Recorded, lines

KILLS = [faults.kill_one, faults.pause_one, faults.pause_leader, faults.minority_alive, faults.kill_all]
CUTS = [faults.cut_leader, faults.cut_one, faults.cut_clients, faults.stop_and_cut_leader]
LASTS_S = float(os.environ.get("PAXOSD_CHAOS_S") or 60)


def operations(actions: list[Action]) -> Iterator[Operation[Read | Write | CompareAndSet, object]]:
    """The actions of one key as our own checker has them."""
    calls: dict[int, tuple[int, Action]] = {}
    for at, action in enumerate(actions):
        process = action["process"]
        if action["type"] == "call":
            calls[process] = at, action
            continue
        started, _ = calls.pop(process)
        name = str(process)
        match action["op"]:
            case "get":
                yield Operation(name, Read(), action["value"], started, at)
            case "put":
                yield Operation(name, Write(action["value"]), None, started, at)
            case _ if "succeeded" in action:
                call = CompareAndSet(action["expected"], action["value"])
                yield Operation(name, call, action["succeeded"], started, at)
            case _:
                yield Operation(name, CompareAndSet(action["expected"], action["value"]), UNKNOWN, started)


def verdicts(history: list[Action]) -> Iterator[tuple[str, str]]:
    """What our own checker says of each key."""
    by_key = sorted(history, key=lambda action: str(action["key"]))  # which keeps the order of the actions
    for key, actions in itertools.groupby(by_key, key=lambda action: str(action["key"])):
        yield key, check(Register(0), operations(list(actions))).verdict


@pytest.mark.slow
@pytest.mark.timeout(LASTS_S + 300)
@pytest.mark.parametrize("kinds", [pytest.param(KILLS, id="kills"), pytest.param(CUTS, id="cuts")])
def test_what_clients_of_keys_are_told_is_linearizable(tmp_path: Path, kinds: list[faults.Fault]) -> None:
    chance = random.Random(len(kinds))
    with DaemonCluster(tmp_path, REPLICAS, relayed=True) as cluster:
        cluster.leader()
        recorded = Recorded(cluster, seed=1)
        recorded.start()
        end = time.monotonic() + LASTS_S
        try:
            while time.monotonic() < end:
                time.sleep(chance.uniform(0.3, 1.5))
                chance.choice(kinds)(cluster, chance)
        finally:
            history = recorded.stop()
    if kept := os.environ.get("PAXOSD_HISTORY"):
        Path(f"{kept}.{'kills' if kinds is KILLS else 'cuts'}").write_text(lines(history))
    told = dict(verdicts(history))
    print(
        f"{len(history) // 2} operations on {len(told)} keys; unknown {recorded.unknown}, resolved {recorded.resolved}"
    )

    assert {key: verdict for key, verdict in told.items() if verdict != "linearizable"} == {}
    assert len(told) > 10
