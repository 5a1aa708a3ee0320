"""What nothing that agrees and syncs can do better, on this machine and in the same run."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.floors import disk, echo, hops
from bench.loads import LOAD_S, Load
from bench.plan import Options, Report, Subject

PART = "floors"
DISK, ZEROMQ, ECHO = "disk", "ZeroMQ, and the disk", "a gateway without consensus"
APPEND = "an append with fdatasync"
HOP = "a hop there and back, and an append with fdatasync"
HOPS = "two hops there and back, and an append with fdatasync"
CPU = "processor time to receive, decode and answer a command"


def _appends(options: Options, report: Report) -> None:
    took = disk.appends(options.seconds, options.value_bytes)
    report.rate(APPEND, len(took), options.seconds, took)


def _hops(options: Options, report: Report) -> None:
    for load, servers in ((HOP, 1), (HOPS, 2)):
        took = hops.rounds(options.seconds, options.value_bytes, servers)
        report.rate(load, len(took), options.seconds, took)


def _echo(options: Options, report: Report) -> None:
    for window in options.windows:
        load = Load("propose", window, options.seconds, options.value_bytes)
        with tempfile.TemporaryDirectory() as folder:
            done, cost_s = echo.measured(Path(folder), load)
        report.rate(load.name, done.count, options.seconds, done.took_s)
        if window == max(options.windows):
            report.figure(CPU, "us", cost_s * 1e6)


def subjects(options: Options) -> list[Subject]:
    """Each floor."""
    each_s = options.seconds + LOAD_S
    return [
        Subject(PART, DISK, options.seconds + 1, _appends),
        Subject(PART, ZEROMQ, 2 * each_s, _hops),
        Subject(PART, ECHO, len(options.windows) * each_s, _echo),
    ]
