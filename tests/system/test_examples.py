"""The programs in examples/, as processes beside real daemons."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.daemons import REPLICAS, DaemonCluster

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonCluster]:
    with DaemonCluster(tmp_path_factory.mktemp("examples"), REPLICAS) as cluster:
        yield cluster


@contextmanager
def running(cluster: DaemonCluster, name: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(EXAMPLES / name), "--config", str(cluster.config), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_job_runs_once_in_the_fleet_and_goes_on_when_its_leader_is_killed(
    cluster: DaemonCluster, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    words = ["--name", "job", "--every", "1", "--ttl", "1", "--runs", "6", "--", "sh", "-c", f"echo $FENCE >> {ran}"]
    with running(cluster, "fleet_cron.py", *words) as first, running(cluster, "fleet_cron.py", *words) as second:
        with cluster.client() as client, client.watch("cron/job/begun", start=1) as begun:
            for _ in range(2):
                begun.next(timeout=60)
            leader = client.election("cron/job").leader()
        assert leader is not None
        dead = next(process for process in (first, second) if str(process.pid) in leader.value.decode().split())
        dead.send_signal(signal.SIGKILL)
        other = second if dead is first else first
        assert other.wait(60) == 0
    fences = [int(fence) for fence in ran.read_text().split()]

    assert 5 <= len(fences) <= 6  # the leader may have been killed between its note and its job
    assert fences == sorted(fences)
    assert len(set(fences)) == 2


def test_a_flag_is_seen_as_it_changes(cluster: DaemonCluster) -> None:
    with cluster.client() as client, running(cluster, "feature_flags.py", "--changes", "2") as process:
        assert line(process) == "dark-mode is off"
        client.put("flags/dark-mode", b"on")
        assert line(process) == "dark-mode is on"
        client.delete("flags/dark-mode")
        assert line(process) == "dark-mode is off"
        assert process.wait(60) == 0


def test_a_worker_goes_on_where_another_one_stopped(cluster: DaemonCluster) -> None:
    with cluster.client() as client:
        values = [b"entry %d" % number for number in range(6)]
        for value in values:
            client.propose(value)
        seen = []
        for _ in range(2):
            with running(cluster, "audit_workers.py", "--entries", "3") as process:
                seen += [line(process).split(maxsplit=1)[1].encode() for _ in range(3)]
                assert process.wait(60) == 0

    assert seen == values


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fleet_cron.py", ["--every", "60", "--name", "stopped", "--", "echo", "it runs"]),
        ("feature_flags.py", ["--flag", "stopped"]),
        ("audit_workers.py", ["--name", "stopped"]),
    ],
)
def test_ctrl_c_ends_it_without_a_traceback(cluster: DaemonCluster, name: str, words: list[str]) -> None:
    with cluster.client() as client:
        client.propose(b"for the worker")
    with running(cluster, name, *words) as process:
        assert line(process)  # it works
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert (process.returncode, said) == (130, "")
