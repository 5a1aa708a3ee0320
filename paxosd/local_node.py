"""One node of a local cluster: the process that runs it, and what the process that started it knows of it.

Laws:
1. The process is a fresh interpreter: it shares nothing with its parent but queues, and never runs its program.
2. Ctrl-C does not reach it; its parent decides when it ends. If the parent dies, in whatever way, so does it.
3. What it prints, logs or dies of goes to its log file.
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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType, ModuleType
from typing import NoReturn

from paxosd.config import Config
from paxosd.core.agent import InvariantBroken
from paxosd.core.types import NodeId
from paxosd.daemon import configure_logging, open_store, run_node
from paxosd.exits import Exit
from paxosd.storage.base import StorageError
from paxosd.transport.queues import QueueEnds, QueueTransport

LOG_TAIL_BYTES = 2000
"""How much of its log is shown of a node that ended by itself."""

log = logging.getLogger("paxosd")

_spawn = get_context("spawn")
_starting = threading.Lock()


class NodeProcess:
    """One life of a node.

    `on_fall` is called, from a thread of its own, if the process ends before `terminate` or `kill` was called.
    """

    def __init__(
        self, config: Config, node: NodeId, data_dir: Path, ends: QueueEnds, on_fall: Callable[[NodeProcess], None]
    ) -> None:
        self.node = node
        self.started_at = 0.0  # monotonic
        self._log = data_dir / f"{node}.log"
        self._ends = ends
        self._on_fall = on_fall
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ending = False
        self._counts, self._counts_end = _spawn.Pipe(duplex=False)
        arguments = (config, node, data_dir / node, self._log, ends, self._counts_end)
        self._process = _spawn.Process(target=_live, args=arguments, name=f"paxosd-{node}", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name=f"paxosd-watch-{node}", daemon=True)

    def start(self) -> None:
        """Start the process; returns before it is ready."""
        self._log.touch()
        with _apart_from_this_program():
            self.started_at = time.monotonic()
            self._process.start()
            self._counts_end.close()
            self._ends.given_away()
            self._watcher.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._watcher.is_alive() and not self._ended.is_set()

    def terminate(self) -> None:
        """Ask it to drain and end."""
        self._end(self._process.terminate)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(self._process.kill)

    def _end(self, how: Callable[[], None]) -> None:
        with self._lock:
            self._ending = True
            if self.lives:
                how()

    def join(self, timeout_s: float) -> None:
        """Wait for the end after `terminate` or `kill`; what has not ended in time is killed."""
        if self.lives and not self._ended.wait(timeout_s):
            self.kill()
            self._ended.wait()

    def sent(self) -> Counter[str] | None:
        """How many messages of each type it sent; None if it was killed and could not tell. Once, after the end."""
        with self._counts:
            try:
                return Counter(json.loads(self._counts.recv_bytes()))
            except (EOFError, OSError):
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
        if fell:
            self._on_fall(self)
        self._ended.set()


@contextmanager
def _apart_from_this_program() -> Iterator[None]:
    """A child that is started in this block never sees Ctrl-C, and does not run our main file.

    `spawn` has a child run the file that its parent was started with; a script that starts a cluster outside of
    `if __name__ == "__main__"` would start another one in each of its nodes. A Ctrl-C for ourselves waits until the
    block ends: in the middle, it would leave half a child behind.
    """
    with _starting, _interrupt_later():
        program = sys.modules["__main__"]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a child inherits it for good
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = program
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _interrupt_later() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread only
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


# ---- inside the process ----------------------------------------------------------------------


def _live(config: Config, node: NodeId, folder: Path, log_path: Path, ends: QueueEnds, counts: Connection) -> None:
    threading.Thread(target=_end_with_parent, name="paxosd-parent", daemon=True).start()
    _print_into(log_path)
    configure_logging(node)
    try:
        with ExitStack() as stack:
            store, life, beat = open_store(config, node, folder, stack)
            transport = QueueTransport(ends)
            stack.callback(transport.close)
            driver = run_node(config, node, store, transport, life, beat)
    except StorageError as error:
        _exit(Exit.STORAGE, str(error))
    except InvariantBroken as error:
        _exit(Exit.BROKEN, f"broken invariant, stopped before anything was sent: {error}")
    counts.send_bytes(json.dumps(driver.sent).encode())


def _exit(code: Exit, reason: str) -> NoReturn:
    log.error("%s", reason)
    sys.exit(code)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(Exit.ERROR)


def _print_into(log_path: Path) -> None:
    with log_path.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
