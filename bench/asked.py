"""The ratios that are asked for."""

from __future__ import annotations

from bench.book import P50, RATE, Key, Ratio
from bench.clusters import APART, THREE
from bench.parts import floors, values
from bench.parts.values import ETCD_H2LOAD, ETCD_PYTHON, PYSYNC


def _values(load: str, subject: str, unit: str) -> Key:
    return Key(values.PART, load, subject, unit)


RATIOS = [
    *(
        Ratio(
            f"values/s, {window} in flight, beside etcd by h2load",
            _values(f"propose, {window} in flight", THREE, RATE),
            _values(f"put, {window} in flight", ETCD_H2LOAD, RATE),
            asked,
            aim,
        )
        for window, asked, aim in (("1,000", "4x", "6x"), ("100", "2.5x", "4x"), ("10", "", ""))
    ),
    Ratio(
        "the same with separate roles, 1,000 in flight",
        _values("propose, 1,000 in flight", APART, RATE),
        _values("put, 1,000 in flight", ETCD_H2LOAD, RATE),
    ),
    Ratio(
        "time of one value after the other, beside etcd with a Python client",
        _values("propose, 1 in flight", THREE, P50),
        _values("put, 1 in flight", ETCD_PYTHON, P50),
        "1x",
        "0.7x",
    ),
    Ratio(
        "the same beside etcd by h2load",
        _values("propose, 1 in flight", THREE, P50),
        _values("put, 1 in flight", ETCD_H2LOAD, P50),
    ),
    Ratio(
        "the same beside a hop there and back and a synced write",
        _values("propose, 1 in flight", THREE, P50),
        Key(floors.PART, floors.HOP, "ZeroMQ, and the disk", P50),
        "2x",
        "1.4x",
    ),
    Ratio(
        "the same beside two hops there and back and a synced write",
        _values("propose, 1 in flight", THREE, P50),
        Key(floors.PART, floors.HOPS, "ZeroMQ, and the disk", P50),
    ),
    Ratio(
        "share of what the client does without consensus, 1,000 in flight",
        _values("propose, 1,000 in flight", THREE, RATE),
        Key(floors.PART, "propose, 1,000 in flight", "a gateway without consensus", RATE),
        "0.5x",
        "0.7x",
    ),
    Ratio(
        "values/s beside PySyncObj, 1,000 in flight",
        _values("propose, 1,000 in flight", THREE, RATE),
        _values("append, 1,000 in flight", PYSYNC, RATE),
        "2x",
        "4x",
    ),
]
