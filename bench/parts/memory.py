"""What a node has in memory when there are very many keys, beside a member of etcd that has the same ones.

The most that any node, or member, has. A file that is mapped into memory counts as memory, as the system counts it;
so both are told, with such files and without.
"""

from __future__ import annotations

from bench import loads
from bench.clusters import THREE, cluster, memory_mb
from bench.parts.values import ETCD_H2LOAD
from bench.peers import etcd, h2load
from bench.plan import Options, Report, Subject
from bench.processes import together
from tests.system.daemons import REPLICAS

PART = "memory"
KEYS_A_SECOND = 20_000
"""What a fill is reckoned with."""


def holding(keys: int, value_bytes: int) -> str:
    """The load in which there are so many keys."""
    return f"{keys:,} keys of {loads.size_name(value_bytes)}"


def _tell(options: Options, report: Report, pids: list[int]) -> None:
    all_of_them = [memory_mb(pid) for pid in pids]
    load = holding(options.keys, options.value_bytes)
    report.figure(load, "MB", max(each["all"] for each in all_of_them))
    report.figure(load, "MB without mapped files", max(each["without files"] for each in all_of_them))


def _fill(config: str, keys: int, value_bytes: int, begin: object) -> None:
    loads.fill(config, keys, value_bytes)


def _ours(options: Options, report: Report) -> None:
    with cluster(REPLICAS) as ours:
        together(_fill, [(str(ours.config), options.keys, options.value_bytes)], options.keys / KEYS_A_SECOND * 5)
        _tell(options, report, [daemon.process.pid for daemon in ours.daemons.values()])


def _etcd(options: Options, report: Report) -> None:
    with etcd.members() as members:
        h2load.fill(members.leader, options.keys, options.value_bytes)
        _tell(options, report, [process.pid for process in members.processes])


def subjects(options: Options) -> list[Subject]:
    """Ours, and etcd's."""
    seconds = 8 + options.keys / KEYS_A_SECOND
    return [
        Subject(PART, THREE, seconds, _ours, rounds=1),
        Subject(PART, ETCD_H2LOAD, seconds, _etcd, (etcd.ETCD, etcd.GRPC, h2load.H2LOAD), rounds=1),
    ]
