"""The face for asyncio: what it shares with the one for threads is tested there; here, what tasks do to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from paxosd.client.aio.client import AsyncClient
from paxosd.client.errors import ClientClosed, Conflict, HoldLost, WaitTimeout
from paxosd.client.upkeep import ConnectionState
from tests.client.keys_world import KeysCluster

Body = Callable[[AsyncClient], Awaitable[None]]


@pytest.fixture
def cluster() -> Iterator[KeysCluster]:
    made = KeysCluster()
    yield made
    made.close()


def run(cluster: KeysCluster, body: Body) -> None:
    async def within() -> None:
        async with cluster.async_client() as client:
            await asyncio.wait_for(body(client), 20)

    asyncio.run(within())


async def until(holds: Callable[[], object]) -> None:
    while not holds():
        await asyncio.sleep(0)


def test_verbs(cluster: KeysCluster) -> None:
    async def body(client: AsyncClient) -> None:
        receipt = await client.put("a", b"1")
        found = await client.get("a")
        assert found is not None and found.mod_revision == receipt.revision
        with pytest.raises(Conflict):
            await client.put("a", b"2", if_absent=True)
        assert (await client.delete(prefix="")).deleted == 1
        assert await client.get("a") is None

    run(cluster, body)


def test_many_tasks_take_turns_without_a_thread_for_any(cluster: KeysCluster) -> None:
    async def body(client: AsyncClient) -> None:
        threads = threading.active_count()
        inside: list[int] = []
        fences: list[int] = []

        async def work() -> None:
            async with client.lock("job") as held:
                inside.append(1)
                await asyncio.sleep(0)
                assert len(inside) == 1
                fences.append(held.fence)
                inside.pop()

        await asyncio.gather(*(work() for _ in range(50)))
        assert len(set(fences)) == 50
        assert fences == sorted(fences)
        assert threading.active_count() == threads

    run(cluster, body)
    assert cluster.keys() == {}


@pytest.mark.parametrize("passes", range(12))
def test_a_task_that_is_cancelled_at_any_await_leaves_no_waiter(cluster: KeysCluster, passes: int) -> None:
    async def body(client: AsyncClient) -> None:
        held = await client.lock("job").acquire() if passes % 2 else None
        task = asyncio.create_task(client.lock("job").acquire())
        for _ in range(passes):
            await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            await task.result().release()
        if held is not None:
            await held.release()
        async with client.lock("job"):
            pass
        await until(lambda: cluster.keys() == {})

    run(cluster, body)


def test_a_waiter_that_is_timed_out_leaves_nothing(cluster: KeysCluster) -> None:
    async def body(client: AsyncClient) -> None:
        async with client.lock("job"):
            with pytest.raises(WaitTimeout):
                await client.lock("job").acquire(timeout=0.02)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await client.lock("job").acquire()
            await until(lambda: len(cluster.keys()) == 1)

    run(cluster, body)


def test_a_lost_lease_is_told(cluster: KeysCluster) -> None:
    async def body(client: AsyncClient) -> None:
        states: list[ConnectionState] = []
        client.listen(states.append)
        held = await client.lock("job", ttl=0.3).acquire()
        cluster.cut = True
        assert await held.lost.wait(5)
        assert not held.is_held
        await until(lambda: ConnectionState.LOST in states)
        with pytest.raises(HoldLost):
            held.require()
        cluster.heal()

    run(cluster, body)


def test_a_queue_is_waited_for_and_an_election_observed(cluster: KeysCluster) -> None:
    async def body(client: AsyncClient) -> None:
        getting = asyncio.create_task(client.queue("work").get())
        await asyncio.sleep(0)
        await client.queue("work").put(b"one")
        assert (await getting).value == b"one"

        seen = client.election("boss").observe()
        assert await anext(seen) is None
        async with await client.election("boss").campaign("me") as leading:
            now = await anext(seen)
            assert now is not None and now.create_revision == leading.fence

    run(cluster, body)


def test_a_client_that_was_closed_says_so(cluster: KeysCluster) -> None:
    async def body(client: AsyncClient) -> None:
        waiting = [asyncio.create_task(client.lock("job").acquire()) for _ in range(2)]
        await until(lambda: len(cluster.keys()) == 2)
        await client.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(each).__name__ for each in results} <= {"AsyncHeld", "ClientClosed", "HoldLost"}
        with pytest.raises(ClientClosed):
            await client.get("a")

    run(cluster, body)
    assert cluster.keys() == {}
