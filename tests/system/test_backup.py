"""Backups of real clusters, taken with `paxosctl` as a person would, while they run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from paxosd.backup.file import summary
from paxosd.config import load
from tests.system.daemons import REPLICAS, ROLES, DaemonCluster

LAYOUTS = [pytest.param(ROLES, id="roles"), pytest.param(REPLICAS, id="replicas")]


def paxosctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("paxosd.commands.paxosctl", *arguments)


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("roles", LAYOUTS)
def test_a_backup_of_a_running_cluster_holds_all_that_was_acknowledged(tmp_path: Path, roles: dict[str, str]) -> None:
    with DaemonCluster(tmp_path, roles) as cluster, cluster.client() as client:
        futures = [client.propose_async(b"%d" % number * 1000) for number in range(2000)]
        revision = max(future.result().revision for future in futures)
        made = paxosctl("--config", str(cluster.config), "backup", str(tmp_path / "b"))
        again = paxosctl("--config", str(cluster.config), "backup", str(tmp_path / "b"))
        config = load(cluster.config)
    told = paxosctl("backup", "status", str(tmp_path / "b"))
    as_json = paxosctl("backup", "status", str(tmp_path / "b"), "-w", "json")

    assert (made.returncode, made.stderr) == (0, "")
    found = summary(tmp_path / "b")
    assert (found.position.revision, found.header.cluster) == (revision, config.cluster)
    assert made.stdout == f"{tmp_path / 'b'}: revision {revision}, every slot below {found.position.watermark}\n"
    assert (told.returncode, as_json.returncode) == (0, 0)
    assert f"revision             {revision}\n" in told.stdout
    assert json.loads(as_json.stdout)["revision"] == revision
    assert again.returncode == 8
    assert "is there already, and a backup is never written over" in again.stderr


def test_a_damaged_backup_is_named_and_needs_no_cluster_to_be_seen(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"paxosd-backup 1\nrubbish")
    told = paxosctl("backup", "status", str(tmp_path / "b"))

    assert (told.returncode, told.stdout) == (8, "")
    assert "is damaged" in told.stderr
    assert "take another copy of it, or another backup" in told.stderr


def test_a_backup_without_a_quorum_says_so_and_a_stale_one_is_taken(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, ROLES) as cluster:
        with cluster.client() as client:
            client.propose(b"v")
        cluster.kill("a1", "a2")
        flags = ("--config", str(cluster.config), "--timeout", "3", "backup", str(tmp_path / "b"))
        refused = paxosctl(*flags)
        stale = paxosctl(*flags, "--stale")

    assert refused.returncode == 4
    assert stale.returncode == 0
    assert summary(tmp_path / "b").position.revision == 1
