"""Containers are killed, frozen and cut off while four clients propose: every acknowledged value stays, once.

PAXOSD_CHAOS_S says for how long nodes are killed at random, PAXOSD_CHAOS_SEED which ones.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest

from tests.compose.cluster import Cluster, eventually
from tests.system.daemons import REPLICAS, ROLES
from tests.system.load import Attempt, longest_gap_s

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

LAYOUTS = [pytest.param(ROLES, id="roles"), pytest.param(REPLICAS, id="replicas")]
CHAOS_S = float(os.environ.get("PAXOSD_CHAOS_S") or "30")
SEED = int(os.environ.get("PAXOSD_CHAOS_SEED") or "1")


@pytest.mark.parametrize("roles", LAYOUTS)
def test_random_nodes_killed_and_started_again_under_load_lose_nothing(image: str, roles: dict[str, str]) -> None:
    chance = random.Random(SEED)
    with Cluster(image, roles) as cluster:
        with cluster.load() as load:
            end = time.monotonic() + CHAOS_S
            while time.monotonic() < end:
                killed = chance.sample(sorted(roles), chance.choice([1, 1, 1, 2]))
                cluster.kill(*killed)
                time.sleep(chance.uniform(0.0, 1.5))
                cluster.start(*killed)
                load.await_more(20, within_s=20)
        cluster.verify(load.history)


@pytest.mark.parametrize("roles", LAYOUTS)
def test_c05_u16_all_nodes_killed_at_once_under_load_lose_nothing(image: str, roles: dict[str, str]) -> None:
    with Cluster(image, roles) as cluster:
        with cluster.load() as load:
            for _ in range(3):
                load.await_more(50, within_s=20)
                cluster.kill(*roles)
                cluster.start(*roles)
            load.await_more(50, within_s=20)
        cluster.verify(load.history)


GONE = {"all proposers": ["p1", "p2"], "all learners": ["l1", "l2"], "one acceptor": ["a2"]}


def test_c22_without_all_proposers_all_learners_or_one_acceptor_nothing_is_lost(image: str) -> None:
    with Cluster(image, ROLES) as cluster:
        with cluster.load() as load:
            for what, nodes in GONE.items():
                load.await_more(20, within_s=20)
                cluster.kill(*nodes)
                if what == "one acceptor":
                    load.await_more(20, within_s=10)
                cluster.start(*nodes)
            load.await_more(20, within_s=20)
        cluster.verify(load.history)


@pytest.mark.parametrize("roles", LAYOUTS)
def test_c15_a_frozen_leader_is_replaced_and_harms_nothing_when_it_goes_on(image: str, roles: dict[str, str]) -> None:
    with Cluster(image, roles) as cluster:
        with cluster.load() as load:
            leader = cluster.leader()
            cluster.compose("pause", leader)
            load.await_more(50, within_s=15)
            cluster.compose("unpause", leader)
            load.await_more(50, within_s=15)
            eventually("every node is reachable", 15, lambda: all_reachable(cluster))
        cluster.verify(load.history)


@pytest.mark.parametrize("roles", LAYOUTS)
def test_n01_a_leader_cut_off_acknowledges_nothing_and_the_others_go_on(image: str, roles: dict[str, str]) -> None:
    with Cluster(image, roles) as cluster:
        with cluster.load() as load:
            leader = cluster.leader()
            cluster.cut(leader)
            load.await_more(50, within_s=15)
            alone = propose_alone(cluster, leader) if leader in cluster.gateways else []
            eventually("it stops leading", 5, lambda: "leader.lost" in cluster.logged(leader))
            cluster.mend(leader)
            load.await_more(50, within_s=15)
            eventually("every node is reachable", 30, lambda: all_reachable(cluster))
        cluster.verify(load.history + alone)


def propose_alone(cluster: Cluster, gateway: str) -> list[Attempt]:
    """Propose at a gateway that reaches nobody; fails if it acknowledges."""
    started_s = time.monotonic()
    with pytest.raises(AssertionError, match="exited with 4"):
        cluster.own(gateway, "propose", "alone", "--timeout", "2")
    return [Attempt(b"alone", started_s, time.monotonic(), "unknown")]


def all_reachable(cluster: Cluster) -> bool:
    return all(row["reachable"] for gateway in cluster.gateways for row in cluster.status(gateway)["nodes"])


def test_n15_nodes_that_come_back_with_a_new_address_are_found_again_within_5_s(image: str) -> None:
    with Cluster(image, ROLES) as cluster:
        with cluster.load() as load:
            for node in ("a1", "p1", "l1"):
                load.await_more(20, within_s=20)
                before = cluster.address(node)
                cluster.kill(node)
                cluster.compose("rm", "--force", node)
                cluster.beside(f"squatter-{node}", "--entrypoint", "sleep", image, "600")
                cluster.up(node)
                assert cluster.address(node) != before
                await_ready(cluster, node)
            # Only with those that moved is there a quorum, a leader and a gateway now.
            cluster.kill("a2", "p2", "l2")
            load.await_more(20, within_s=5 + 5)
            cluster.start("a2", "p2", "l2")
            load.await_more(20, within_s=20)
        cluster.verify(load.history)
        assert longest_gap_s(load.history) < 10


def test_a_name_server_that_is_silent_about_the_dead_holds_up_none_of_the_living(image: str, tmp_path: Path) -> None:
    override = tmp_path / "override.yml"  # the engine asks this server about every name that is not of a running node
    override.write_text(json.dumps({"services": {node: {"dns": ["192.0.2.1"]} for node in ROLES}}))
    with Cluster(image, ROLES, override) as cluster:
        with cluster.load() as load:
            for _ in range(2):
                load.await_more(20, within_s=20)
                cluster.kill("a1", "l1", "p1")
                load.await_more(50, within_s=5)
                cluster.start("a1", "l1", "p1")
                load.await_more(20, within_s=5)
                cluster.kill("a2", "l2", "p2")
                load.await_more(50, within_s=5)
                cluster.start("a2", "l2", "p2")
        cluster.verify(load.history)


def await_ready(cluster: Cluster, node: str) -> None:
    eventually(f"{node} is ready", 20, lambda: "ready node=" in cluster.logged(node))
