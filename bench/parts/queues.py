"""Queue mode: nodes that are processes on one machine and speak over queues, beside `paxos` 0.1, which has no disk.

Both have three acceptors and two learners. Ours has two proposers and syncs every value; `paxos` 0.1 has one proposer,
one attempt for each value, and forgets everything. It does most with few in flight: all pass through one thread, which
first takes in what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.loads import WARM_UP_S, Done, Load, ends, in_window, one_by_one
from bench.peers import paxos01
from bench.plan import Options, Report, Subject
from bench.processes import together
from paxosd import Client

PART = "queue mode"
OURS, THEIRS = "paxosd, queues", "paxos 0.1"
THEIR_WINDOWS = 1, 10


def _ours(options: Options, report: Report) -> None:
    for window in ends(options.windows):
        load = Load("propose", window, options.seconds, options.value_bytes)
        (done,) = together(_client, [(load,)], options.seconds + 10)
        report.rate(load.name, done.count, options.seconds, done.took_s)


def _client(load: Load, begin: Callable[[], Any]) -> Done:
    value = bytes(load.value_bytes)
    with Client.local(timeout=30) as client:

        def loaded(seconds: float) -> Done:
            if load.window == 1:
                return one_by_one(lambda: client.propose(value), seconds)
            return in_window(lambda: client.propose_async(value), load.window, seconds)

        loaded(WARM_UP_S)
        begin()
        return loaded(load.seconds)


def _theirs(options: Options, report: Report) -> None:
    for window in THEIR_WINDOWS:
        paxos01.measure(report, Load("propose", window, options.seconds, options.value_bytes))


def subjects(options: Options) -> list[Subject]:
    """Ours, and the peer."""
    seconds = 2 * (options.seconds + 4)
    return [
        Subject(PART, OURS, seconds, _ours, rounds=2),
        Subject(PART, THEIRS, seconds, _theirs, (paxos01.PAXOS_01,), rounds=2),
    ]
