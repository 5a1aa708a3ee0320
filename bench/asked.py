"""What is asked of the figures: mostly of one beside another one of the same round."""

from __future__ import annotations

from bench.book import P50, P99, RATE, Asked, Key
from bench.clusters import APART, THREE
from bench.parts import failover, floors, keys, memory, queues, slow, values, watches
from bench.parts.shapes import MEMBERS
from bench.parts.values import ETCD_H2LOAD, ETCD_PYTHON, PYSYNC

BIG = "1,000 in flight"
ONE = "1 in flight"


def _values(load: str, subject: str, unit: str = RATE) -> Key:
    return Key(values.PART, load, subject, unit)


def _keys(load: str, subject: str, unit: str = RATE) -> Key:
    return Key(keys.PART, load, subject, unit)


OUR_MANY, OUR_ONE = _values(f"propose, {BIG}", THREE), _values(f"propose, {ONE}", THREE, P50)
SLOW = slow.part(2.0)

VALUES = [
    Asked(f"values/s, {BIG}, beside etcd by h2load", OUR_MANY, _values(f"put, {BIG}", ETCD_H2LOAD), "4x", "6x"),
    Asked(
        "values/s, 100 in flight, beside etcd by h2load",
        _values("propose, 100 in flight", THREE),
        _values("put, 100 in flight", ETCD_H2LOAD),
        "2.5x",
        "4x",
    ),
    Asked(
        "values/s, 10 in flight, beside etcd by h2load",
        _values("propose, 10 in flight", THREE),
        _values("put, 10 in flight", ETCD_H2LOAD),
    ),
    Asked(
        f"values/s with separate roles, {BIG}, beside etcd by h2load",
        _values(f"propose, {BIG}", APART),
        _values(f"put, {BIG}", ETCD_H2LOAD),
    ),
    Asked(f"values/s, {BIG}, beside PySyncObj", OUR_MANY, _values(f"append, {BIG}", PYSYNC), "2x", "4x"),
    Asked(
        f"values/s, {BIG}, beside a gateway without consensus",
        OUR_MANY,
        Key(floors.PART, f"propose, {BIG}", floors.ECHO, RATE),
        "0.5x",
        "0.7x",
    ),
    Asked(f"p99 beside p50, {BIG}", _values(f"propose, {BIG}", THREE, P99), OUR_MANY._replace(unit=P50), "3x", "2x"),
]
ONE_BY_ONE = [
    Asked(
        "p50 of one synchronous client, beside etcd's from Python",
        OUR_ONE,
        _values(f"put, {ONE}", ETCD_PYTHON, P50),
        "1x",
        "0.7x",
    ),
    Asked("the same beside etcd by h2load", OUR_ONE, _values(f"put, {ONE}", ETCD_H2LOAD, P50)),
    Asked(
        "the same beside one hop there and back and a sync",
        OUR_ONE,
        Key(floors.PART, floors.HOP, floors.ZEROMQ, P50),
        "2x",
        "1.4x",
    ),
    Asked(
        "the same beside two hops there and back and a sync",
        OUR_ONE,
        Key(floors.PART, floors.HOPS, floors.ZEROMQ, P50),
    ),
    Asked(
        "the same beside etcd's from Python, where a sync takes 2 ms longer",
        Key(SLOW, f"propose, {ONE}", THREE, P50),
        Key(SLOW, f"put, {ONE}", ETCD_PYTHON, P50),
        "1x",
        "0.8x",
    ),
]
KEYS = [
    Asked(
        f"puts/s beside values/s, {BIG}", _keys(f"put, {BIG}", THREE), _keys(f"propose, {BIG}", THREE), "0.6x", "0.85x"
    ),
    Asked(
        f"puts/s, {BIG}, beside etcd by h2load",
        _keys(f"put, {BIG}", THREE),
        _keys(f"put, {BIG}", ETCD_H2LOAD),
        "2x",
        "4x",
    ),
    Asked(
        f"linearizable gets/s, {BIG}, beside etcd by h2load",
        _keys(f"get, {BIG}", THREE),
        _keys(f"get, {BIG}", ETCD_H2LOAD),
        "2x",
        "5x",
    ),
    Asked(
        f"linearizable gets/s, {BIG}, beside etcd's from Python",
        _keys(f"get, {BIG}", THREE),
        _keys(f"get, {BIG}", ETCD_PYTHON),
    ),
    Asked(
        "lock and unlock, beside etcd's from Python with the same transactions",
        _keys(keys.LOCK, THREE, P50),
        _keys(keys.LOCK, ETCD_PYTHON, P50),
        "1x",
        "0.6x",
    ),
    Asked(
        "events/s to 1,000 watchers of one key",
        Key(watches.PART, watches.delivered(1000), THREE, RATE),
        None,
        "100,000",
        "400,000",
    ),
    Asked(
        "memory of a gateway for 10,000 idle watchers, MB",
        Key(watches.PART, watches.idle(10_000), f"{THREE}, idle", "MB"),
        None,
        "40",
        "15",
    ),
    Asked(
        "memory with 1,000,000 keys of 100 B, beside etcd's",
        Key(memory.PART, memory.holding(1_000_000, 100), THREE, "MB"),
        Key(memory.PART, memory.holding(1_000_000, 100), ETCD_H2LOAD, "MB"),
        "2x",
        "1x",
    ),
    Asked(
        "the same without files that are mapped into memory",
        Key(memory.PART, memory.holding(1_000_000, 100), THREE, "MB without mapped files"),
        Key(memory.PART, memory.holding(1_000_000, 100), ETCD_H2LOAD, "MB without mapped files"),
    ),
    Asked(
        "from a holder's death until the next one has its lock, less the TTL, s",
        Key(watches.LEASES, watches.EXPIRY, THREE, "s"),
        None,
        "1",
        "0.3",
    ),
]
OTHERS = [
    Asked(
        f"queue mode, {BIG}, beside paxos 0.1 with 10 in flight",
        Key(queues.PART, f"propose, {BIG}", queues.OURS, RATE),
        Key(queues.PART, "propose, 10 in flight", queues.THEIRS, RATE),
        "100x",
        "150x",
    ),
    Asked(
        f"values/s of 5 replicas beside 3, {BIG}",
        Key(MEMBERS, f"propose, {BIG}", "paxosd, 5 replicas", RATE),
        Key(MEMBERS, f"propose, {BIG}", THREE, RATE),
        "0.6x",
        "0.75x",
    ),
    Asked(
        "longest gap when the leader is killed under load, worst, s",
        Key(failover.FAILOVER, failover.GAP_WORST, THREE, "s"),
        None,
        "0.8",
        "0.5",
    ),
]
ALL = [*VALUES, *ONE_BY_ONE, *KEYS, *OTHERS]
