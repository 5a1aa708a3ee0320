"""Real daemons are killed, stopped, restarted and cut off under load: every promise to every client is kept.

The short runs belong to every test run; those marked slow take PAXOSD_CHAOS_S seconds each. PAXOSD_CHAOS_SEED
repeats the faults of a run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.system.chaos import SERVED_AGAIN_S, Chaos, outcomes, seed
from tests.system.daemons import REPLICAS, ROLES, DaemonCluster
from tests.system.faults import (
    NETWORK,
    Fault,
    kill_all,
    kill_one,
    minority_alive,
    pause_leader,
    pause_one,
    restart_all_in_turn,
)

LAYOUTS = [pytest.param(ROLES, id="roles"), pytest.param(REPLICAS, id="replicas")]
SHORT_S = 12.0
LONG_S = float(os.environ.get("PAXOSD_CHAOS_S") or "60")


def endure(folder: Path, roles: dict[str, str], faults: Sequence[Fault], duration_s: float) -> Chaos:
    relayed = any(fault in NETWORK for fault in faults)
    with DaemonCluster(folder, roles, relayed=relayed) as cluster:
        with Chaos(cluster, seed()) as chaos:
            chaos.run(faults, duration_s)
            assert chaos.faults
            assert max(chaos.recoveries_s) <= SERVED_AGAIN_S
        chaos.verify()
    return chaos


def test_c18_roles_killed_and_started_again_for_seconds_keep_every_promise(tmp_path: Path) -> None:
    endure(tmp_path, ROLES, [kill_one], SHORT_S)


def test_replicas_killed_stopped_and_restarted_for_seconds_keep_every_promise(tmp_path: Path) -> None:
    endure(tmp_path, REPLICAS, [kill_one, pause_one, kill_all, restart_all_in_turn], SHORT_S)


MIX = [kill_one, kill_one, pause_one, pause_leader, kill_all, restart_all_in_turn, minority_alive]

LONG: dict[str, Sequence[Fault]] = {
    "c18 killed one by one": [kill_one],
    "c15 stopped and continued": [pause_one, pause_leader],
    "c05 c10 all killed at once": [kill_all],
    "n20 a minority alive": [minority_alive],
    "n01 n06 n19 links cut, stalled and reset": NETWORK,
    "all of it": [*MIX, *NETWORK],
}


@pytest.mark.slow
@pytest.mark.timeout(LONG_S + 240)
@pytest.mark.parametrize("roles", LAYOUTS)
@pytest.mark.parametrize("faults", LONG)
def test_c05_c10_c15_c18_n01_n20_nodes_and_links_disturbed_for_minutes_keep_every_promise(
    tmp_path: Path, roles: dict[str, str], faults: str
) -> None:
    endure(tmp_path, roles, LONG[faults], LONG_S)


@pytest.mark.slow
@pytest.mark.timeout(LONG_S + 240)
@pytest.mark.parametrize("roles", LAYOUTS)
def test_c21_nodes_restarted_by_sigterm_for_minutes_hide_it_from_patient_clients(
    tmp_path: Path, roles: dict[str, str]
) -> None:
    chaos = endure(tmp_path, roles, [restart_all_in_turn], LONG_S)

    assert set(outcomes(chaos.load)) == {"acked"}
