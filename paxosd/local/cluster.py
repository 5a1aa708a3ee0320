"""A whole cluster on one machine: every node its own process, joined by queues.

Laws:
1. The roles, the driver and the store are those of a daemon; only the transport differs.
2. `close` leaves no process, no thread and, unless a data directory was given, no file. It kills: what a node
   has told anybody is durable at every instant, so there is nothing to wait for.
3. A node that ends without being told to is reported: it is logged as an error and stands in `died`.
4. A cluster belongs to the process that made it: a fork has its memory, and can neither use it nor end it.
5. Where the program ends without `close`, of whatever, the processes of the cluster do what `close` does.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from weakref import WeakSet, finalize

from paxosd.client import AsyncClient, Client
from paxosd.client.errors import ClientClosed, ConfigurationError, PaxosError, Unavailable
from paxosd.config import Config, ConfigError, queue_cluster
from paxosd.core.messages import StatusReport
from paxosd.core.types import NodeId
from paxosd.local.directory import ClusterDirectory
from paxosd.local.node import NodeProcess
from paxosd.local.start import SystemRefused, signals_later
from paxosd.process.exits import Exit
from paxosd.storage.base import StorageError
from paxosd.transport.base import TransportError
from paxosd.transport.queues.switchboard import URL_SCHEME, Switchboard

ANSWERS_WITHIN_S = 30.0
"""How long nodes may take to start, and to elect a leader; a very busy machine starts seven interpreters slowly."""

ENDS_WITHIN_S = 5.0
"""How long nodes may take to end after SIGTERM; then they are killed."""

log = logging.getLogger("paxosd")

T = TypeVar("T")


class LocalCluster:
    """A running cluster; a context manager that ends it.

    `data_dir` keeps what the nodes make durable, and their logs; None: the place that the configuration names, or a
    temporary directory. `loss` is the probability that a frame between two nodes is lost, drawn with `seed`. One
    thread uses it, but any thread may close it. Raises `ConfigError`,
    `StorageError` or `SystemRefused`.
    """

    def __init__(self, config: Config, data_dir: Path | None = None, loss: float = 0.0, seed: int = 0) -> None:
        self.config = config
        self.died: dict[NodeId, str] = {}
        self.sent: Counter[str] = Counter()
        self.lives_uncounted = 0
        self._nodes: dict[NodeId, NodeProcess] = {}
        self._clients: WeakSet[Client] = WeakSet()
        self._process = os.getpid()
        self._lock = threading.RLock()  # of who starts or ends nodes
        self._closed = False
        self._resources = ExitStack()
        self._storage_fails = False
        self._why = ""  # nobody can lead, by the word of the last status
        self._awaiting = False  # and what falls meanwhile is told by an error
        if not 0 <= loss < 1:
            raise ConfigError((f"drop: {loss} is not a probability from 0 to below 1, such as 0.05",))
        if config.transport != "queue":
            raise ConfigError((f"{config.path}: transport: must be queue for a local cluster, not {config.transport}",))
        _open.add(self)
        with ExitStack() as stack:
            stack.callback(self.close)
            self._open(data_dir or (Path(config.storage.dir) if config.storage.dir else None), loss, seed)
            stack.pop_all()

    def _open(self, named: Path | None, loss: float, seed: int) -> None:
        with signals_later(), self._lock:
            self._require_open()
            directory = ClusterDirectory(named, self.config)
            self._resources.callback(directory.close)
            self._directory, self.data_dir = directory, directory.path
            self.switchboard = Switchboard(self.config.limits.frame_bytes_max, loss, seed)
            self._resources.callback(self.switchboard.close)
            self._resources.callback(self._kill_all)
        for node in self.config.membership.nodes:
            self._start(node)

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
        """A client of every gateway, or of this one only; it is closed with the cluster at the latest."""
        asked = self.gateways if gateway is None else (gateway,)
        self._require_open()
        client = Client(
            [f"{URL_SCHEME}{node}" for node in asked],
            timeout=timeout,
            digest=self.config.digest,
            command_bytes_max=self.config.limits.command_bytes_max,
            frame_bytes_max=self.config.limits.frame_bytes_max,
            link=self.switchboard.link(),
            on_close=on_close,
        )
        self._clients.add(client)
        return client

    def async_client(self, gateway: NodeId | None = None, timeout: float = 5.0) -> AsyncClient:
        """The same for the loop that runs; who makes it closes it."""
        asked = self.gateways if gateway is None else (gateway,)
        self._require_open()
        return AsyncClient(
            [f"{URL_SCHEME}{node}" for node in asked],
            timeout=timeout,
            digest=self.config.digest,
            command_bytes_max=self.config.limits.command_bytes_max,
            frame_bytes_max=self.config.limits.frame_bytes_max,
            link=self.switchboard.link(),
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
        self._awaiting = True
        try:
            found = self._look_for(find)
        finally:
            self._awaiting = False
        if found:
            for told in list(self.died.values()):  # just now
                log.error("%s", told)
            return found
        self._require_open()
        told = f"{self._why}; " if self._why else ""
        why = next(iter(self.died.values()), f"{told}the nodes' logs are in {self.data_dir}")
        if self._storage_fails:
            raise StorageError(why)
        raise Unavailable(f"{otherwise}: {why}")

    def _look_for(self, find: Callable[[StatusReport], T]) -> T | None:
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        with self.client(timeout=1.0) as client:
            while time.monotonic() < deadline and not self.died and not self._closed:
                try:
                    report = client.status()
                except PaxosError:
                    continue  # nobody answers yet
                self._why = report.why
                if found := find(report):
                    return found
        return None

    # ---- lives ----

    def kill(self, node: NodeId) -> None:
        """End a node with SIGKILL, as a power cut would; returns when it is dead."""
        self._require_open()
        process = self._nodes.get(node)
        if process is not None:
            process.kill()
            self._await_end(process)
            del self._nodes[node]  # not earlier: whoever is interrupted here closes us

    def restart(self, node: NodeId) -> None:
        """Start a node again from what it made durable; one that lives is ended with SIGTERM first."""
        self._require_open()
        process = self._nodes.get(node)
        if process is not None:
            process.terminate()
            self._await_end(process)
            del self._nodes[node]
        self._start(node)

    def stop(self) -> None:
        """Drain and end every node, and keep the files. `sent` then counts all messages, but for `lives_uncounted`."""
        self._require_open()
        ending = list(self._nodes.values())
        for process in ending:
            process.terminate()
        for process in ending:
            self._await_end(process)
        self._nodes.clear()

    def close(self) -> None:
        """End every node and remove what is temporary; safe to call twice, and from any thread."""
        if self._process != os.getpid():
            return  # law 4
        with signals_later(), self._lock:
            self._closed = True
            self._resources.close()
            _open.discard(self)
        for client in list(self._clients):  # whoever waits for an answer hears that there will be none
            client.close()

    def _require_open(self) -> None:
        if self._process != os.getpid():
            raise ClientClosed(
                "not applied: this cluster was started before the process forked, and belongs to the one that started "
                "it; start a cluster after the fork"
            )
        if self._closed:
            raise ClientClosed("not applied: the cluster was closed; start a new one")

    def _start(self, node: NodeId) -> None:
        with signals_later(), self._lock:
            self._require_open()
            try:
                ends = self.switchboard.replace(node)
            except TransportError as error:
                raise SystemRefused(f"not applied: {error}") from error
            process = NodeProcess(self.config, node, self._directory, ends, self._note_unexpected_end)
            process.start()
            self._nodes[node] = process

    def _await_end(self, process: NodeProcess) -> None:
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

    def _note_unexpected_end(self, process: NodeProcess) -> None:
        self._storage_fails |= process.exit_code == Exit.STORAGE
        self.died[process.node] = process.how_it_ended()
        if not self._awaiting:
            log.error("%s", self.died[process.node])


_open: set[LocalCluster] = set()
"""The clusters that are not closed."""


def close_all() -> None:
    """Close every cluster of this program, from whatever thread."""
    for cluster in list(_open):
        cluster.close()


atexit.register(close_all)  # for a program that ends without closing them


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
            cluster.leader()
        except (ConfigError, StorageError) as error:
            raise ConfigurationError(str(error)) from error
        client = cluster.client(timeout=timeout, on_close=cluster.close)
        close_when_forgotten(client, cluster)
        stack.pop_all()
        return client


def close_when_forgotten(owner: object, cluster: LocalCluster) -> None:
    """Close the cluster when nobody can reach its owner any more.

    In a thread of its own: garbage is collected anywhere, also where somebody holds a lock that `close` needs.
    """

    def close() -> None:
        with suppress(RuntimeError):  # no thread can be started: it stays until the program ends
            threading.Thread(target=cluster.close, name="paxosd-forgotten", daemon=True).start()

    finalize(owner, close).atexit = False  # `close_all` is called then
