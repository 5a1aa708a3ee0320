"""A whole cluster on one machine: every node its own process, joined by queues.

Laws:
1. The roles, the driver and the store are those of a daemon; only the transport differs.
2. `close` leaves no process, no thread and, unless a data directory was given, no file. It kills: what a node
   has told anybody is durable at every instant, so there is nothing to wait for.
3. A node that ends without being told to is reported: it is logged as an error and stands in `died`.
4. A data directory belongs to one cluster: acceptors of another one would not share a quorum with its past.
"""

from __future__ import annotations

import atexit
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TypeVar

from paxosd.client import Client
from paxosd.client.errors import ConfigurationError, PaxosError, Unavailable
from paxosd.config import Config, ConfigError, queue_cluster
from paxosd.core.messages import StatusReport
from paxosd.core.types import NodeId
from paxosd.local_node import NodeProcess
from paxosd.storage.base import StorageError
from paxosd.transport.queues import URL_SCHEME, Switchboard

ANSWERS_WITHIN_S = 30.0
"""How long nodes may take to start, and to elect a leader; a very busy machine starts seven interpreters slowly."""

ENDS_WITHIN_S = 5.0
"""How long nodes may take to end after SIGTERM; then they are killed."""

MEANING_NAME = "cluster.json"
"""The file in a data directory that tells which cluster it belongs to."""

log = logging.getLogger("paxosd")

T = TypeVar("T")


class LocalCluster:
    """A running cluster; a context manager that ends it.

    `data_dir` keeps what the nodes make durable, and their logs; None: the place that the configuration names, or a
    temporary directory. `loss` is the probability that a frame between two nodes is lost, drawn with `seed`. One
    thread uses it. Raises `ConfigError` or `StorageError`.
    """

    def __init__(self, config: Config, data_dir: Path | None = None, loss: float = 0.0, seed: int = 0) -> None:
        self.config = config
        self.died: dict[NodeId, str] = {}
        self.sent: Counter[str] = Counter()
        self.lives_uncounted = 0
        self._nodes: dict[NodeId, NodeProcess] = {}
        if not 0 <= loss < 1:
            raise ConfigError((f"drop: {loss} is not a probability from 0 to below 1, such as 0.05",))
        if config.transport != "queue":
            raise ConfigError((f"{config.path}: transport: must be queue for a local cluster, not {config.transport}",))
        with ExitStack() as stack:
            named = data_dir or (Path(config.storage.dir) if config.storage.dir else None)
            # Absolute: nodes start in the working directory of this program, which may be another one the next time.
            self.data_dir = (named or Path(stack.enter_context(TemporaryDirectory(prefix="paxosd-local-")))).resolve()
            _claim(self.data_dir, config)
            self.switchboard = Switchboard(config.limits.frame_bytes_max, loss, seed)
            stack.callback(self.switchboard.close)
            stack.callback(self._kill_all)
            for node in config.membership.nodes:
                self._start(node)
            atexit.register(self.close)  # for a program that ends without closing us
            stack.callback(atexit.unregister, self.close)
            self._resources = stack.pop_all()

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def gateways(self) -> tuple[NodeId, ...]:
        """The nodes that serve clients."""
        return self.config.membership.learners

    @property
    def pids(self) -> dict[NodeId, int]:
        """The process of every node that lives."""
        return {node: process.pid for node, process in self._nodes.items() if process.lives}

    def client(
        self, gateway: NodeId | None = None, timeout: float = 5.0, on_close: Callable[[], None] = lambda: None
    ) -> Client:
        """A client of every gateway, or of this one only; it must be closed before the cluster."""
        asked = self.gateways if gateway is None else (gateway,)
        return Client(
            [f"{URL_SCHEME}{node}" for node in asked],
            timeout=timeout,
            digest=self.config.digest,
            command_bytes_max=self.config.limits.command_bytes_max,
            frame_bytes_max=self.config.limits.frame_bytes_max,
            link=self.switchboard.link(),
            on_close=on_close,
        )

    def leader(self, other_than: NodeId = "") -> NodeId:
        """Wait until a node leads, by its own word; raises `Unavailable` if none does in time, or a node died."""

        def leading(report: StatusReport) -> NodeId:
            return next((row.node for row in report.nodes if row.leading and row.node != other_than), "")

        return self._await(leading, "no node leads")

    def await_back(self, node: NodeId) -> None:
        """Wait until a gateway has heard from this life of the node; raises `Unavailable` as `leader` does."""

        def heard(report: StatusReport) -> bool:
            age_ms = (time.monotonic() - self._nodes[node].started_at) * 1000
            return any(row.node == node and 0 <= row.silent_ms < age_ms for row in report.nodes)

        self._await(heard, f"{node} is not heard")

    def _await(self, find: Callable[[StatusReport], T], otherwise: str) -> T:
        """Ask the gateways for their status until something is found in it."""
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        with self.client(timeout=1.0) as client:
            while time.monotonic() < deadline and not self.died:
                try:
                    report = client.status()
                except PaxosError:
                    continue  # nobody answers yet
                if found := find(report):
                    return found
        why = next(iter(self.died.values()), f"the nodes' logs are in {self.data_dir}")
        raise Unavailable(f"{otherwise}: {why}")

    # ---- lives ----

    def kill(self, node: NodeId) -> None:
        """End a node with SIGKILL, as a power cut would; returns when it is dead."""
        process = self._nodes.pop(node, None)
        if process is not None:
            process.kill()
            self._bury(process)

    def restart(self, node: NodeId) -> None:
        """Start a node again from what it made durable; one that lives is ended with SIGTERM first."""
        process = self._nodes.pop(node, None)
        if process is not None:
            process.terminate()
            self._bury(process)
        self._start(node)

    def stop(self) -> None:
        """Drain and end every node, and keep the files. `sent` then counts all messages, but for `lives_uncounted`."""
        for process in self._nodes.values():
            process.terminate()
        for process in self._nodes.values():
            self._bury(process)
        self._nodes.clear()

    def close(self) -> None:
        """End every node and remove what is temporary; safe to call twice."""
        self._resources.close()

    def _start(self, node: NodeId) -> None:
        ends = self.switchboard.replace(node)
        self._nodes[node] = NodeProcess(self.config, node, self.data_dir, ends, self._mourn)
        self._nodes[node].start()

    def _bury(self, process: NodeProcess) -> None:
        """Wait for the end of a life that was told to end, and take over what it counted."""
        process.join(ENDS_WITHIN_S)
        sent = process.sent()
        self.lives_uncounted += sent is None
        self.sent.update(sent or {})

    def _kill_all(self) -> None:
        for process in self._nodes.values():
            process.kill()
        for process in self._nodes.values():
            process.join(ENDS_WITHIN_S)
        self._nodes.clear()

    def _mourn(self, process: NodeProcess) -> None:
        self.died[process.node] = process.epitaph()
        log.error("%s", self.died[process.node])


def local_config(proposers: int | None, acceptors: int | None, learners: int | None, replicas: int) -> Config:
    """A cluster of so many nodes; None: 2 proposers, 3 acceptors, 2 learners, or none of them beside replicas.

    Raises `ConfigError`.
    """

    def or_usual(count: int | None, usual: int) -> int:
        return count if count is not None else 0 if replicas else usual

    return queue_cluster(or_usual(proposers, 2), or_usual(acceptors, 3), or_usual(learners, 2), replicas)


def local_client(config: Config, data_dir: Path | None, loss: float, seed: int, timeout: float) -> Client:
    """A client of a new cluster that has a leader; closing the client ends the cluster (see `Client.local`)."""
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(LocalCluster(config, data_dir, loss, seed))
        except (ConfigError, StorageError) as error:
            raise ConfigurationError(str(error)) from error
        cluster.leader()
        client = cluster.client(timeout=timeout, on_close=cluster.close)
        stack.pop_all()
        return client


def _claim(data_dir: Path, config: Config) -> None:
    """Note whose directory it is (law 4); raises `ConfigError` if it is another cluster's."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = data_dir / MEANING_NAME
        if not file.exists():
            file.write_text(config.meaning + "\n")
        found = file.read_text().rstrip("\n")
    except OSError as error:
        raise StorageError(
            f"{data_dir} cannot be used: {error.strerror}; name another directory, or mend that"
        ) from error
    if found != config.meaning:
        raise ConfigError(
            (f"{data_dir}: holds a cluster of other nodes or limits: start that one, or name another directory",)
        )
