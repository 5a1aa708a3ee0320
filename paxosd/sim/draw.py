"""The plan of a seed: what kind of cluster in what kind of world, and which faults come when.

Laws:
1. A plan is drawn from its seed alone.
2. Each seed draws its own mix of faults ("swarm testing", Groce et al. 2012): a world in which everything happens
   at once hides what happens when only two things meet.
3. A family is about one thing. It says which faults come and what the cluster and its clients are like, so that what it
   is about happens all the time (`FAMILIES`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from paxosd.sim.plan import VOTING, Fault, Plan

FAULTS_S = 40.0
"""How long the first phase lasts, in simulated seconds."""

FAULT_EVERY_S = 2.5
"""The mean time between two faults."""

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

KINDS = (
    "kill",  # one process ends; its page cache stays
    "stop",  # one process is asked to end: it finishes what it took and hands over
    "power",  # any number of nodes lose what was not synced
    "crash-in-turn",  # a process ends between two effects of one turn, with or without power
    "crash-in-recovery",  # a process ends again and again before its first turn
    "pause",  # a process stands still, its clock goes on
    "slow-disk",
    "disk-error",  # a commit fails with EIO or ENOSPC
    "bit-flip",  # a stored row can no longer be read
    "wipe",  # a node starts from an empty directory, unless nobody else knows what is lost
    "roll-back",  # a node starts from its directory as it was some time ago, under the same condition
    "lose-two",  # two nodes are wiped at once
    "swap",  # two nodes find each other's directories
    "copy",  # a copy of a directory runs somewhere else for a while, beside its node
    "cut",  # one link, one way or both
    "partition",  # two groups
    "hub",  # every link but those to one node
    "coups",  # whoever prepares is soon heard by a few only: leader after leader leaves a few votes behind
    "clog",  # a link holds back what is sent and lets it all through later
    "loss",
    "client-cut",  # a client reaches only some gateways
    "garbage",  # bytes that are no frame
    "pause-leader",  # these are aimed at whoever leads when they strike
    "kill-leader",
    "cut-leader",  # from some of the others or from all, one way or both; clients still reach it
    "clog-leader",  # what it sends, or what it is sent, comes later
    "depose-leader",  # another one is elected, and it hears of it late
    "wipe-leader",
    "roll-back-leader",
    "lag",  # all that a node is told comes later, in order
)
AIMED = ("pause-leader", "kill-leader", "cut-leader", "clog-leader", "depose-leader")
LOSSES = ("wipe", "wipe-leader", "lose-two", "roll-back", "roll-back-leader", "swap", "copy")


@dataclass(frozen=True, slots=True)
class Family:
    """Which faults may come, and what of a plan is drawn otherwise than elsewhere. `mainly`: every other fault is this
    one. `rivals`: there are two at least who may lead. `every_s`: the mean time between two faults."""

    faults: tuple[str, ...]
    shape: Callable[[Plan, Random], Mapping[str, Any]] = lambda plan, random: {}
    mainly: str = ""
    rivals: bool = False
    every_s: float = FAULT_EVERY_S


def _much_read(plan: Plan, random: Random) -> Mapping[str, Any]:
    """Two calls of three read, and single frames are late by some election timeouts."""
    return {
        "reads": 2 / 3,
        "late": random.choice((0.0, 0.01, 0.05)),
        "late_s": plan.election_s * random.choice((1.0, 3.0, 6.0)),
        "loss": 0.0,
        "repeat": 0.0,
        "think_s": random.choice((0.1, 0.2, 0.4)),
        "clients": random.randint(4, 7),
        "pinned": True,
        "sessions": 64,
        "sync_s": random.choice((0.0002, 0.002, 0.05)),
    }


def _flexible(plan: Plan, random: Random) -> Mapping[str, Any]:
    """Quorums of two sizes that must meet, and weights in every other cluster."""
    voters = [node for node, role in plan.roles.items() if role in VOTING]
    weights = {node: random.choice((1, 1, 2, 3)) for node in voters} if random.random() < 0.5 else {}
    total = sum(weights.get(node, 1) for node in voters)
    accept = random.choice([size for size in range(1, total + 1) if size != total // 2 + 1])
    return {
        "weights": weights,
        "quorum": (total - accept + 1, accept),
        "reads": random.choice((0.25, 0.5)),
        "late": random.choice((0.0, 0.02)),
        "late_s": 3 * plan.election_s,
        "think_s": random.choice((0.2, 0.4)),
        "clients": random.randint(3, 5),
        "pinned": True,
    }


def _paged(plan: Plan, random: Random) -> Mapping[str, Any]:
    """Pages of a few values, some of which are larger than a page, and much to catch up with."""
    page_bytes = random.choice((300, 1000, 2000))
    return {
        "page_bytes": page_bytes,
        "value_bytes": random.choice((page_bytes // 2, page_bytes, 2 * page_bytes)),
        "edge_bytes": random.choice((page_bytes // 3, page_bytes)),
        "command_bytes": 20,
        "window_slots": random.choice((8, 64)),
        "pending_bytes": 1 << 20,
        "reads": random.choice((0.25, 0.5)),
        "think_s": random.choice((0.1, 0.2)),
    }


def _watched(plan: Plan, random: Random) -> Mapping[str, Any]:
    """Every client watches, some more than they take; now and then what they lack is gone when they come for it."""
    return {
        "watches": random.choice((2, 4)),
        "window": random.choice((40, 200)),
        "credit_bytes": random.choice((600, 600, 5000)),
        "think_s": random.choice((0.2, 0.4)),
        "clients": random.randint(2, 3),
        "command_bytes": 20,
        "loss": 0.0,
        "jitter_s": random.choice((0.0005, 0.005)),
        "pinned": random.random() < 0.3,
        "sessions": 64,
    }


def _with_keys(plan: Plan, random: Random) -> Mapping[str, Any]:
    """Most calls are about keys; every client watches some, and wants locks and the like."""
    return {
        "keys": random.choice((0.7, 0.9)),
        "turns": random.choice((0, 1, 2)),
        "ttl_s": plan.election_s * random.choice((2.0, 4.0)),
        "reads": random.choice((0.3, 0.5)),
        "watches": random.choice((1, 2)),
        "window": random.choice((60, 300)),
        "credit_bytes": random.choice((600, 5000)),
        "think_s": random.choice((0.3, 0.5)),
        "clients": random.randint(3, 4),
        "command_bytes": 20,
        "jitter_s": random.choice((0.0005, 0.005)),
        "drift": random.choice((0.0, 0.05)),
        "pinned": random.random() < 0.3,
        "sessions": 5000,
    }


FAMILIES: Mapping[str, Family] = {
    "swarm": Family(KINDS),
    "crash": Family(("kill", "stop", "power", "crash-in-turn", "crash-in-recovery", "pause", "wipe", "roll-back")),
    "disk": Family(("power", "crash-in-turn", "slow-disk", "disk-error", "bit-flip", "kill")),
    "network": Family(("cut", "partition", "hub", "coups", "clog", "loss", "client-cut", "garbage")),
    "reads": Family(
        (*AIMED, *AIMED, "lag", "lag", "kill", "pause", "cut", "stop", "coups"), _much_read, "depose-leader", True, 4.0
    ),
    "quorums": Family((*AIMED, "kill", "power", "cut", "partition", "hub", "coups"), _flexible),
    "pages": Family((*AIMED, "kill", "power", "pause", "cut", "partition", "coups", "wipe"), _paged),
    "space": Family(("nearly-full", "kill", "stop", "power", "pause", "cut", "loss"), mainly="nearly-full"),
    "disks": Family((*LOSSES, *LOSSES, "kill", "power", "pause-leader", "cut", "partition", "coups")),
    "watches": Family(
        (*AIMED, "kill", "kill", "stop", "power", "pause", "cut", "client-cut", "client-cut", "coups", "wipe", "loss"),
        _watched,
    ),
    "keys": Family(
        (*AIMED, "kill", "kill", "stop", "power", "pause", "cut", "client-cut", "client-cut", "coups", "wipe", "loss"),
        _with_keys,
    ),
    "quiet": Family(()),
}
"""By the name that is given to `--profile`."""


def draw(seed: int, profile: str = "swarm", nodes: int | None = None) -> Plan:
    """The plan of a seed; `nodes` (3 to 7) fixes the size of the cluster, None draws it."""
    random = Random(f"{profile}-{nodes}-{seed}")
    family = FAMILIES[_family(profile, random)]
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


def _family(profile: str, random: Random) -> str:
    """Every other seed of the swarm keeps to one family: crashes all the time end what only slow links bring about."""
    if profile == "swarm" and random.random() < 0.5:
        return random.choice([name for name in FAMILIES if name not in ("swarm", "space", "watches", "keys", "quiet")])
    return profile


def _fault(plan: Plan, random: Random, kind: str, at_s: float) -> Fault | None:
    short_s = random.expovariate(1 / (2 * plan.election_s))
    if kind.endswith("-leader"):
        return _aimed(plan, random, Fault(at_s, kind, (), short_s))
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
