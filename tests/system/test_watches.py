"""Watches with real daemons, of which gateways and leaders are killed meanwhile: just what happened, once, whole."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from paxosd import Client
from paxosd.client.errors import Compacted, PaxosError
from paxosd.client.watched import Changed
from paxosd.client.watcher import Watcher
from paxosd.kv import Put
from tests.system.daemons import REPLICAS, DaemonCluster

KEYS_OF_ONE = 3
"""How many keys each transaction sets."""
WITHIN_S = 60.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaemonCluster]:
    with DaemonCluster(tmp_path, REPLICAS) as running:
        yield running


def write(client: Client, stop: Event) -> list[int]:
    """One transaction after the other; the revisions of those that were acknowledged."""
    done: list[int] = []
    for number in count():
        if stop.is_set():
            return done
        value = b"%d" % number
        try:
            puts = [Put(b"jobs/%d" % (number * KEYS_OF_ONE + each), value) for each in range(KEYS_OF_ONE)]
            done.append(client.txn([], puts, []).revision)
        except PaxosError:
            continue
    raise AssertionError


def take_until(watcher: Watcher, revision: int) -> list[Changed]:
    """All that it sees until it is as far as that."""
    seen: list[Changed] = []
    until = monotonic() + WITHIN_S
    while watcher.revision < revision:
        assert monotonic() < until, f"it is at {watcher.revision}, and should be at {revision}"
        if (changed := watcher.next(timeout=1)) is not None:
            seen.append(changed)
    return seen


def test_who_watches_while_its_gateway_and_the_leader_are_killed_sees_what_happened_once_and_whole(
    cluster: DaemonCluster,
) -> None:
    stop = Event()
    with cluster.client() as watching, cluster.client(timeout=5.0) as writing, ThreadPoolExecutor() as threads:
        found, watcher = watching.get_and_watch(prefix="jobs/")
        assert found.items == ()
        written = threads.submit(write, writing, stop)
        seen: list[Changed] = []
        for round_number in range(4):
            changed = watcher.next(timeout=WITHIN_S)
            assert changed is not None
            seen.append(changed)
            node = cluster.leader() if round_number % 2 else sorted(REPLICAS)[round_number // 2]
            cluster.kill(node)
            cluster.start(node)
        stop.set()
        acknowledged = written.result()
        with cluster.client() as fresh:
            end = fresh.get_range(prefix="jobs/", count_only=True).revision
            whole = take_until(fresh.watch(prefix="jobs/", start=found.revision + 1), end)
            again = take_until(fresh.watch(prefix="jobs/", start=whole[4].revision), end)
        seen += take_until(watcher, end)

    assert seen == whole
    assert len(acknowledged) > 10
    assert set(acknowledged) <= {changed.revision for changed in whole}
    assert [changed.revision for changed in whole] == sorted({changed.revision for changed in whole})
    assert {len(changed.events) for changed in whole} == {KEYS_OF_ONE}
    assert again == whole[4:]


def test_what_a_watcher_saw_in_all_is_what_a_fresh_one_sees(cluster: DaemonCluster) -> None:
    stop = Event()
    with cluster.client() as watching, cluster.client(timeout=5.0) as writing, ThreadPoolExecutor() as threads:
        watcher = watching.watch(prefix="jobs/", start=1)
        seen: list[Changed] = []
        written = threads.submit(write, writing, stop)
        for _ in range(3):
            changed = watcher.next(timeout=WITHIN_S)
            assert changed is not None
            seen.append(changed)
            leader = cluster.leader()
            cluster.pause(leader)
            changed = watcher.next(timeout=WITHIN_S)
            assert changed is not None
            seen.append(changed)
            cluster.resume(leader)
        stop.set()
        written.result()
        with cluster.client() as fresh:
            end = fresh.get_range(prefix="jobs/", count_only=True).revision
            whole = take_until(fresh.watch(prefix="jobs/", start=1), end)
        seen += take_until(watcher, end)

    assert seen == whole


def test_a_watch_below_what_is_kept_is_told_where_to_begin(cluster: DaemonCluster) -> None:
    with cluster.client() as client:
        for number in range(5):
            last = client.put("k", b"%d" % number).revision
        client.compact(last)
        with client.watch("k", start=1) as watcher, pytest.raises(Compacted) as told:
            watcher.next(timeout=WITHIN_S)
        with client.watch("k", start=told.value.first_available) as watcher:
            changed = watcher.next(timeout=WITHIN_S)

    assert told.value.first_available == last
    assert changed is not None
    assert changed.revision == last


def test_from_now_on_means_behind_all_that_was_acknowledged_and_with_all_that_is_asked_afterwards(
    cluster: DaemonCluster,
) -> None:
    with cluster.client() as one, cluster.client(sorted(REPLICAS)[:1]) as other:
        for number in range(20):
            one.put("k", b"%d" % number)
            with other.watch("k", previous=True) as watcher:
                put = one.put("k", b"new").revision
                changed = watcher.next(timeout=WITHIN_S)
            assert changed is not None
            ((event,), revision) = changed.events, changed.revision
            assert (revision, event.kv.value, event.previous.value) == (put, b"new", b"%d" % number)
