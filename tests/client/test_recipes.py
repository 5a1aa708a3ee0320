"""What is made of keys, as callers see it: locks, elections, queues and the like, by a client of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from paxosd.client import driving
from paxosd.client.calls import Command, Question
from paxosd.client.client import Client
from paxosd.client.driving import ChangeCall
from paxosd.client.errors import HoldLost, ProposeTimeout, WaitTimeout
from paxosd.client.upkeep import ConnectionState
from paxosd.machine.kv.encoding import decode_command
from paxosd.machine.kv.requests import Txn
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


RECIPES: dict[str, Callable[[Client, Any], object]] = {
    "lock": lambda client, name: client.lock(name),
    "rlock": lambda client, name: client.rlock(name),
    "read_write_lock": lambda client, name: client.read_write_lock(name),
    "semaphore": lambda client, name: client.semaphore(name, 2),
    "election": lambda client, name: client.election(name),
    "barrier": lambda client, name: client.barrier(name),
    "double_barrier": lambda client, name: client.double_barrier(name, 2),
    "queue": lambda client, name: client.queue(name),
    "priority_queue": lambda client, name: client.priority_queue(name),
    "locking_queue": lambda client, name: client.locking_queue(name),
    "counter": lambda client, name: client.counter(name),
    "party": lambda client, name: client.party(name),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_empty_name_is_none_and_nothing_is_sent(recipe: str, client: Client, cluster: KeysCluster) -> None:
    for nothing in ("", b""):
        with pytest.raises(ValueError, match="is not empty"):
            RECIPES[recipe](client, nothing)
    for other in (None, 7):
        with pytest.raises(TypeError, match="text or bytes"):
            RECIPES[recipe](client, other)
    assert cluster.applied == []


def test_names_with_slashes_and_bytes_of_all_kinds_stand_apart(client: Client, cluster: KeysCluster) -> None:
    names: list[str | bytes] = ["a", "a/b", "a%2Fb", "/", "..", " ", "\0", "\n", "\u00e4", b"\xff", b"\xff/\xff"]
    held = [client.lock(name).acquire(timeout=5) for name in names]

    assert len({one.fence for one in held}) == len(names)
    assert {key.split(b"/")[1] for key in cluster.keys(b"lock/")} == {
        b"a", b"a%2Fb", b"a%252Fb", b"%2F", b"..", b" ", b"\0", b"\n", "\u00e4".encode(), b"\xff", b"\xff%2F\xff"
    }  # fmt: skip
    for one in held:
        one.release()


def test_a_lock_has_one_holder_at_a_time_and_its_fence_grows(client: Client, cluster: KeysCluster) -> None:
    inside: list[int] = []
    fences: list[int] = []

    def work(own: Client) -> None:
        for _ in range(5):
            with own.lock("job") as held:
                inside.append(1)
                assert len(inside) == 1
                fences.append(held.fence)
                inside.pop()

    with cluster.client() as other, ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(work, own) for own in (client, other) * 3]:
            done.result()

    assert fences == sorted(set(fences))
    assert len(fences) == 30
    assert cluster.keys(b"lock/") == {}


def test_who_waits_too_long_is_told_so_and_leaves_nothing(client: Client, cluster: KeysCluster) -> None:
    with client.lock("job"), cluster.client() as other:
        with pytest.raises(WaitTimeout):
            other.lock("job").acquire(timeout=0.05)
        with pytest.raises(WaitTimeout):
            other.lock("job").acquire(timeout=0)
        assert other.lock("job").try_acquire() is None
        other.put("in order", b"")

        assert len(cluster.keys(b"lock/")) == 1


def test_a_ctrl_c_while_it_waits_leaves_no_waiter(
    client: Client, cluster: KeysCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.lock("job"), cluster.client() as other:
        wait = other._worker.wait

        def interrupted(pending: Command | Question | ChangeCall, timeout_s: float | None) -> None:
            if isinstance(pending, ChangeCall):
                raise KeyboardInterrupt
            wait(pending, timeout_s)

        monkeypatch.setattr(other._worker, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            other.lock("job").acquire()
        other.put("in order", b"")

        assert len(cluster.keys(b"lock/")) == 1


def test_no_call_takes_longer_than_its_time_also_where_it_needs_a_lease_first(
    client: Client, cluster: KeysCluster
) -> None:
    cluster.cut = True

    with pytest.raises(WaitTimeout):
        client.lock("job").acquire(timeout=0.05)

    cluster.heal()


def test_a_holder_whose_lease_ran_out_hears_of_it_before_anybody_else_may_have_the_lock(
    client: Client, cluster: KeysCluster
) -> None:
    states: list[ConnectionState] = []
    client.listen(states.append)
    held = client.lock("job", ttl=0.4).acquire()
    cluster.cut = True

    assert held.lost.wait(5)
    assert not held.is_held
    assert len(cluster.keys(b"lock/")) == 1, "the cluster has not even begun to forget it"
    with pytest.raises(HoldLost):
        held.require()
    cluster.heal()
    client.put("in order", b"")
    assert states[:2] == [ConnectionState.SUSPENDED, ConnectionState.LOST]


def test_a_holder_whose_key_somebody_removes_hears_of_it(client: Client, cluster: KeysCluster) -> None:
    with cluster.client() as other, pytest.raises(HoldLost, match="removed"), client.lock("job", ttl=2) as held:
        other.delete(prefix="lock/")
        assert held.lost.wait(20)
        assert not held.is_held


def test_a_block_that_ends_after_its_lock_was_lost_is_told_so(client: Client, cluster: KeysCluster) -> None:
    with pytest.raises(HoldLost, match="was lost before the block ended"), client.lock("job", ttl=0.3) as held:
        cluster.cut = True
        held.lost.wait(5)
        cluster.heal()

    with client.lock("job", ttl=0.3) as again:
        assert again.fence > held.fence


def test_a_waiter_whose_lease_ran_out_is_told_so_at_once(client: Client, cluster: KeysCluster) -> None:
    with client.lock("job"), cluster.client() as other, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.lock("job", ttl=0.3).acquire)
        cluster.await_keys(b"lock/", 2)
        cluster.cut = True

        with pytest.raises(HoldLost):
            waiting.result(5)
        cluster.heal()


def test_a_lock_of_a_client_that_was_closed_is_free(client: Client, cluster: KeysCluster) -> None:
    with cluster.client() as other:
        other.lock("job").acquire()

    with client.lock("job"):
        pass


def test_what_is_given_back_is_not_lost_and_is_watched_no_more(
    client: Client, cluster: KeysCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "GUARDED_AFTER_S", 0.0)
    held = client.lock("job").acquire()
    client.put("the thread looks", b"")
    assert cluster.watches == 1
    held.release()
    client.put("in order", b"")

    assert not held.lost.is_set()
    assert cluster.watches == 0


def test_readers_share_and_a_writer_waits_for_them(client: Client) -> None:
    lock = client.read_write_lock("table")
    with lock.read, lock.read:
        assert lock.write.try_acquire() is None
    with lock.write:
        assert lock.read.try_acquire() is None


def test_a_semaphore_lets_so_many_in(client: Client) -> None:
    semaphore = client.semaphore("slots", 2)
    with semaphore, semaphore as second:
        assert semaphore.try_acquire() is None
        second.release()
        third = semaphore.try_acquire()
        assert third is not None
        assert third.fence > second.fence
    with semaphore, pytest.raises(ValueError, match="2 have their turn at once"):
        client.semaphore("slots", 3).acquire()


def test_a_leader_is_seen_and_heard_and_followed_by_the_next(client: Client, cluster: KeysCluster) -> None:
    election = client.election("boss")
    first = election.campaign("one")
    with ThreadPoolExecutor(1) as pool, cluster.client() as other:
        second = pool.submit(other.election("boss").campaign, "two")
        cluster.await_keys(b"election/", 2)
        seen = election.observe()
        assert [leading and leading.value for leading in (next(seen), election.leader())] == [b"one", b"one"]
        first.proclaim("still one")
        assert (leading := next(seen)) is not None and leading.value == b"still one"
        first.resign()
        assert (leading := next(seen)) is not None and leading.value == b"two"
        assert second.result(5).fence == leading.create_revision
        with pytest.raises(HoldLost):
            first.proclaim("too late")


def test_entries_of_a_queue_are_waited_for(client: Client, cluster: KeysCluster) -> None:
    with ThreadPoolExecutor(1) as pool, cluster.client() as other:
        waiting = pool.submit(other.queue("work").get, 5)
        client.queue("work").put(b"one")
        client.queue("work").put(b"two")

        assert waiting.result().value == b"one"
        assert client.queue("work").size() == 1
        assert (entry := client.queue("work").try_get()) is not None and entry.value == b"two"
        assert client.queue("work").try_get() is None
        with pytest.raises(WaitTimeout):
            client.queue("work").get(0.05)


def test_a_queue_with_priorities(client: Client) -> None:
    queue = client.priority_queue("work")
    for value, priority in ((b"late", 200), (b"first", 1), (b"usual", 100)):
        queue.put(value, priority=priority)

    assert [queue.get().value for _ in range(3)] == [b"first", b"usual", b"late"]


def test_an_entry_that_is_not_consumed_goes_back(client: Client, cluster: KeysCluster) -> None:
    queue = client.locking_queue("work")
    queue.put(b"one")
    with queue.get_locked() as entry:
        assert entry.value == b"one"
        with pytest.raises(WaitTimeout):
            queue.get_locked(0)
    with queue.get_locked() as again:
        assert again.fence > entry.fence
        again.consume()

    assert cluster.keys(b"locking-queue/") == {}


def test_who_does_not_know_whether_it_took_an_entry_is_not_told_that_it_took_none(
    client: Client, cluster: KeysCluster
) -> None:
    queue = client.queue("work")
    queue.put(b"one")
    cluster.loses = lambda command: isinstance(decode_command(command), Txn)
    with pytest.raises(ProposeTimeout) as caught:
        queue.get(timeout=0.2)

    assert caught.value.outcome == "unknown"
    assert queue.size() == 0


def test_an_entry_that_was_locked_in_vain_goes_back(client: Client, cluster: KeysCluster) -> None:
    queue = client.locking_queue("work")
    queue.put(b"one")
    cluster.loses = lambda command: isinstance(decode_command(command), Txn)
    with pytest.raises(WaitTimeout):
        queue.get_locked(timeout=0.2)
    cluster.loses = lambda command: False

    assert queue.get_locked(timeout=5).value == b"one"


def test_a_counter_counts(client: Client) -> None:
    counter = client.counter("hits", default=5)

    assert (counter.value(), counter.add(), counter.add(-3).after, counter.value()) == (5, (5, 6, 1), 3, 3)
    with pytest.raises(TypeError, match="what is added is a whole number"):
        counter.add(1.5)  # type: ignore[arg-type]
    assert counter.value() == 3


def test_what_was_given_back_says_so_where_it_must_be_held(client: Client) -> None:
    held = client.lock("job").acquire()
    held.release()

    with pytest.raises(HoldLost, match="it was given back"):
        held.require()


def test_who_waits_in_vain_is_told_so_also_where_its_look_was_not_answered(
    client: Client, cluster: KeysCluster
) -> None:
    with client.lock("job"), ThreadPoolExecutor(1) as pool:
        client.counter("hits").value()
        cluster.cut = True
        waiting = pool.submit(client.queue("work").get, 0.1)
        with pytest.raises(WaitTimeout):
            waiting.result()
        cluster.heal()


def test_a_barrier_and_a_party(client: Client, cluster: KeysCluster) -> None:
    barrier = client.barrier("start")
    assert (barrier.put_up(), barrier.put_up()) == (True, False)
    with pytest.raises(WaitTimeout):
        barrier.wait(0.05)
    barrier.remove()
    barrier.wait(5)

    with client.party("crew").join("me"):
        assert [member.value for member in client.party("crew").members()] == [b"me"]
    assert client.party("crew").members() == ()


def test_all_begin_together_and_end_together(client: Client, cluster: KeysCluster) -> None:
    inside: set[int] = set()
    most = threading.Barrier(3)

    def work(number: int) -> None:
        with cluster.client() as own, own.double_barrier("match", 3):
            inside.add(number)
            most.wait(5)
            assert len(inside) == 3

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work, number) for number in range(3)]:
            done.result(10)

    assert cluster.keys(b"double-barrier/") == {}
