"""A disk on which a sync takes so many milliseconds longer, as most disks do.

`strace` delays every sync of every node as it returns, of paxosd, of etcd and of the floor alike, and lets everything
else pass; a sync that is traced and not delayed takes some 0.02 ms longer.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial

from bench import loads
from bench.clusters import THREE, cluster
from bench.loads import LOAD_S, Load
from bench.parts.floors import HOP, ZEROMQ
from bench.parts.values import ETCD_H2LOAD, ETCD_PYTHON
from bench.peers import etcd, h2load
from bench.plan import Needed, Options, Report, Subject
from tests.system.daemons import REPLICAS

SYNCS = "fsync,fdatasync,sync_file_range,msync"
STRACE = Needed("strace", lambda: "" if shutil.which("strace") else "strace is missing (bench/peers/install.sh)")
WINDOWS = 1, 100, 1000


def part(ms: float) -> str:
    """What the part of one delay is called."""
    return f"sync + {ms:g} ms"


def delaying(ms: float) -> list[str]:
    """The command in front of one whose syncs shall be delayed. It becomes that one, so a signal reaches it."""
    return [
        "strace",
        "--daemonize",  # whoever is started is the program itself, and strace watches from aside
        "--follow-forks",
        "--seccomp-bpf",  # all that is not a sync runs undisturbed
        "--output=/dev/null",
        f"--trace={SYNCS}",
        f"--inject={SYNCS}:delay_exit={round(ms * 1000)}",
    ]


def _ours(ms: float, options: Options, report: Report) -> None:
    with cluster(REPLICAS, entering=delaying(ms)) as ours:
        for window in WINDOWS:
            loads.measure(report, ours.config, Load("propose", window, options.seconds, options.value_bytes))


def _etcd(ms: float, options: Options, report: Report) -> None:
    with etcd.members(entering=delaying(ms)) as members:
        for window in WINDOWS:
            h2load.measure(report, members.leader, Load("put", window, options.seconds, options.value_bytes))


def _etcd_python(ms: float, options: Options, report: Report) -> None:
    with etcd.members(entering=delaying(ms)) as members:
        etcd.measure(report, members.leader, Load("put", 1, options.seconds, options.value_bytes))


def _floor(ms: float, options: Options, report: Report) -> None:
    arguments = ["-m", "bench.floors.hops", str(options.seconds), str(options.value_bytes), "1"]
    took = _printed([*delaying(ms), sys.executable, *arguments], options.seconds + 60)
    report.rate(HOP, len(took), options.seconds, took)


def _printed(command: Sequence[str], within_s: float) -> list[float]:
    said = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=True).stdout
    return [float(line) for line in said.split()]


def subjects(options: Options) -> list[Subject]:
    """For each delay: ours, etcd with both of its clients, and the floor."""
    python, by_h2load = (etcd.ETCD, etcd.GRPC, STRACE), (etcd.ETCD, etcd.GRPC, STRACE, h2load.H2LOAD)
    each_s = options.seconds + LOAD_S
    return [
        subject
        for ms in options.sync_ms
        for subject in (
            Subject(part(ms), THREE, 6 + 3 * each_s, partial(_ours, ms), (STRACE,), rounds=2),
            Subject(part(ms), ETCD_H2LOAD, 6 + 3 * each_s, partial(_etcd, ms), by_h2load, rounds=2),
            Subject(part(ms), ETCD_PYTHON, 6 + each_s, partial(_etcd_python, ms), python, rounds=2),
            Subject(part(ms), ZEROMQ, each_s, partial(_floor, ms), (STRACE,), rounds=2),
        )
    ]
