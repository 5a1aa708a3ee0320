"""A client for asyncio against a local cluster: the log, keys, watches, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from paxosd import AsyncClient, Entry
from paxosd.client.errors import BeyondEnd, Compacted, PaxosError, TooLarge
from paxosd.client.reads import LOCAL, SESSION, AtLeast, MaxAge
from paxosd.local.cluster import LocalCluster, local_config
from paxosd.machine.kv.requests import Put


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(local_config(None, None, None, 1)) as made:
        made.leader()
        yield made


def run(cluster: LocalCluster, body: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def within() -> None:
        async with cluster.async_client(timeout=20) as client:
            await asyncio.wait_for(body(client), 60)

    asyncio.run(within())


async def after(entries: AsyncIterator[Entry]) -> Entry:
    return await anext(entries)


def test_values_are_proposed_together_and_read_in_order(cluster: LocalCluster) -> None:
    async def body(client: AsyncClient) -> None:
        receipts = await asyncio.gather(*(client.propose(b"%d" % number) for number in range(500)))
        first = receipts[0].revision
        found = [entry.value async for entry in client.log(start=first)]
        assert found == [b"%d" % number for number in range(500)]
        with pytest.raises(BeyondEnd):
            await anext(client.log(start=first + 100_000))
        with pytest.raises(TooLarge):
            await client.propose(bytes(64 << 20))
        assert any(row.leading for row in (await client.status()).nodes)

    run(cluster, body)


def test_the_log_is_followed(cluster: LocalCluster) -> None:
    async def body(client: AsyncClient) -> None:
        first = (await client.propose(b"first")).revision
        following = client.log(start=first, follow=True)
        assert (await anext(following)).value == b"first"
        later = asyncio.create_task(after(following))
        await client.put("in between", b"")
        await client.propose(b"second")
        assert (await later).value == b"second"

    run(cluster, body)


def test_keys_are_read_as_new_as_is_asked_and_watched_without_a_gap(cluster: LocalCluster) -> None:
    async def body(client: AsyncClient) -> None:
        receipt = await client.put("a/1", b"one")
        for read in (SESSION, LOCAL, AtLeast(receipt.revision), MaxAge(10)):
            found = await client.get("a/1", read=read)
            assert found is not None
            assert found.value == b"one"

        present, watcher = await client.get_and_watch(prefix="a/")
        assert [item.key for item in present.items] == [b"a/1"]
        async with watcher:
            waiting = asyncio.create_task(watcher.next())
            await client.put("b", b"not watched")
            done = await client.txn([], [Put(b"a/1", b"two"), Put(b"a/2", b"new")])
            changed = await waiting
            assert changed is not None
            assert changed.revision == done.revision
            assert [(event.key, event.kv.value) for event in changed.events] == [(b"a/1", b"two"), (b"a/2", b"new")]
            assert await watcher.next(timeout=0.01) is None
        assert [each async for each in watcher] == []

        await client.compact(done.revision)
        with pytest.raises(Compacted):
            await client.get("a/1", revision=receipt.revision)

    run(cluster, body)


def test_many_watches_are_told_each_its_own(cluster: LocalCluster) -> None:
    async def body(client: AsyncClient) -> None:
        start = (await client.put("many", b"")).revision
        watchers = [await client.watch(f"many/{number}", start=start + 1) for number in range(200)]
        await asyncio.gather(*(client.put(f"many/{number}", b"%d" % number) for number in range(200)))
        told = await asyncio.gather(*(watcher.next(timeout=30) for watcher in watchers))
        assert [changed and changed.events[0].kv.value for changed in told] == [b"%d" % number for number in range(200)]
        for watcher in watchers:
            watcher.close()

    run(cluster, body)


def test_what_ends_the_client_ends_every_call(cluster: LocalCluster) -> None:
    async def within() -> None:
        client = cluster.async_client()
        await client.put("a", b"")
        watcher = await client.watch("never")
        waiting = [
            asyncio.create_task(client.barrier("never").wait()),
            asyncio.create_task(watcher.next()),
            asyncio.create_task(client.queue("never").get()),
        ]
        await client.put("b", b"")
        await client.barrier("never").put_up()
        await client.close()
        await asyncio.wait(waiting, timeout=30)
        for task in waiting[1:]:
            assert isinstance(task.exception(), PaxosError)
        await client.close()

    asyncio.run(within())
