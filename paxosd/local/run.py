"""An experiment on a local cluster: many requests, perhaps the leader's death in their middle, and an audit.

Laws:
1. Every request is told apart from all others, those of earlier runs included.
2. The audit waits until every learner has applied all that was acknowledged, and reads the files of stopped nodes.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from paxosd.client import Client, Future
from paxosd.client.errors import PaxosError
from paxosd.core.types import NodeId, Revision
from paxosd.local.audit import LearnerAudit, audit
from paxosd.local.cluster import LocalCluster

WINDOW = 1000
"""How many requests are under way at once, at most."""

REQUEST_TIMEOUT_S = 60.0
CATCHES_UP_WITHIN_S = 30.0


@dataclass(slots=True)
class ExperimentResult:
    """What came out of a run; `problems` is empty if all is well."""

    requests: int
    acknowledged: int = 0
    seconds: float = 0.0
    killed: NodeId = ""
    took_over: NodeId = ""
    learned: list[LearnerAudit] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    lives_uncounted: int = 0
    problems: list[str] = field(default_factory=list)


def run(
    cluster: LocalCluster,
    requests: int,
    kill_leader: bool,
    note: Callable[[str], None],
    progress: Callable[[int], None],
) -> ExperimentResult:
    """Propose so many values, stop the cluster, and check what every learner has.

    `note` is told what happens, `progress` how many requests have an answer. Raises `Unavailable` if no node leads.
    """
    result = ExperimentResult(requests)
    note(f"{cluster.leader()} leads {len(cluster.pids)} nodes; proposing {requests} values")
    started = time.monotonic()
    with cluster.client(timeout=REQUEST_TIMEOUT_S) as client:
        load = Load(client, requests, progress)
        if kill_leader:
            _kill_the_leader(cluster, load, requests, result, note)
        load.propose_until(requests)
        load.settle()
    result.seconds = time.monotonic() - started
    result.acknowledged = len(load.acknowledged)
    if load.failures:
        unanswered = requests - result.acknowledged
        result.problems.append(f"{unanswered} of {requests} requests were not acknowledged: {load.failures[0]}")
    result.problems += _await_everybody(cluster, result.killed, max(load.acknowledged.values(), default=0))
    cluster.stop()
    result.sent, result.lives_uncounted = cluster.sent, cluster.lives_uncounted
    result.problems += [f"{node} ended by itself" for node in cluster.died]
    result.learned = audit(cluster.config, cluster.data_dir, load.proposed, load.acknowledged)
    result.problems += [learned.complaint for learned in result.learned if learned.complaint]
    return result


class Load:
    """Proposes values, a window of them at a time, and notes what became of each; after a failure no more."""

    def __init__(self, client: Client, requests: int, progress: Callable[[int], None]) -> None:
        self.window = max(1, min(WINDOW, requests // 4))
        self.proposed: set[bytes] = set()
        self.acknowledged: dict[bytes, Revision] = {}
        self.failures: list[PaxosError] = []
        self._client = client
        self._name = secrets.token_hex(4)
        self._progress = progress
        self._under_way: deque[tuple[bytes, Future]] = deque()

    def propose_until(self, count: int) -> None:
        """Propose until there are so many in all; the latest of them are still under way."""
        while len(self.proposed) < count and not self.failures:
            if len(self._under_way) == self.window:
                self._settle_one()
            value = b"%s-%d" % (self._name.encode(), len(self.proposed) + 1)
            self.proposed.add(value)
            try:
                self._under_way.append((value, self._client.propose_async(value)))
            except PaxosError as error:
                self.failures.append(error)

    def settle(self) -> None:
        """Wait for every answer."""
        while self._under_way:
            self._settle_one()

    def _settle_one(self) -> None:
        value, future = self._under_way.popleft()
        try:
            self.acknowledged[value] = future.result().revision
        except PaxosError as error:
            self.failures.append(error)
        self._progress(len(self.acknowledged))


def _kill_the_leader(
    cluster: LocalCluster, load: Load, requests: int, result: ExperimentResult, note: Callable[[str], None]
) -> None:
    """In the middle of the run, with a window of requests under way; restart it once another node leads."""
    load.propose_until(requests // 2)
    result.killed = cluster.leader()
    load.propose_until(requests // 2 + load.window)
    cluster.kill(result.killed)
    killed_at = time.monotonic()
    note(f"{result.killed} led, and was killed with {load.window} requests under way")
    result.took_over = cluster.leader(other_than=result.killed)
    note(f"{result.took_over} took over within {time.monotonic() - killed_at:.1f} s; {result.killed} is started again")
    cluster.restart(result.killed)


def _await_everybody(cluster: LocalCluster, killed: NodeId, revision: Revision) -> Iterator[str]:
    """Wait for the killed node to be back and for every learner to catch up; what did not happen in time."""
    if killed:
        try:
            cluster.await_back(killed)
        except PaxosError as error:
            yield str(error)
    for learner in cluster.gateways:
        # A learner answers a linearizable read once it has applied all that was acknowledged before.
        with cluster.client(learner, timeout=CATCHES_UP_WITHIN_S) as client:
            try:
                next(client.log(start=max(1, revision)), None)
            except PaxosError as error:
                yield f"{learner} did not catch up within {CATCHES_UP_WITHIN_S:.0f} s: {error}"
