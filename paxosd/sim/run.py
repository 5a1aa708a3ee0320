"""One seed from beginning to end: faults, then a healed core that must converge, and what came of it.

Phase 1, safety: everything of the plan happens, and every invariant is checked after every event.
Phase 2, liveness (as TigerBeetle's simulator does): a quorum of nodes that can be saved is healed, every other
fault is made permanent, and within a bound the core must lead, serve, and agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from paxosd.core.types import NodeId
from paxosd.core.voters import Voters
from paxosd.machine.base import StateMachine
from paxosd.machine.log import Log
from paxosd.sim.calls import check_commands, check_ends
from paxosd.sim.calm import TOLD_T_E, come_to_rest, watch
from paxosd.sim.check.invariants import Violation, ensure
from paxosd.sim.check.meetings import check_rounds
from paxosd.sim.faults import schedule_faults
from paxosd.sim.losses import put_right
from paxosd.sim.network import FOREVER
from paxosd.sim.plan import Plan
from paxosd.sim.spare import can_accept, can_prepare, has_all_below_floors, may_lose_its_place, votes
from paxosd.sim.world import World

CONVERGE_T_E = 50
"""Within how many election timeouts the core must serve again (invariant 30)."""

STABLE_T_E = 20
"""For how many election timeouts it must then go on without a change of leadership (31)."""

PENDING_T_E = 10
"""How long an operation may take in a healed core (32)."""

STATES = ("down", "cut off", "deaf", "mute", "paused", "deaf to one", "well")
"""What may be the lot of a node outside of the core."""

SERVED_MIN = 3
"""How many calls each client must have had answered before the core counts as serving."""

BALLOTS_PER_T_E_MAX = 4.0
"""How many ballots a proposer may use up per election timeout, over a whole run (33)."""

FRAMES_PER_NODE_AND_T_E_MAX = 100
"""How many frames a healed cluster may send per node and election timeout (33); seen: less than half of that."""

FRAMES_BY_ITSELF_MAX, FRAMES_PER_CALL_MAX = 30, 3
"""Where clients call so often that this is more: per node, for nothing and for each call. Among five replicas a call
with a slot of its own takes an Accept, an Accepted and a Watermark for each of the four others, itself and its answer:
2.8 a node."""


@dataclass(slots=True)
class Result:
    """What one run came to. Times are in simulated seconds."""

    plan: Plan
    violation: str = ""
    text: str = ""
    simulated_s: float = 0.0
    operations: int = 0
    acknowledged: int = 0
    recovery_t_e: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    trace_hash: str = ""
    trace: list[str] = field(default_factory=list)


def run(plan: Plan, machine: Callable[[], StateMachine] = Log, tracing: bool = False) -> Result:
    """Play this plan; never raises for what it finds."""
    world = World(plan, machine, tracing)
    result = Result(plan)
    try:
        _play(world, result)
    except Violation as violation:
        world.note("----", "VIOLATION %s", violation)
        result.violation, result.text = violation.name, str(violation)
    operations = [operation for client in world.clients.values() for operation in client.operations]
    result.simulated_s = world.now
    result.operations = sum(operation.outcome != "" for operation in operations)
    result.acknowledged = sum(operation.outcome == "acked" for operation in operations)
    result.faults, result.marks = world.faults, world.ghost.marks.hits
    result.trace_hash, result.trace = world.trace_hash(), world.trace
    return result


def _play(world: World, result: Result) -> None:
    world.start()
    schedule_faults(world)
    world.run_until(world.plan.faults_s)
    healed_at = world.now
    put_right(world)
    core = choose_core(world)
    if core is not None:
        heal(world, core)
        result.recovery_t_e = _converge(world, core, healed_at)
        _stay(world, core)
        come_to_rest(world)
    for node in world.nodes.values():
        if node.driver is not None:
            world.ghost.marks.ended(node.driver)
    operations = [operation for client in world.clients.values() for operation in client.operations]
    check_ends(operations, world.ghost.order, certain=world.plan.repeat == 0)
    check_commands(world.ghost, certain=world.plan.repeat == 0)
    if world.ghost.attempts is not None:
        world.ghost.attempts.check_ends()
        check_rounds(world.ghost.attempts)
    books = world.network.check()
    ensure(books is None, "28 nothing lost silently", str(books))


# ---- the core ----------------------------------------------------------------------------------


def choose_core(world: World) -> frozenset[NodeId] | None:
    """Nodes that together can lead and serve, as few as chance has it; None if the rest cannot be saved."""
    membership, random = world.config.membership, world.random
    sound = [node for node, known in world.nodes.items() if not known.lost and not known.disk.damaged]
    random.shuffle(sound)
    core: list[NodeId] = []
    if not any(_knows_voters(world, node) for node in sound):
        core += [node for node in sound if node in membership.acceptors]  # a cluster is born by all of them
        if len(core) < len(membership.acceptors):
            return None
    voters, knowing = _voters(world, sound)
    if not voters:
        return None
    core += knowing
    for wanted in (voters, membership.proposers, membership.learners):
        for node in sound:
            if node in wanted and not _enough(world, core, wanted, voters):
                core.append(node)
        if not _enough(world, core, wanted, voters):
            return None
    if not any(_knows_voters(world, node) for node in core):
        core += [node for node in sound if _knows_voters(world, node)][:1]
    if not any(has_all_below_floors(world, node) for node in core):
        helpers = [node for node in sound if has_all_below_floors(world, node)]
        if not helpers:
            return None
        core.append(helpers[0])
    return frozenset(core)


def _voters(world: World, sound: Collection[NodeId]) -> tuple[Collection[NodeId], list[NodeId]]:
    """Acceptors of which the core is taken, none if they cannot become a quorum any more; and who of them must be in
    it: those from which new disks have to copy, where there is no quorum without these."""
    membership = world.config.membership
    if not world.ghost.safety.electorate.newest.are_named:
        return membership.acceptors, []
    sound = [node for node in sound if not may_lose_its_place(world, node)]
    knowing = [node for node in sound if votes(world, node)]
    if not can_prepare(world, knowing):
        return [], []
    if can_accept(world, knowing):
        return knowing, []
    return [node for node in sound if votes(world, node, disk_knows=False)], knowing


def _knows_voters(world: World, node: NodeId) -> bool:
    """Whether this node knows that the cluster is born; acceptors tell proposers."""
    records = world.nodes[node].disk.written.records()
    return node in world.config.membership.acceptors and any(
        isinstance(record, Voters) and record.are_named for record in records
    )


def _enough(world: World, core: Collection[NodeId], wanted: Collection[NodeId], acceptors: Collection[NodeId]) -> bool:
    if wanted == acceptors:
        return can_prepare(world, core) and can_accept(world, core)
    return any(node in wanted for node in core)


def heal(world: World, core: frozenset[NodeId]) -> None:
    """Make the core whole and all else permanent: others stay down, cut off, deaf or mute, as chance has it."""
    random = world.random
    world.healed, world.coups_until = True, 0.0
    world.note("----", "the core is %s", ",".join(sorted(core)))
    inside = core | world.clients.keys()
    world.network.mend(lambda source, target: not (source in inside and target in inside))
    for name, node in world.nodes.items():
        node.crash_after = None
        node.disk.failing = None
        node.disk.leave(None)
        node.disk.sync_s = world.plan.sync_s
        if name in core:
            node.paused_until = world.now
            node.start()
        else:
            voters = sorted(core.intersection(world.config.membership.acceptors))
            _make_permanent(world, name, random.choice(STATES), random.choice(voters))
    for client in world.clients.values():
        client.unpin()
        client.pause(world.now)
        client.timeout_s = PENDING_T_E * world.plan.election_s * 2


def _make_permanent(world: World, name: NodeId, state: str, one: NodeId) -> None:
    """Leave a node outside of the core in this state for good; `one` is some acceptor of the core."""
    world.note(name, "stays %s", state)
    node = world.nodes[name]
    if state == "down":
        node.end(False, "for good")
        node.lost = True
    elif state == "paused":
        node.paused_until = FOREVER
    elif state == "deaf to one":  # the worst of all if that one leads: it cannot be heard, and all others can
        world.network.cut(one, name, FOREVER)
    others = [other for other in [*world.nodes, *world.clients] if other != name]
    for other in others:
        if state in ("cut off", "deaf"):
            world.network.cut(other, name, FOREVER)
        if state in ("cut off", "mute"):
            world.network.cut(name, other, FOREVER)


# ---- what the core must do -----------------------------------------------------------------------


def _converge(world: World, core: frozenset[NodeId], healed_at: float) -> float:
    """Run until the core serves everybody; how many election timeouts that took."""
    t_e = world.plan.election_s
    learners = [node for node in world.config.membership.learners if node in core]
    healed_end = len(world.ghost.order.log)

    def served() -> bool:
        for client in world.clients.values():
            answered = [op for op in client.operations if op.invoked_s > healed_at and op.outcome == "acked"]
            if len(answered) < SERVED_MIN or any(op.invoked_s <= healed_at for op in client.under_way):
                return False
            if not client.watchers.have_seen(healed_end):
                return False
        return all(world.applied_to_the_end(node) for node in learners)

    world.run_until(healed_at + CONVERGE_T_E * t_e, served)
    ensure(served(), "30 liveness", f"the core {sorted(core)} does not serve {CONVERGE_T_E} T_e after it was healed")
    return (world.now - healed_at) / t_e


def _stay(world: World, core: frozenset[NodeId]) -> None:
    t_e = world.plan.election_s
    elected, sent, called = world.ghost.marks.hits["leader elected"], world.network.sent, _calls(world)
    watch(world, (STABLE_T_E - TOLD_T_E) * t_e)
    end = len(world.ghost.order.log)
    watch(world, TOLD_T_E * t_e)
    for client in world.clients.values():
        ensure(client.watchers.have_seen(end), "35 watches", f"{client.name} was not told all of {end} revisions")
    frames = (world.network.sent - sent) / STABLE_T_E / len(world.nodes)
    calls = (_calls(world) - called) / STABLE_T_E
    allowed = max(FRAMES_PER_NODE_AND_T_E_MAX, FRAMES_BY_ITSELF_MAX + FRAMES_PER_CALL_MAX * calls)
    ensure(frames <= allowed, "33 messages", f"{frames:.0f} frames per node and T_e for {calls:.0f} calls")
    changes = world.ghost.marks.hits["leader elected"] - elected
    ensure(changes == 0, "31 stability", f"{changes} changes of leadership in the core {sorted(core)} after it served")
    for client in world.clients.values():
        for operation in client.under_way:
            pending_s = world.now - operation.invoked_s
            ensure(pending_s <= PENDING_T_E * t_e, "32 pending", f"{client.name} waits for {pending_s:.1f} s")
    rounds = len({ballot.round for ballot in world.ghost.safety.electorate.ballots})
    allowed = 20 + BALLOTS_PER_T_E_MAX * world.now / t_e
    ensure(rounds <= allowed, "33 ballots", f"{rounds} rounds were used in {world.now / t_e:.0f} T_e")


def _calls(world: World) -> int:
    return sum(len(client.operations) for client in world.clients.values())


__all__ = ["Result", "run"]
