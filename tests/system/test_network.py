"""Real daemons on a network that is cut, stalled, slowed and reset under load: every promise to every client is kept.

A cut link gives no sign, so each cut is a half-open connection too, until it is healed or reset (`relay.py`).
The simulator holds the exact bounds of these scenarios over thousands of seeds; here real sockets, kernels and threads
have to meet them too, some doubled, because everything shares one machine. Names of scenarios are explained there, in
`paxosd/sim/scenarios/links.py` and `sim/scenarios/network.py`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paxosd.core.options import Timing
from tests.system.chaos import HASTY_TIMEOUT_S, SERVED_AGAIN_S, Chaos, seed
from tests.system.daemons import REPLICAS, ROLES, DaemonCluster
from tests.system.load import longest_gap_s
from tests.system.relay import CLIENTS, both_ways

LAYOUTS = [pytest.param(ROLES, id="roles", marks=pytest.mark.slow), pytest.param(REPLICAS, id="replicas")]
FIVE = {f"r{number}": "replica" for number in range(1, 6)}

T_E_S = Timing().election_s
ELECTED_S = 8 * T_E_S
STEPPED_DOWN_S = 4 * T_E_S
CAUGHT_UP_S = 5.0
QUIET_S = 3 * T_E_S
"""Long enough for whoever is unhappy with the leader to campaign."""
FLAPS = 50
"""How often the links of the leader go down and up; twenty seconds of it."""
RESETS = 10


@contextmanager
def under_load(folder: Path, roles: dict[str, str]) -> Iterator[Chaos]:
    """A cluster with clients at work; afterwards the network is healed and everybody served, and all is verified."""
    with DaemonCluster(folder, roles, relayed=True) as cluster:
        with Chaos(cluster, seed()) as chaos:
            yield chaos
            cluster.network.heal()
            chaos.await_progress()
        chaos.verify()


def followers(chaos: Chaos, leader: str) -> list[str]:
    """Who may lead besides the leader."""
    return [node for node in chaos.cluster.having("proposer", "replica") if node != leader]


@pytest.mark.parametrize("roles", LAYOUTS)
def test_n01_a_leader_cut_off_steps_down_acknowledges_nothing_and_follows_when_it_is_back(
    tmp_path: Path, roles: dict[str, str]
) -> None:
    with under_load(tmp_path, roles) as chaos:
        leader = chaos.cluster.leader()
        before = chaos.cluster.elections()
        chaos.cluster.network.cut(chaos.cluster.network.around(leader))
        chaos.cluster.daemons[leader].await_logged(rf"leader\.lost ballot=\d+\.{leader} ", STEPPED_DOWN_S)
        chaos.await_election(before, ELECTED_S)
        if leader in chaos.cluster.gateways:
            assert chaos.attempt(leader, timeout_s=1.0).outcome != "acked"
        chaos.await_progress(20, SERVED_AGAIN_S)
        chaos.cluster.network.heal()
        time.sleep(QUIET_S)

        assert len(chaos.cluster.elections()) == len(before) + 1


def test_c15_a_leader_that_stood_still_and_hears_nobody_since_shows_its_clients_nothing_of_the_past(
    tmp_path: Path,
) -> None:
    with under_load(tmp_path, REPLICAS) as chaos:
        leader = chaos.cluster.leader()
        before = chaos.cluster.elections()
        chaos.cluster.pause(leader)
        chaos.cluster.network.cut(chaos.cluster.network.around(leader))
        chaos.await_election(before, ELECTED_S)
        chaos.await_progress(20, SERVED_AGAIN_S)
        time.sleep(2 * HASTY_TIMEOUT_S)
        chaos.cluster.resume(leader)
        time.sleep(T_E_S)


def test_n02_of_five_the_only_one_that_reaches_a_quorum_leads_though_it_hears_the_old_leader(tmp_path: Path) -> None:
    with under_load(tmp_path, FIVE) as chaos:
        leader = chaos.cluster.leader()
        hub = followers(chaos, leader)[0]
        before = chaos.cluster.elections()
        chaos.cluster.network.cut(chaos.cluster.network.among() - both_ways([hub], FIVE))
        elected = chaos.await_election(before, ELECTED_S)
        chaos.await_progress(20, SERVED_AGAIN_S)
        time.sleep(QUIET_S)

        assert elected == hub
        assert len(chaos.cluster.elections()) == len(before) + 1


@pytest.mark.slow
def test_n02_a_leader_that_keeps_one_acceptor_of_three_makes_way_for_a_proposer_that_has_all(tmp_path: Path) -> None:
    with under_load(tmp_path, ROLES) as chaos:
        leader = chaos.cluster.leader()
        before = chaos.cluster.elections()
        chaos.cluster.network.cut(both_ways([leader], ["a2", "a3"]))
        elected = chaos.await_election(before, ELECTED_S)
        chaos.await_progress(20, SERVED_AGAIN_S)
        time.sleep(QUIET_S)

        assert elected == followers(chaos, leader)[0]
        assert len(chaos.cluster.elections()) == len(before) + 1


def test_n04_in_a_chain_with_the_leader_at_one_end_there_is_at_most_one_change(tmp_path: Path) -> None:
    with under_load(tmp_path, REPLICAS) as chaos:
        leader = chaos.cluster.leader()
        far = followers(chaos, leader)[0]
        before = chaos.cluster.elections()
        chaos.cluster.network.cut(both_ways([leader], [far]))
        chaos.await_progress(20, SERVED_AGAIN_S)
        time.sleep(QUIET_S)

        after = chaos.cluster.elections()
        assert len(after) <= len(before) + 1
        assert round_of(after[-1]) <= round_of(before[-1]) + 2


def round_of(ballot: str) -> int:
    return int(ballot.partition(".")[0])


@pytest.mark.parametrize("deaf", [pytest.param("one", marks=pytest.mark.slow), "all"])
def test_n06_a_leader_that_is_not_heard_but_hears_causes_at_most_one_change(tmp_path: Path, deaf: str) -> None:
    with under_load(tmp_path, REPLICAS) as chaos:
        leader = chaos.cluster.leader()
        others = followers(chaos, leader)
        before = chaos.cluster.elections()
        chaos.cluster.network.cut((leader, other) for other in (others if deaf == "all" else others[:1]))
        if deaf == "all":
            assert chaos.await_election(before, ELECTED_S) in others
        chaos.await_progress(20, SERVED_AGAIN_S)
        time.sleep(QUIET_S)

        assert len(chaos.cluster.elections()) <= len(before) + 1


@pytest.mark.slow
def test_n10_on_links_of_50_ms_everybody_is_served_and_nobody_campaigns(tmp_path: Path) -> None:
    with under_load(tmp_path, REPLICAS) as chaos:
        before = chaos.cluster.elections()
        chaos.cluster.network.slow(chaos.cluster.network.among(), 0.05)
        chaos.await_progress(60)

        assert chaos.cluster.elections() == before


@pytest.mark.slow
def test_n10_a_slow_link_to_one_follower_holds_up_nobody(tmp_path: Path) -> None:
    with under_load(tmp_path, REPLICAS) as chaos:
        leader = chaos.cluster.leader()
        before = chaos.cluster.elections()
        chaos.cluster.network.slow([(leader, followers(chaos, leader)[0])], 0.3)
        chaos.await_progress(100)

        assert chaos.cluster.elections() == before


@pytest.mark.slow
def test_n11_links_of_the_leader_that_flap_every_200_ms_cause_at_most_two_changes(tmp_path: Path) -> None:
    with under_load(tmp_path, REPLICAS) as chaos:
        around = chaos.cluster.network.around(chaos.cluster.leader())
        before = chaos.cluster.elections()
        for _ in range(FLAPS):
            chaos.cluster.network.cut(around)
            time.sleep(0.2)
            chaos.cluster.network.heal()
            time.sleep(0.2)
        chaos.await_progress(20, SERVED_AGAIN_S)

        assert len(chaos.cluster.elections()) <= len(before) + 2


@pytest.mark.slow
@pytest.mark.parametrize("roles", LAYOUTS)
def test_n18_nodes_cut_off_that_come_back_and_get_all_old_frames_catch_up_without_an_election(
    tmp_path: Path, roles: dict[str, str]
) -> None:
    with under_load(tmp_path, roles) as chaos:
        leader = chaos.cluster.leader()
        gone = ["a3", "l2"] if roles == ROLES else followers(chaos, leader)[:1]
        before = chaos.cluster.elections()
        chaos.cluster.network.cut(chaos.cluster.network.around(*gone))
        chaos.await_progress(50, SERVED_AGAIN_S)
        time.sleep(QUIET_S)
        chaos.cluster.network.heal()
        chaos.await_caught_up(gone[-1], CAUGHT_UP_S)

        assert chaos.cluster.elections() == before


def test_n19_a_half_open_link_to_a_follower_holds_up_nobody_and_is_replaced_once_it_is_reset(tmp_path: Path) -> None:
    with under_load(tmp_path, REPLICAS) as chaos:
        leader = chaos.cluster.leader()
        gone = followers(chaos, leader)[:1]
        before = chaos.cluster.elections()
        around = chaos.cluster.network.around(*gone)
        chaos.cluster.network.cut(around)
        chaos.await_progress(50, SERVED_AGAIN_S)
        time.sleep(QUIET_S)
        chaos.cluster.network.reset(around)
        chaos.cluster.network.heal()
        chaos.await_caught_up(gone[0], CAUGHT_UP_S)

        assert chaos.cluster.elections() == before


@pytest.mark.parametrize("lost", [pytest.param("requests and replies", marks=pytest.mark.slow), "replies"])
def test_l01_n20_clients_that_get_no_reply_from_their_gateway_are_served_by_another_one(
    tmp_path: Path, lost: str
) -> None:
    with under_load(tmp_path, REPLICAS) as chaos:
        leader = chaos.cluster.leader()
        chaos.cluster.network.cut([(leader, CLIENTS)] if lost == "replies" else both_ways([leader], [CLIENTS]))
        cut_s = time.monotonic()
        chaos.await_progress(20, SERVED_AGAIN_S)
    moved = [attempt for attempt in chaos.load.history if attempt.ended_s > cut_s and attempt.took_s > HASTY_TIMEOUT_S]
    assert moved, "no client was at this gateway"
    gave_up = [attempt for attempt in chaos.load.history if attempt.outcome != "acked"]
    assert not gave_up, f"patient clients gave up: {gave_up[:5]}"


def test_connections_that_are_reset_again_and_again_lose_nothing_and_stop_nobody(tmp_path: Path) -> None:
    with under_load(tmp_path, REPLICAS) as chaos:
        links = sorted(chaos.cluster.network.among() | both_ways([CLIENTS], REPLICAS))
        before = chaos.cluster.elections()
        chance = random.Random(chaos.seed)
        for _ in range(RESETS):
            chaos.cluster.network.reset(chance.sample(links, 3))
            time.sleep(0.2)
        chaos.await_progress(20, SERVED_AGAIN_S)

        assert len(chaos.cluster.elections()) <= len(before) + 1
        assert longest_gap_s(chaos.load.history) < SERVED_AGAIN_S
