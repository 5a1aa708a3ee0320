"""What one run does: the cluster, how bad its world is, and which faults come when.

Laws:
1. A plan is data. The same plan gives the same run, byte for byte.
2. Faults are listed beforehand, so that a failing plan can be shrunk by leaving some out. Only whom an aimed one hits,
   whoever leads at that moment, is found out on the way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

VOTING = ("acceptor", "replica")


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
    """One run. Times are in simulated seconds, sizes in bytes, chances between 0 and 1.

    `pinned`: every other client knows one gateway only, until the faults end. `reads`: how many calls of all are reads.
    `late`: how many frames between nodes come up to `late_s` late, each by itself. `edge_bytes`: every other command is
    about so long; 0: none is.
    """

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
    late: float
    late_s: float
    sync_s: float
    drift: float
    clients: int
    pinned: bool
    think_s: float
    timeout_s: float
    command_bytes: int
    edge_bytes: int
    reads: float
    faults_s: float
    faults: tuple[Fault, ...]
    keep_entries: int = 0  # how much of the log is kept at least; 0: all of it
    keys: float = 0.0  # how many of all calls are about keys; where there are any, the keys are mounted beside the log
    turns: int = 0  # how many courses of each client want locks and the like
    recipes: int = 0  # how many of the other recipes the clients use: queues, counters, barriers, parties
    reentrant: int = 0  # how many callers of each client share one lock, which each takes again while it has it
    lookers: int = 0  # how many clients only watch, and look now and then at what they must have seen
    ttl_s: float = 0.0  # how long leases run, about
    watches: int = 0  # of each client: of keys, or else of the log, which is then a machine that can be watched
    window: int = 0  # of the latest revisions that can be watched
    credit_bytes: int = 0  # how much a gateway may tell before it is taken

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
