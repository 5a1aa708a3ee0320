"""What the figures depend on: the machine, what else it does, and the versions of all that is measured."""

from __future__ import annotations

import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import zmq

from bench.floors.disk import appends

BUSY_SHARE = 0.25
"""More of the processors than this in use by others, and the machine is not idle."""


def load_of_others() -> float:
    """The share of all processors that was in use over the last minute."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def described() -> list[str]:
    """In a few lines; to be called while nothing is measured yet."""
    busy = load_of_others()
    told = f"load of the last minute {os.getloadavg()[0]:.1f}"
    if busy > BUSY_SHARE:
        told += ": THE MACHINE WAS BUSY with something else, so all times are too long"
    return [
        f"{os.cpu_count()} CPUs, {_cpu()}; {_memory_gb()} GB; Linux {platform.release()}; {told}",
        f"{_file_system()}; fdatasync of 100 B takes {statistics.median(appends(0.5, 100)) * 1e3:.2f} ms (median)",
        f"Python {platform.python_version()}, libzmq {zmq.zmq_version()}, paxosd {version('paxosd')}; {_peers()}",
    ]


def _cpu() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _memory_gb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)


def _file_system() -> str:
    command = ["df", "--output=fstype", tempfile.gettempdir()]
    said = subprocess.run(command, capture_output=True, text=True).stdout.split()
    return f"{tempfile.gettempdir()} is {said[-1]}" if said else tempfile.gettempdir()


def _peers() -> str:
    return ", ".join([_program("etcd"), _program("h2load"), *map(_package, ("grpcio", "pysyncobj", "paxos"))])


def _program(name: str) -> str:
    if shutil.which(name) is None:
        return f"no {name}"
    said = subprocess.run([name, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    return f"{name} {found[0] if found else '?'}"


def _package(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"no {name}"
