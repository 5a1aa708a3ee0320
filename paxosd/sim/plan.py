"""What one seed does: the cluster, how bad its world is, and which faults come when.

Laws:
1. A plan is data, drawn from its seed alone. The same plan gives the same run, byte for byte.
2. Each seed draws its own mix of faults ("swarm testing", Groce et al. 2012): a world in which everything happens
   at once hides what happens when only two things meet.
3. Faults are listed beforehand, so that a failing plan can be shrunk by leaving some out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from random import Random

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

VOTING = ("acceptor", "replica")

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
    "roll-back",  # a proposer or pure learner starts from its directory as it was some time ago
    "cut",  # one link, one way or both
    "partition",  # two groups
    "hub",  # every link but those to one node
    "coups",  # whoever prepares is soon heard by a few only: leader after leader leaves a few votes behind
    "clog",  # a link holds back what is sent and lets it all through later
    "loss",
    "client-cut",  # a client reaches only some gateways
    "garbage",  # bytes that are no frame
)

PROFILES: Mapping[str, tuple[str, ...]] = {
    "swarm": KINDS,
    "crash": ("kill", "stop", "power", "crash-in-turn", "crash-in-recovery", "pause", "wipe", "roll-back"),
    "disk": ("power", "crash-in-turn", "slow-disk", "disk-error", "bit-flip", "kill"),
    "network": ("cut", "partition", "hub", "coups", "clog", "loss", "client-cut", "garbage"),
    "quiet": (),
}

KEEP_ENTRIES = (0,)
"""How much of the log is kept. All of it: where it is not, a learner that is far behind needs a snapshot."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something bad from `at_s` on, for `for_s` seconds. `amount` is a probability, a delay or a count, by kind."""

    at_s: float
    kind: str
    targets: tuple[str, ...]
    for_s: float
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. Times are in simulated seconds, sizes in bytes, chances between 0 and 1."""

    seed: int
    profile: str
    roles: Mapping[str, str]
    weights: Mapping[str, int]
    quorum: tuple[int, int]
    election_s: float
    heartbeat_s: float
    retry_s: float
    ping_s: float
    window_slots: int
    value_bytes: int
    page_bytes: int
    pending_bytes: int
    sessions: int
    delay_s: float
    jitter_s: float
    loss: float
    repeat: float
    replay_s: float
    sync_s: float
    drift: float
    clients: int
    think_s: float
    timeout_s: float
    command_bytes: int
    faults_s: float
    faults: tuple[Fault, ...]
    keep_entries: int = 0  # how much of the log is kept at least; 0: all of it

    def config_text(self) -> str:
        """The membership file of this cluster."""
        lines = ["cluster: simulated", "transport: zeromq", "nodes:"]
        for node, role in self.roles.items():
            client = f', client: "{node}:7100"' if role in ("learner", "replica") else ""
            weight = f", weight: {self.weights[node]}" if node in self.weights else ""
            lines.append(f'  {node}: {{role: {role}, address: "{node}:7000"{client}{weight}}}')
        majority = sum(self.weights.get(node, 1) for node in self.roles if self.roles[node] in VOTING) // 2 + 1
        sizes = f"{{prepare: {self.quorum[0]}, accept: {self.quorum[1]}}}"
        lines.append(f"quorum: {'majority' if self.quorum == (majority, majority) else sizes}")
        times = {"heartbeat": self.heartbeat_s, "election": self.election_s, "retry": self.retry_s, "ping": self.ping_s}
        lines.append(f"timing: {{{', '.join(f'{name}: {round(value * 1000)}ms' for name, value in times.items())}}}")
        limits = {
            "command_bytes": 4096,
            "value_bytes": self.value_bytes,
            "window_slots": self.window_slots,
            "window_bytes": 5 * self.value_bytes,
            "pending_bytes": self.pending_bytes,
            "sessions": self.sessions,
            "page_bytes": self.page_bytes,
        }
        lines.append(f"limits: {{{', '.join(f'{name}: {value}' for name, value in limits.items())}}}")
        if self.keep_entries:
            lines.append(f"log: {{keep_entries: {self.keep_entries}}}")
        return "\n".join([*lines, ""])

    def to_json(self) -> str:
        """One line, to be read by `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that was written by `to_json`; raises ValueError, KeyError or TypeError if it is none."""
        fields = json.loads(text)
        fields["faults"] = tuple(Fault(**{**fault, "targets": tuple(fault["targets"])}) for fault in fields["faults"])
        fields["quorum"] = tuple(fields["quorum"])
        return cls(**fields)


def draw(seed: int, profile: str = "swarm", nodes: int | None = None) -> Plan:
    """The plan of a seed; `nodes` (3 to 7) fixes the size of the cluster, None draws it."""
    random = Random(f"{profile}-{nodes}-{seed}")
    size = nodes if nodes is not None else random.choice((3, 3, 4, 5, 5, 5, 6, 7))
    roles = _roles(random.choice(LAYOUTS[size]))
    voters = [node for node, role in roles.items() if role in VOTING]
    weights = {node: random.choice((1, 1, 1, 2)) for node in voters} if random.random() < 0.15 else {}
    harsh = profile != "quiet"
    election_s = random.choice((0.6, 1.0, 1.5))
    plan = Plan(
        seed=seed,
        profile=profile,
        roles=roles,
        weights=weights,
        quorum=_quorum(random, [weights.get(node, 1) for node in voters]),
        election_s=election_s,
        heartbeat_s=election_s / random.choice((3, 4, 5)),
        retry_s=election_s / random.choice((1.5, 2, 4)),
        ping_s=random.choice((3.0, 10.0)),
        window_slots=random.choice((1, 3, 8, 64)),
        value_bytes=random.choice((200, 1000, 65536)),
        page_bytes=random.choice((300, 2000, 65536)),
        pending_bytes=random.choice((5000, 65536, 1 << 20)),
        sessions=random.choice((3, 64, 64)),
        delay_s=random.choice((0.0002, 0.001, 0.01)),
        jitter_s=random.choice((0.0005, 0.005, 0.05)),
        loss=random.choice((0.0, 0.0, 0.01, 0.1)) if harsh else 0.0,
        repeat=random.choice((0.0, 0.0, 0.05)) if harsh else 0.0,
        replay_s=random.choice((0.1, 5.0, 60.0)),
        sync_s=random.choice((0.0002, 0.002, 0.02)),
        drift=random.choice((0.0, 0.05)),
        clients=random.randint(2, 4),
        think_s=random.choice((0.5, 0.8, 1.2)),
        timeout_s=election_s * random.choice((2, 5, 12)),
        command_bytes=random.choice((20, 20, 600)),
        faults_s=FAULTS_S,
        faults=(),
    )
    keep_entries = Random(f"kept-{profile}-{nodes}-{seed}").choice(KEEP_ENTRIES)
    return replace(plan, faults=tuple(_faults(plan, random)), keep_entries=keep_entries)


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


def _faults(plan: Plan, random: Random) -> list[Fault]:
    family = _family(plan.profile, random)
    kinds = [kind for kind in family if random.random() < 0.5]
    if not kinds and family:
        kinds = [random.choice(family)]
    faults: list[Fault] = []
    at_s = 1.0
    flips = 0
    while kinds and (at_s := at_s + random.expovariate(1 / FAULT_EVERY_S)) < plan.faults_s:
        kind = random.choice(kinds)
        if kind == "bit-flip":
            flips += 1
            if flips > 1:  # a damaged directory is a node lost for good, and some quorum has to stay
                continue
        fault = _fault(plan, random, kind, at_s)
        if fault is not None:
            faults.append(fault)
    return faults


def _family(profile: str, random: Random) -> tuple[str, ...]:
    """Every other seed of the swarm keeps to one family: crashes all the time end what only slow links bring about."""
    if profile == "swarm" and random.random() < 0.5:
        profile = random.choice(("crash", "disk", "network"))
    return PROFILES[profile]


def _fault(plan: Plan, random: Random, kind: str, at_s: float) -> Fault | None:
    nodes = list(plan.roles)
    one = random.choice(nodes)
    short_s = random.expovariate(1 / (2 * plan.election_s))
    match kind:
        case "kill" | "stop" | "disk-error" | "crash-in-recovery" | "bit-flip":
            return Fault(at_s, kind, (one,), short_s, random.random())
        case "crash-in-turn":
            return Fault(at_s, kind, (one,), short_s, float(random.randint(0, 12)))
        case "power":
            struck = nodes if random.random() < 0.3 else random.sample(nodes, random.randint(1, len(nodes)))
            return Fault(at_s, kind, tuple(struck), short_s)
        case "pause":
            return Fault(at_s, kind, (one,), random.choice((short_s, 10 * plan.election_s)))
        case "slow-disk":
            return Fault(at_s, kind, (one,), 3 * short_s, random.choice((0.1, 0.5, 2.0)))
        case "wipe":
            return Fault(at_s, kind, (one,), short_s)
        case "roll-back":
            forgetful = [node for node, role in plan.roles.items() if role in ("proposer", "learner")]
            return Fault(at_s, kind, (random.choice(forgetful),), short_s) if forgetful else None
        case "cut":
            other = random.choice([node for node in nodes if node != one])
            both = random.random() < 0.5
            return Fault(at_s, kind, (f"{one}>{other}", *([f"{other}>{one}"] if both else [])), 3 * short_s)
        case "partition":
            side = random.sample(nodes, random.randint(1, len(nodes) - 1))
            links = [f"{a}>{b}" for a in nodes for b in nodes if (a in side) != (b in side)]
            if random.random() < 0.3:  # one way only
                links = [link for link in links if link.split(">")[0] in side]
            return Fault(at_s, kind, tuple(links), 2 * short_s)
        case "hub":
            links = [f"{a}>{b}" for a in nodes for b in nodes if a != b and one not in (a, b)]
            return Fault(at_s, kind, tuple(links), 3 * short_s)
        case "coups":
            return Fault(at_s, kind, (), plan.election_s * random.uniform(4, 12), plan.election_s * random.random())
        case "clog":
            other = random.choice([node for node in nodes if node != one])
            return Fault(at_s, kind, (f"{one}>{other}",), short_s)
        case "loss":
            return Fault(at_s, kind, (), 2 * short_s, random.choice((0.3, 0.7)))
        case "client-cut":
            client = f"c{random.randint(1, plan.clients)}"
            cut_off = random.sample(nodes, random.randint(1, len(nodes)))
            return Fault(at_s, kind, tuple(f"{a}>{b}" for n in cut_off for a, b in ((client, n), (n, client))), short_s)
        case _:
            return Fault(at_s, "garbage", (one,), 0.0, random.random())
