"""The procedures of docs/operations.md about backups and lost disks, typed in as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.system.daemons import ROLES, DaemonCluster, membership_text

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"


def blocks(heading: str) -> list[str]:
    """The commands below a heading, block by block."""
    section = DOCUMENT.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    assert found, heading
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in found]


def typed(folder: Path, block: str, code: int = 0) -> str:
    """What these commands print, each of which but the last must end well."""
    script = f"set -e\ncd {folder}\n{block}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def checkout(folder: Path) -> DaemonCluster:
    """A folder that looks like a checkout after `make`, with the cluster of `config/loopback.yaml` at free ports."""
    for name in ("config", "data", ".venv/bin"):
        (folder / name).mkdir(parents=True)
    for program, module in (("paxosd", "paxosd"), ("paxosctl", "paxosd.commands.paxosctl")):
        shim = folder / ".venv" / "bin" / program
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        shim.chmod(0o755)
    (folder / "config" / "loopback.yaml").write_text(membership_text(ROLES))
    return DaemonCluster(folder / "data", ROLES, config=folder / "config" / "loopback.yaml")


def values(cluster: DaemonCluster) -> list[bytes]:
    with cluster.client() as client:
        return [entry.value for entry in client.log()]


def test_the_procedures_about_backups_and_restores_do_what_they_say(tmp_path: Path) -> None:
    cluster = checkout(tmp_path)
    config = cluster.config
    with cluster:
        with cluster.client() as client:
            for number in range(10):
                client.propose(b"%d" % number)
            (backup,) = blocks("A backup")
            assert "revision             10" in typed(tmp_path, backup)
            for number in range(10, 20):
                client.propose(b"%d" % number)
        (archive,) = blocks("Every value between two backups")
        assert re.search(r"archive: every slot below \d+\n", typed(tmp_path, archive))
        restore, up_to = blocks("Restoring")
        assert "revision 10," in typed(tmp_path, restore)
        for daemon in cluster.daemons.values():
            daemon.process.wait(10)
    assert [line.split(",")[0] for line in typed(tmp_path, up_to).splitlines() if line.startswith("revision")] == [
        "revision 12",
        "revision 20",
    ]
    for folder, count in (("restored", 10), ("restored-12", 12), ("restored-now", 20)):
        with DaemonCluster(tmp_path / folder, ROLES, config=config) as restored:
            assert values(restored) == [b"%d" % number for number in range(count)]


def test_the_procedure_about_lost_disks_does_what_it_says(tmp_path: Path) -> None:
    cluster = checkout(tmp_path)
    with cluster, cluster.client() as client:
        for number in range(10):
            client.propose(b"%d" % number)
        for gateway in cluster.gateways:  # each has learned all of them by then
            with cluster.client([gateway]) as beside:
                assert len(list(beside.log())) == 10
    for log in (tmp_path / "data").glob("*.log"):
        log.unlink()
    for node in ("a1", "a2"):
        shutil.rmtree(tmp_path / "data" / node)
    plan, make = blocks("Disks are lost")
    assert "missing: the disks of a1, a2" in typed(tmp_path, plan, code=5)
    typed(tmp_path, make)
    with DaemonCluster(tmp_path / "rescued", ROLES, config=cluster.config) as rescued:
        assert values(rescued) == [b"%d" % number for number in range(10)]
