"""The plan of a seed: what kind of cluster in what kind of world, and which faults come when.

Laws:
1. A plan is drawn from its seed alone.
2. Each seed draws its own mix of faults ("swarm testing", Groce et al. 2012): a world in which everything happens
   at once hides what happens when only two things meet.
3. A family is about one thing (`families.py`).
4. The wide swarm is the swarm, but for clients that think longer, where they do not use keys: as much goes wrong, and a
   seed costs about two thirds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from paxosd.sim.families import FAMILIES, OF_CLIENTS, Family
from paxosd.sim.plan import VOTING, Fault, Plan

FAULTS_S = 40.0
"""How long the first phase lasts, in simulated seconds."""

LAYOUTS: Mapping[int, tuple[tuple[int, int, int, int], ...]] = {
    3: ((0, 0, 0, 3),),
    4: ((1, 2, 1, 0), (0, 1, 0, 3)),
    5: ((0, 0, 0, 5), (1, 3, 1, 0), (1, 0, 1, 3)),
    6: ((2, 3, 1, 0), (0, 0, 1, 5)),
    7: ((2, 3, 2, 0), (0, 0, 0, 7), (1, 5, 1, 0)),
}
"""By number of nodes: how many proposers, acceptors, learners and replicas there may be."""

KEEP_ENTRIES = (0, 0, 10, 100)
"""How many entries of the log are kept; 0: all of them."""


KEYS_EVERY = 16
"""One of so many seeds of a swarm is of the family of keys."""

SWARMS = ("swarm", "wide")
BY_THEMSELVES = (*SWARMS, "space", "watches", "keys", "locks", "quiet")
"""The families of which chance makes no seed of a swarm; those of keys have their turn."""
WIDE_THINKS_TIMES = 3.3
"""How many times as long clients of the wide swarm think: there are five calls a second then, keys included."""


def draw(seed: int, profile: str = "swarm", nodes: int | None = None) -> Plan:
    """The plan of a seed; `nodes` (3 to 7) fixes the size of the cluster, None draws it."""
    random = Random(f"{profile}-{nodes}-{seed}")
    name = _family(profile, seed, random)
    family = FAMILIES[name]
    roles, weights = _members(random, family, nodes)
    election_s = random.choice((0.6, 1.0, 1.5))
    plan = Plan(
        seed=seed,
        profile=profile,
        roles=roles,
        weights=weights,
        quorum=_quorum(random, [weights.get(node, 1) for node, role in roles.items() if role in VOTING]),
        election_s=election_s,
        **_times(random, election_s),
        **_sizes(random),
        **_network(random, harsh=profile != "quiet"),
        sync_s=random.choice((0.0002, 0.002, 0.02)),
        drift=random.choice((0.0, 0.05)),
        **_calls(random, election_s),
        faults_s=FAULTS_S,
        faults=(),
    )
    plan = replace(plan, keep_entries=random.choice(KEEP_ENTRIES), **family.shape(plan, random))
    if profile == "wide" and name != "keys":
        plan = replace(plan, think_s=WIDE_THINKS_TIMES * plan.think_s)
    return replace(plan, faults=tuple(_faults(plan, family, random)))


def _members(random: Random, family: Family, nodes: int | None) -> tuple[dict[str, str], dict[str, int]]:
    """Who takes part in which role, and the weights of those who vote, where they are not alike."""
    size = nodes if nodes is not None else random.choice((3, 3, 4, 5, 5, 5, 6, 7))
    layouts = [layout for layout in LAYOUTS[size] if not family.rivals or layout[0] + layout[3] > 1]
    roles = _roles(random.choice(layouts))
    voters = [node for node, role in roles.items() if role in VOTING]
    return roles, {node: random.choice((1, 1, 1, 2)) for node in voters} if random.random() < 0.15 else {}


def _times(random: Random, election_s: float) -> dict[str, Any]:
    """How long nodes wait."""
    return {
        "heartbeat_s": election_s / random.choice((3, 4, 5)),
        "retry_s": election_s / random.choice((1.5, 2, 4)),
        "ping_s": random.choice((3.0, 10.0)),
    }


def _sizes(random: Random) -> dict[str, Any]:
    """How much nodes hold."""
    return {
        "window_slots": random.choice((1, 3, 8, 64)),
        "value_bytes": random.choice((200, 1000, 65536)),
        "page_bytes": random.choice((300, 2000, 65536)),
        "pending_bytes": random.choice((5000, 65536, 1 << 20)),
        "sessions": random.choice((3, 64, 64)),
    }


def _network(random: Random, harsh: bool) -> dict[str, Any]:
    """How late frames come, and how many are lost and come again; none if it is not harsh."""
    return {
        "delay_s": random.choice((0.0002, 0.001, 0.01)),
        "jitter_s": random.choice((0.0005, 0.005, 0.05)),
        "loss": random.choice((0.0, 0.0, 0.01, 0.1)) if harsh else 0.0,
        "repeat": random.choice((0.0, 0.0, 0.05)) if harsh else 0.0,
        "replay_s": random.choice((0.1, 5.0, 60.0)),
        "late": 0.0,
        "late_s": 0.0,
    }


def _calls(random: Random, election_s: float) -> dict[str, Any]:
    """How many clients there are, and what they ask for."""
    return {
        "clients": random.randint(2, 4),
        "pinned": False,
        "think_s": random.choice((0.5, 0.8, 1.2)),
        "timeout_s": election_s * random.choice((2, 5, 12)),
        "command_bytes": random.choice((20, 20, 600)),
        "edge_bytes": 0,
        "reads": 0.25,
    }


def _roles(counts: tuple[int, int, int, int]) -> dict[str, str]:
    kinds = ("proposer", "acceptor", "learner", "replica")
    return {
        f"{role[0]}{number}": role for role, count in zip(kinds, counts, strict=True) for number in range(1, count + 1)
    }


def _quorum(random: Random, weights: list[int]) -> tuple[int, int]:
    """Majorities most of the time, and now and then other sizes that must meet."""
    total = sum(weights)
    if random.random() < 0.8:
        return total // 2 + 1, total // 2 + 1
    accept = random.randint(1, total)
    return total - accept + 1, accept


# ---- faults ----------------------------------------------------------------------------------


def _faults(plan: Plan, family: Family, random: Random) -> list[Fault]:
    kinds = [kind for kind in family.faults if random.random() < 0.5]
    if not kinds and family.faults:
        kinds = [random.choice(family.faults)]
    faults: list[Fault] = []
    at_s = 1.0
    flips = 0
    while kinds and (at_s := at_s + random.expovariate(1 / family.every_s)) < plan.faults_s:
        kind = family.mainly if family.mainly and random.random() < 0.5 else random.choice(kinds)
        if kind == "bit-flip":
            flips += 1
            if flips > 1:  # a damaged directory is a node lost for good, and some quorum has to stay
                continue
        fault = _fault(plan, random, kind, at_s)
        if fault is not None:
            faults.append(fault)
    return faults


def _family(profile: str, seed: int, random: Random) -> str:
    """Every other seed of a swarm keeps to one family: crashes all the time end what only slow links bring about.
    One of sixteen is of keys, whose clients do much and take long."""
    if profile not in SWARMS:
        return profile
    if seed % KEYS_EVERY == KEYS_EVERY - 1:
        return "keys"
    if random.random() < 0.5:
        return random.choice([name for name in FAMILIES if name not in BY_THEMSELVES])
    return profile


def _fault(plan: Plan, random: Random, kind: str, at_s: float) -> Fault | None:
    short_s = random.expovariate(1 / (2 * plan.election_s))
    if kind.endswith("-leader"):
        return _aimed(plan, random, Fault(at_s, kind, (), short_s))
    if kind in OF_CLIENTS:
        shares = (0.3, 0.45, 0.6) if kind == "client-stutter" else (0.3, 0.6, 1.2, 2.5)
        for_s = plan.ttl_s * random.choice(shares)
        return Fault(at_s, kind, (f"c{random.randint(1, plan.clients)}",), for_s, random.random())
    if kind in ("cut", "partition", "hub", "clog", "client-cut"):
        links, times = _links(plan, random, kind)
        return Fault(at_s, kind, tuple(f"{a}>{b}" for a, b in links), times * short_s)
    return _fault_of_nodes(plan, random, Fault(at_s, kind, (random.choice(list(plan.roles)),), short_s))


def _aimed(plan: Plan, random: Random, fault: Fault) -> Fault:
    """Whom it hits is found out when it strikes."""
    match fault.kind:
        case "pause-leader":
            return replace(fault, for_s=plan.election_s * random.choice((0.5, 1.0, 1.5, 3.0, 8.0)))
        case "kill-leader" | "wipe-leader" | "roll-back-leader":
            return fault
        case "depose-leader":
            return replace(fault, for_s=plan.election_s * random.uniform(3, 6), amount=random.random())
        case _:
            return replace(fault, for_s=plan.election_s * random.uniform(0.5, 5.0), amount=random.random())


def _links(plan: Plan, random: Random, kind: str) -> tuple[list[tuple[str, str]], int]:
    """Which links it is about, and how many times as long as others it lasts."""
    nodes = list(plan.roles)
    one = random.choice(nodes)
    other = random.choice([node for node in nodes if node != one])
    match kind:
        case "cut":
            return [(one, other), (other, one)][: random.randint(1, 2)], 3
        case "partition":
            side = random.sample(nodes, random.randint(1, len(nodes) - 1))
            one_way = random.random() < 0.3
            return [
                (a, b) for a in nodes for b in nodes if (a in side) != (b in side) and (a in side or not one_way)
            ], 2
        case "hub":
            return [(a, b) for a in nodes for b in nodes if a != b and one not in (a, b)], 3
        case "clog":
            return [(one, other)], 1
        case _:
            client = f"c{random.randint(1, plan.clients)}"
            cut_off = random.sample(nodes, random.randint(1, len(nodes)))
            return [link for node in cut_off for link in ((client, node), (node, client))], 1


def _fault_of_nodes(plan: Plan, random: Random, fault: Fault) -> Fault | None:
    """`fault` has one node and a short time already."""
    short_s, t_e = fault.for_s, plan.election_s
    match fault.kind:
        case "crash-in-turn":
            return replace(fault, amount=float(random.randint(0, 12)))
        case "power":
            nodes = list(plan.roles)
            struck = nodes if random.random() < 0.3 else random.sample(nodes, random.randint(1, len(nodes)))
            return replace(fault, targets=tuple(struck))
        case "pause":
            return replace(fault, for_s=random.choice((short_s, 10 * t_e)))
        case "nearly-full":  # commands are refused, or nothing new is taken at all
            nodes = list(plan.roles)
            struck = nodes if random.random() < 0.5 else random.sample(nodes, random.randint(1, len(nodes)))
            return replace(fault, targets=tuple(struck), for_s=4 * short_s, amount=random.random())
        case "slow-disk":
            return replace(fault, for_s=3 * short_s, amount=random.choice((0.1, 0.5, 2.0)))
        case "wipe" | "roll-back":
            return fault
        case "copy":  # a frame of the copy that is repeated a minute later shuts its node out once more (`lives.py`)
            return None if plan.repeat else replace(fault, amount=random.random())
        case "lose-two" | "swap":
            return replace(fault, targets=tuple(random.sample(list(plan.roles), 2)))
        case "coups":
            return replace(fault, targets=(), for_s=t_e * random.uniform(4, 12), amount=t_e * random.random())
        case "loss":
            return replace(fault, targets=(), for_s=2 * short_s, amount=random.choice((0.3, 0.7)))
        case "lag":
            return replace(fault, for_s=3 * short_s, amount=t_e * random.uniform(0.1, 1.5))
        case _:
            return replace(fault, amount=random.random())
