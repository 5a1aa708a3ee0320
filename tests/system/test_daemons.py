"""A cluster of real daemons: real sockets, real files, real signals."""

from __future__ import annotations

import signal
import time
from itertools import cycle
from pathlib import Path

import pytest

from paxosd import Client
from paxosd.client.errors import PaxosError
from paxosd.config import load
from tests.system.daemons import REPLICAS, ROLES, Daemon, DaemonCluster

LAYOUTS = [pytest.param(ROLES, id="roles"), pytest.param(REPLICAS, id="replicas")]

LATE_S = 2.0
"""How much later than its timeout a call may come back where many processes share a processor."""


def values_of(client: Client) -> list[bytes]:
    return [entry.value for entry in client.log(start=1)]


@pytest.mark.parametrize("roles", LAYOUTS)
def test_values_get_revisions_without_gaps_and_every_learner_has_the_same_log(
    tmp_path: Path, roles: dict[str, str]
) -> None:
    with DaemonCluster(tmp_path, roles) as cluster:
        with cluster.client() as client:
            receipts = [client.propose(f"v{number}".encode()) for number in range(20)]
        logs = []
        for gateway in cluster.gateways:
            with cluster.client([gateway]) as client:
                logs.append(list(client.log(start=1)))

    assert [receipt.revision for receipt in receipts] == list(range(1, 21))
    assert [entry.value for entry in logs[0]] == [f"v{number}".encode() for number in range(20)]
    assert all(log == logs[0] for log in logs)


@pytest.mark.parametrize("limits", ["", "limits: {command_bytes: 100KiB, value_bytes: 4KiB, pending_bytes: 100KiB}"])
def test_o04_large_values_that_are_sent_all_at_once_are_all_served(tmp_path: Path, limits: str) -> None:
    with DaemonCluster(tmp_path, {"r1": "replica"}, limits) as cluster, cluster.client() as client:
        size = load(cluster.config).limits.command_bytes_max
        futures = [client.propose_async(bytes(length), timeout=20) for length in [size] * 12 + [1000] * 1000]

        assert [future.result().revision for future in futures] == list(range(1, 1013))


def test_nodes_start_in_any_order(tmp_path: Path) -> None:
    cluster = DaemonCluster(tmp_path, ROLES)
    try:
        for node in ("l2", "p2", "a3", "l1", "a1", "p1", "a2"):
            cluster.start(node)
        with cluster.client() as client:
            assert client.propose(b"first").revision == 1
    finally:
        cluster.__exit__(None, None, None)


@pytest.mark.parametrize("roles", LAYOUTS)
def test_c05_killing_all_nodes_at_once_loses_nothing_acknowledged(tmp_path: Path, roles: dict[str, str]) -> None:
    with DaemonCluster(tmp_path, roles) as cluster:
        acknowledged: list[bytes] = []
        for life in range(3):
            with cluster.client() as client:
                for number in range(30):
                    value = f"{life}-{number}".encode()
                    client.propose(value)
                    acknowledged.append(value)
            cluster.kill(*roles)
            cluster.start(*roles)
        with cluster.client() as client:
            assert values_of(client) == acknowledged


def test_c22_learners_that_lost_everything_learn_it_again_from_a_quorum_of_acceptors(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, ROLES) as cluster:
        with cluster.client() as client:
            futures = [client.propose_async(f"v{number}".encode()) for number in range(500)]
            for future in futures:
                future.result(10)
        cluster.kill("l1", "l2", "p1", "p2", "a3")
        for learner in ("l1", "l2"):
            (tmp_path / learner).rename(tmp_path / f"{learner}-lost")
        cluster.start("l1", "l2", "p1", "p2")
        with cluster.client() as client:
            assert values_of(client) == [f"v{number}".encode() for number in range(500)]


@pytest.mark.parametrize("roles", LAYOUTS)
def test_a_killed_leader_is_replaced_and_its_values_stay(tmp_path: Path, roles: dict[str, str]) -> None:
    with DaemonCluster(tmp_path, roles) as cluster:
        leader = cluster.leader()
        with cluster.client() as client:
            before = [client.propose(f"before-{number}".encode()).revision for number in range(10)]
            cluster.kill(leader)
            after = [client.propose(f"after-{number}".encode()).revision for number in range(10)]
            assert cluster.leader() != leader
            log = values_of(client)

    assert before + after == list(range(1, 21))
    assert log == [f"before-{n}".encode() for n in range(10)] + [f"after-{n}".encode() for n in range(10)]


@pytest.mark.parametrize("roles", LAYOUTS)
def test_n20_without_a_quorum_a_client_is_told_within_its_timeout_and_served_again_when_it_is_back(
    tmp_path: Path, roles: dict[str, str]
) -> None:
    with DaemonCluster(tmp_path, roles) as cluster, cluster.client() as client:
        client.propose(b"one")
        gone = cluster.having("acceptor", "replica")[:2]
        cluster.kill(*gone)
        started = time.monotonic()
        with pytest.raises(PaxosError) as lost:
            client.propose(b"two", timeout=2.0)
        took_s = time.monotonic() - started
        cluster.start(*gone)
        client.propose(b"three", timeout=20.0)
        log = values_of(client)

    assert lost.value.outcome in ("not_applied", "unknown")
    assert took_s < 2.0 + LATE_S
    assert log in ([b"one", b"three"], [b"one", b"two", b"three"])
    assert not (lost.value.outcome == "not_applied" and b"two" in log)


def test_l13_with_all_nodes_down_a_call_ends_at_its_timeout_as_not_applied(tmp_path: Path) -> None:
    cluster = DaemonCluster(tmp_path, ROLES)
    started = time.monotonic()
    with cluster.client() as client, pytest.raises(PaxosError) as lost:
        client.propose(b"nobody hears this", timeout=1.0)

    assert lost.value.outcome == "not_applied"
    assert time.monotonic() - started < 1.0 + LATE_S


@pytest.mark.parametrize("roles", LAYOUTS)
def test_c15_a_stopped_leader_is_replaced_and_harms_nothing_when_it_goes_on(
    tmp_path: Path, roles: dict[str, str]
) -> None:
    with DaemonCluster(tmp_path, roles) as cluster, cluster.client() as client:
        client.propose(b"one")
        leader = cluster.leader()
        cluster.daemons[leader].send(signal.SIGSTOP)
        client.propose(b"two")
        cluster.daemons[leader].send(signal.SIGCONT)
        client.propose(b"three")

        assert values_of(client) == [b"one", b"two", b"three"]


@pytest.mark.parametrize("roles", LAYOUTS)
def test_c21_sigterm_drains_and_exits_0_and_the_others_go_on(tmp_path: Path, roles: dict[str, str]) -> None:
    with DaemonCluster(tmp_path, roles) as cluster, cluster.client() as client:
        client.propose(b"one")
        leader = cluster.leader()
        futures = [client.propose_async(f"f{number}".encode()) for number in range(200)]
        code = cluster.daemons[leader].end(signal.SIGTERM)
        for future in futures:
            future.result(10)
        log = values_of(client)
        signals = dict(zip(cluster.daemons, cycle((signal.SIGTERM, signal.SIGHUP, signal.SIGINT)), strict=False))
        codes = {node: daemon.end(signals[node]) for node, daemon in cluster.daemons.items()}

    assert code == 0
    assert log == [b"one"] + [f"f{number}".encode() for number in range(200)]
    assert set(codes.values()) == {0}


def test_d13_a_second_daemon_on_the_same_directory_is_refused_with_code_8(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, ROLES) as cluster:
        second = Daemon("a1", "acceptor", cluster.config, tmp_path / "a1", tmp_path / "second.log")
        code = second.process.wait(20)

    assert code == 8
    assert "a1" in second.written()


def test_d12_the_directory_of_another_node_is_refused_with_code_8(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, ROLES) as cluster:
        cluster.kill("a1", "a2")
        foreign = Daemon("a1", "acceptor", cluster.config, tmp_path / "a2", tmp_path / "foreign.log")
        code = foreign.process.wait(20)

    assert code == 8
    assert "a2" in foreign.written()


def test_a_port_in_use_ends_with_code_9_and_touches_no_records(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, ROLES) as cluster:
        twin = Daemon("a1", "acceptor", cluster.config, tmp_path / "twin", tmp_path / "twin.log")
        code = twin.process.wait(20)

    assert code == 9
    assert "in use" in twin.written()


def test_u07_a_node_with_another_membership_file_is_heard_by_nobody(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, ROLES) as cluster:
        with cluster.client() as client:
            assert client.propose(b"the cluster is born").revision == 1
        cluster.kill("a3")
        other = tmp_path / "other.yaml"
        other.write_text(cluster.config.read_text().replace("cluster: test", "cluster: tests"))
        stray = Daemon("a3", "acceptor", other, tmp_path / "stray", tmp_path / "stray.log")
        try:
            stray.await_logged("ready node=a3")
            stray.await_logged("dropped a frame")
            with cluster.client() as client:
                assert client.propose(b"still two acceptors").revision == 2
        finally:
            stray.end()
