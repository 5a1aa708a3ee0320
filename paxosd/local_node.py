"""One node of a local cluster: the process that runs it, and what the process that started it knows of it.

Laws:
1. The process is a fresh interpreter: it shares nothing with its parent but queues, and never runs its program.
2. Ctrl-C does not reach it; its parent decides when it ends. If the parent dies, in whatever way, so does it.
3. What it prints, logs or dies of goes to its log file.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from types import ModuleType

from paxosd.assembly import assemble
from paxosd.config import Config
from paxosd.core.membership import Role
from paxosd.core.types import NodeId
from paxosd.daemon import StopSignal, configure_logging
from paxosd.exits import Exit
from paxosd.storage.directory import open_directory
from paxosd.storage.sqlite import SQLiteStore
from paxosd.transport.queues import QueueEnds, QueueTransport

LOG_TAIL_BYTES = 2000
"""How much of its log is shown of a node that ended by itself."""

_spawn = get_context("spawn")
_starting = threading.Lock()


class NodeProcess:
    """One life of a node, started at once.

    `on_fall` is called, from a thread of its own, if the process ends before `terminate` or `kill` was called.
    """

    def __init__(
        self, config: Config, node: NodeId, data_dir: Path, ends: QueueEnds, on_fall: Callable[[NodeProcess], None]
    ) -> None:
        self.node = node
        self._log = data_dir / f"{node}.log"
        self._on_fall = on_fall
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ending = False
        self._counts, counts = _spawn.Pipe(duplex=False)
        arguments = (config, node, data_dir / node, self._log, ends, counts)
        self._process = _spawn.Process(target=_live, args=arguments, name=f"paxosd-{node}", daemon=True)
        with _apart_from_this_program():
            self._process.start()
        counts.close()
        self._watcher = threading.Thread(target=self._watch, name=f"paxosd-watch-{node}", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def lives(self) -> bool:
        return not self._ended.is_set()

    def terminate(self) -> None:
        """Ask it to drain and end."""
        with self._lock:
            self._ending = True
            self._process.terminate()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        with self._lock:
            self._ending = True
            self._process.kill()

    def join(self, timeout_s: float) -> None:
        """Wait for the end after `terminate` or `kill`; what has not ended in time is killed."""
        if not self._ended.wait(timeout_s):
            self.kill()
        self._watcher.join()

    def sent(self) -> Counter[str] | None:
        """How many messages of each type it sent; None if it was killed and could not tell. Once, after the end."""
        with self._counts:
            try:
                return Counter(json.loads(self._counts.recv_bytes()))
            except EOFError:
                return None

    def epitaph(self) -> str:
        """How it ended, with the last lines of its log."""
        tail = self._log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace")
        return f"{self.node} ended by itself (exit code {self._process.exitcode}); its log ends:\n{tail}"

    def _watch(self) -> None:
        wait([self._process.sentinel])
        with self._lock:
            self._process.join()
            fell = not self._ending
        self._ended.set()
        if fell:
            self._on_fall(self)


@contextmanager
def _apart_from_this_program() -> Iterator[None]:
    """Children started in this block ignore Ctrl-C from their first instruction, and do not run our main file.

    `spawn` has a child run the file that its parent was started with; a script that starts a cluster outside of
    `if __name__ == "__main__"` would start another one in each of its nodes.
    """
    with _starting:
        program = sys.modules["__main__"]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = program
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- inside the process ----------------------------------------------------------------------


def _live(config: Config, node: NodeId, folder: Path, log: Path, ends: QueueEnds, counts: Connection) -> None:
    threading.Thread(target=_end_with_parent, name="paxosd-parent", daemon=True).start()
    _print_into(log)
    configure_logging(node)
    role = config.nodes[node].role
    with ExitStack() as stack:
        directory = open_directory(folder, config.cluster, node, role.value)
        stack.callback(directory.close)
        # As in a daemon: what a pure learner loses, a quorum of acceptors tells it again.
        store = SQLiteStore(directory.store_path, durable=role is not Role.LEARNER)
        stack.callback(store.close)
        transport = QueueTransport(ends)
        stack.callback(transport.close)
        driver = run_node(config, node, store, transport, directory.incarnation, None)
    counts.send_bytes(json.dumps(driver.sent).encode())


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(Exit.ERROR)


def _print_into(log: Path) -> None:
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
