"""The families of seeds: each is about one thing. It says which faults come, and what the cluster and its clients are
like, so that what it is about happens all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from paxosd.sim.plan import VOTING, Plan

FAULT_EVERY_S = 2.5
"""The mean time between two faults."""

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
OF_CLIENTS = (
    "client-pause",  # a client stands still, its clock goes on
    "client-stutter",  # it stands still again and again, and runs for moments only
    "client-kill",  # its process ends without a word, and another one begins in its place
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
        "turns": random.choice((0, 1, 2, 2)),
        "recipes": 3,
        "lookers": random.choice((0, 1)),
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


def _with_locks(plan: Plan, random: Random) -> Mapping[str, Any]:
    """The same, but callers of each client share a lock that whoever has it takes again."""
    return {
        **_with_keys(plan, random),
        "recipes": 0,
        "lookers": 0,
        "turns": 1,
        "reentrant": random.choice((2, 3)),
        "clients": random.randint(2, 3),
    }


_WHERE_KEYS_ARE = (
    *(*AIMED, "kill", "kill", "stop", "power", "pause", "cut", "client-cut", "client-cut", "coups", "wipe"),
    *("loss", "lag", *OF_CLIENTS, "client-stutter"),
)

FAMILIES: Mapping[str, Family] = {
    "swarm": Family(KINDS),
    "wide": Family(KINDS),
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
    "keys": Family(_WHERE_KEYS_ARE, _with_keys),
    "locks": Family(_WHERE_KEYS_ARE, _with_locks),
    "quiet": Family(()),
}
"""By the name that is given to `--profile`."""
