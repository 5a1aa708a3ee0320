"""A membership file with a node of each role."""

from __future__ import annotations

from pathlib import Path

import pytest

from paxosd.config import Config, load

ROLES = {"p1": "proposer", "a1": "acceptor", "l1": "learner", "r1": "replica"}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "cluster.yaml"
    client = ', client: "127.0.0.1:7100"'
    nodes = "\n".join(
        f'  {node}: {{role: {role}, address: "127.0.0.1:{7000 + number}"{client if node == "l1" else ""}}}'
        for number, (node, role) in enumerate(ROLES.items())
    )
    file.write_text(f"cluster: demo\nnodes:\n{nodes}\n")
    return load(file)
