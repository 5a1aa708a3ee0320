"""Makes what stands in `0.2.0/`: run by paxosd 0.2.0 itself, never by a later version (see README.md).

PYTHONPATH=CHECKOUT-OF-0.2.0 python tests/golden/make_0_2_0.py tests/golden/0.2.0
"""

import json
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import paxosd
from paxosd import Client
from paxosd.local import LocalCluster, local_config
from tests.test_codec import CODEC, GOLDEN

ROLES = {"p1": "proposer", "p2": "proposer", "a1": "acceptor", "a2": "acceptor", "a3": "acceptor", "l1": "learner"}
WASTE = {".log", ".sqlite3-shm"}


def values(who: str, count: int) -> list[bytes]:
    """Small ones, an empty one, one with every byte, and one that takes some pages."""
    return [b"", bytes(range(256)), who.encode() * 1500, *(b"%s-%d" % (who.encode(), n) for n in range(count))]


def told(client: Client) -> list[list[object]]:
    return [[entry.revision, entry.slot, entry.value.decode("latin-1")] for entry in client.log()]


def pack(folder: Path, target: Path) -> None:
    with tarfile.open(target, "w:gz") as tar:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.suffix not in WASTE and file.name != "alive":
                tar.add(file, file.relative_to(folder))


def ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found


def daemons(folder: Path) -> list[list[object]]:
    """A cluster of roles over ZeroMQ. One leader is killed on the way, and an acceptor at the end, with its journal."""
    free = iter(ports(2 * len(ROLES)))
    lines = ["cluster: golden", "nodes:"]
    for node, role in ROLES.items():
        client = f', client: "127.0.0.1:{next(free)}"' if role == "learner" else ""
        lines.append(f'  {node}: {{role: {role}, address: "127.0.0.1:{next(free)}"{client}}}')
    file = folder.parent / "cluster.yaml"
    file.write_text("\n".join(lines) + "\n")
    running = {}
    for node, role in ROLES.items():
        command = [sys.executable, "-m", "paxosd.cli", "--role", role, "--id", node, "--config", str(file)]
        running[node] = subprocess.Popen([*command, "--data-dir", str(folder / node)])
    with Client.from_config(file, timeout=30) as one, Client.from_config(file, timeout=30) as other:
        for value in values("one", 6):
            one.propose(value)
        leader = one.status().leader
        running[leader].kill()
        for value in values("other", 6):
            other.propose(value)
        one.propose(b"after the leader was killed")
        entries = told(one)
    running["a2"].kill()
    for process in running.values():
        process.send_signal(signal.SIGTERM)
        process.wait()
    return entries


def local(folder: Path) -> list[list[object]]:
    """A cluster of `paxosd local`: three replicas, of which one is killed and stays behind."""
    with LocalCluster(local_config(None, None, None, 3), folder) as cluster:
        leader = cluster.leader()
        with cluster.client(timeout=30) as client:
            for value in values("one", 6):
                client.propose(value)
            time.sleep(0.5)
            cluster.kill(next(node for node in ("r1", "r2", "r3") if node != leader))
            for value in values("two", 3):
                client.propose(value)
            entries = told(client)
            time.sleep(0.5)
    return entries


def main() -> None:
    assert paxosd.__version__ == "0.2.0"
    target = Path(sys.argv[1])
    found = {}
    for name, make in (("roles", daemons), ("replicas", local)):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "data"
            folder.mkdir()
            found[name] = make(folder)
            pack(folder, target / f"{name}.tar.gz")
    (target / "values.json").write_text(json.dumps(found) + "\n")
    frames = {type(message).__name__: CODEC.frames([CODEC.pack(message)])[0].hex() for message, _ in GOLDEN}
    (target / "frames.json").write_text(json.dumps(frames, indent=0) + "\n")


if __name__ == "__main__":
    main()
