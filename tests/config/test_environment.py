"""What the environment says to a node, what it says in vain, and what it does not mean at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from paxosd import Client
from paxosd.config import Config, ConfigError, load, parse

TEXT = 'cluster: demo\nnodes:\n  r1: {role: replica, address: "r1:7000", client: "r1:7100"}\n'


def read(**env: str) -> Config:
    return parse(TEXT, "f.yaml", env)


def problems(**env: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(**env)
    return caught.value.problems


SERVICES = {
    "PAXOSD_STORAGE_PORT": "tcp://10.96.0.7:7000",
    "PAXOSD_STORAGE_PORT_7000_TCP": "tcp://10.96.0.7:7000",
    "PAXOSD_STORAGE_PORT_7000_TCP_ADDR": "10.96.0.7",
    "PAXOSD_STORAGE_PORT_7000_TCP_PORT": "7000",
    "PAXOSD_STORAGE_PORT_7000_TCP_PROTO": "tcp",
    "PAXOSD_STORAGE_SERVICE_HOST": "10.96.0.7",
    "PAXOSD_STORAGE_SERVICE_PORT": "7000",
    "PAXOSD_STORAGE_SERVICE_PORT_PEERS": "7000",
    "PAXOSD_TIMING_SERVICE_HOST": "10.96.0.7",
    "PAXOSD_CLUSTER_SERVICE_HOST": "10.96.0.7",
    "PAXOSD_PORT": "tcp://10.96.0.7:7000",
    "PAXOSD_PORT_53_UDP_ADDR": "10.96.0.7",
    "PAXOSD_NODES_NAME": "/web/paxosd-nodes",
    "PAXOSD_STORAGE_ENV_PATH": "/usr/bin",
}


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_set_for_a_service_or_a_link_is_passed_over_with_a_warning(name: str) -> None:
    config = read(**{name: SERVICES[name]})

    assert config.warnings == (
        f"f.yaml: environment {name}: was set for a service or a link of that name; it is passed over",
    )
    assert (config.timing, config.storage) == (read().timing, read().storage)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("PAXOSD_LIMITS_COMMAND_BYTES", "limits"),
        ("PAXOSD_CLUSTER", "cluster"),
        ("PAXOSD_CLUSTER_NAME", "cluster"),
        ("PAXOSD_TRANSPORT", "transport"),
        ("PAXOSD_NODES_R1_ADDRESS", "nodes"),
        ("PAXOSD_QUORUM_PREPARE", "quorum"),
    ],
)
def test_what_is_the_same_on_every_node_is_overridden_by_no_node_and_that_is_told(name: str, part: str) -> None:
    what = f"overrides nothing: {part} is the same on every node, and stands in the file alone"

    assert problems(**{name: "2MiB"}) == (f"f.yaml: environment {name}: {what}",)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("PAXOSD_TIMING_HARTBEAT", "unknown key; did you mean 'heartbeat'?"),
        ("PAXOSD_STORAGE_PORT", "unknown key; known are engine, dir, quota, reserve"),
        ("PAXOSD_STORAGE_DISK", "unknown key; known are engine, dir, quota, reserve"),
        ("PAXOSD_LOGLEVEL", "overrides nothing; did you mean 'PAXOSD_LOG_LEVEL'?"),
        ("PAXOSD_STORAGEDIR", "overrides nothing; did you mean 'PAXOSD_STORAGE_DIR'?"),
        ("PAXOSD_HEARTBEAT", "overrides nothing; did you mean 'PAXOSD_TIMING_HEARTBEAT'?"),
    ],
)
def test_a_misspelt_variable_is_an_error_with_what_was_meant(name: str, told: str) -> None:
    assert problems(**{name: "7000"}) == (f"f.yaml: environment {name}: {told}",)


def test_a_variable_of_somebody_else_is_no_error_and_is_told() -> None:
    (warning,) = read(PAXOSD_IMAGE="paxosd:test").warnings

    assert warning.startswith("f.yaml: environment PAXOSD_IMAGE: is not read; PAXOSD_TIMING_HEARTBEAT, ")


def test_an_empty_variable_says_nothing() -> None:
    names = ("PAXOSD_TIMING_PING", "PAXOSD_STORAGE_DIR", "PAXOSD_LIMITS_SESSIONS", "PAXOSD_TIMING_HARTBEAT", "PAXOSD_X")

    assert read(**dict.fromkeys(names, "")) == read()


def test_other_programs_variables_are_none_of_ours() -> None:
    assert read(PATH="/bin", PAXOSCTL_TIMEOUT="soon", MY_PAXOSD_TIMING_PING="x").warnings == ()


def test_a_client_reads_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(TEXT)
    for name, value in {**SERVICES, "PAXOSD_TIMING_PING": "soon", "PAXOSD_LIMITS_SESSIONS": "1"}.items():
        monkeypatch.setenv(name, value)

    Client.from_config(file).close()
    assert load(file).warnings == ()
