"""Keys: puts, linearizable gets, nine gets for each put, and a lock that nobody else wants; beside etcd.

Our puts and the values of the log are measured on the same cluster, one soon after the other. etcd's puts have keys of
their own, as ours do; what is read are the same 10,000 keys of 100 B.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from bench import loads
from bench.clusters import THREE, cluster
from bench.loads import KEYS, LOAD_S, WARM_UP_S, Done, Load, ends, key, one_by_one
from bench.parts.values import ETCD_H2LOAD, ETCD_PYTHON
from bench.peers import etcd, frames, h2load
from bench.plan import Options, Report, Subject
from bench.processes import together
from paxosd import Client
from tests.system.daemons import REPLICAS

PART = "keys"
LOCK = "lock and unlock, uncontended"


def _ours(options: Options, report: Report) -> None:
    with cluster(REPLICAS) as ours:
        loads.fill(ours.config, KEYS, options.value_bytes)
        most = max(options.windows)
        loads.measure(report, ours.config, Load("propose", most, options.seconds, options.value_bytes))
        for kind in ("put", "get"):
            for window in ends(options.windows):
                loads.measure(report, ours.config, Load(kind, window, options.seconds, options.value_bytes))
        loads.measure(report, ours.config, Load("mixed", most, options.seconds, options.value_bytes))
        (done,) = together(_lock, [(str(ours.config), options.seconds)], options.seconds)
        report.rate(LOCK, done.count, options.seconds, done.took_s)


def _lock(config: str, seconds: float, begin: Callable[[], Any]) -> Done:
    with Client.from_config(config) as client:

        def once() -> None:
            with client.lock("bench"):
                pass

        one_by_one(once, WARM_UP_S)
        begin()
        return one_by_one(once, seconds)


def _filled(address: str, value_bytes: int) -> None:
    with etcd.EtcdClient(address) as client:
        numbers = count()
        for _ in range(KEYS // 100):
            some = [client.start(frames.PUT, frames.put(key(next(numbers)), bytes(value_bytes))) for _ in range(100)]
            for each in some:
                each.result()


def _etcd_h2load(options: Options, report: Report) -> None:
    with etcd.members() as members:
        _filled(members.leader, options.value_bytes)
        for kind in ("put", "get"):
            for window in ends(options.windows):
                h2load.measure(report, members.leader, Load(kind, window, options.seconds, options.value_bytes))


def _etcd_python(options: Options, report: Report) -> None:
    with etcd.members() as members:
        _filled(members.leader, options.value_bytes)
        for kind in ("put", "get"):
            for window in ends(options.windows):
                etcd.measure(report, members.leader, Load(kind, window, options.seconds, options.value_bytes))
        (done,) = together(etcd.lock_and_unlock, [(members.leader, options.seconds)], options.seconds)
        report.rate(LOCK, done.count, options.seconds, done.took_s)


def subjects(options: Options) -> list[Subject]:
    """Ours, and etcd with both of its clients."""
    each_s = options.seconds + LOAD_S
    return [
        Subject(PART, THREE, 5 + 7 * each_s, _ours, rounds=2),
        Subject(PART, ETCD_H2LOAD, 6 + 4 * each_s, _etcd_h2load, (etcd.ETCD, etcd.GRPC, h2load.H2LOAD), rounds=2),
        Subject(PART, ETCD_PYTHON, 6 + 5 * each_s, _etcd_python, (etcd.ETCD, etcd.GRPC), rounds=2),
    ]
