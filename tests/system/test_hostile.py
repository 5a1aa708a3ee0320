"""Whoever reaches the ports of real daemons tries to end, fill or stop them: they serve on, in bounded memory."""

from __future__ import annotations

import random
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest

from paxosd import Client
from paxosd.config import load
from tests.system.daemons import READY_WITHIN_S, REPLICAS, DaemonCluster
from tests.system.raw_zmtp import GREETING, RawPeer, message, part, ready
from tests.wire.test_frames import GOLDEN

MIB = 1 << 20
GROWN_MAX = 400 * MIB
"""Asked of every attack, on a busy machine too; each would take more if nobody bounded it."""
FLOOD_S = 3.0
Address = tuple[str, int]


def resident(process: int) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@contextmanager
def watched(*processes: int) -> Iterator[None]:
    """Fail if one of these grows over the bound meanwhile."""
    before = {process: resident(process) for process in processes}
    peaks = dict(before)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for process in processes:
                peaks[process] = max(peaks[process], resident(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    grown = {process: (peaks[process] - before[process]) // MIB for process in processes}
    assert all(peaks[process] - before[process] < GROWN_MAX for process in processes), f"grown by MiB: {grown}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonCluster]:
    with DaemonCluster(tmp_path_factory.mktemp("hostile"), REPLICAS) as cluster:
        yield cluster


def ports(cluster: DaemonCluster, node: str = "r1") -> dict[str, Address]:
    known = load(cluster.config).nodes[node]
    assert known.address is not None
    assert known.client is not None
    return {"peers": (known.address.host, known.address.port), "clients": (known.client.host, known.client.port)}


def repeat(address: Address, data: bytes, bytes_max: int, for_s: float = 30.0) -> None:
    """Send this again and again, on one connection after the other, until so much was sent or the time is over."""
    until = time.monotonic() + for_s
    sent = 0
    while sent < bytes_max and time.monotonic() < until:
        try:
            with RawPeer(address) as peer:
                while sent < bytes_max and time.monotonic() < until and peer.send(data, timeout_s=1.0):
                    sent += len(data)
        except OSError:
            continue  # cut off while it shook hands


def frame(messages: list[Any], digest: bytes = b"") -> bytes:
    return bytes(msgpack.packb([1, digest, "somebody", 1, messages]))


ENDLESS = {
    "parts of a megabyte": (part(bytes(MIB), more=True), 1000 * MIB),
    "parts of a byte": (part(b"a", more=True) * 20_000, 24 * MIB),
    "parts in segments of their own": (part(bytes(40), more=True), 4 * MIB),
}
"""What is sent, and how much of it: libzmq would take half a gigabyte for each."""


@pytest.mark.parametrize("attack", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("port", ["peers", "clients"])
def test_o02_a_message_whose_parts_never_end_costs_a_bounded_amount(
    cluster: DaemonCluster, port: str, attack: tuple[bytes, int]
) -> None:
    with cluster.client() as client, watched(cluster.daemons["r1"].process.pid):
        repeat(ports(cluster)[port], *attack)
        client.propose(b"still there")


STAND_STILL = """
import sys, time
from paxosd.transport.zeromq.node import ZeroMQTransport
transport = ZeroMQTransport("a", {}, "tcp://127.0.0.1:*", "tcp://127.0.0.1:*", 1 << 24, 1 << 24)
print(transport.listen_url, transport.client_url, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("port", [0, 1], ids=["peers", "clients"])
def test_o02_frames_that_nobody_reads_while_the_loop_stands_still_are_bounded(port: int) -> None:
    command = [sys.executable, "-c", STAND_STILL]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as still,
        ExitStack() as all_,
    ):
        assert still.stdout is not None
        number = still.stdout.readline().split()[port].rpartition(":")[2]
        unread = message(b"a", bytes(15 * MIB))
        with watched(still.pid):
            peers = [all_.enter_context(RawPeer(("127.0.0.1", int(number)))) for _ in range(20)]
            for _ in range(15):
                for peer in peers:
                    peer.send(unread, timeout_s=0.1)
        still.kill()


def test_o02_clients_that_ask_for_pages_and_read_nothing_cost_a_bounded_amount(cluster: DaemonCluster) -> None:
    with cluster.client() as client, ExitStack() as all_:
        for future in [client.propose_async(bytes(100_000)) for _ in range(20)]:
            future.result(timeout=20)
        with watched(cluster.daemons["r1"].process.pid):
            address = ports(cluster)["clients"]
            deaf = [all_.enter_context(RawPeer(address, receive_buffer=4096)) for _ in range(60)]
            for peer in deaf:
                peer.send(message(frame([[69, number, 1, False, 0, 0] for number in range(12)])))
            until = time.monotonic() + 2 * FLOOD_S
            while time.monotonic() < until:
                client.propose(b"still there")


@pytest.mark.parametrize("count", [1, 64, 60_000])
@pytest.mark.parametrize("port", ["peers", "clients"])
def test_o03_a_flood_of_tiny_messages_does_not_stop_the_service_neither_then_nor_afterwards(
    cluster: DaemonCluster, port: str, count: int
) -> None:
    flood = message(frame([[71, 1]] * count)) if port == "clients" else message(b"r1", frame([[21, 1]] * count))
    flood *= max(1, 1000 // count)
    attacker = threading.Thread(target=repeat, args=(ports(cluster)[port], flood, 1 << 40, FLOOD_S))
    with cluster.client() as client, watched(cluster.daemons["r1"].process.pid):
        attacker.start()
        served = 0
        while attacker.is_alive():
            client.propose(b"during", timeout=5)
            served += 1
        client.propose(b"afterwards", timeout=2)

    assert served > 10


def test_o05_idle_connections_do_not_keep_a_peer_out_that_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen = subprocess.Popen

    def with_few_descriptors(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return popen(["sh", "-c", 'ulimit -Hn 512; ulimit -Sn 100; exec "$@"', "sh", *command], **options)

    monkeypatch.setattr(subprocess, "Popen", with_few_descriptors)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        with DaemonCluster(tmp_path, REPLICAS) as cluster, cluster.client() as client, ExitStack() as all_:
            addresses = ports(cluster).values()
            for number in range(2000):
                for address in addresses:
                    connection = all_.enter_context(socket.create_connection(address, timeout=5))
                    if number % 2:
                        connection.sendall(GREETING + ready())
            client.propose(b"still there")
            for node in ("r2", "r3"):
                cluster.kill(node)
                cluster.start(node)
            cluster.kill("r3")  # r1, whose ports they fill, and r2, which came back, are the quorum
            client.propose(b"still there", timeout=20)
            await_heard(client, {"r1", "r2"})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def await_heard(client: Client, nodes: set[str]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not {row.node for row in client.status().nodes if row.reachable} >= nodes:
        assert time.monotonic() < deadline


def mutated(draw: random.Random, count: int, digest: bytes) -> Iterator[bytes]:
    """Frames of every message with bytes changed, added and cut out, and what is no frame at all."""
    packed = [bytes.fromhex(golden) for _, golden in GOLDEN]
    head = b"\x95\x01\xc4\x08" + digest
    for _ in range(count):
        some = [draw.choice(packed) for _ in range(draw.randint(1, 3))]
        made = bytearray(head + draw.choice((b"\xa2r1", b"\xa1c", b"\xa2r9")) + b"\x01" + bytes([0x90 + len(some)]))
        made += b"".join(some)
        for _ in range(draw.randint(0, 4)):
            at, length = draw.randrange(len(made) + 1), draw.randint(0, 8)
            added = (b"", draw.randbytes(length), b"\x91" * draw.randint(1, 1500), b"\xcf" + b"\xff" * 8)
            made[at : at + draw.choice((0, 1, length))] = draw.choice(added)
        yield bytes(made)


def let_in(address: tuple[str, int], within_s: float = 20) -> RawPeer:
    """A connection to a port that may be shut for a moment: after a flood, until the loop turns (guard, law 6)."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return RawPeer(address)
        except ConnectionResetError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def throw(cluster: DaemonCluster, count: int, seed: int) -> None:
    """Throw so many mutated frames at both ports of one node."""
    draw = random.Random(seed)
    digest = load(cluster.config).digest
    for port, address in ports(cluster).items():
        made = mutated(draw, count // 2, digest)
        names = [b"r1"] if port == "peers" else []
        batch = b""
        peer = let_in(address)
        for one in made:
            batch += message(*names, one)
            if len(batch) > 50_000:
                if not peer.send(batch):  # cut off
                    peer.close()
                    peer = let_in(address)
                batch = b""
        peer.send(batch)
        peer.close()


def check_serving(cluster: DaemonCluster) -> None:
    with cluster.client() as client:
        receipts = [client.propose(b"%d" % number, timeout=20) for number in range(20)]
        entries = list(client.log(start=receipts[0].revision, timeout=20))
        rows = client.status().nodes

    assert [entry.value for entry in entries] == [b"%d" % number for number in range(20)]
    assert all(row.reachable for row in rows)
    for daemon in cluster.daemons.values():
        assert daemon.process.poll() is None
        assert all(len(line) < 500 and line.isprintable() for line in daemon.written().splitlines())


def test_m08_mutated_frames_by_the_ten_thousand_disturb_nothing(cluster: DaemonCluster) -> None:
    with watched(*(daemon.process.pid for daemon in cluster.daemons.values())):
        throw(cluster, 20_000, seed=8)
    check_serving(cluster)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_m08_a_million_mutated_frames_disturb_nothing(cluster: DaemonCluster) -> None:
    with watched(*(daemon.process.pid for daemon in cluster.daemons.values())):
        for seed in range(10):
            throw(cluster, 100_000, seed)
            check_serving(cluster)
