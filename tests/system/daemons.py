"""Real daemons on loopback: started, killed, stopped and continued by their own process id."""

from __future__ import annotations

import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from paxosd import Client
from paxosd.config import load
from tests.system.relay import Relay, doors

ROLES = {
    "p1": "proposer",
    "p2": "proposer",
    "a1": "acceptor",
    "a2": "acceptor",
    "a3": "acceptor",
    "l1": "learner",
    "l2": "learner",
}
REPLICAS = {"r1": "replica", "r2": "replica", "r3": "replica"}

READY_WITHIN_S = 30.0
EXIT_WITHIN_S = 10.0


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses, below the range from which the kernel takes ports for outgoing connections."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def membership_text(roles: Mapping[str, str], extra: str = "", relayed: bool = False) -> str:
    """A membership file on loopback with fresh ports; `relayed`: what is dialled is a door of a relay to the node."""
    ports = iter(free_ports(4 * len(roles)))
    lines = ["cluster: test", "transport: zeromq", "nodes:"]
    for node, role in roles.items():
        keys = ["address", *["client"] * (role in ("learner", "replica"))]
        keys += [{"address": "listen", "client": "client_listen"}[key] for key in keys if relayed]
        ends = "".join(f', {key}: "127.0.0.1:{next(ports)}"' for key in keys)
        lines.append(f"  {node}: {{role: {role}{ends}}}")
    return "\n".join([*lines, extra, ""])


class Daemon:
    """One `paxosd` process. `entering`: a command that becomes the one behind it, somewhere else."""

    def __init__(
        self, node: str, role: str, config: Path, data_dir: Path, log: Path, entering: Sequence[str] = ()
    ) -> None:
        self.node = node
        self.log = log
        with log.open("ab") as stderr:
            self._log_start = stderr.tell()
            command = [*entering, sys.executable, "-m", "paxosd", "--role", role, "--id", node]
            command += ["--config", str(config), "--data-dir", str(data_dir)]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)

    def written(self) -> str:
        """What this process has logged so far."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode()

    def await_logged(self, pattern: str, within_s: float = READY_WITHIN_S) -> None:
        """Return once the log matches; fail with the whole log if it does not in time or the process ends."""
        deadline = time.monotonic() + within_s
        while not re.search(pattern, self.written()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self.node} did not log {pattern!r}; it logged:\n{self.written()}")
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send the signal and wait for the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(EXIT_WITHIN_S)


class DaemonCluster:
    """A cluster of daemons in a folder; every daemon is ended when the block ends.

    `relayed`: all that nodes and clients say to nodes goes through `network`, where it can be cut. `entering`: for
    nodes that run somewhere else, a command that becomes the one behind it there.
    `config`: a membership file that is there already.
    """

    def __init__(
        self,
        folder: Path,
        roles: Mapping[str, str],
        extra: str = "",
        relayed: bool = False,
        entering: Mapping[str, Sequence[str]] | None = None,
        config: Path | None = None,
    ) -> None:
        self.folder = folder
        self.roles = dict(roles)
        self.config = config or folder / "cluster.yaml"
        if config is None:
            self.config.write_text(membership_text(roles, extra, relayed))
        self.daemons: dict[str, Daemon] = {}
        self._entering = dict(entering or {})
        self.silences: list[tuple[float, float]] = []
        """From when to when a test has left no quorum alive; times are of the machine's monotonic clock."""
        self._network = Relay(doors(self.config)) if relayed else None

    def __enter__(self) -> DaemonCluster:
        try:
            if self._network is not None:
                self._network.__enter__()
            self.start(*self.roles)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for daemon in self.daemons.values():
            daemon.end(signal.SIGKILL)
        if self._network is not None:
            self._network.__exit__(kind, error, trace)

    @property
    def network(self) -> Relay:
        assert self._network is not None, "this cluster is not relayed"
        return self._network

    def start(self, *nodes: str) -> None:
        """Start these nodes and wait until each says that it is ready."""
        for node in nodes:
            self.daemons[node] = Daemon(
                node,
                self.roles[node],
                self.config,
                self.folder / node,
                self.folder / f"{node}.log",
                self._entering.get(node, ()),
            )
        for node in nodes:
            self.daemons[node].await_logged(r"ready node=")

    def kill(self, *nodes: str) -> None:
        """SIGKILL, all at once."""
        for node in nodes:
            self.daemons[node].send(signal.SIGKILL)
        for node in nodes:
            self.daemons[node].process.wait(EXIT_WITHIN_S)

    def pause(self, *nodes: str) -> None:
        """SIGSTOP: the processes stand still, their sockets stay open."""
        for node in nodes:
            self.daemons[node].send(signal.SIGSTOP)

    def resume(self, *nodes: str) -> None:
        """SIGCONT."""
        for node in nodes:
            self.daemons[node].send(signal.SIGCONT)

    def elections(self) -> list[str]:
        """The ballots that led, as the nodes have logged it over all of their lives, lowest first."""
        logs = [log.read_text() for log in self.folder.glob("*.log")]
        ballots = {ballot for log in logs for ballot in re.findall(r"leader\.elected ballot=(\S+)", log)}
        return sorted(ballots, key=lambda ballot: (int(ballot.split(".")[0]), ballot))

    def having(self, *roles: str) -> list[str]:
        return [node for node, role in self.roles.items() if role in roles]

    @property
    def gateways(self) -> dict[str, str]:
        """The client address of every node that serves clients."""
        return {node: known.client.url for node, known in load(self.config).nodes.items() if known.client}

    def client(self, gateways: Iterable[str] | None = None, timeout: float = 10.0) -> Client:
        """A client of all gateways, or of these."""
        if gateways is None:
            return Client.from_config(self.config, timeout=timeout)
        return Client([self.gateways[node] for node in gateways], timeout=timeout)

    def leader(self) -> str:
        """The node that leads by its own word; fails if nobody does in time."""
        deadline = time.monotonic() + READY_WITHIN_S
        with self.client() as client:
            while time.monotonic() < deadline:
                leading = [row.node for row in client.status().nodes if row.leading]
                if len(leading) == 1:
                    return leading[0]
        raise AssertionError("no node leads")
