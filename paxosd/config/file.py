"""The membership file: read, checked as a whole, and turned into what a node needs.

Laws:
1. All errors are found and told at once, each with its line, the rule, the value and, where one is near, what was
   probably meant. Nothing starts on a file with an error.
2. The file is the same on every node; `digest` is over its meaning, and every frame carries it. Timing and storage
   are a node's own matter: they may differ, and its environment may override them. A client has no use for either, so
   it reads no environment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import paxosd.config.environment as environment
import paxosd.config.values as values
from paxosd.config.document import DOCUMENT_BYTES_MAX, Table, YamlError, read
from paxosd.config.machines import DEFAULT_MACHINES, MachineConfig, machines_of
from paxosd.config.section import Findings, Section
from paxosd.core.history import ROW_BYTES
from paxosd.core.membership import Membership, Role
from paxosd.core.options import CLIENT_FRAME_BYTES, Limits, Retention, Timing
from paxosd.core.plausible import VOTES_ABOVE_WATERMARK_MAX
from paxosd.core.quorum import Quorum
from paxosd.core.types import MachineName, NodeId
from paxosd.transport import addresses
from paxosd.transport.addresses import Endpoint

WEIGHT_MAX = 1000
NODES_MAX = 99
FRAME_SPARE_BYTES = 64 * 1024
"""What a frame may hold besides the largest command: the table of lengths, and all that stands around a value."""
PAGE_BYTES_MAX = 16384 * ROW_BYTES
"""A page has no more rows than an array of a message may have items."""


class ConfigError(Exception):
    """The membership file is wrong. `problems` has one "file:line: where: what" for each error."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        self.count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        super().__init__("\n".join([*problems, f"{self.count}. Nothing was started."]))


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
    """Where a node keeps its records: `dir` has a folder for each node's id. In bytes, for each node: `quota`, what its
    folder may take; `reserve`, what is left free on its file system; None: no quota, the usual reserve.
    """

    engine: str = "sqlite"
    dir: str | None = None
    quota_bytes: int | None = None
    reserve_bytes: int | None = None


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
    retention: Retention
    machines: Mapping[MachineName, MachineConfig]
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
        if not self.retention.is_for_ever:
            agreed.append({field.name: getattr(self.retention, field.name) for field in fields(self.retention)})
        kinds = {machine.name: machine.kind for machine in self.machines.values()}
        if kinds != DEFAULT_MACHINES:
            agreed.append({"machines": kinds})
        return json.dumps(agreed, sort_keys=True)

    @property
    def digest(self) -> bytes:
        """8 bytes over `meaning`."""
        return hashlib.blake2b(self.meaning.encode(), digest_size=8).digest()


def load(path: str | Path, env: Mapping[str, str] | None = None) -> Config:
    """Read a membership file; raises `ConfigError` with all that is wrong with it. `env`: what may override it."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError((f"{path}: cannot be read: {error.strerror}; check the path and who may read it",)) from error
    if len(data) > DOCUMENT_BYTES_MAX:
        raise ConfigError((f"{path}: is longer than {DOCUMENT_BYTES_MAX} bytes; this is no membership file",))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError((f"{path}:{line}: is not UTF-8 text (byte {error.start}); save it as UTF-8",)) from error
    return parse(text, str(path), env)


def parse(text: str, name: str = "membership", env: Mapping[str, str] | None = None) -> Config:
    """Check the text of a membership file; `name` stands in the messages, `env` overrides timing and storage."""
    findings = Findings(name)
    try:
        root = read(text)
    except YamlError as error:
        for line, what in error.problems:
            findings.wrong(line, what)
        raise ConfigError(findings.told()) from error
    if not isinstance(root, Table):
        findings.wrong(1, "the file is empty or not a mapping; see config/cluster.yaml for an example")
        raise ConfigError(findings.told())
    config = _config(Section(root, 1, "", findings), name, findings, env or {})
    if config is None or findings:
        raise ConfigError(findings.told())
    return config


def queue_cluster(proposers: int, acceptors: int, learners: int, replicas: int = 0) -> Config:
    """A cluster for `paxosd local`: p1 …, a1 …, l1 …, or r1 …, on queues."""
    counts = {"proposer": proposers, "acceptor": acceptors, "learner": learners, "replica": replicas}
    lines = [
        f"  {role[0]}{number}: {{role: {role}}}" for role, count in counts.items() for number in range(1, count + 1)
    ]
    return parse("\n".join(["cluster: local", "transport: queue", "nodes:", *lines]), "local cluster", {})


# ---- the whole -------------------------------------------------------------------------------


def _config(root: Section, name: str, findings: Findings, env: Mapping[str, str]) -> Config | None:
    root.only("cluster", "transport", "nodes", "quorum", "timing", "limits", "log", "machines", "storage")
    cluster = root.required("cluster", values.name)
    transport = root.value("transport", values.choice("zeromq", "queue"), "zeromq")
    nodes = _nodes(root, transport)
    quorum = _quorum(root, nodes, findings)
    timing, limits, storage = _timing(root, env), _limits(root), _storage(root, env)
    retention, machines = _retention(root), machines_of(root)
    environment.check(env, {"timing": TIMING_KEYS, "storage": STORAGE_KEYS}, findings)
    if cluster is None or nodes is None or quorum is None:
        return None
    membership = Membership({node.id: node.role for node in nodes.values()}, quorum)
    warnings = tuple(findings.warnings)
    return Config(name, cluster, transport, nodes, membership, timing, limits, storage, retention, machines, warnings)


# ---- nodes -----------------------------------------------------------------------------------


def _nodes(root: Section, transport: str) -> dict[NodeId, NodeConfig] | None:
    """All nodes; None if one cannot be read, so that nothing is concluded from the others."""
    section = root.required_section("nodes")
    if section is None:
        return None
    nodes: dict[NodeId, NodeConfig] = {}
    for node_id in section.keys:
        node = _node(section, node_id, transport)
        if node is not None:
            nodes[node_id] = node
    _check_addresses(section, nodes)
    if len(nodes) < len(section.keys):
        return None
    _check_together(root, nodes, transport)
    return nodes


def _node(nodes: Section, node_id: str, transport: str) -> NodeConfig | None:
    try:
        values.node_id(node_id)
    except ValueError as error:
        nodes.wrong(node_id, str(error))
    section = nodes.section(node_id, 'must be a mapping such as {role: acceptor, address: "a1:7000"}')
    if section is None:
        return None
    section.only("role", "address", "client", "listen", "client_listen", "weight")
    role = section.required("role", values.choice(*(role.value for role in Role)))
    if transport == "zeromq" and "address" not in section:
        section.wrong("address", "is missing")
    address = section.value("address", _dialled, None)
    client = section.value("client", _dialled, None)
    listen = section.value("listen", _bound, addresses.behind(address))
    client_listen = section.value("client_listen", _bound, addresses.behind(client))
    weight = section.value("weight", values.whole(1, WEIGHT_MAX), 1)
    if role is None:
        return None
    node = NodeConfig(node_id, Role(role), weight, address, client, listen, client_listen)
    _check_role(section, node)
    return node


def _dialled(text: str) -> Endpoint | None:
    return addresses.dialled(text)


def _bound(text: str) -> Endpoint | None:
    return addresses.bound(text)


def _check_role(section: Section, node: NodeConfig) -> None:
    role = node.role
    if "weight" in section and role not in (Role.ACCEPTOR, Role.REPLICA):
        section.wrong("weight", f"the role {role.value} has no vote; only acceptors and replicas do")
    for key in ("client", "client_listen"):
        if key in section and role not in (Role.LEARNER, Role.REPLICA):
            section.wrong(key, f"the role {role.value} serves no clients; learners and replicas do")
    if "client_listen" in section and "client" not in section:
        section.wrong("client_listen", "is of no use without client, the address that clients dial")
    if node.listen is not None and node.client_listen is not None and _collide(node.listen, node.client_listen):
        section.wrong("client", f"nodes and clients need a port each; both would come to port {node.listen.port}")


def _collide(one: Endpoint, other: Endpoint) -> bool:
    return one.port == other.port and (one.host == other.host or "*" in (one.host, other.host))


def _check_addresses(section: Section, nodes: Mapping[NodeId, NodeConfig]) -> None:
    used: dict[str, str] = {}
    for node in nodes.values():
        for key, endpoint in (("address", node.address), ("client", node.client)):
            if endpoint is None:
                continue
            first = used.setdefault(str(endpoint).lower(), f"nodes.{node.id}.{key}")
            if first != f"nodes.{node.id}.{key}":
                section.part(node.id).wrong(key, f"{endpoint} is used by {first} already")


def _check_together(root: Section, nodes: Mapping[NodeId, NodeConfig], transport: str) -> None:
    if len(nodes) > NODES_MAX:
        root.wrong("nodes", f"there are {len(nodes)}; at most {NODES_MAX} are allowed")
    for role in (Role.PROPOSER, Role.ACCEPTOR, Role.LEARNER):
        if not any(node.role in (role, Role.REPLICA) for node in nodes.values()):
            root.wrong("nodes", f"there is no {role.value}; at least one {role.value} or replica is needed")
    if transport == "zeromq" and not any(node.client for node in nodes.values()):
        root.wrong("nodes", 'no learner or replica has a client address, such as client: "l1:7100"')


# ---- quorum ----------------------------------------------------------------------------------


def _quorum(root: Section, nodes: Mapping[NodeId, NodeConfig] | None, findings: Findings) -> Quorum | None:
    voters = [node for node in (nodes or {}).values() if node.role in (Role.ACCEPTOR, Role.REPLICA)]
    weights = {node.id: node.weight for node in voters}
    if "quorum" not in root or root.says("quorum", "majority"):
        if weights and len(weights) % 2 == 0 and set(weights.values()) == {1}:
            findings.odd(f"{len(weights)} acceptors survive no more losses than {len(weights) - 1} would")
        return Quorum.majority(weights)
    section = root.section("quorum", "must be majority, or sizes such as {prepare: 4, accept: 2}")
    if section is None:
        return None
    section.only("prepare", "accept")
    prepare = section.required("prepare", values.whole(1, WEIGHT_MAX * NODES_MAX))
    accept = section.required("accept", values.whole(1, WEIGHT_MAX * NODES_MAX))
    if prepare is None or accept is None:
        return None
    quorum = Quorum(weights, prepare, accept)
    for problem in quorum.problems() if weights else ():
        root.wrong("quorum", problem)
    return quorum


# ---- timing, limits, storage -----------------------------------------------------------------


TIMING_KEYS = tuple(field.name.removesuffix("_s") for field in fields(Timing))
STORAGE_KEYS = ("engine", "dir", "quota", "reserve")
QUOTA_BYTES_MIN = 64 * 1024 * 1024
"""Half of which the journal and the ballast may take."""


def _timing(root: Section, env: Mapping[str, str]) -> Timing:
    section = root.part("timing")
    section.only(*TIMING_KEYS)

    def own(key: str, default: float) -> float:
        return section.own(key, values.duration_s, default, env, environment.variable("timing", key))

    default = Timing()
    timing = Timing(**{f"{key}_s": own(key, getattr(default, f"{key}_s")) for key in TIMING_KEYS})
    if timing.heartbeat_s * 3 > timing.election_s * (1 + 1e-9):  # 0.2 * 3 is a little more than 0.6
        root.wrong(
            "timing", f"election ({timing.election_s} s) must be at least 3 times heartbeat ({timing.heartbeat_s} s)"
        )
    if timing.retry_s > timing.election_s:
        root.wrong("timing", f"retry ({timing.retry_s} s) must not exceed election ({timing.election_s} s)")
    return timing


def _limits(root: Section) -> Limits:
    section = root.part("limits")
    keys = {field.name: field.name.removesuffix("_max") for field in fields(Limits)}
    section.only(*keys.values())
    default = Limits()
    limits = Limits(
        **{
            name: section.value(key, values.size if key.endswith("bytes") else values.count, getattr(default, name))
            for name, key in keys.items()
        }
    )
    _check_limits(section, limits)
    return limits


def _check_limits(section: Section, limits: Limits) -> None:
    """Whatever a slot and a page take must fit a frame, or the slot could never be chosen, and the page never sent."""
    frame = limits.frame_bytes_max
    if frame < CLIENT_FRAME_BYTES + FRAME_SPARE_BYTES:
        least = CLIENT_FRAME_BYTES + FRAME_SPARE_BYTES
        return section.wrong("frame_bytes", f"{frame} is too small; at least {least}, to carry what clients send")
    command, value, page = limits.command_bytes_max, limits.value_bytes_max, limits.page_bytes_max
    for key, size, room, least in (
        ("command_bytes", command, frame - FRAME_SPARE_BYTES, command + FRAME_SPARE_BYTES),
        ("value_bytes", value, frame // 2, 2 * value),
        ("page_bytes", page, frame // 2, 2 * page),
    ):
        if size > room:
            rule = f"{size} must fit a frame: at most {room} with this frame_bytes, or frame_bytes of at least {least}"
            section.wrong(key, rule)
    if page > PAGE_BYTES_MAX:
        section.wrong("page_bytes", f"{page} is too large; at most {PAGE_BYTES_MAX}")
    if limits.window_slots_max > VOTES_ABOVE_WATERMARK_MAX:
        rule = f"{limits.window_slots_max} is too large; at most {VOTES_ABOVE_WATERMARK_MAX}"
        section.wrong("window_slots", rule)
    pending = limits.pending_bytes_max
    if pending < command:
        rule = f"{pending} must take the largest command: at least {command} with this command_bytes"
        section.wrong("pending_bytes", rule)


def _retention(root: Section) -> Retention:
    section = root.part("log")
    section.only("keep_entries", "keep_bytes", "keep_age")
    age_s = section.value("keep_age", values.age_s, None)
    return Retention(
        section.value("keep_entries", values.count, None),
        section.value("keep_bytes", values.size, None),
        None if age_s is None else int(age_s * 1000),
    )


def _storage(root: Section, env: Mapping[str, str]) -> StorageConfig:
    section = root.part("storage")
    section.only(*STORAGE_KEYS)
    default = StorageConfig()
    engines = values.choice("sqlite", "memory")
    engine = section.own("engine", engines, default.engine, env, environment.variable("storage", "engine"))
    directory = section.own("dir", _path, default.dir, env, environment.variable("storage", "dir"))
    quota = section.own("quota", _quota_bytes, None, env, environment.variable("storage", "quota"))
    reserve = section.own("reserve", _reserve_bytes, None, env, environment.variable("storage", "reserve"))
    return StorageConfig(engine, directory, quota, reserve)


def _quota_bytes(text: str) -> int | None:
    quota = values.size(text)
    if quota < QUOTA_BYTES_MIN:
        raise ValueError(f"{text} is too small; at least {QUOTA_BYTES_MIN >> 20}MiB, half of it for the journal")
    return quota


def _reserve_bytes(text: str) -> int | None:
    return 0 if text == "0" else values.size(text)


def _path(text: str) -> str | None:
    return values.path(text)
