"""Putting a node together: from a configuration to a driver that can turn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from random import Random

from paxosd.config import Config
from paxosd.core.acceptor import Acceptor
from paxosd.core.agent import Event
from paxosd.core.learner import Learner
from paxosd.core.membership import Role
from paxosd.core.node import Node, Replica
from paxosd.core.proposer import Proposer
from paxosd.core.types import Instant, MachineName, NodeId
from paxosd.driver import DiskWatch, Driver
from paxosd.gateway.gateway import Gateway
from paxosd.lives import OwnLife
from paxosd.machine.base import StateMachine
from paxosd.machine.ledger import Ledger
from paxosd.server.machines import machines_of
from paxosd.storage.base import Store
from paxosd.transport.base import Transport
from paxosd.wire.frames import Codec


def assemble(
    config: Config,
    node_id: NodeId,
    store: Store,
    transport: Transport,
    clock: Callable[[], Instant],
    random: Random,
    codec: Codec,
    machines: Mapping[MachineName, StateMachine] | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    life: OwnLife | None = None,
    disk: DiskWatch | None = None,
    without: Collection[NodeId] = (),
) -> Driver:
    """The driver of one node of this cluster, ready for `recover` and then `turn`.

    `life` is the number by which `codec` speaks, where it may have to rise (see `lives.py`).
    `without`: acceptors that need not be heard for the cluster to be born.
    `random` is the only source of chance: it draws every election timeout. `machines` are what a learner applies
    commands to, by their names; those of the file by default: `ConfigError` is raised if one cannot be made. `disk`
    says how much room there is, where somebody looks.
    """
    limits = config.limits
    role = config.nodes[node_id].role
    applies = role in (Role.LEARNER, Role.REPLICA)
    if machines is None:
        machines = machines_of(config) if applies else {}
    ledger = Ledger(store, machines, limits.sessions_max, limits.page_bytes_max, config.retention)
    return Driver(
        _agent(config, node_id, role, store, ledger, random, without),
        codec,
        store,
        transport,
        clock,
        config.membership.nodes,
        ledger if applies else None,
        on_event,
        life,
        disk,
    )


def codec_of(config: Config, node_id: NodeId, incarnation: int) -> Codec:
    """How this life of a node speaks; `incarnation` is higher than that of every life before."""
    limits = config.limits
    return Codec(config.digest, node_id, incarnation, limits.frame_bytes_max, limits.client_frame_bytes_max)


def _agent(
    config: Config,
    node_id: NodeId,
    role: Role,
    store: Store,
    ledger: Ledger,
    random: Random,
    without: Collection[NodeId],
) -> Node:
    membership, timing, limits = config.membership, config.timing, config.limits

    def proposer() -> Proposer:
        return Proposer(node_id, membership, timing, limits, Random(random.getrandbits(256)), without)

    def acceptor() -> Acceptor:
        return Acceptor(node_id, membership, timing, limits, store, Random(random.getrandbits(64)))

    def learner() -> Learner:
        return Learner(node_id, membership, timing, limits, store, Random(random.getrandbits(64)))

    def gateway() -> Gateway:
        endpoints = {node: str(known.client) for node, known in config.nodes.items() if known.client is not None}
        return Gateway(node_id, config.cluster, membership, timing, limits, endpoints, ledger)

    match role:
        case Role.PROPOSER:
            return Node(node_id, membership, limits, proposer=proposer())
        case Role.ACCEPTOR:
            return Node(node_id, membership, limits, acceptor=acceptor())
        case Role.LEARNER:
            return Node(node_id, membership, limits, learner=learner(), gateway=gateway())
        case Role.REPLICA:
            return Replica(node_id, membership, limits, proposer(), acceptor(), learner(), gateway())
