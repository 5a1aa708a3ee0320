"""The same measurements of etcd on this machine, to compare: `python -m bench.etcd [--clients 1] [--seconds 10]`.

Needs `etcd` and `etcdctl` on the PATH, and grpcio (`pip install --group bench`). Three members run on loopback with
their data in the same kind of folder as `bench.throughput` and `bench.latency` use, and every put is durable on a
quorum. Rows: one put after the other; a window of puts under way from Python; and etcd's own load generator, in Go,
which tries 15,000 puts a second from 1,000 clients (`etcdctl check perf --load=xl`).
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import re
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import grpc

from bench.cluster import show, summary_ms
from bench.latency import WARM_UP
from tests.system.daemons import free_ports

Result = tuple[int, list[float]]
MEMBERS = 3
READY_WITHIN_S = 30.0


@contextlib.contextmanager
def members(folder: Path) -> Iterator[list[str]]:
    """Three members while the block lasts; gives their client addresses, "host:port"."""
    ports = free_ports(2 * MEMBERS)
    clients, peers = ports[:MEMBERS], ports[MEMBERS:]
    cluster = ",".join(f"m{index}=http://127.0.0.1:{port}" for index, port in enumerate(peers))
    processes = []
    for index, (client, peer) in enumerate(zip(clients, peers, strict=True)):
        options = {
            "name": f"m{index}",
            "data-dir": str(folder / f"m{index}"),
            "listen-client-urls": f"http://127.0.0.1:{client}",
            "advertise-client-urls": f"http://127.0.0.1:{client}",
            "listen-peer-urls": f"http://127.0.0.1:{peer}",
            "initial-advertise-peer-urls": f"http://127.0.0.1:{peer}",
            "initial-cluster": cluster,
            "log-level": "error",
        }
        command = ["etcd", *(f"--{name}={value}" for name, value in options.items())]
        with (folder / f"m{index}.log").open("wb") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=log))
    try:
        yield [f"127.0.0.1:{port}" for port in clients]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


class Puts:
    """Calls `Put` of one member: durable on a quorum when it returns."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        grpc.channel_ready_future(self._channel).result(READY_WITHIN_S)
        self._put = self._channel.unary_unary("/etcdserverpb.KV/Put")
        self._numbers = count()

    def start(self, value: bytes) -> grpc.Future:
        """Put the value under a key of its own."""
        return self._put.future(_field(1, f"key-{next(self._numbers)}".encode()) + _field(2, value))

    def close(self) -> None:
        self._channel.close()


def _field(number: int, value: bytes) -> bytes:
    """A bytes field of protobuf; of up to 16 KiB."""
    length = len(value)
    head = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    return bytes([number << 3 | 2]) + head + value


def leader_of(addresses: list[str]) -> str:
    """The member that leads, which answers fastest."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        command = ["etcdctl", f"--endpoints={','.join(addresses)}", "endpoint", "status", "-w", "simple"]
        for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
            fields = line.split(", ")
            if fields[4] == "true":
                return fields[0]
        time.sleep(0.2)
    raise TimeoutError(f"no etcd member leads within {READY_WITHIN_S:.0f} s")


def load(address: str, seconds: float, window: int, value_bytes: int, results: multiprocessing.Queue[Result]) -> None:
    """One client process, the same as that of `bench.throughput`."""
    value = bytes(value_bytes)
    latencies: list[float] = []
    done = 0
    puts = Puts(address)
    for _ in range(WARM_UP):
        puts.start(b"warm-up").result()
    under_way = deque((time.monotonic(), puts.start(value)) for _ in range(window))
    end = time.monotonic() + seconds
    while under_way:
        sent_at, call = under_way.popleft()
        call.result()
        now = time.monotonic()
        done += 1
        if window == 1 or done % 50 == 0:
            latencies.append(now - sent_at)
        if now < end:
            under_way.append((now, puts.start(value)))
    puts.close()
    results.put((done, latencies))


def measure(clients: int, seconds: float, window: int, value_bytes: int) -> dict[str, object]:
    """One run on a fresh cluster."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, members(Path(folder)) as addresses:
        leader = leader_of(addresses)
        results: multiprocessing.Queue[Result] = context.Queue()
        processes = [
            context.Process(target=load, args=(leader, seconds, window, value_bytes, results)) for _ in range(clients)
        ]
        for process in processes:
            process.start()
        gathered = [results.get(timeout=seconds + 60) for _ in processes]
        for process in processes:
            process.join()
    done = sum(count_ for count_, _ in gathered)
    latencies = [latency for _, some in gathered for latency in some]
    row: dict[str, object] = {"load": "from Python", "clients": clients, "window": window, "value_bytes": value_bytes}
    return row | {"values": done, "values_per_s": round(done / seconds), **summary_ms(latencies)}


def measure_own_load() -> dict[str, object]:
    """`etcdctl check perf`, for a minute."""
    with tempfile.TemporaryDirectory() as folder, members(Path(folder)) as addresses:
        leader_of(addresses)
        command = ["etcdctl", f"--endpoints={','.join(addresses)}", "check", "perf", "--load=xl"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=180)
    rate = re.search(r"([0-9]+) writes/s", said.stdout + said.stderr)
    assert rate is not None, f"etcdctl check perf said: {said.stdout}{said.stderr}"
    empty = dict.fromkeys(("values", "values_per_s", "p50_ms", "p99_ms", "max_ms"), "")
    row: dict[str, object] = {"load": "etcdctl check perf", "clients": 1000, "window": 1, "value_bytes": 1024}
    return row | empty | {"values_per_s": int(rate[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = [
        measure(1, chosen.seconds, 1, chosen.value_bytes),
        measure(chosen.clients, chosen.seconds, chosen.window, chosen.value_bytes),
        measure_own_load(),
    ]
    show("etcd", rows, chosen.json)


if __name__ == "__main__":
    main()
