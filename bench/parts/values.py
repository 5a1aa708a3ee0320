"""Values into the log, beside puts into etcd and appends to PySyncObj: one at a time, and many at once."""

from __future__ import annotations

from functools import partial

from bench import loads
from bench.clusters import APART, LAYOUTS, THREE, cluster
from bench.loads import LOAD_S, Load, ends
from bench.peers import etcd, h2load, pysync
from bench.plan import Options, Report, Subject

PART = "values"
ETCD_H2LOAD = "etcd, 3 members, h2load"
ETCD_PYTHON = "etcd, 3 members, Python client"
PYSYNC = "PySyncObj, 3 nodes, journal, in-process"


def _ours(layout: str, options: Options, report: Report) -> None:
    with cluster(LAYOUTS[layout]) as ours:
        for window in options.windows:
            loads.measure(report, ours.config, Load("propose", window, options.seconds, options.value_bytes))


def _etcd_h2load(options: Options, report: Report) -> None:
    with etcd.members() as members:
        for window in options.windows:
            h2load.measure(report, members.leader, Load("put", window, options.seconds, options.value_bytes))


def _etcd_python(options: Options, report: Report) -> None:
    with etcd.members() as members:
        for window in options.windows:
            etcd.measure(report, members.leader, Load("put", window, options.seconds, options.value_bytes))


def _pysync(options: Options, report: Report) -> None:
    for window in ends(options.windows):
        pysync.measure(report, Load("append", window, options.seconds, options.value_bytes))


def subjects(options: Options) -> list[Subject]:
    """Both layouts of ours, and the peers."""
    loads_s = len(options.windows) * (options.seconds + LOAD_S)
    return [
        Subject(PART, THREE, 4 + loads_s, partial(_ours, THREE)),
        Subject(PART, ETCD_H2LOAD, 4 + loads_s, _etcd_h2load, (etcd.ETCD, etcd.GRPC, h2load.H2LOAD)),
        Subject(PART, APART, 5 + loads_s, partial(_ours, APART)),
        Subject(PART, ETCD_PYTHON, 4 + loads_s, _etcd_python, (etcd.ETCD, etcd.GRPC)),
        Subject(PART, PYSYNC, 2 * (options.seconds + 4), _pysync, (pysync.PYSYNCOBJ,), rounds=2),
    ]
