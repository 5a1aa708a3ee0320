"""Keys in a healed core: whoever waits gets on, and where nobody does anything any more all comes to rest."""

from __future__ import annotations

from collections.abc import Collection

from paxosd.sim.check.invariants import ensure
from paxosd.sim.network import FOREVER
from paxosd.sim.world import World

TOLD_T_E = 6
"""Within how many election timeouts whoever watches or waits is told what happened, in a healed core (35, 40, 41)."""

LOOK_T_E = 0.5
"""How often one looks whether all get on."""

TTL_MOST = 1.5 * 1.2
"""How much longer than usual a lease runs at most, by the slowest clock."""

DIE = 0.5
"""How many clients die in the end, and leave behind what they have; the others give it back."""


def watch(world: World, for_s: float) -> None:
    """Let so much time pass, and look whether all get on meanwhile."""
    until = world.now + for_s
    while world.plan.keys and world.now < until:
        world.run_until(min(until, world.now + LOOK_T_E * world.plan.election_s))
        look(world)
    world.run_until(until)


def look(world: World, away: Collection[str] = ()) -> None:
    """Look whether all get on, but for the clients that are away: nobody can tell them anything."""
    patience_s = TOLD_T_E * world.plan.election_s
    for client in world.clients.values():
        if client.name not in away:
            client.keys.check_waiting(world.now, patience_s)
    if world.ghost.turns is not None:
        world.ghost.turns.check_told(world.now, patience_s)


def come_to_rest(world: World) -> None:
    """42: a lease that nobody keeps runs out, and where nothing happens any more all are told of the last that did."""
    replay, t_e = world.ghost.replay, world.plan.election_s
    if replay is None:
        return
    watching = []
    for client in world.clients.values():
        if world.random.random() < DIE:
            world.note(client.name, "is gone")
            client.pause(FOREVER)
        else:
            client.rest()
            watching.append(client)
    world.run_until(world.now + world.plan.ttl_s * TTL_MOST + TOLD_T_E * t_e, lambda: not replay.keys.leases)
    ensure(
        not replay.keys.leases, "42 rest", f"nobody keeps the leases {sorted(replay.keys.leases)}, and they are there"
    )
    if world.ghost.turns is not None:
        world.ghost.turns.check_left_behind()
    world.run_until(world.now + t_e)
    end = len(world.ghost.order.log)
    world.run_until(world.now + TOLD_T_E * t_e)
    for client in watching:
        what = f"{client.name} was not told all of {end} revisions, after which nothing happened"
        ensure(client.watchers.have_seen(end), "42 rest", what)
