"""A whole cluster on one machine: every role its own process, joined by queues.

Laws:
1. The roles, the driver and the store are those of a daemon; only the transport differs.
2. `close` leaves no process, no thread and, unless a data directory was given, no file. If the process that
   started the cluster dies in any way, the nodes end too.
3. A node that ends without being told to is reported: it is logged as an error and stands in `died`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, TracebackType

from paxosd.client import Client
from paxosd.config import Config, queue_cluster
from paxosd.core.membership import Role
from paxosd.core.types import NodeId
from paxosd.daemon import configure_logging, run_node
from paxosd.exits import Exit
from paxosd.storage.base import Store
from paxosd.storage.directory import open_directory
from paxosd.storage.sqlite import SQLiteStore
from paxosd.transport.queues import QueueEnds, QueueTransport, Switchboard

log = logging.getLogger("paxosd")

END_WITHIN_S = 5.0
"""How long nodes may take to end after SIGTERM; then they are killed."""

LOG_TAIL_BYTES = 2000
"""How much of its log is shown of a node that ended by itself."""

_spawn = get_context("spawn")
_spawning = threading.Lock()


class LocalCluster:
    """A running cluster; a context manager that ends it.

    `data_dir` keeps what the nodes make durable, and their logs; None: a temporary directory. `drop` is the
    probability that a frame between two nodes is lost, drawn with `seed`. Raises `ConfigError` if these roles
    make no cluster.
    """

    def __init__(
        self,
        proposers: int = 2,
        acceptors: int = 3,
        learners: int = 2,
        replicas: int = 0,
        data_dir: Path | str | None = None,
        drop: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.config = queue_cluster(proposers, acceptors, learners, replicas)
        self.died: dict[NodeId, str] = {}
        self.sent: Counter[str] = Counter()
        self.lives_uncounted = 0
        self._lock = threading.Lock()
        self._lives: dict[NodeId, _Life] = {}
        with ExitStack() as stack:
            if data_dir is None:
                data_dir = stack.enter_context(TemporaryDirectory(prefix="paxosd-local-"))
            self.data_dir = Path(data_dir)
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self.switchboard = Switchboard(self.config.membership.nodes, drop, seed)
            stack.callback(self.switchboard.close)
            stack.callback(self.stop)
            for node in self.config.membership.nodes:
                self._start(node, self.switchboard.ends(node))
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
        with self._lock:
            return {node: life.pid for node, life in self._lives.items() if not life.ended.is_set()}

    def client(self, gateway: NodeId | None = None, timeout: float = 5.0) -> Client:
        """A client of every gateway, or of this one only; it must be closed before the cluster."""
        asked = self.gateways if gateway is None else (gateway,)
        endpoints = [f"queue://{node}" for node in asked]
        return Client(endpoints, timeout=timeout, digest=self.config.digest, link=self.switchboard.link())

    def kill(self, node: NodeId) -> None:
        """End a node with SIGKILL, as a power cut would; returns when it is dead."""
        self._end(node, signal.SIGKILL)

    def restart(self, node: NodeId) -> None:
        """Start a node again from what it made durable; one that lives is ended with SIGTERM first."""
        self._end(node, signal.SIGTERM)
        self._start(node, self.switchboard.replace(node))

    def stop(self) -> None:
        """End every node and keep the files. `sent` then counts all messages by type, but for `lives_uncounted`."""
        lives = list(self._lives.values())
        for life in lives:
            life.end(signal.SIGTERM)
        for life in lives:
            self._bury(life)
        self._lives.clear()

    def close(self) -> None:
        """Stop, and remove what is temporary; safe to call twice."""
        self._resources.close()

    # ---- lives ----

    def _start(self, node: NodeId, ends: QueueEnds) -> None:
        with self._lock:
            self._lives[node] = _Life(self.config, node, self.data_dir, ends, self._mourn)

    def _end(self, node: NodeId, number: signal.Signals) -> None:
        life = self._lives.pop(node, None)
        if life is not None:
            life.end(number)
            self._bury(life)

    def _bury(self, life: _Life) -> None:
        """Wait for the end of a life that was told to end, and take over what it counted."""
        if not life.ended.wait(END_WITHIN_S):
            life.end(signal.SIGKILL)
            life.ended.wait()
        counted = life.counted()
        self.lives_uncounted += counted is None
        self.sent.update(counted or {})

    def _mourn(self, life: _Life) -> None:
        reason = f"{life.node} ended by itself with exit code {life.process.exitcode}; its log ends:\n{life.log_tail()}"
        self.died[life.node] = reason
        log.error("%s", reason)


class _Life:
    """One process of a node, from its start to its end."""

    def __init__(
        self, config: Config, node: NodeId, data_dir: Path, ends: QueueEnds, mourn: Callable[[_Life], None]
    ) -> None:
        self.node = node
        self.ended = threading.Event()
        self.exit_code: int | None = None
        self._told_to_end = False
        self._lock = threading.Lock()
        self._mourn = mourn
        self._log_path = data_dir / f"{node}.log"
        self._counts, child_counts = _spawn.Pipe(duplex=False)
        arguments = (config, node, data_dir / node, self._log_path, ends, child_counts)
        self._process = _spawn.Process(target=_live, args=arguments, name=f"paxosd-{node}", daemon=True)
        with _start_of_a_child():
            self._process.start()
        child_counts.close()
        self.pid = int(self._process.pid or 0)
        self._watcher = threading.Thread(target=self._watch, name=f"paxosd-watch-{node}", daemon=True)
        self._watcher.start()

    def end(self, number: signal.Signals) -> None:
        """Send it this signal, if it lives still."""
        with self._lock:
            self._told_to_end = True
            if not self.ended.is_set():
                os.kill(self.pid, number)
