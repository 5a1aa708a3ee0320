"""What users of locks, leases and watches have reported of other systems, each tried here against a cluster."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time

import pytest

from paxosd import (
    AsyncClient,
    AtLeast,
    BeyondEnd,
    Client,
    ClientClosed,
    Compacted,
    HoldLost,
    KeysRefused,
    TooLarge,
    WaitTimeout,
)
from paxosd.kv import Delete, Put, Range, Txn, compare
from paxosd.local.cluster import LocalCluster
from paxosd.machine.kv.encoding import encode_command
from paxosd.machine.kv.requests import Revoke

# ---- ranges ----------------------------------------------------------------------------------


def test_prefixes_of_the_highest_bytes_end_nowhere_else(paxosd_client: Client) -> None:
    keys = [b"a", b"a\xfe", b"a\xff", b"a\xff\xff", b"b", b"\xfe", b"\xff", b"\xff\x00", b"\xff\xff\xff"]
    for key in keys:
        paxosd_client.put(key, b"")

    for prefix in (b"a", b"a\xff", b"\xff", b"\xff\xff", b"\xfe", b""):
        found = paxosd_client.get_range(prefix=prefix)
        assert [item.key for item in found.items] == sorted(key for key in keys if key.startswith(prefix))
    assert paxosd_client.delete(prefix=b"\xff").deleted == 3
    assert paxosd_client.get(b"\xfe") is not None


def test_the_key_that_is_the_prefix_belongs_to_it_and_its_neighbour_does_not(paxosd_client: Client) -> None:
    for key in ("job", "job/1", "job0", "jobs", "joc"):
        paxosd_client.put(key, b"")

    assert [item.key for item in paxosd_client.get_range(prefix="job").items] == [b"job", b"job/1", b"job0", b"jobs"]
    assert [item.key for item in paxosd_client.get_range(prefix="job/").items] == [b"job/1"]


def test_pages_are_of_one_moment_though_keys_change_in_between(paxosd_client: Client) -> None:
    for number in range(10):
        paxosd_client.put(b"p/%d" % number, b"old")
    page = paxosd_client.get_range(prefix="p/", limit=3)
    at, found = page.revision, list(page.items)
    while page.more:
        paxosd_client.put(found[-1].key + b"!", b"new")  # just behind
        paxosd_client.delete(found[0].key)
        page = paxosd_client.get_range(found[-1].key + b"\0", b"p0", limit=3, revision=at)
        found += page.items

    assert [item.key for item in found] == [b"p/%d" % number for number in range(10)]
    assert {item.value for item in found} == {b"old"}


def test_an_empty_value_is_one_in_gets_events_and_compares(paxosd_client: Client) -> None:
    with paxosd_client.watch("e", previous=True) as watcher:
        paxosd_client.put("e", b"")
        paxosd_client.put("e", b"")
        paxosd_client.delete("e")
        events = [watcher.next(timeout=20).events[0] for _ in range(3)]  # type: ignore[union-attr]

    assert [None if event.kv is None else event.kv.value for event in events] == [b"", b"", None]
    assert [None if event.previous is None else event.previous.value for event in events] == [None, b"", b""]
    assert not paxosd_client.txn([compare("e", "value", "=", b"")], []).succeeded


# ---- transactions ------------------------------------------------------------------------------


def test_a_key_cannot_be_deleted_and_made_again_in_one_transaction(paxosd_client: Client) -> None:
    paxosd_client.put("a", b"1")
    with pytest.raises(KeysRefused):
        paxosd_client.txn([], [Delete(b"a"), Put(b"a", b"2")])
    with pytest.raises(KeysRefused):
        paxosd_client.txn([], [Delete(b"", b"\0"), Put(b"b", b"2")])

    assert [(item.key, item.value) for item in paxosd_client.get_range(prefix=b"").items] == [(b"a", b"1")]


def test_a_transaction_that_is_nested_too_deeply_is_refused_and_the_client_goes_on(paxosd_client: Client) -> None:
    def nested(depth: int) -> Txn:
        made = Txn((), (Put(b"deep", b"x"),), ())
        for _ in range(depth):
            made = Txn((), (made,), ())
        return made

    assert paxosd_client.txn([], [nested(2)]).succeeded
    with pytest.raises(TooLarge, match="nested deeper than"):
        paxosd_client.txn([], [nested(20)])
    with pytest.raises(ValueError, match="nested"):
        paxosd_client.txn([], [nested(2000)])
    assert paxosd_client.get("deep") is not None


def test_a_transaction_of_nothing_is_one(paxosd_client: Client) -> None:
    assert paxosd_client.txn([], []).succeeded
    assert paxosd_client.txn([], [Range(b"missing")]).results[0].items == ()  # type: ignore[union-attr]


# ---- leases ------------------------------------------------------------------------------------


def test_a_key_that_was_put_again_without_its_lease_stays_when_that_goes(paxosd_client: Client) -> None:
    with paxosd_client.lease(30) as lease, paxosd_client.lease(30) as other:
        for key in ("stays", "moves", "goes"):
            paxosd_client.put(key, b"1", lease=lease)
        paxosd_client.put("stays", b"2")
        paxosd_client.put("moves", b"2", lease=other)
        lease.close()
        left = {item.key for item in paxosd_client.get_range(prefix=b"").items}

    assert left == {b"stays", b"moves"}
    assert [item.key for item in paxosd_client.get_range(prefix=b"").items] == [b"stays"]


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e300, 0.0001])
def test_a_time_to_live_that_makes_no_sense_is_refused(ttl: float, paxosd_client: Client) -> None:
    with pytest.raises(ValueError, match="the time of a lease"):
        paxosd_client.lease(ttl)
    with pytest.raises(ValueError, match="the time of a lease"):
        paxosd_client.lock("job", ttl=ttl).acquire(timeout=5)


def test_a_lease_may_run_for_a_lifetime(paxosd_client: Client) -> None:
    with paxosd_client.lease(3e9) as lease:
        paxosd_client.put("old", b"", lease=lease)
        assert not lease.lost.is_set()

    assert paxosd_client.get("old") is None


def test_a_put_with_a_lease_that_is_gone_changes_nothing(paxosd_client: Client) -> None:
    lease = paxosd_client.lease(30)
    lease.close()
    with pytest.raises(HoldLost):
        paxosd_client.put("a", b"", lease=lease)

    assert paxosd_client.get("a") is None


# ---- watches -------------------------------------------------------------------------------------


def test_a_watch_begins_in_the_past_now_or_in_the_future_as_it_is_told(paxosd_client: Client) -> None:
    first = paxosd_client.put("w", b"1").revision
    second = paxosd_client.put("w", b"2").revision
    with (
        paxosd_client.watch("w", start=first) as past,
        paxosd_client.watch("w") as now,
        paxosd_client.watch("w", start=second + 2) as future,
    ):
        for value in (b"3", b"4"):
            paxosd_client.put("w", value)
        told = [
            [watcher.next(timeout=20).events[0].kv.value for _ in range(count)]  # type: ignore[union-attr]
            for watcher, count in ((past, 4), (now, 2), (future, 1))
        ]

    assert told == [[b"1", b"2", b"3", b"4"], [b"3", b"4"], [b"4"]]


def test_what_is_compacted_or_not_there_yet_is_told_by_name(paxosd_client: Client) -> None:
    first = paxosd_client.put("c", b"1").revision
    last = paxosd_client.put("c", b"2").revision
    paxosd_client.compact(last)
    with pytest.raises(Compacted) as read:
        paxosd_client.get("c", revision=first)
    with paxosd_client.watch("c", start=first) as watcher, pytest.raises(Compacted) as watched:
        watcher.next(timeout=20)
    with pytest.raises(BeyondEnd):
        paxosd_client.get("c", revision=last + 1000)
    with pytest.raises(BeyondEnd):
        paxosd_client.compact(last + 1000)

    assert read.value.first_available == watched.value.first_available == last


@pytest.mark.parametrize("wrong", [-1, 2**63, 2**70])
def test_a_number_that_is_no_revision_is_a_mistake_of_the_call_and_not_the_end_of_the_client(
    wrong: int, paxosd_client: Client
) -> None:
    for verb in (
        lambda: paxosd_client.watch("a", start=wrong),
        lambda: paxosd_client.get("a", revision=wrong),
        lambda: paxosd_client.get("a", read=AtLeast(wrong)),
        lambda: paxosd_client.get_range(prefix="a", revision=wrong),
        lambda: paxosd_client.get_range(prefix="a", limit=wrong),
        lambda: paxosd_client.put("a", b"", if_revision=wrong),
        lambda: paxosd_client.put_async("a", b"", if_revision=wrong),
        lambda: paxosd_client.delete("a", if_revision=wrong),
        lambda: paxosd_client.compact(wrong),
    ):
        with pytest.raises(ValueError):
            verb()

    assert paxosd_client.get("a") is None


# ---- locks ---------------------------------------------------------------------------------------


def test_a_lock_does_not_let_its_own_client_in_twice_and_two_are_two(paxosd_client: Client) -> None:
    with paxosd_client.lock("one"), paxosd_client.lock("two"):
        assert paxosd_client.lock("one").try_acquire() is None
        with pytest.raises(WaitTimeout):
            paxosd_client.lock("one").acquire(timeout=0.3)
    assert paxosd_client.get_range(prefix="lock/").items == ()


def test_one_lock_keeps_threads_of_one_client_apart(paxosd_client: Client) -> None:
    lock, inside, most = paxosd_client.lock("threads"), [0], [0]

    def work() -> None:
        for _ in range(5):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.002)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert most == [1]
    assert paxosd_client.get_range(prefix="lock/").items == ()


def test_who_waits_with_a_lease_that_is_revoked_is_told_and_the_next_one_comes(paxosd: LocalCluster) -> None:
    with paxosd.client() as holder, paxosd.client() as waiter, paxosd.client() as last:
        held = holder.lock("job").acquire(timeout=20)
        errors: list[BaseException] = []

        def wait() -> None:
            try:
                waiter.lock("job").acquire(timeout=60)
            except HoldLost as error:
                errors.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while len(found := last.get_range(prefix="lock/").items) < 2:
            time.sleep(0.01)
        newest = max(found, key=lambda item: item.create_revision)
        last.call("kv", encode_command(Revoke(newest.lease)))
        waiting.join(60)
        held.release()
        last.lock("job").acquire(timeout=20).release()

    assert len(errors) == 1


def test_a_lease_that_is_shorter_than_the_way_to_the_cluster_ends_in_an_error(paxosd_client: Client) -> None:
    with pytest.raises((HoldLost, WaitTimeout)):
        for _ in range(3):
            with paxosd_client.lock("brief", ttl=0.001).acquire(timeout=20) as held:
                held.lost.wait(20)
                raise HoldLost("as the holder sees")
    paxosd_client.lock("brief").acquire(timeout=20).release()


def test_a_lock_of_a_parent_is_not_one_of_its_fork(paxosd_client: Client) -> None:
    with paxosd_client.lock("forked"):
        child = os.fork()
        if not child:
            try:
                paxosd_client.lock("forked").try_acquire()
            except ClientClosed:
                os._exit(7)
            os._exit(8)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert len(paxosd_client.get_range(prefix="lock/forked/").items) == 1


def test_tasks_that_are_cancelled_whenever_leave_no_waiter_and_take_no_turn(paxosd: LocalCluster) -> None:
    chance = random.Random(1)

    async def once(client: AsyncClient, counts: list[int]) -> None:
        async with client.lock("cancelled"):
            counts[0] += 1
            try:
                assert counts[0] == 1
                await asyncio.sleep(chance.uniform(0, 0.003))
            finally:
                counts[0] -= 1

    async def body() -> tuple[object, ...]:
        async with paxosd.async_client(timeout=20) as client:
            counts = [0]
            for _ in range(60):
                tasks = [asyncio.ensure_future(once(client, counts)) for _ in range(3)]
                await asyncio.sleep(chance.uniform(0, 0.02))
                tasks[chance.randrange(3)].cancel()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    assert result is None or isinstance(result, asyncio.CancelledError)
            while (found := await client.get_range(prefix="lock/cancelled/")).items:
                await asyncio.sleep(0.05)
            return found.items

    assert asyncio.run(asyncio.wait_for(body(), 100)) == ()
