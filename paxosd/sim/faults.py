"""What each kind of fault of a plan does to a world."""

from __future__ import annotations

from dataclasses import replace

from paxosd.core.options import DRAIN_S_MAX
from paxosd.sim.aimed import aim
from paxosd.sim.clients import SimClient
from paxosd.sim.disk import RESERVE_BYTES
from paxosd.sim.losses import lose
from paxosd.sim.plan import Fault
from paxosd.sim.world import SimNode, World

RECOVERY_CRASHES = 5
STUTTERS = 6
STUTTER_RUNS = 0.15
"""How long a client that stutters runs at most, in proportion to how long it stands still."""


def schedule_faults(world: World) -> None:
    """Let every fault of the world's plan happen at its time."""
    world.on_prepare = lambda node: coup(world, node)
    for fault in world.plan.faults:
        world.schedule(fault.at_s, strike, (world, fault))


def strike(world: World, fault: Fault) -> None:
    """Let this fault happen now."""
    world.note("----", "%s %s for %.3f s (%g)", fault.kind, ",".join(fault.targets[:8]), fault.for_s, fault.amount)
    world.faults[fault.kind] += 1
    match fault.kind:
        case "cut" | "partition" | "hub" | "client-cut":
            for link in fault.targets:
                world.network.cut(*_ends(link), world.now + fault.for_s)
        case "clog":
            for link in fault.targets:
                world.network.clog(*_ends(link), world.now + fault.for_s)
        case "coups":
            world.coups_until, world.coup_for_s = world.now + fault.for_s, fault.amount
        case "loss":
            world.network.lose(fault.amount, world.now + fault.for_s)
        case "lag":
            for target in fault.targets:
                world.network.lag(target, fault.amount, world.now + fault.for_s)
        case "pause-leader" | "kill-leader":
            if world.leader is not None:
                _strike_node(world, world.leader, replace(fault, kind=fault.kind.removesuffix("-leader")))
        case "wipe" | "wipe-leader" | "lose-two" | "roll-back" | "roll-back-leader" | "swap" | "copy":
            lose(world, fault)
        case "client-pause" | "client-stutter" | "client-kill":
            for target in fault.targets:
                _strike_client(world, world.clients[target], fault)
        case "cut-leader" | "clog-leader" | "depose-leader":
            if world.leader is not None:
                aim(world, world.leader, fault)
        case _:
            for target in fault.targets:
                _strike_node(world, world.nodes[target], fault)


def coup(world: World, proposer: SimNode) -> None:
    """Soon after it prepares, a proposer is heard by a few acceptors only."""
    random = world.random
    acceptors = [node for node in world.config.membership.acceptors if node != proposer.id]
    deaf = random.sample(acceptors, random.randint(0, len(acceptors)))
    delay_s = random.uniform(0.0, 3.0) * (world.plan.delay_s + world.plan.jitter_s)
    for acceptor in deaf:
        world.later(delay_s, world.network.cut, proposer.id, acceptor, world.now + delay_s + world.coup_for_s)


def _ends(link: str) -> tuple[str, str]:
    source, _, target = link.partition(">")
    return source, target


def _strike_node(world: World, node: SimNode, fault: Fault) -> None:
    match fault.kind:
        case "kill":
            node.end(False, "killed")
            world.later(fault.for_s, node.start)
        case "stop":
            node.stop(DRAIN_S_MAX)
            world.later(DRAIN_S_MAX + fault.for_s, node.start)
        case "power":
            if node.driver is None:
                node.lose_power()
            node.end(True, "power loss")
            world.later(fault.for_s, node.start)
        case "crash-in-turn":
            node.crash_with_power_loss = int(fault.amount) % 2 == 0
            node.crash_after = int(fault.amount) // 2
        case "crash-in-recovery":
            node.end(fault.amount < 0.5, "killed, and again and again in its recovery")
            for number in range(RECOVERY_CRASHES):
                world.later((number + 1) * fault.for_s / RECOVERY_CRASHES, _start_and_end, world, node)
            world.later(2 * fault.for_s, node.start)
        case "pause":
            node.paused_until = max(node.paused_until, world.now + fault.for_s)
        case "slow-disk":
            node.disk.sync_s = fault.amount
            world.later(fault.for_s, _mend_disk, world, node)
        case "nearly-full":
            node.disk.leave(RESERVE_BYTES - 1 if fault.amount < 0.7 else RESERVE_BYTES // 4 - 1)
            world.later(fault.for_s, node.disk.leave, None)
        case "disk-error":
            node.disk.failing = "EIO" if fault.amount < 0.5 else "ENOSPC"
        case "bit-flip":
            row = node.disk.damage()
            world.note(node.id, "damaged: %s", None if row is None else (row[0].__name__, row[1]))
        case "garbage":
            _garble(world, node)


def _strike_client(world: World, client: SimClient, fault: Fault) -> None:
    match fault.kind:
        case "client-pause":
            client.pause(world.now + fault.for_s)
        case "client-stutter":
            at_s = 0.0
            for _ in range(STUTTERS):
                still_s = fault.for_s * world.random.uniform(0.5, 1.0)
                world.later(at_s, _pause, world, client, still_s)
                at_s += still_s + fault.for_s * STUTTER_RUNS * fault.amount
        case "client-kill":
            client.die(world.now)


def _pause(world: World, client: SimClient, for_s: float) -> None:
    if not world.healed:
        client.pause(world.now + for_s)


def _start_and_end(world: World, node: SimNode) -> None:
    if world.healed:
        return
    node.start()
    if node.driver is not None:
        world.ghost.marks.hit("crash in recovery")
    node.end(False, "killed in its recovery")


def _mend_disk(world: World, node: SimNode) -> None:
    node.disk.sync_s = world.plan.sync_s


def _garble(world: World, node: SimNode) -> None:
    """Bytes that are no frame, on both planes."""
    random = world.random
    for client in (None, b"c1"):
        frame = random.randbytes(random.choice((0, 1, 10, 1000)))
        node.arrive(client, b"\xc1" + frame)  # 0xc1 begins nothing in msgpack: a chance frame would be no garbage
