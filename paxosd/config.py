"""The membership file: read, checked as a whole, and turned into what a node needs.

Laws:
1. All errors are found and told at once, each with its line, the rule, the value and, where one is near, what was
   probably meant. Nothing starts on a file with an error.
2. The file is the same on every node; `digest` is over its meaning, and every frame carries it. Timing and storage
   are a node's own matter: they may differ, and the environment may override them.
"""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from paxosd.config_yaml import Items, Table, Text, Value, YamlError, read
from paxosd.core.membership import Membership, Role
from paxosd.core.options import Limits, Timing
from paxosd.core.quorum import Quorum
from paxosd.core.types import NodeId

T = TypeVar("T")

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
WEIGHT_MAX = 1000
NODES_MAX = 99
FRAME_SPARE_BYTES = 64 * 1024
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB|KB|MB|GB)?")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
BYTES = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


class ConfigError(Exception):
    """The membership file is wrong. `problems` has one "file:line: where: what" for each error."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        super().__init__("\n".join([*problems, f"{count}. Nothing was started."]))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"tcp://{self}"


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node: `address` and `client` are what others dial, `listen` and `client_listen` what it binds."""

    id: NodeId
    role: Role
    weight: int = 1
    address: Endpoint | None = None
    client: Endpoint | None = None
    listen: Endpoint | None = None
    client_listen: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Where a node keeps its records: `dir` has a folder for each node's id."""

    engine: str = "sqlite"
    dir: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A membership file that passed every check."""

    path: str
    cluster: str
    transport: str
    nodes: Mapping[NodeId, NodeConfig]
    membership: Membership
    timing: Timing
    limits: Limits
    storage: StorageConfig
    warnings: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """What every node must agree on, in a normal form: two digests differ exactly if these texts do."""
        quorum = self.membership.quorum
        nodes = {
            node.id: [node.role.value, node.weight, str(node.address or ""), str(node.client or "")]
            for node in self.nodes.values()
        }
        limits = {field.name: getattr(self.limits, field.name) for field in fields(self.limits)}
        agreed = [self.cluster, self.transport, nodes, quorum.prepare, quorum.accept, limits]
        return json.dumps(agreed, sort_keys=True)

    @property
    def digest(self) -> bytes:
        """8 bytes over `meaning`."""
        return hashlib.blake2b(self.meaning.encode(), digest_size=8).digest()


def load(path: str | Path, env: Mapping[str, str] | None = None) -> Config:
    """Read a membership file; raises `ConfigError` with all that is wrong with it."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError((f"{path}: cannot be read: {error.strerror}; check the path and who may read it",)) from error
    except UnicodeDecodeError as error:
        raise ConfigError((f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8",)) from error
    return parse(text, str(path), env)


def parse(text: str, name: str = "membership", env: Mapping[str, str] | None = None) -> Config:
    """Check the text of a membership file; `name` stands in the messages, `env` overrides timing and storage."""
    return _Reader(name, os.environ if env is None else env).read(text)


def queue_cluster(proposers: int, acceptors: int, learners: int, replicas: int = 0) -> Config:
    """A cluster for `paxosd local`: p1 …, a1 …, l1 …, or r1 …, on queues."""
    counts = {"proposer": proposers, "acceptor": acceptors, "learner": learners, "replica": replicas}
    lines = [
        f"  {role[0]}{number}: {{role: {role}}}" for role, count in counts.items() for number in range(1, count + 1)
    ]
    return parse("\n".join(["cluster: local", "transport: queue", "nodes:", *lines]), "local cluster", {})


class _Reader:
    """Reads one file and gathers what is wrong with it."""

    def __init__(self, name: str, env: Mapping[str, str]) -> None:
        self._name = name
        self._env = env
        self._problems: list[tuple[int, str]] = []
        self._warnings: list[str] = []

    def read(self, text: str) -> Config:
        try:
            root = read(text)
        except YamlError as error:
            self._problems += error.problems
            raise self._error() from error
        if not isinstance(root, Table):
            self._wrong(1, "the file", "is empty or not a mapping; see config/cluster.yaml for an example")
            raise self._error()
        config = self._config(root)
        if config is None or self._problems:
            raise self._error()
        return config

    def _wrong(self, line: int, where: str, what: str) -> None:
        self._problems.append((line, f"{where}: {what}"))

    def _error(self) -> ConfigError:
        return ConfigError(tuple(f"{self._name}:{line}: {what}" for line, what in sorted(self._problems)))

    # ---- the whole ----

    def _config(self, root: Table) -> Config | None:
        self._known(root, "", ["cluster", "transport", "nodes", "quorum", "timing", "limits", "storage"])
        cluster = self._one(root, "", "cluster", self._name_text, None, required=True)
        transport = self._one(root, "", "transport", self._choice("zeromq", "queue"), "zeromq")
        nodes = self._nodes(root, transport or "zeromq")
        quorum = self._quorum(root, nodes)
        timing = self._timing(root)
        limits = self._limits(root)
        storage = self._storage(root)
        if cluster is None or transport is None or quorum is None:
            return None
        membership = Membership({node.id: node.role for node in nodes.values()}, quorum)
        return Config(self._name, cluster, transport, nodes, membership, timing, limits, storage, tuple(self._warnings))

    # ---- nodes ----

    def _nodes(self, root: Table, transport: str) -> dict[NodeId, NodeConfig]:
        table = self._table(root, "", "nodes", required=True)
        if table is None:
            return {}
        nodes: dict[NodeId, NodeConfig] = {}
        for node_id, value in table.entries.items():
            node = self._node(node_id, value, table.lines[node_id], transport)
            if node is not None:
                nodes[node_id] = node
        if not self._problems:
            self._check_together(table, nodes, transport)
        return nodes

    def _node(self, node_id: str, value: Value, line: int, transport: str) -> NodeConfig | None:
        where = f"nodes.{node_id}"
        if not NAME.fullmatch(node_id):
            self._wrong(line, where, f"{node_id!r} is not an id: use a-z, 0-9 and -, at most 63, such as a1")
        elif node_id in ("no", "yes", "on", "off", "true", "false", "null") or node_id.isdigit():
            self._wrong(
                line, where, f"{node_id!r} means something else to other YAML readers; use an id such as n{node_id}"
            )
        if not isinstance(value, Table):
            self._wrong(line, where, 'must be a mapping such as {role: acceptor, address: "a1:7000"}')
            return None
        self._known(value, where, ["role", "address", "client", "listen", "client_listen", "weight"])
        role_name = self._one(value, where, "role", self._choice(*(role.value for role in Role)), None, required=True)
        address = self._one(value, where, "address", self._endpoint, None, required=transport == "zeromq")
        client = self._one(value, where, "client", self._endpoint, None)
        listen = self._one(value, where, "listen", self._endpoint, _bound(address))
        client_listen = self._one(value, where, "client_listen", self._endpoint, _bound(client))
        weight = self._one(value, where, "weight", self._whole(1, WEIGHT_MAX), 1)
        if role_name is None:
            return None
        role = Role(role_name)
        if "weight" in value.entries and role not in (Role.ACCEPTOR, Role.REPLICA):
            self._wrong(
                value.lines["weight"], f"{where}.weight", f"a {role.value} has no vote; only acceptors and replicas do"
            )
        if "client" in value.entries and role not in (Role.LEARNER, Role.REPLICA):
            self._wrong(
                value.lines["client"], f"{where}.client", f"a {role.value} serves no clients; learners and replicas do"
            )
        return NodeConfig(node_id, role, weight or 1, address, client, listen, client_listen)

    def _check_together(self, table: Table, nodes: Mapping[NodeId, NodeConfig], transport: str) -> None:
        if len(nodes) > NODES_MAX:
            self._wrong(table.line, "nodes", f"there are {len(nodes)}; at most {NODES_MAX} are allowed")
        for role in (Role.PROPOSER, Role.ACCEPTOR, Role.LEARNER):
            if not any(node.role in (role, Role.REPLICA) for node in nodes.values()):
                self._wrong(
                    table.line, "nodes", f"there is no {role.value}; at least one {role.value} or replica is needed"
                )
        if transport == "zeromq" and not any(node.client for node in nodes.values()):
            self._wrong(table.line, "nodes", 'no learner or replica has a client address, such as client: "l1:7100"')
        used: dict[str, str] = {}
        for node in nodes.values():
            for key, endpoint in (("address", node.address), ("client", node.client)):
                if endpoint is not None and str(endpoint) in used:
                    line = table.lines[node.id]
                    self._wrong(line, f"nodes.{node.id}.{key}", f"{endpoint} is used by {used[str(endpoint)]} already")
                elif endpoint is not None:
                    used[str(endpoint)] = f"nodes.{node.id}.{key}"

    # ---- quorum ----

    def _quorum(self, root: Table, nodes: Mapping[NodeId, NodeConfig]) -> Quorum | None:
        weights = {node.id: node.weight for node in nodes.values() if node.role in (Role.ACCEPTOR, Role.REPLICA)}
        value = root.entries.get("quorum")
        if value is None or (isinstance(value, Text) and value.text == "majority"):
            if len(weights) % 2 == 0 and set(weights.values()) == {1}:
                self._warnings.append(
                    f"{self._name}: {len(weights)} acceptors survive no more losses than {len(weights) - 1} would"
                )
            return Quorum.majority(weights)
        line = root.lines["quorum"]
        if not isinstance(value, Table):
            self._wrong(line, "quorum", "must be majority, or sizes such as {prepare: 4, accept: 2}")
            return None
        self._known(value, "quorum", ["prepare", "accept"])
        prepare = self._one(value, "quorum", "prepare", self._whole(1, WEIGHT_MAX * NODES_MAX), None, required=True)
        accept = self._one(value, "quorum", "accept", self._whole(1, WEIGHT_MAX * NODES_MAX), None, required=True)
        if prepare is None or accept is None:
            return None
        quorum = Quorum(weights, prepare, accept)
        for problem in quorum.problems() if weights else ():
            self._wrong(line, "quorum", problem)
        return quorum

    # ---- the rest ----

    def _timing(self, root: Table) -> Timing:
        default = Timing()
        table = self._table(root, "", "timing") or Table(1, {}, {})
        self._known(table, "timing", [field.name.removesuffix("_s") for field in fields(Timing)])
        found: dict[str, float] = {}
        for field in fields(Timing):
            key = field.name.removesuffix("_s")
            value = self._own(table, "timing", key, _duration_s, getattr(default, field.name))
            found[field.name] = value
        timing = replace(default, **found)
        line = root.lines.get("timing", 1)
        if timing.heartbeat_s * 3 > timing.election_s * (1 + 1e-9):  # 0.2 * 3 is a little more than 0.6
            self._wrong(
                line,
                "timing",
                f"election ({timing.election_s} s) must be at least 3 times heartbeat ({timing.heartbeat_s} s)",
            )
        if timing.retry_s > timing.election_s:
            self._wrong(line, "timing", f"retry ({timing.retry_s} s) must not exceed election ({timing.election_s} s)")
        return timing

    def _limits(self, root: Table) -> Limits:
        default = Limits()
        table = self._table(root, "", "limits") or Table(1, {}, {})
        self._known(table, "limits", [field.name.removesuffix("_max") for field in fields(Limits)])
        found: dict[str, int] = {}
        for field in fields(Limits):
            key = field.name.removesuffix("_max")
            check = _size if key.endswith("bytes") else _count
            value = self._one(table, "limits", key, check, getattr(default, field.name))
            found[field.name] = getattr(default, field.name) if value is None else value
        limits = replace(default, **found)
        line = root.lines.get("limits", 1)
        for name in ("command_bytes", "value_bytes", "page_bytes"):
            room = (
                limits.frame_bytes_max // 2 if name != "command_bytes" else limits.frame_bytes_max - FRAME_SPARE_BYTES
            )
            if getattr(limits, f"{name}_max") > room:
                self._wrong(line, f"limits.{name}", f"must fit a frame: at most {room} with this frame_bytes")
        return limits

    def _storage(self, root: Table) -> StorageConfig:
        table = self._table(root, "", "storage") or Table(1, {}, {})
        self._known(table, "storage", ["engine", "dir"])
        engine = self._own(table, "storage", "engine", self._choice("sqlite", "memory"), "sqlite")
        place: str | None = self._own(table, "storage", "dir", _path, None)
        return StorageConfig(engine, place)

    # ---- one value ----

    def _known(self, table: Table, where: str, known: list[str]) -> None:
        for key, line in table.lines.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, 1, 0.6)
                meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                self._wrong(line, f"{where}.{key}".lstrip("."), f"unknown key; {meant}")

    def _table(self, table: Table, where: str, key: str, required: bool = False) -> Table | None:
        value = table.entries.get(key)
        if value is None:
            if required:
                self._wrong(table.line, key, "is missing")
            return None
        if not isinstance(value, Table):
            self._wrong(table.lines[key], key, "must be a mapping of keys and values")
            return None
        return value

    def _one(
        self, table: Table, where: str, key: str, check: Callable[[str], T], default: T | None, required: bool = False
    ) -> T | None:
        name = f"{where}.{key}".lstrip(".")
        value = table.entries.get(key)
        if value is None:
            if required:
                self._wrong(table.line, name, "is missing")
            return default
        if not isinstance(value, Text):
            self._wrong(
                table.lines[key],
                name,
                f"must be one value, not {'a list' if isinstance(value, Items) else 'a mapping'}",
            )
            return default
        try:
            return check(value.text)
        except ValueError as error:
            self._wrong(value.line, name, str(error))
            return default

    def _own(self, table: Table, where: str, key: str, check: Callable[[str], T], default: T) -> T:
        """A value that is this node's own matter: the environment goes before the file."""
        variable = f"PAXOSD_{where}_{key}".upper()
        if variable in self._env:
            try:
                return check(self._env[variable])
            except ValueError as error:
                self._wrong(table.line, f"environment {variable}", str(error))
                return default
        value = self._one(table, where, key, check, default)
        return default if value is None else value

    @staticmethod
    def _choice(*known: str) -> Callable[[str], str]:
        def check(text: str) -> str:
            if text in known:
                return text
            near = difflib.get_close_matches(text, known, 1, 0.6)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{text!r} is none of {', '.join(known)}{meant}")

        return check

    @staticmethod
    def _name_text(text: str) -> str:
        if not NAME.fullmatch(text):
            raise ValueError(f"{text!r} is not a name: use a-z, 0-9 and -, at most 63 characters")
        return text

    @staticmethod
    def _whole(low: int, high: int) -> Callable[[str], int]:
        def check(text: str) -> int:
            number = _count(text)
            if not low <= number <= high:
                raise ValueError(f"{number} is not between {low} and {high}")
            return number

        return check

    @staticmethod
    def _endpoint(text: str) -> Endpoint:
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not re.fullmatch(r"[1-9]\d{0,4}", port) or int(port) > 65535:
            raise ValueError(f"{text!r} is not host:port with a port from 1 to 65535, such as a1:7000")
        if not re.fullmatch(r"[A-Za-z0-9.*:_-]+", host):
            raise ValueError(f"{text!r} has no host name or IP address before the colon")
        return Endpoint(host, int(port))


def _bound(dialled: Endpoint | None) -> Endpoint | None:
    """Where to listen for what others dial: that very IP address, or all interfaces behind a host name."""
    if dialled is None:
        return None
    try:
        ipaddress.ip_address(dialled.host)
    except ValueError:
        return Endpoint("127.0.0.1" if dialled.host == "localhost" else "*", dialled.port)
    return dialled


def _count(text: str) -> int:
    if not re.fullmatch(r"0|[1-9]\d{0,15}", text):
        raise ValueError(f"{text!r} is not a whole number, written without leading zeros, colons or points")
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is too small; at least 1")
    return number


def _duration_s(text: str) -> float:
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write the unit, such as 100ms, 1.5s or 2m")
    seconds = float(match[1]) * SECONDS[match[2]]
    if not 0.001 <= seconds <= 3600:
        raise ValueError(f"{text} is not between 1ms and 60m")
    return seconds


def _size(text: str) -> int:
    match = SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size, such as 512KiB, 1MiB or 65536")
    size = int(match[1]) * BYTES[match[2]]
    if not 1 <= size <= 1 << 40:
        raise ValueError(f"{text} is not between 1 and 1 TiB")
    return size


def _path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("is not a path")
    return text
