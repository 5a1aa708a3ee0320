"""A cluster in containers: one compose project of its own name, driven by the commands that people type."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from uuid import uuid4

from paxosd.core.types import Entry
from tests.system.daemons import REPLICAS
from tests.system.load import Attempt, check, from_json

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
COMMAND_WITHIN_S = 60.0
LOAD_WITHIN_S = 60.0
"""How long an engine on a busy machine may take to start eight containers; another test asks how soon they decide."""


def run(*command: str, env: Mapping[str, str] | None = None, within_s: float = COMMAND_WITHIN_S) -> str:
    """Run a command and return what it printed; its failure says all that it said."""
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
    )
    assert ended.returncode == 0, f"{' '.join(command)} exited with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def eventually(what: str, within_s: float, attempt: Callable[[], T]) -> T:
    """The first result of `attempt` that is true; fails with the last error if there is none in time."""
    deadline = time.monotonic() + within_s
    last = ""
    while time.monotonic() < deadline:
        try:
            result = attempt()
        except AssertionError as error:
            last = f"; last: {error}"
        else:
            if result:
                return result
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s} s: {what}{last}")


class Cluster:
    """The nodes of one layout, up while the block lasts; everything is removed when it ends, volumes too."""

    def __init__(self, image: str, roles: Mapping[str, str], *overrides: Path) -> None:
        self.name = f"paxosd-test-{uuid4().hex[:8]}"
        self.nodes = list(roles)
        self.gateways = [node for node, role in roles.items() if role in ("learner", "replica")]
        self.config = f"/etc/paxosd/{'replicas' if roles == REPLICAS else 'cluster'}.yaml"
        self.image = image
        self._overrides = overrides
        self._others: list[str] = []

    def __enter__(self) -> Cluster:
        try:
            self.up(*self.nodes)
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # what the nodes said belongs to the failure
            print(self.compose("logs", "--no-color", "--tail", "40", *self.nodes))
        self.remove()

    # ---- commands ----

    def compose(self, *arguments: str, within_s: float = COMMAND_WITHIN_S) -> str:
        """`docker compose` with these arguments, in this project, with all profiles."""
        files = [argument for file in (ROOT / "docker-compose.yml", *self._overrides) for argument in ("-f", str(file))]
        head = [
            "docker",
            "compose",
            "--ansi",
            "never",
            "-p",
            self.name,
            *files,
            "--profile",
            "replicas",
            "--profile",
            "demo",
        ]
        return run(*head, *arguments, env={"PAXOSD_IMAGE": self.image}, within_s=within_s)

    def up(self, *nodes: str) -> None:
        """Create and start these nodes; returns when their processes run, ready or not."""
        self.compose("up", "-d", "--no-build", *nodes)

    def start(self, *nodes: str) -> None:
        self.compose("start", *nodes)

    def kill(self, *nodes: str) -> None:
        """SIGKILL."""
        self.compose("kill", "-s", "KILL", *nodes)

    def remove(self) -> None:
        """Leave nothing: containers, network and volumes."""
        if self._others:
            run("docker", "rm", "--force", "--volumes", *self._others)
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "0")

    def container(self, node: str) -> str:
        return f"{self.name}-{node}-1"

    def inspect(self, node: str) -> dict[str, Any]:
        """What the engine knows about the node's container."""
        found: list[dict[str, Any]] = json.loads(run("docker", "inspect", self.container(node)))
        return found[0]

    def address(self, node: str) -> str:
        """The node's IP address."""
        networks = self.inspect(node)["NetworkSettings"]["Networks"]
        return str(networks[f"{self.name}_default"]["IPAddress"])

    def logged(self, node: str) -> str:
        """All that the node's container has logged, of every life."""
        return self.compose("logs", "--no-color", "--no-log-prefix", node)

    def beside(self, name: str, *options_and_command: str) -> str:
        """Start a container of the same image in the network of the cluster; returns its name."""
        container = f"{self.name}-{name}"
        self._others.append(container)
        network = f"{self.name}_default"
        run("docker", "run", "--detach", "--name", container, "--network", network, *options_and_command)
        return container

    # ---- the network ----

    def cut(self, node: str) -> None:
        """Take the node off the network; its process goes on."""
        run("docker", "network", "disconnect", f"{self.name}_default", self.container(node))

    def mend(self, node: str) -> None:
        run("docker", "network", "connect", "--alias", node, f"{self.name}_default", self.container(node))

    # ---- paxosctl ----

    def paxosctl(self, node: str, *arguments: str) -> str:
        """`docker compose exec NODE paxosctl …`, which asks the gateways of the membership file."""
        return self.compose("exec", "-T", node, "paxosctl", *arguments)

    def own(self, gateway: str, *arguments: str) -> str:
        """The same, but asks this gateway alone."""
        return self.paxosctl(gateway, "--endpoints", "127.0.0.1:7100", *arguments)

    def status(self, gateway: str | None = None) -> dict[str, Any]:
        """The status as this gateway sees it."""
        report: dict[str, Any] = json.loads(self.own(gateway or self.gateways[0], "status", "-w", "json"))
        return report

    def leader(self) -> str:
        """Who leads, by its own word, as soon as anybody does."""

        def leading() -> str | None:
            for gateway in self.gateways:
                with contextlib.suppress(AssertionError):
                    found = [row["node"] for row in self.status(gateway)["nodes"] if row["leading"]]
                    return found[0] if len(found) == 1 else None
            return None

        return eventually("one node leads", 20, leading) or ""

    def log(self, gateway: str) -> list[Entry]:
        """The whole log of one gateway, with all that was acknowledged."""
        lines = self.own(gateway, "log", "-w", "json", "--timeout", "20").splitlines()
        rows = [json.loads(line) for line in lines]
        return [Entry(row["revision"], row["slot"], row["value"].encode()) for row in rows]

    def verify(self, history: Sequence[Attempt]) -> list[Entry]:
        """Every gateway has the same log, and it keeps every promise of the history; returns it."""
        logs = [self.log(gateway) for gateway in self.gateways]
        check(history, logs[0])
        assert all(log == logs[0] for log in logs), "the logs of the gateways differ"
        return logs[0]

    # ---- load ----

    @contextlib.contextmanager
    def load(self) -> Iterator[Load]:
        """Four clients in a container of their own propose while the block lasts."""
        name = f"load-{len(self._others)}"
        mount = f"{ROOT / 'tests' / 'system' / 'load.py'}:/load.py:ro"
        config = f"{ROOT / 'config'}:/etc/paxosd:ro"
        options = ["--volume", mount, "--volume", config, "--no-healthcheck", "--entrypoint", "python3"]
        command = ["/load.py", "--config", self.config, "--timeout", "3", "--name", name]
        load = Load(self.beside(name, *options, self.image, *command))
        eventually("the first values are acknowledged", LOAD_WITHIN_S, lambda: load.acked > 0)
        yield load
        load.stop()


class Load:
    """`tests/system/load.py` in a container."""

    def __init__(self, container: str) -> None:
        self.container = container
        self.history: list[Attempt] = []

    @property
    def acked(self) -> int:
        """How many values were acknowledged so far."""
        command = ["docker", "logs", "--tail", "1", self.container]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        return int(said) if said.strip().isdigit() else 0

    def await_more(self, count: int, within_s: float) -> None:
        """Return once so many more values are acknowledged."""
        target = self.acked + count
        eventually(f"{count} more values are acknowledged", within_s, lambda: self.acked >= target)

    def stop(self) -> None:
        """End the clients and take their history."""
        run("docker", "stop", "--time", "30", self.container)
        said = subprocess.run(["docker", "logs", self.container], capture_output=True, text=True, check=True)
        assert run("docker", "wait", self.container).strip() == "0", said.stderr
        self.history = [from_json(line) for line in said.stdout.splitlines()]
        assert any(attempt.outcome == "acked" for attempt in self.history)
