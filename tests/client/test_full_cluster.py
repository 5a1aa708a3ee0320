"""Sessions at full speed against a model of a cluster that serves so many bytes a second: a real intake in front of a
line of that speed. What can be served is, little of it twice, and no call ends in doubt.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from itertools import count
from random import Random

import pytest

from paxosd.client.calls import Command
from paxosd.client.session import Session
from paxosd.core.intake import Intake
from paxosd.core.messages import Applied, Forward, FromClient, OpenSession, Propose, Refused, SessionOpened
from paxosd.core.messages import ToClient as Answer
from paxosd.core.options import Limits
from paxosd.core.reasons import Reason
from paxosd.core.types import SessionId
from paxosd.core.values import Batch
from paxosd.gateway.refusing import Refusing

LIMITS = Limits()
TURN_S = 0.005
HOP_S = 0.001
COMMIT_S = 0.02
VALUE_BYTES = 20_000
MEGABYTE = 1 << 20


class Cluster:
    """A gateway, and a leader whose line carries `rate` bytes a second."""

    def __init__(self, rate: float) -> None:
        self.served_bytes = 0
        self.wasted_bytes = 0
        self._rate = rate
        self._intake = Intake(LIMITS.pending_bytes_max, LIMITS.value_bytes_max)
        self._refusing = Refusing()
        self._clients: dict[SessionId, int] = {}
        self._next_seq: dict[SessionId, int] = {}
        self._slots = count(1)
        self._free_at = 0.0
        self._under_way: deque[tuple[float, int, list[Batch]]] = deque()
        self._answers: list[tuple[float, int, int, Answer]] = []
        self._count = count()

    def take(self, client: int, message: FromClient, now: float) -> None:
        if isinstance(message, OpenSession):
            session = message.wish
            self._clients[session], self._next_seq[session] = client, 1
            return self._tell(session, SessionOpened(message.wish, session, ""), now)
        assert isinstance(message, Propose)
        about = message.session, message.attempt, message.first_seq, message.count
        refused: Reason | None = Reason.OVERLOADED
        if not self._refusing.refuses(message.session, message.acknowledged, message.first_seq, now):
            forward = Forward(*about[:2], message.acknowledged, *about[2:], message.body)
            refused = self._intake.add("l1", forward, now)
            if refused is not None:
                self._refusing.heard(refused, message.session, message.first_seq, now)
        if refused is not None:
            self._tell(message.session, Refused(*about, refused, 0, ""), now)

    def turn(self, now: float) -> None:
        in_flight = sum(len(batch.body) for _, _, batches in self._under_way for batch in batches)
        while self._intake and in_flight < LIMITS.window_bytes_max:
            slot = next(self._slots)
            batches = self._intake.take(slot, now)
            size = sum(len(batch.body) for batch in batches)
            in_flight += size
            self._free_at = max(self._free_at, now) + size / self._rate
            self._under_way.append((self._free_at + COMMIT_S, slot, batches))
        while self._under_way and self._under_way[0][0] <= now:
            _, slot, batches = self._under_way.popleft()
            self._intake.chosen(slot)
            for batch in batches:
                self._apply(slot, batch, now)

    def _apply(self, slot: int, batch: Batch, now: float) -> None:
        expected, stop = self._next_seq[batch.session], batch.first_seq + batch.count
        if not expected <= stop - 1 or batch.first_seq > expected:
            self.wasted_bytes += len(batch.body)
        else:
            self.served_bytes += len(batch.body) * (stop - expected) // batch.count
        if batch.first_seq > expected:
            gap = Refused(batch.session, 0, batch.first_seq, batch.count, Reason.GAP, expected, "")
            return self._tell(batch.session, gap, now)
        self._next_seq[batch.session] = max(expected, stop)
        self._tell(batch.session, Applied(batch.session, batch.first_seq, batch.count, 1, slot, ""), now)

    def _tell(self, session: SessionId, answer: Answer, now: float) -> None:
        heapq.heappush(self._answers, (now + HOP_S, next(self._count), self._clients[session], answer))

    def answers(self, now: float) -> list[tuple[int, Answer]]:
        found = []
        while self._answers and self._answers[0][0] <= now:
            _, _, client, answer = heapq.heappop(self._answers)
            found.append((client, answer))
        return found


def full_speed(clients: int, rate: float, seconds: float, timeout_s: float) -> tuple[Cluster, Counter[str]]:
    """What became of everything that these clients could propose in this time, and of the cluster."""
    cluster = Cluster(rate)
    sessions = [Session(["tcp://l1:7100"], Random(number)) for number in range(clients)]
    calls: list[Command] = []
    now = 100.0
    until = now + seconds
    while now < until:
        for number, session in enumerate(sessions):
            while not session.is_full:
                calls.append(Command(bytes(VALUE_BYTES), now + timeout_s))
                session.propose(calls[-1])
            for message in session.poll(now):
                cluster.take(number, message, now)
        cluster.turn(now)
        for number, answer in cluster.answers(now):
            sessions[number].receive(answer, now)
        now += TURN_S
    became: Counter[str] = Counter()
    for call in calls:
        if call.done:
            became["acked" if call.error is None else type(call.error).__name__] += 1
    return cluster, became


@pytest.mark.parametrize("clients", [1, 5, 30])
def test_o01_a_full_cluster_serves_all_that_it_can_and_leaves_no_call_in_doubt(clients: int) -> None:
    rate, seconds = 8 * MEGABYTE, 8.0
    cluster, became = full_speed(clients, rate, seconds, timeout_s=3.0)

    assert cluster.served_bytes > 0.9 * rate * seconds
    assert cluster.wasted_bytes < 0.1 * rate * seconds
    assert set(became) <= {"acked", "Overloaded"}
