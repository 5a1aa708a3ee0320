"""One node of a local cluster: the process that runs it, and what the process that started it knows of it.

Laws:
1. The process is a fresh interpreter: it shares nothing with its parent but queues, and never runs its program.
2. Its parent decides when it ends. If the parent ends, in whatever way, so does it.
3. What it prints, logs or dies of goes to its log file; the reason of its own end, where it knows one, to its parent.
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
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, NoReturn, cast

from paxosd.config import Config, ConfigError
from paxosd.core.agent import InvariantBroken
from paxosd.core.types import NodeId
from paxosd.local.directory import ClusterDirectory, unusable
from paxosd.local.start import SystemRefused, await_end, exit_code, received, start
from paxosd.process.exits import Exit
from paxosd.process.signals import Stop
from paxosd.server.daemon import LOG_WAITS_S_MAX, configure_logging, open_store, run_node
from paxosd.server.space import disk_watch
from paxosd.storage.base import StorageError
from paxosd.transport.base import TransportError
from paxosd.transport.queues.switchboard import QueueEnds, QueueTransport

LOG_TAIL_BYTES = 2000
"""How much of its log is shown of a node that ended by itself."""

KILLED_WITHIN_S = 5.0
"""How long the system may take to end a killed process; one that hangs in a dead disk is not waited for."""

log = logging.getLogger("paxosd")


class NodeProcess:
    """One life of a node.

    `on_unexpected_end` is called, from a thread of its own, if the process ends before `terminate` or `kill` was
    called.
    """

    def __init__(
        self,
        config: Config,
        node: NodeId,
        directory: ClusterDirectory,
        ends: QueueEnds,
        on_unexpected_end: Callable[[NodeProcess], None],
    ) -> None:
        self.node = node
        self.pid = 0
        self.started_at = 0.0  # monotonic
        self.exit_code: int | None = None
        """None as long as it lives, and if this program took the code elsewhere."""
        self._config = config
        self._directory = directory
        self._log = directory.path / f"{node}.log"
        self._ends = ends
        self._on_unexpected_end = on_unexpected_end
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ending = False
        self._last: Connection
        self._watcher = threading.Thread(target=self._watch, name=f"paxosd-watch-{node}", daemon=True)

    def start(self) -> None:
        """Start the process; returns before it is ready. Raises `SystemRefused` or `StorageError`."""
        with ExitStack() as stack:
            stack.callback(self._ends.given_away)
            try:
                output = stack.enter_context(self._log.open("ab"))
                self._last, last_end = Pipe(duplex=False)
            except OSError as error:
                raise unusable(self._log, error) from error
            stack.callback(last_end.close)
            unless_started = stack.enter_context(ExitStack())
            unless_started.callback(self._last.close)
            handed = (self._config, self.node, self._directory.path / self.node, self._ends, last_end)
            self.started_at = time.monotonic()
            name = f"paxosd-node-{self.node}"
            self.pid = start(name, _code(), handed, output, self._directory.path, self._directory.hold(stack))
            self._begin_to_watch()
            unless_started.pop_all()

    def _begin_to_watch(self) -> None:
        try:
            self._watcher.start()
        except RuntimeError as error:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise SystemRefused(
                f"not applied: no thread can be started: {error}; raise the limit (ulimit -u)"
            ) from error

    @property
    def lives(self) -> bool:
        return self._watcher.is_alive() and not self._ended.is_set()

    def terminate(self) -> None:
        """Ask it to drain and end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        with self._lock:
            self._ending = True
            if self.lives:
                os.kill(self.pid, how)

    def join(self, timeout_s: float) -> None:
        """Wait for the end after `terminate` or `kill`; what has not ended in time is killed."""
        if self.lives and not self._ended.wait(timeout_s):
            self.kill()
            self._ended.wait(KILLED_WITHIN_S)

    def sent(self) -> Counter[str] | None:
        """How many messages of each type it sent; None if it was killed and could not tell. After the end."""
        sent = self._told().get("sent")
        return None if sent is None else Counter(sent)

    def how_it_ended(self) -> str:
        """Why, as far as it could say; otherwise with the last lines of its log."""
        reason = self._told().get("reason")
        if reason is not None:
            return f"{self.node} ended by itself: {reason}"
        try:
            tail = self._log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace")
        except OSError as error:
            tail = f"({self._log} cannot be read: {error.strerror})"
        return f"{self.node} ended by itself (exit code {self.exit_code}); its log ends:\n{tail}"

    def _told(self) -> dict[str, Any]:
        """The last words of the process, once."""
        with self._last:
            try:
                told: dict[str, Any] = json.loads(self._last.recv_bytes())
            except (EOFError, OSError):
                return {}
        return told

    def _watch(self) -> None:
        ours = await_end(self.pid)
        with self._lock:  # nobody sends a signal to this id any more
            self.exit_code = exit_code(self.pid) if ours else None
            unexpected = not self._ending
        if unexpected:
            self._on_unexpected_end(self)
        self._ended.set()


def _code() -> str:
    return (
        f"from paxosd.local.lifetime import end_with_parent; end_with_parent({os.getpid()}); "
        f"from paxosd.local.node import main; main()"
    )


# ---- inside the process ----------------------------------------------------------------------


def main() -> None:
    """Run the node that the parent handed over."""
    config, node, folder, ends, last = cast("tuple[Config, NodeId, Path, QueueEnds, Connection]", received())
    stop = Stop()
    stop.watch()
    outlet = configure_logging(node, stop)
    try:
        with ExitStack() as stack:
            store, life, beat = open_store(config, node, folder, stack)
            transport = QueueTransport(ends)
            stack.callback(transport.close)
            disk = disk_watch(config, folder, store, beat)
            driver = run_node(config, node, store, transport, life, beat, stop, disk)
    except ConfigError as error:
        _exit(last, Exit.CONFIGURATION, str(error))
    except StorageError as error:
        _exit(last, Exit.STORAGE, str(error))
    except TransportError as error:
        _exit(last, Exit.ERROR, str(error))
    except InvariantBroken as error:
        _exit(last, Exit.BROKEN, f"broken invariant, stopped before anything was sent: {error}")
    finally:
        outlet.close(LOG_WAITS_S_MAX)
    last.send_bytes(json.dumps({"sent": driver.sent}).encode())


def _exit(last: Connection, code: Exit, reason: str) -> NoReturn:
    last.send_bytes(json.dumps({"reason": reason}).encode())
    log.error("%s", reason)
    sys.exit(code)
