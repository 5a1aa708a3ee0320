"""A lock that its holder may take again: what each holder of one object has, is its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from paxosd.client.client import Client
from paxosd.client.errors import HoldLost, WaitTimeout
from paxosd.client.threads.driver import current_owner
from tests.client.keys_world import KeysCluster


@pytest.fixture
def cluster() -> Iterator[KeysCluster]:
    made = KeysCluster()
    yield made
    made.close()


@pytest.fixture
def client(cluster: KeysCluster) -> Iterator[Client]:
    with cluster.client() as made:
        yield made


def test_who_holds_a_reentrant_lock_takes_it_again(client: Client, cluster: KeysCluster) -> None:
    lock = client.rlock("job")
    with lock as outer, lock as inner:
        assert outer is inner
        with ThreadPoolExecutor(1) as pool, pytest.raises(WaitTimeout):
            pool.submit(lock.acquire, 0.05).result()

    assert cluster.keys(b"lock/") == {}


def test_a_block_whose_lock_was_removed_gives_back_nothing_of_the_next_holder(
    client: Client, cluster: KeysCluster
) -> None:
    lock = client.rlock("job")
    with ThreadPoolExecutor(1) as pool:
        with lock:
            client.delete(prefix="lock/")
            second = pool.submit(lock.acquire, 5).result()
        client.put("in order", b"")

        assert (list(cluster.keys(b"lock/")), second.is_held) == ([second.key], True)
        assert pool.submit(lock.release).result()


def test_who_lost_it_gives_it_back_as_often_as_it_took_it_while_another_one_has_it(
    client: Client, cluster: KeysCluster
) -> None:
    lock = client.rlock("job")
    first = lock.acquire()
    assert lock.acquire() is first
    client.delete(prefix="lock/")
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(lock.acquire, 5).result()
        assert [lock.release(), lock.release()] == [True, True]
        with pytest.raises(RuntimeError, match="only its holder"):
            lock.release()

        assert second.is_held
        assert pool.submit(lock.release).result()
    assert cluster.keys(b"lock/") == {}


def test_who_lost_it_does_not_take_it_again_before_it_gave_it_back(client: Client, cluster: KeysCluster) -> None:
    lock = client.rlock("job", ttl=0.3)
    with pytest.raises(HoldLost, match="was lost before the block ended"), lock as held:
        cluster.cut = True
        assert held.lost.wait(5)
        cluster.heal()
        with pytest.raises(HoldLost, match="is not held any more"):
            lock.acquire()
    with lock as again:
        assert again.fence > held.fence

    assert cluster.keys(b"lock/") == {}


def test_a_thread_is_not_taken_for_an_earlier_one_whose_number_it_has() -> None:
    owners: list[object] = []

    def call() -> None:
        owners.append(current_owner())
        assert current_owner() == owners[-1]

    for _ in range(20):
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    assert len(set(owners)) == 20
