"""Faults that are aimed at whoever leads, and what they do.

A leader that knows nothing of the next one is the one that may serve what is old. Chance seldom makes one: whoever is
cut off or stands still is told all as soon as it hears again, and leads no more. So `depose` takes care that it hears
what keeps it leading, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from paxosd.core.types import NodeId
from paxosd.sim.plan import Fault
from paxosd.sim.world import SimNode, World

EVERYBODY = 0.3
"""In so many of all aimed cuts the leader is cut off from everybody."""
STANDS_STILL = 0.4
"""So many leaders are deposed while they stand still, the others while they are told everything late."""
LATER_BY_T_E = 0.8
"""By how much more, in election timeouts, all that it is told comes late with each stage: a whole one of silence would
end its leadership."""
STAGES = 3


def aim(world: World, leader: SimNode, fault: Fault) -> None:
    """Let this fault, "cut-leader", "clog-leader" or "depose-leader", hit this node."""
    world.note(leader.id, "leads, and is hit")
    if fault.kind == "depose-leader":
        if fault.amount < STANDS_STILL:
            _depose_while_it_stands_still(world, leader, fault)
        else:
            _depose_while_it_is_told_late(world, leader, fault)
        return
    others = [node for node in world.nodes if node != leader.id]
    some = others if fault.amount < EVERYBODY else world.random.sample(others, world.random.randint(1, len(others)))
    out, back = world.random.choice(((True, False), (False, True), (True, True)))
    change = world.network.cut if fault.kind == "cut-leader" else world.network.clog
    for other in some:
        if out:
            change(leader.id, other, world.now + fault.for_s)
        if back:
            change(other, leader.id, world.now + fault.for_s)


def _depose_while_it_stands_still(world: World, leader: SimNode, fault: Fault) -> None:
    """It goes on while somebody leads whom it does not hear, maybe; some acceptor still answers it, now or later."""
    t_e, until = world.plan.election_s, world.now + fault.for_s
    proposers = [node for node in world.config.membership.proposers if node != leader.id]
    for proposer in world.random.sample(proposers, (len(proposers) + 1) // 2):
        world.network.cut(proposer, leader.id, until)
    world.network.scatter(leader.id, STAGES * t_e, until)
    leader.paused_until = max(leader.paused_until, world.now + (1.5 + 3 * fault.amount) * t_e)


def _depose_while_it_is_told_late(world: World, leader: SimNode, fault: Fault) -> None:
    """What it is told comes later and later, but never stops; then nobody hears it but one gateway, that hears no other
    leader either. So it leads until it hears the last answer, while the others follow another one."""
    t_e, membership = world.plan.election_s, world.config.membership
    deaf_from_s = STAGES * t_e
    until = world.now + deaf_from_s + fault.for_s
    for stage in range(STAGES):
        _later(world, stage * t_e, world.network.lag, leader.id, (stage + 1) * LATER_BY_T_E * t_e, until)
    loyal = leader.id if leader.id in membership.learners else world.random.choice(membership.learners)
    _cut_later(world, deaf_from_s, leader.id, [node for node in world.nodes if node not in (leader.id, loyal)], until)
    for proposer in membership.proposers:
        if proposer != leader.id != loyal:
            _cut_later(world, deaf_from_s, proposer, [loyal], until)


def _cut_later(world: World, delay_s: float, source: NodeId, targets: Iterable[NodeId], until: float) -> None:
    for target in targets:
        _later(world, delay_s, world.network.cut, source, target, until)


def _later(world: World, delay_s: float, change: Callable[..., None], *arguments: object) -> None:
    """Change the network then, if the faults go on."""
    world.later(delay_s, lambda: None if world.healed else change(*arguments))
