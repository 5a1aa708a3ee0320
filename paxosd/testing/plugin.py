"""A plugin of pytest: a cluster for tests, and a client of it.

    def test_of_yours(paxosd_client):
        with paxosd_client.lock("job") as held:
            ...

`paxosd` is one cluster for the whole run, a `LocalCluster` whose nodes a test may kill and start again; it begins when
the first test wants it, which takes a second or two. `paxosd_client` is a client for one test, after which all keys go.
The log stays: revisions only grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from paxosd.client import Client
    from paxosd.local.cluster import LocalCluster


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how large the cluster is."""
    parser.addini("paxosd_replicas", "how many replicas the cluster of the fixture `paxosd` has", default="3")


@pytest.fixture(scope="session")
def paxosd(pytestconfig: pytest.Config) -> Iterator[LocalCluster]:
    """A cluster of processes on this machine, with a leader; it ends with the tests."""
    from paxosd.local.cluster import LocalCluster, local_config  # noqa: PLC0415 (runs without it import nothing)

    replicas = int(pytestconfig.getini("paxosd_replicas"))
    with LocalCluster(local_config(None, None, None, replicas)) as cluster:
        cluster.leader()
        yield cluster


@pytest.fixture
def paxosd_client(paxosd: LocalCluster) -> Iterator[Client]:
    """A client for one test; all keys go when it ends."""
    with paxosd.client() as client:
        yield client
    with paxosd.client() as client:
        client.delete(prefix=b"")
