"""`paxos` 0.1: roles as processes that speak over queues, as `paxosd local` does. Nothing of it is on disk.

One proposer, three acceptors and two learners. A value counts when both learners have told that they learned it.
What it prints about every message goes nowhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from bench.loads import Done, Load
from bench.plan import Needed, Report
from bench.processes import together

PAXOS_01 = Needed("paxos", lambda: "" if find_spec("paxos") else "paxos 0.1 is not installed (bench/peers/install.sh)")
LOOK_EVERY_S = 0.0005
READY_WITHIN_S = 30.0


def measure(report: Report, load: Load) -> None:
    """A fresh system, and one load of it."""
    done = together(_system, [(load,)], load.seconds)[0]
    report.rate(load.name, done.count, load.seconds, done.took_s)


def _system(load: Load, begin: Callable[[], Any]) -> Done:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)  # its threads do not like to be ended
    from paxos import SystemConfig  # noqa: PLC0415 (a peer that may be absent)
    from paxos.messages import ClientRequestMsg  # noqa: PLC0415
    from paxos.sim import System  # noqa: PLC0415

    system = System(SystemConfig(1, 3, 2))
    value = "v" * load.value_bytes
    sent_at: list[float] = []

    def send() -> None:
        sent_at.append(time.monotonic())
        system.mailbox.send(0, ClientRequestMsg(None, value))

    def learned() -> int:
        return min(len(system.logger.results[learner]) for learner in system.config.learner_ids)

    try:
        system.start()
        send()
        ready_by = time.monotonic() + READY_WITHIN_S
        while not learned():
            if time.monotonic() > ready_by:
                raise TimeoutError(f"its first value was not learned within {READY_WITHIN_S:.0f} s")
            time.sleep(LOOK_EVERY_S)
        begin()
        return _window(load, send, learned, sent_at)
    finally:
        for process in system.processes:
            process.kill()
        system.logger.active = system.mailbox.active = False
        system.mailbox.terminate = True


def _window(load: Load, send: Callable[[], None], learned: Callable[[], int], sent_at: list[float]) -> Done:
    took: list[float] = []
    first = done = learned()
    until = time.monotonic() + load.seconds
    while (now := time.monotonic()) < until:
        seen = learned()
        took += [now - sent for sent in sent_at[done:seen]]
        done = seen
        for _ in range(load.window - (len(sent_at) - done)):
            send()
        time.sleep(LOOK_EVERY_S)
    return Done(done - first, took)
