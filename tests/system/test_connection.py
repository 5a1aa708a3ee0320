"""What both faces tell of their connection while all nodes of a cluster stand still and go on."""

from __future__ import annotations

import asyncio
import queue
from pathlib import Path

from paxosd import AsyncClient, ConnectionState
from tests.system.daemons import REPLICAS, DaemonCluster


def test_a_client_without_a_lease_hears_that_nobody_answers_and_that_somebody_does_again(tmp_path: Path) -> None:
    async def listen(told: asyncio.Queue[ConnectionState]) -> None:
        async with AsyncClient.from_config(cluster.config) as client:
            client.listen(told.put_nowait)
            cluster.pause(*cluster.roles)
            assert await asyncio.wait_for(told.get(), 30) is ConnectionState.SUSPENDED
            assert client.connection is ConnectionState.SUSPENDED
            cluster.resume(*cluster.roles)
            assert await asyncio.wait_for(told.get(), 30) is ConnectionState.CONNECTED

    with DaemonCluster(tmp_path, REPLICAS) as cluster:
        with cluster.client() as client:
            told: queue.Queue[ConnectionState] = queue.Queue()
            client.listen(told.put)
            cluster.pause(*cluster.roles)
            assert told.get(timeout=30) is ConnectionState.SUSPENDED
            assert client.connection is ConnectionState.SUSPENDED
            cluster.resume(*cluster.roles)
            assert told.get(timeout=30) is ConnectionState.CONNECTED
        asyncio.run(listen(asyncio.Queue()))
