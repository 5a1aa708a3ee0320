"""Clients that outlive their cluster: all its directories are wiped, and it is born anew with the same file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from paxosd import WrongHistory
from paxosd.core.types import Entry
from paxosd.process.exits import Exit
from tests.system.daemons import REPLICAS, DaemonCluster

WITHIN_S = 60


def wipe(cluster: DaemonCluster) -> None:
    """What `docker compose down -v` and `up` do."""
    cluster.kill(*REPLICAS)
    for node in REPLICAS:
        shutil.rmtree(cluster.folder / node)
    cluster.start(*REPLICAS)


def told(followed: Iterator[Entry]) -> WrongHistory:
    with pytest.raises(WrongHistory) as wrong:
        while True:
            next(followed)
    return wrong.value


def test_i01_whoever_outlives_a_wiped_cluster_is_told_and_nobody_gets_what_is_anothers(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, REPLICAS) as cluster:
        old, idle, reader = (cluster.client(timeout=WITHIN_S) for _ in range(3))
        with old, idle, reader:
            for number in range(5):
                old.propose(b"old-%d" % number)
            idle.propose(b"idle")
            followed = reader.log(follow=True)
            next(followed)
            command = [sys.executable, "-m", "paxosd.commands.paxosctl", "--config", str(cluster.config)]
            command += ["--timeout", str(WITHIN_S), "log", "--follow"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
                assert follower.stdout is not None
                while "idle" not in follower.stdout.readline():
                    pass
                wipe(cluster)
                with cluster.client(timeout=WITHIN_S) as new:
                    receipts = [new.propose(b"new-%d" % number) for number in range(6)]
                    errors = [told(followed)]
                    for client in (old, old, idle):
                        with pytest.raises(WrongHistory) as wrong:
                            client.propose(b"never")
                        errors.append(wrong.value)
                    log = [(entry.revision, entry.value) for entry in new.log()]
                _, said = follower.communicate(timeout=WITHIN_S)

    assert log == [(receipt.revision, b"new-%d" % number) for number, receipt in enumerate(receipts)]
    assert [error.outcome for error in errors] == ["not_applied", "unknown", "not_applied", "unknown"]
    assert all("make a new client" in str(error) for error in errors)
    assert follower.returncode == Exit.HISTORY
    assert "another history" in said
