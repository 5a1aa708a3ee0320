"""Clients that propose without end while a test breaks things, and what their history says about the log.

    with Load(lambda: Client.from_config(config)) as load:
        ...                                   # kill, stop, cut
    check(load.history, client.log(start=1))  # AssertionError unless every promise was kept

Run as a program it does the same until SIGTERM, inside a container for example, and prints the history.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Literal, NamedTuple

from paxosd import Client
from paxosd.client.errors import PaxosError
from paxosd.core.types import Entry

NEVER_S = float("inf")


class Attempt(NamedTuple):
    """One call of `propose`, and what it was told. Times are of the machine's monotonic clock.

    `error` is the name of the exception, empty for what was acknowledged; `revision` and `slot` are 0 for the others.
    """

    value: bytes
    started_s: float
    ended_s: float
    outcome: Literal["acked", "not_applied", "unknown", "applied"]
    revision: int = 0
    slot: int = 0
    error: str = ""

    @property
    def took_s(self) -> float:
        return self.ended_s - self.started_s


class Load:
    """`clients` threads, each with a client of its own, propose values that no other attempt has.

    `name` is the beginning of all values: give different ones to loads that write the same log. `pause_s` is how
    long each client waits between two calls.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        clients: int = 4,
        timeout_s: float = 5.0,
        pause_s: float = 0.005,
        name: str = "load",
    ) -> None:
        self._connect = connect
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._attempts: list[list[Attempt]] = [[] for _ in range(clients)]
        self._broken: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(f"{name}-{number}", attempts))
            for number, attempts in enumerate(self._attempts)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all clients and wait for the calls under way; raises what a client was not meant to raise."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._broken:
            raise self._broken[0]

    @property
    def history(self) -> list[Attempt]:
        """All attempts that have ended, in the order in which they started."""
        return sorted((attempt for attempts in self._attempts for attempt in tuple(attempts)), key=_started)

    @property
    def acked(self) -> int:
        """How many attempts were acknowledged so far: a test waits for it to grow."""
        return sum(attempt.outcome == "acked" for attempts in self._attempts for attempt in tuple(attempts))

    def _run(self, name: str, attempts: list[Attempt]) -> None:
        try:
            with self._connect() as client:
                number = 0
                while not self._stop.wait(self._pause_s):
                    attempts.append(attempt(client, f"{name}-{number}".encode(), self._timeout_s))
                    number += 1
        except BaseException as error:  # a thread's death must be the test's
            self._broken.append(error)


def attempt(client: Client, value: bytes, timeout_s: float) -> Attempt:
    """Propose once and say what came of it."""
    started_s = time.monotonic()
    try:
        receipt = client.propose(value, timeout=timeout_s)
    except PaxosError as error:
        return Attempt(value, started_s, time.monotonic(), error.outcome, error=type(error).__name__)
    return Attempt(value, started_s, time.monotonic(), "acked", receipt.revision, receipt.slot)


def check(history: Sequence[Attempt], log: Iterable[Entry]) -> None:
    """Raise AssertionError unless the log, from revision 1 on, keeps every promise that was made to the history.

    The history must hold every attempt that was ever made on this log.
    """
    entries = list(log)
    check_numbers(entries)
    attempts = {attempt.value: attempt for attempt in history}
    assert len(attempts) == len(history), "a value was proposed twice: the check would prove nothing"
    twice = [value for value, count in Counter(entry.value for entry in entries).items() if count > 1]
    assert not twice, f"in the log more than once: {_some(twice)}"
    found = {entry.value: entry for entry in entries}
    foreign = [value for value in found if value not in attempts]
    assert not foreign, f"in the log, but never proposed: {_some(foreign)}"
    told = [attempt for attempt in history if attempt.outcome == "acked"]
    lost = [attempt for attempt in told if attempt.value not in found]
    assert not lost, f"acknowledged, but not in the log: {_some(lost)}"
    moved = [attempt for attempt in told if found[attempt.value][:2] != (attempt.revision, attempt.slot)]
    assert not moved, f"in the log at another place than acknowledged: {_some(moved)}"
    untrue = [attempt for attempt in history if attempt.outcome == "not_applied" and attempt.value in found]
    assert not untrue, f"in the log, though the client was told that it is not: {_some(untrue)}"
    check_real_time([attempts[entry.value] for entry in entries])


def check_numbers(entries: Sequence[Entry]) -> None:
    """Revisions count 1, 2, 3 … and slots never go back."""
    revisions = [entry.revision for entry in entries]
    assert revisions == list(range(1, len(entries) + 1)), "revisions do not count 1, 2, 3 …"
    slots = [entry.slot for entry in entries]
    assert slots == sorted(slots), "slots go back"


def check_real_time(in_log_order: Iterable[Attempt]) -> None:
    """What was acknowledged before another attempt started comes before it in the log."""
    latest: Attempt | None = None  # of those before in the log, the one that started last
    for attempt in in_log_order:
        ended_s = attempt.ended_s if attempt.outcome == "acked" else NEVER_S
        assert latest is None or latest.started_s <= ended_s, (
            f"{attempt} was acknowledged before {latest} started, but comes after it in the log"
        )
        if latest is None or attempt.started_s > latest.started_s:
            latest = attempt


def longest_gap_s(history: Iterable[Attempt]) -> float:
    """The longest time between two acknowledgements that followed each other."""
    ends = sorted(attempt.ended_s for attempt in history if attempt.outcome == "acked")
    return max((later - earlier for earlier, later in pairwise(ends)), default=0.0)


def _started(attempt: Attempt) -> float:
    return attempt.started_s


def _some(found: Sequence[object]) -> str:
    """The first few and how many there are: a log of thousands is no message."""
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return ", ".join(str(one) for one in found[:5]) + more


# ---- as a program ----------------------------------------------------------------------------


def to_json(attempt: Attempt) -> str:
    return json.dumps([attempt.value.decode(), *attempt[1:]])


def from_json(line: str) -> Attempt:
    value, *rest = json.loads(line)
    return Attempt(value.encode(), *rest)


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the cluster of a membership file until SIGTERM, then print the history; stderr says how far it is."""
    parser = argparse.ArgumentParser(description="Propose until SIGTERM, then print what came of it.")
    parser.add_argument("--config", required=True)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--name", default="load")
    chosen = parser.parse_args(arguments)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    with Load(lambda: Client.from_config(chosen.config), chosen.clients, chosen.timeout, name=chosen.name) as load:
        while not stop.wait(0.2):
            print(load.acked, file=sys.stderr, flush=True)
    sys.stdout.writelines(f"{to_json(attempt)}\n" for attempt in load.history)


if __name__ == "__main__":
    main()
