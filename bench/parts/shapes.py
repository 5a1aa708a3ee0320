"""The same values with other numbers: larger ones, from more clients, to more replicas; once each, beside etcd."""

from __future__ import annotations

from functools import partial

from bench import loads
from bench.clusters import THREE, cluster, replicas
from bench.loads import LOAD_S, Load
from bench.parts.values import ETCD_H2LOAD
from bench.peers import etcd, h2load
from bench.plan import Options, Report, Subject
from tests.system.daemons import REPLICAS

SIZES, CLIENTS, MEMBERS = "sizes", "clients", "replicas"
UNDER_WAY = 1_000
BYTES_UNDER_WAY = 4_000_000
"""Large values are fewer at once."""


def _of_size(value_bytes: int, kind: str, options: Options) -> Load:
    window = max(1, min(UNDER_WAY, BYTES_UNDER_WAY // value_bytes))
    return Load(kind, window, options.seconds, value_bytes)


def _sizes(options: Options, report: Report) -> None:
    with cluster(REPLICAS) as ours:
        for size in options.sizes:
            loads.measure(report, ours.config, Load("propose", 1, options.seconds, size))
            loads.measure(report, ours.config, _of_size(size, "propose", options))


def _sizes_etcd(options: Options, report: Report) -> None:
    with etcd.members() as members:
        for size in options.sizes:
            h2load.measure(report, members.leader, Load("put", 1, options.seconds, size))
            h2load.measure(report, members.leader, _of_size(size, "put", options))


def _clients(options: Options, report: Report) -> None:
    """All together have a thousand under way, and then each of them one."""
    with cluster(REPLICAS) as ours:
        for clients in options.clients:
            for window in dict.fromkeys((max(1, UNDER_WAY // clients), 1)):
                load = Load("propose", window, options.seconds, options.value_bytes, clients)
                loads.measure(report, ours.config, load)


def _members(count: int, options: Options, report: Report) -> None:
    with cluster(replicas(count)) as ours:
        for window in (1, UNDER_WAY):
            loads.measure(report, ours.config, Load("propose", window, options.seconds, options.value_bytes))


def sizes(options: Options) -> list[Subject]:
    """Ours and etcd's."""
    seconds = 4 + 2 * len(options.sizes) * (options.seconds + LOAD_S)
    needs = etcd.ETCD, etcd.GRPC, h2load.H2LOAD
    return [
        Subject(SIZES, THREE, seconds, _sizes, rounds=1),
        Subject(SIZES, ETCD_H2LOAD, seconds, _sizes_etcd, needs, rounds=1),
    ]


def clients(options: Options) -> list[Subject]:
    """Ours; each client is a process."""
    seconds = 4 + sum(2 * (options.seconds + 2 + clients / 3) for clients in options.clients)
    return [Subject(CLIENTS, THREE, seconds, _clients, rounds=1)]


def members(options: Options) -> list[Subject]:
    """Three, and more."""
    each_s = 4 + 2 * (options.seconds + LOAD_S)
    return [
        Subject(MEMBERS, f"paxosd, {count} replicas", each_s + count, partial(_members, count), rounds=2)
        for count in (3, *options.members)
    ]
