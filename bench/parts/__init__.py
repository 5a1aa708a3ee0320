"""What can be measured, in the order in which a round does it."""

from __future__ import annotations

from collections.abc import Callable

from bench.parts import failover, floors, keys, queues, shapes, slow, values
from bench.plan import Options, Subject

PARTS: dict[str, Callable[[Options], list[Subject]]] = {
    floors.PART: floors.subjects,
    values.PART: values.subjects,
    keys.PART: keys.subjects,
    "slow": slow.subjects,
    "queue": queues.subjects,
    shapes.SIZES: shapes.sizes,
    shapes.CLIENTS: shapes.clients,
    shapes.MEMBERS: shapes.members,
    failover.RECOVERY: failover.recovery,
    failover.FAILOVER: failover.failover,
}
