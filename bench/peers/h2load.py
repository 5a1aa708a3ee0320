"""etcd driven by h2load, the lightest client that there is: one thread in C, raw frames of gRPC, answers not read.

Laws:
1. Each request has a key of its own: `numbered.c` numbers them. Without a C compiler all have the same key, which the
   table says.
2. What h2load counts as done is believed only as far as etcd says so: every status of HTTP is 200, also of an error. So
   after puts its revision, and the number of its keys, are looked at.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from bench.loads import KEYS, Load, key
from bench.peers import frames
from bench.peers.etcd import EtcdClient
from bench.plan import Needed, Report

WARM_UP_S = 1
STREAMS_MAX = 100
"""As many as h2load shall have on one connection; for more there are more connections."""

H2LOAD = Needed("h2load", lambda: "" if shutil.which("h2load") else "h2load is missing (bench/peers/install.sh)")


@cache
def numbered() -> str:
    """The library that numbers requests, made now; empty: there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return ""
    made = Path(tempfile.gettempdir()) / f"paxosd-bench-{os.getuid()}-{os.getpid()}.so"
    source = Path(__file__).with_name("numbered.c")
    atexit.register(made.unlink, missing_ok=True)
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(made), str(source), "-ldl"], check=True)
    return str(made)


_used_from = [5_000_000_000]
"""The next number that no put has had; those of other clients are lower."""


def measure(report: Report, address: str, load: Load) -> None:
    """Put, or get, with so many under way, and report what came of it."""
    seconds = max(1, round(load.seconds))
    is_put = load.kind == "put"
    request = frames.put(key(0), bytes(load.value_bytes)) if is_put else frames.range_of(key(0))
    length = [f"--duration={seconds}", f"--warm-up-time={WARM_UP_S}"]
    with EtcdClient(address) as client:
        before = client.counts()
        numbers = (_used_from[0], 0) if is_put else (0, KEYS)
        took = _drive(address, frames.PUT if is_put else frames.RANGE, request, load.window, length, numbers)
        if is_put:
            made, revisions = (now - then for now, then in zip(client.counts(), before, strict=True))
            _used_from[0] += revisions + load.window
            _require(took, revisions, made)
    same = "" if numbered() else ", one key"
    report.rate(f"{load.name}{same}", len(took), seconds, took)


def fill(address: str, keys: int, value_bytes: int) -> None:
    """Put so many keys, beginning with the first."""
    if not numbered():
        raise ChildProcessError("without a C compiler all would be one key")
    with EtcdClient(address) as client:
        request = frames.put(key(0), bytes(value_bytes))
        _drive(address, frames.PUT, request, 1000, [f"--requests={keys}"], (0, 0), within_s=keys / 1000)
        if client.counts()[0] != keys:
            raise ChildProcessError(f"etcd has {client.counts()[0]} keys, not {keys}")


def _drive(
    address: str,
    method: str,
    request: bytes,
    window: int,
    length: Sequence[str],
    numbers: tuple[int, int],
    within_s: float = 60.0,
) -> list[float]:
    """How long each request took. `numbers`: the first one, and how many there are; 0: without end."""
    connections, streams = -(-window // STREAMS_MAX), min(window, STREAMS_MAX)
    frame = frames.framed(request)
    environment = {"NUMBER_AT": str(frame.index(frames.NUMBER))}
    environment |= {"NUMBER_FROM": str(numbers[0]), "NUMBERS": str(numbers[1])}
    if numbered():
        environment["LD_PRELOAD"] = numbered()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "frame").write_bytes(frame)
        command = ["h2load", f"--clients={connections}", f"--max-concurrent-streams={streams}", *length]
        command += [f"--data={folder}/frame", f"--log-file={folder}/log"]
        command += ["--header=content-type: application/grpc", "--header=te: trailers", f"http://{address}{method}"]
        said = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=within_s)
        took = [int(line.split("\t")[2]) / 1e6 for line in Path(folder, "log").read_text().splitlines()]
    if said.returncode or not took:
        raise ChildProcessError(f"h2load: {said.stdout[-300:]} {said.stderr[-300:]}")
    return took


def _require(took: list[float], revisions: int, keys: int) -> None:
    """What was counted was done; what was done while it warmed up was not counted."""
    if revisions < len(took) or (numbered() and keys != revisions):
        raise ChildProcessError(f"h2load counted {len(took)} puts, etcd {revisions}, of {keys} new keys")
