"""What the README says about containers, and what an operator relies on."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from tests.compose.cluster import ROOT, Cluster, eventually, run
from tests.system.daemons import REPLICAS, ROLES

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

LAYOUTS = [pytest.param(ROLES, id="roles"), pytest.param(REPLICAS, id="replicas")]
DECIDES_WITHIN_S = 15.0


@pytest.mark.parametrize("roles", LAYOUTS)
def test_a_cluster_decides_within_15_s_and_every_gateway_tells_the_same(image: str, roles: dict[str, str]) -> None:
    started = time.monotonic()
    with Cluster(image, roles) as cluster:
        first, *others = cluster.gateways
        eventually("a value is decided", DECIDES_WITHIN_S, lambda: cluster.paxosctl(first, "propose", "hello"))
        took_s = time.monotonic() - started
        cluster.paxosctl(others[0], "propose", "world")
        logs = {gateway: [entry.value for entry in cluster.log(gateway)] for gateway in cluster.gateways}
        status = cluster.status()
        told = cluster.paxosctl(first, "status")

    assert took_s < DECIDES_WITHIN_S
    assert all(log == [b"hello", b"world"] for log in logs.values())
    assert status["leader"] in roles
    assert {row["node"] for row in status["nodes"] if row["reachable"]} == set(roles)
    assert all(node in told for node in roles)


def test_the_compose_file_alone_starts_the_role_daemons_and_nothing_else(image: str) -> None:
    plain = run("docker", "compose", "config", "--services").split()

    assert set(plain) == set(ROLES)


def test_no_registry_is_asked_for_the_image_that_is_built_here(image: str) -> None:
    everything = run("docker", "compose", "--profile", "*", "config", "--format", "json")
    policies = {name: service.get("pull_policy") for name, service in json.loads(everything)["services"].items()}

    assert policies == dict.fromkeys([*ROLES, *REPLICAS, "demo"], "never")


def test_the_compose_file_is_readable_by_compose_1(image: str) -> None:
    try:
        run("docker-compose", "--version")
    except FileNotFoundError:
        pytest.skip("there is no docker-compose 1 here")

    assert set(run("docker-compose", "config", "--services").split()) >= set(ROLES)


def test_the_demo_proposes_and_prints_the_log(image: str) -> None:
    with Cluster(image, ROLES) as cluster:
        printed = cluster.compose("run", "--rm", "demo")
        values = [entry.value for entry in cluster.log("l2")]

    assert "proposed 'hello': revision 1" in printed
    assert printed.splitlines()[-len(values) :] == [
        f"{revision:6}  {value.decode()}" for revision, value in enumerate(values, 1)
    ]


def test_every_node_becomes_healthy_and_has_no_more_rights_than_it_needs(image: str) -> None:
    with Cluster(image, ROLES) as cluster:
        eventually("all are healthy", 60, lambda: health(cluster) == dict.fromkeys(ROLES, "healthy"))
        found = {node: cluster.inspect(node) for node in ROLES}
        process = cluster.compose("exec", "-T", "a1", "cat", "/proc/1/status", "/proc/1/cmdline")

    rights = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
    assert rights["Uid"].split() == ["10001"] * 4
    assert int(rights["CapEff"], 16) == int(rights["CapBnd"], 16) == 0
    assert rights["NoNewPrivs"] == "1"
    assert "paxosd\0--role\0acceptor" in process
    assert all(known["HostConfig"]["ReadonlyRootfs"] for known in found.values())
    assert all(not any(known["NetworkSettings"]["Ports"].values()) for known in found.values())
    volumes = {
        node: [mount["Name"] for mount in known["Mounts"] if mount["Type"] == "volume"] for node, known in found.items()
    }
    assert volumes == {node: [f"{cluster.name}_{node}"] for node in ROLES}


def health(cluster: Cluster) -> dict[str, str]:
    return {node: cluster.inspect(node)["State"]["Health"]["Status"] for node in ROLES}


def test_a_node_whose_process_dies_is_started_again_by_the_engine(image: str) -> None:
    with Cluster(image, ROLES) as cluster:
        cluster.paxosctl("l1", "propose", "before")
        process = cluster.inspect("a1")["State"]["Pid"]
        killer = ["--rm", "--pid", "host", "--user", "0", "--entrypoint", "python3"]
        run("docker", "run", *killer, image, "-c", f"import os; os.kill({process}, 9)")
        eventually("a1 has a new process", 20, lambda: cluster.inspect("a1")["State"]["Pid"] not in (0, process))
        cluster.kill("a2")
        cluster.paxosctl("l1", "propose", "after")


@pytest.mark.parametrize("roles", LAYOUTS)
def test_u16_down_and_up_keeps_the_log_in_the_volumes(image: str, roles: dict[str, str]) -> None:
    with Cluster(image, roles) as cluster:
        for number in range(3):
            cluster.paxosctl(cluster.gateways[0], "propose", f"v{number}")
        cluster.compose("down")
        cluster.up(*roles)
        kept = eventually("the cluster answers", 20, lambda: cluster.log(cluster.gateways[0]))

    assert [entry.value for entry in kept] == [b"v0", b"v1", b"v2"]


@pytest.mark.parametrize("roles", LAYOUTS)
def test_c21_compose_stop_under_load_ends_every_node_with_0_within_5_s(image: str, roles: dict[str, str]) -> None:
    with Cluster(image, roles) as cluster:
        with cluster.load() as load:
            load.await_more(50, within_s=20)
            started = time.monotonic()
            cluster.compose("stop", *roles)
            took_s = time.monotonic() - started
            codes = {node: cluster.inspect(node)["State"]["ExitCode"] for node in roles}
            cluster.start(*roles)
            load.await_more(50, within_s=20)
        cluster.verify(load.history)

    assert codes == dict.fromkeys(roles, 0)
    assert took_s < 5.0


def test_d24_a_data_directory_in_the_containers_own_layer_is_warned_about(image: str) -> None:
    daemon = "paxosd --role acceptor --id a1 --config /etc/paxosd/cluster.yaml --data-dir"
    options = ["--rm", "--network", "none", "--volume", f"{ROOT / 'config'}:/etc/paxosd:ro", "--entrypoint", "sh"]
    said = {
        place: run("docker", "run", *options, image, "-c", f"timeout --preserve-status 3 {daemon} {place} 2>&1")
        for place in ("/var/tmp/a1", "/var/lib/paxosd")  # the second one is a volume
    }

    assert all("ready node=a1" in told for told in said.values())
    assert "container's own layer" in said["/var/tmp/a1"]
    assert "mount a volume" in said["/var/tmp/a1"]
    assert "mount a volume" not in said["/var/lib/paxosd"]
    assert all(f"made a NEW data directory, {place}" in told for place, told in said.items())


def test_the_image_runs_as_any_user_of_group_0(image: str) -> None:
    daemon = "paxosd --role acceptor --id a1 --config /etc/paxosd/cluster.yaml --data-dir /var/lib/paxosd"
    well = "i=0; until paxosd health --data-dir /var/lib/paxosd || [ $i = 20 ]; do i=$((i + 1)); sleep 1; done; echo $i"
    shell = f"unset HOME; umask 0; {daemon} & {well}; kill $!; wait $!; echo code $?; stat -c %a /var/lib/paxosd/*"
    options = ["--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--user", "12345:0"]
    mount = ["--volume", f"{ROOT / 'config'}:/etc/paxosd:ro", "--entrypoint", "sh"]
    said = run("docker", "run", *options, *mount, image, "-c", f"({shell}) 2>&1").splitlines()

    assert any("ready node=a1" in line for line in said), said
    assert "20" not in said  # tries, one a second
    assert said[said.index("code 0") + 1 :] == ["600"] * 7


def test_a_container_that_is_told_to_end_as_soon_as_it_is_started_ends_with_0(image: str) -> None:
    mount = ["--volume", f"{ROOT / 'config'}:/etc/paxosd:ro", "--network", "none"]
    node = ["--role", "acceptor", "--id", "a1", "--config", "/etc/paxosd/cluster.yaml", "--data-dir", "/var/lib/paxosd"]
    name = run("docker", "create", *mount, image, *node).strip()
    try:
        for _ in range(5):
            run("sh", "-c", f"docker start {name} && docker kill --signal TERM {name}")
            assert run("timeout", "20", "docker", "wait", name).strip() == "0"
    finally:
        run("docker", "rm", "--force", "--volumes", name)


@pytest.mark.parametrize("stray", ["a3", "p2"])
def test_u07_a_node_with_another_membership_file_is_refused_and_says_so(image: str, tmp_path: Path, stray: str) -> None:
    file = (ROOT / "config" / "cluster.yaml").read_text()
    (tmp_path / "cluster.yaml").write_text(file)
    tmp_path.chmod(0o755)
    override = tmp_path / "override.yml"
    override.write_text(json.dumps({"services": {stray: {"volumes": [f"{tmp_path}:/etc/paxosd:ro"]}}}))
    with Cluster(image, ROLES, override) as cluster:
        cluster.paxosctl("l1", "propose", "with it")  # the birth needs every acceptor
        (tmp_path / "cluster.yaml").write_text(file.replace("a1:7000", "a1:7777"))
        cluster.compose("restart", stray)
        cluster.paxosctl("l1", "propose", "without it")
        eventually("it names both files", 20, lambda: names_both(cluster.logged(stray)))
        if stray == "p2":  # an acceptor only answers, so it never sends what others could complain about
            eventually("so do the others", 20, lambda: names_both(cluster.logged("a2")))
        reachable = {row["node"]: row["reachable"] for row in cluster.status("l2")["nodes"]}

    assert reachable == {node: node != stray for node in ROLES}


def names_both(logged: str) -> bool:
    return re.search(r"dropped a frame from .* digest [0-9a-f]{16}, ours [0-9a-f]{16}; compare", logged) is not None
