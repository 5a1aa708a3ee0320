"""Volumes that are gone: what an operator does to a container whose disk died, typed in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compose.cluster import Cluster, eventually, run
from tests.system.daemons import REPLICAS, ROLES

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


def row(cluster: Cluster, node: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in cluster.status()["nodes"] if row["node"] == node)
    return found


@pytest.mark.parametrize(
    ("roles", "lost", "killed"),
    [pytest.param(ROLES, "a2", "a1", id="roles"), pytest.param(REPLICAS, "r2", "r3", id="replicas")],
)
def test_i05_a_node_that_is_removed_with_its_volume_comes_back_by_itself_and_then_another_may_fail(
    image: str, roles: dict[str, str], lost: str, killed: str
) -> None:
    with Cluster(image, roles) as cluster:
        with cluster.load() as load:
            load.await_more(50, within_s=30)
            disk_before = row(cluster, lost)["disk"]
            cluster.compose("rm", "--stop", "--force", lost)
            run("docker", "volume", "rm", f"{cluster.name}_{lost}")
            load.await_more(50, within_s=30)
            cluster.up(lost)
            eventually(f"{lost} votes again", 30, lambda: row(cluster, lost)["votes"] == "voter")
            disk_after = row(cluster, lost)["disk"]
            cluster.kill(killed)
            load.await_more(50, within_s=30)
            cluster.start(killed)
            load.await_more(50, within_s=30)
        cluster.verify(load.history)

    assert disk_after != disk_before
