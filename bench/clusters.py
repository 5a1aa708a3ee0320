"""Clusters of paxosd for measurements, each fresh, on loopback, with the defaults of everything."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.system.daemons import REPLICAS, ROLES, DaemonCluster

THREE = "paxosd, 3 replicas"
APART = "paxosd, 2 proposers, 3 acceptors, 2 learners"


def replicas(count: int) -> dict[str, str]:
    """So many replicas."""
    return {f"r{number}": "replica" for number in range(1, count + 1)}


LAYOUTS = {THREE: REPLICAS, APART: ROLES}


@contextlib.contextmanager
def cluster(roles: dict[str, str], entering: Sequence[str] = (), extra: str = "") -> Iterator[DaemonCluster]:
    """One that has a leader, while the block lasts. `entering`: a command that becomes the one behind it."""
    enters = dict.fromkeys(roles, entering)
    with tempfile.TemporaryDirectory() as folder, DaemonCluster(Path(folder), roles, extra, entering=enters) as begun:
        begun.leader()
        yield begun


def memory_mb(pid: int) -> dict[str, float]:
    """What a process has in memory, in MB: all, and without the files that it has mapped."""
    status = Path(f"/proc/{pid}/status").read_text()

    def mb(name: str) -> float:
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024 / 1e6

    return {"all": mb("VmRSS"), "without files": mb("RssAnon")}
