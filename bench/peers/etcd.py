"""Three members of etcd on loopback, and a client of them as a Python user has one.

The client is the leanest there can be: grpcio, with requests made by hand (`frames.py`), and answers that nobody takes
apart. Libraries on top of it take longer.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from bench.loads import KEYS, WARM_UP_S, Done, Load, in_window, key, one_by_one
from bench.peers import frames
from bench.plan import Needed, Report
from bench.processes import together
from tests.system.daemons import free_ports

MEMBERS = 3
READY_WITHIN_S = 30.0

ETCD = Needed("etcd", lambda: "" if shutil.which("etcd") else "etcd is not on the PATH (bench/peers/install.sh)")
GRPC = Needed("grpcio", lambda: "" if find_spec("grpc") else "grpcio is not installed (bench/peers/install.sh)")


class Members(NamedTuple):
    """A cluster that serves."""

    leader: str
    """Its address, "host:port"."""
    processes: Sequence[subprocess.Popen[bytes]]


@contextlib.contextmanager
def members(entering: Sequence[str] = ()) -> Iterator[Members]:
    """Three members in an empty directory while the block lasts. `entering`: a command that becomes the one behind it.

    All limits are etcd's own, but for its quota of 2 GB, which a long load would reach.
    """
    import grpc  # noqa: PLC0415 (a peer that may be absent)

    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as ends:
        folder = Path(name)
        ports = free_ports(2 * MEMBERS)
        clients, peers = ports[:MEMBERS], ports[MEMBERS:]
        cluster = ",".join(f"m{index}=http://127.0.0.1:{port}" for index, port in enumerate(peers))
        processes = []
        for index, (client, peer) in enumerate(zip(clients, peers, strict=True)):
            command = [*entering, "etcd", *_options(folder, index, client, peer, cluster)]
            with (folder / f"m{index}.log").open("wb") as log:
                processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            ends.callback(_end, processes[-1])
        yield Members(_leader(grpc, [f"127.0.0.1:{port}" for port in clients]), processes)


def _options(folder: Path, index: int, client: int, peer: int, cluster: str) -> list[str]:
    options = {
        "name": f"m{index}",
        "data-dir": str(folder / f"m{index}"),
        "listen-client-urls": f"http://127.0.0.1:{client}",
        "advertise-client-urls": f"http://127.0.0.1:{client}",
        "listen-peer-urls": f"http://127.0.0.1:{peer}",
        "initial-advertise-peer-urls": f"http://127.0.0.1:{peer}",
        "initial-cluster": cluster,
        "log-level": "error",
        "quota-backend-bytes": str(8 << 30),
    }
    return [f"--{name}={value}" for name, value in options.items()]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(10)


def _leader(grpc: Any, addresses: Sequence[str]) -> str:
    """The member that leads, by its own word, and has applied a put."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        for address in addresses:
            with grpc.insecure_channel(address) as channel:
                try:
                    status = channel.unary_unary("/etcdserverpb.Maintenance/Status")(b"", timeout=2)
                    me, leader = frames.number_in(status, 1, 2), frames.number_in(status, 4)
                    if me == leader != 0:
                        channel.unary_unary(frames.PUT)(frames.put(b"ready", b""), timeout=5)
                        return address
                except grpc.RpcError:
                    pass
        time.sleep(0.1)
    raise TimeoutError(f"no etcd member leads within {READY_WITHIN_S:.0f} s")


class EtcdClient:
    """Calls of one member. What `start` gives has a `result`; `call` waits for it."""

    def __init__(self, address: str) -> None:
        import grpc  # noqa: PLC0415 (a peer that may be absent)

        self._channel = grpc.insecure_channel(address)
        grpc.channel_ready_future(self._channel).result(READY_WITHIN_S)
        self._methods: dict[str, Any] = {}

    def _method(self, name: str) -> Any:
        if name not in self._methods:
            self._methods[name] = self._channel.unary_unary(name)
        return self._methods[name]

    def call(self, method: str, request: bytes) -> bytes:
        """Wait for the answer."""
        answer: bytes = self._method(method)(request)
        return answer

    def start(self, method: str, request: bytes) -> Any:
        """The same without waiting."""
        return self._method(method).future(request)

    def counts(self) -> tuple[int, int]:
        """How many keys there are below "key/", and the revision in which that is so."""
        answer = self.call(frames.RANGE, frames.range_of(b"key/", b"key0", count_only=True))
        return frames.number_in(answer, 4), frames.number_in(answer, 1, 3)

    def __enter__(self) -> EtcdClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()


def measure(report: Report, address: str, load: Load) -> None:
    """Let the clients of a load, each a Python process, do it, and report what came of it."""
    done = together(_client, [(address, load, number) for number in range(load.clients)], load.seconds + WARM_UP_S)
    took = [each for one in done for each in one.took_s]
    report.rate(load.name, sum(one.count for one in done), load.seconds, took)


def _client(address: str, load: Load, number: int, begin: Callable[[], Any]) -> Done:
    value = bytes(load.value_bytes)
    numbers = count(number * 100_000_000 + KEYS)

    def request() -> tuple[str, bytes]:
        if load.kind == "get":
            return frames.RANGE, frames.range_of(key(next(numbers) * 7919 % KEYS))
        return frames.PUT, frames.put(key(next(numbers)), value)

    with EtcdClient(address) as client:

        def loaded(seconds: float) -> Done:
            if load.window == 1:
                return one_by_one(lambda: client.call(*request()), seconds)
            return in_window(lambda: client.start(*request()), load.window, seconds)

        loaded(WARM_UP_S)
        begin()
        return loaded(load.seconds)


def lock_and_unlock(address: str, seconds: float, begin: Callable[[], Any]) -> Done:
    """Take a lock that nobody else wants and give it back, again and again: the transactions of `Client.lock`."""
    span = b"lock/bench/", b"lock/bench0"
    with EtcdClient(address) as client:
        lease = frames.number_in(client.call(frames.GRANT, frames.grant(60)), 2)
        numbers = count()

        def once() -> None:
            own = span[0] + b"%016d" % next(numbers)
            client.call(frames.TXN, frames.enter_line(span, own, lease))
            client.call(frames.DELETE, frames.delete(own))

        one_by_one(once, WARM_UP_S)
        begin()
        return one_by_one(once, seconds)
