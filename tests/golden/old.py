"""What paxosd 0.2.0 left, unpacked, and what its clients had read of it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from paxosd.core.options import Limits
from paxosd.core.types import Entry
from paxosd.machine.ledger import Ledger
from paxosd.machine.log import Log
from paxosd.storage.base import Store

HERE = Path(__file__).parent / "0.2.0"

CLUSTERS = {"roles": "golden", "replicas": "local"}
"""What is there, and the name of each cluster."""

ROLES = {"p": "proposer", "a": "acceptor", "l": "learner", "r": "replica"}
NODES = [
    *(("roles", node) for node in ("p1", "p2", "a1", "a2", "a3", "l1")),
    *(("replicas", node) for node in ("r1", "r2", "r3")),
]
KEEPS_ALL = [("roles", "l1"), ("replicas", "r1"), ("replicas", "r2"), ("replicas", "r3")]
"""Who has applied the log; one of the replicas only the beginning of it."""


def unpack(cluster: str, folder: Path) -> Path:
    """The directories of a cluster, as they were left, in this folder."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(HERE / f"{cluster}.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    return folder


def read_then(cluster: str) -> list[Entry]:
    """What a client read at the end."""
    told = json.loads((HERE / "values.json").read_text())[cluster]
    return [Entry(revision, slot, value.encode("latin-1")) for revision, slot, value in told]


def role_of(node: str) -> str:
    return ROLES[node[0]]


def entries_in(store: Store) -> list[Entry]:
    """What the log in a store is applied to."""
    limits = Limits()
    ledger = Ledger(store, {"log": Log()}, limits.sessions_max, limits.page_bytes_max)
    for slot, value in store.learned(1, store.learned_stop(), 1 << 40):
        ledger.apply(slot, value)
    entries: list[Entry] = []
    while page := ledger.entries(len(entries) + 1, 1 << 20):
        entries += page
    return entries
