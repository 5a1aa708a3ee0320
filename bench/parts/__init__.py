"""What can be measured, in the order in which a round does it."""

from __future__ import annotations

from collections.abc import Callable

from bench.parts import failover, floors, keys, memory, queues, shapes, slow, values, watches
from bench.plan import Options, Subject

PARTS: dict[str, Callable[[Options], list[Subject]]] = {
    floors.PART: floors.subjects,
    values.PART: values.subjects,
    keys.PART: keys.subjects,
    watches.PART: watches.watches,
    watches.LEASES: watches.leases,
    "slow": slow.subjects,
    "queue": queues.subjects,
    shapes.MEMBERS: shapes.members,
    failover.RECOVERY: failover.recovery,
    failover.FAILOVER: failover.failover,
    memory.PART: memory.subjects,
    shapes.SIZES: shapes.sizes,
    shapes.CLIENTS: shapes.clients,
    "failover-roles": failover.failover_apart,
}
ONLY_IF_ASKED = shapes.SIZES, shapes.CLIENTS, "failover-roles"
"""Parts that nothing is asked of; they would make a quarter of an hour longer."""
