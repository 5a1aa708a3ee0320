"""Whatever arrives on the ports of real daemons: they live, count it, and go on deciding."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from pathlib import Path

import msgpack
import zmq

from paxosd.config import load
from tests.system.daemons import REPLICAS, DaemonCluster

HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(200)
ZMTP1 = b"\x01\x00"
NESTED = b"\x91" * 2000
FALSE_LENGTH = b"\xdd\xff\xff\xff\xff"
RANDOM = random.Random(7).randbytes(10_000)


def over_tcp(address: tuple[str, int], payload: bytes) -> None:
    """Send raw bytes and hang up without reading."""
    with socket.create_connection(address, timeout=5) as connection:
        connection.settimeout(5)
        try:
            connection.sendall(payload)
        except OSError:
            return  # hung up on us in the middle: its right


def over_zeromq(address: tuple[str, int], payload: bytes) -> None:
    """Send the payload as one well-formed ZeroMQ message."""
    context = zmq.Context()
    try:
        dealer = context.socket(zmq.DEALER)
        dealer.linger = 2000
        dealer.connect(f"tcp://{address[0]}:{address[1]}")
        dealer.send(payload)
        dealer.close()
    finally:
        context.term()


def foreign_frame() -> bytes:
    """A well-formed frame of another cluster."""
    return bytes(msgpack.packb([1, b"12345678", "r2", 1, []]))


Send = Callable[[tuple[str, int], bytes], None]

CASES: dict[str, tuple[Send, bytes]] = {
    "random bytes": (over_tcp, RANDOM),
    "http": (over_tcp, HTTP),
    "tls": (over_tcp, TLS_HELLO),
    "zmtp 1": (over_tcp, ZMTP1),
    "100 MB raw": (over_tcp, bytes(100_000_000)),
    "random message": (over_zeromq, RANDOM),
    "empty message": (over_zeromq, b""),
    "nested arrays": (over_zeromq, NESTED),
    "false length": (over_zeromq, FALSE_LENGTH),
    "100 MB message": (over_zeromq, bytes(100_000_000)),
    "foreign cluster": (over_zeromq, foreign_frame()),
}


def test_m08_m10_m13_m21_garbage_on_every_port_disturbs_nothing(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, REPLICAS) as cluster, cluster.client() as client:
        expected = [b"before"]
        client.propose(b"before")
        nodes = load(cluster.config).nodes.values()
        ports = [(end.host, end.port) for node in nodes for end in (node.address, node.client) if end is not None]
        for name, (send, payload) in CASES.items():
            for port in ports:
                send(port, payload)
            client.propose(name.encode())
            expected.append(name.encode())
        log = [entry.value for entry in client.log(start=1)]
        alive = {node: daemon.process.poll() for node, daemon in cluster.daemons.items()}

    assert log == expected
    assert alive == dict.fromkeys(REPLICAS)
    assert all("dropped a" in daemon.written() for daemon in cluster.daemons.values())
