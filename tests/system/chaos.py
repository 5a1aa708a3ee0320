"""Faults on real daemons while clients propose and read, and a verdict over all that these clients were told.

    with Chaos(cluster, seed) as chaos:
        chaos.run([kill_one, pause_one], duration_s=60)
    chaos.verify()

A seed repeats the faults and their timing, though not what the processes make of them.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

from paxosd import Client
from paxosd.client.errors import PaxosError
from paxosd.core.options import Timing
from paxosd.core.types import Entry
from paxosd.sim.check.linearizability import UNKNOWN, Operation
from paxosd.sim.check.objects import Append, LogCall, LogResult, ReadFrom, check_log
from tests.system.daemons import DaemonCluster
from tests.system.faults import Fault
from tests.system.load import Attempt, Load, attempt, check, longest_gap_s

TIMEOUT_S = 5.0
"""Of most calls; enough for an election, short enough that calls do run into it when there is no quorum."""

HASTY_TIMEOUT_S = 0.3
"""Of the calls of two more clients, who give up during every election: their values may be in the log or not."""

LATE_SHARE_MAX = 0.1
"""How much longer than its timeout a call may take."""

BEAT_S = 0.01
"""How often a thread looks whether the machine lets this process run; what it is late, calls may be late too."""

WAKE_S = 0.1
"""How late a call may be on top: a result passes through three threads of a process that runs fifteen."""

PAUSE_S = 0.01
"""Between two calls of one client: the history stays small enough to be searched, and the daemons get the CPU."""

STORY_SHOWN = 40
"""How many lines of the history a failure shows; the whole of it is in a file."""

CATCH_UP_S = 30.0
"""How long the slowest learner may take to have the whole log, after the last fault."""

SERVED_AGAIN_S = 10 * Timing().election_s
"""How soon after a fault is over, with all nodes ready, the next value is acknowledged."""


class Reading(NamedTuple):
    """One linearizable read of the log from revision `start` on; `entries` is None if it failed, with `error`."""

    client: str
    start: int
    started_s: float
    ended_s: float
    entries: tuple[Entry, ...] | None
    error: str = ""


class Readers:
    """One thread for each gateway reads the end of the log there, over and over, and sometimes all of it."""

    def __init__(self, cluster: DaemonCluster, seed: int, timeout_s: float, name: str) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._name = name
        self._stop = threading.Event()
        self._broken: list[BaseException] = []
        self._readings: dict[str, list[Reading]] = {gateway: [] for gateway in cluster.gateways}
        self._threads = [
            threading.Thread(target=self._run, args=(gateway, random.Random(f"{seed} {name} {gateway}")))
            for gateway in self._readings
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all threads; raises what they were not meant to raise."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._broken:
            raise self._broken[0]

    @property
    def history(self) -> list[Reading]:
        return [reading for readings in self._readings.values() for reading in readings]

    def _run(self, gateway: str, chance: random.Random) -> None:
        try:
            with self._cluster.client([gateway]) as client:
                last = 0
                while not self._stop.wait(PAUSE_S):
                    start = chance.choice([1, *[max(1, last + 1 - back) for back in range(50)]])
                    reading = read(client, f"{self._name}-{gateway}", start, self._timeout_s)
                    self._readings[gateway].append(reading)
                    last = max(last, reading.entries[-1].revision if reading.entries else 0)
        except BaseException as error:  # a thread's death must be the test's
            self._broken.append(error)


def read(client: Client, name: str, start: int, timeout_s: float) -> Reading:
    """Read the log once and say what came of it."""
    started_s = time.monotonic()
    try:
        entries = tuple(client.log(start, timeout=timeout_s))
    except PaxosError as error:
        return Reading(name, start, started_s, time.monotonic(), None, type(error).__name__)
    return Reading(name, start, started_s, time.monotonic(), entries)


class Pulse:
    """How late a thread of this process was that only wanted to sleep, and when: the machine's share of a delay."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._late: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due_s = time.monotonic() + BEAT_S
        while not self._stop.wait(BEAT_S):
            now_s = time.monotonic()
            self._late.append((now_s, now_s - due_s))
            due_s = now_s + BEAT_S

    def late_s(self, started_s: float, ended_s: float) -> float:
        """How long in this time nothing could run, as far as it was noticed."""
        return sum(late_s for at_s, late_s in self._late if started_s <= at_s <= ended_s + BEAT_S)


class Chaos:
    """While the block lasts four patient and two hasty clients propose, and a patient and a hasty one read everywhere.

    A gateway that stood still finds the last read of the hasty one, asked just now, and must not answer from the past.
    """

    def __init__(self, cluster: DaemonCluster, seed: int) -> None:
        self.cluster = cluster
        self.seed = seed
        self.chance = random.Random(seed)
        self.load = Load(lambda: cluster.client(timeout=TIMEOUT_S), 4, TIMEOUT_S, PAUSE_S, "patient")
        self.hasty = Load(lambda: cluster.client(timeout=TIMEOUT_S), 2, HASTY_TIMEOUT_S, PAUSE_S, "hasty")
        self.others: list[Attempt] = []
        self.readers = Readers(cluster, seed, TIMEOUT_S, "reader")
        self.hasty_readers = Readers(cluster, seed, HASTY_TIMEOUT_S, "glance")
        self.pulse = Pulse()
        self.started_s = time.monotonic()
        self.fault_times: list[tuple[float, float, str]] = []
        self.recoveries_s: list[float] = []

    def __enter__(self) -> Chaos:
        self.load.__enter__()
        self.hasty.__enter__()
        self.readers.start()
        self.hasty_readers.start()
        self.pulse.start()
        self.await_progress()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.load.stop()
            self.hasty.stop()
            self.readers.stop()
            self.hasty_readers.stop()
            self.pulse.stop()
        finally:
            if error is not None:
                self.tell(error)

    def tell(self, error: BaseException) -> None:
        """Add to the error how it can be looked into."""
        story = self.cluster.folder / "history.txt"
        lines = self.story()
        story.write_text("\n".join([*lines, ""]))
        print(f"the end of {story}:", *lines[-STORY_SHOWN:], sep="\n")
        error.add_note(
            f"repeat with PAXOSD_CHAOS_SEED={self.seed}; "
            f"logs and data are in {self.cluster.folder}, all calls and faults in {story}"
        )

    def story(self) -> list[str]:
        """A line for each call and each fault, in the order in which they began; times are in seconds."""
        calls = [(one.started_s, one.ended_s, f"propose {one.value.decode()}: {_told(one)}") for one in self.attempts]
        calls += [(one.started_s, one.ended_s, f"{one.client} reads: {_seen(one)}") for one in self.readings]
        calls += [(began_s, ended_s, f"---- {name}") for began_s, ended_s, name in self.fault_times]
        return [
            f"{began_s - self.started_s:9.3f} … {ended_s - self.started_s:9.3f}  {what}"
            for began_s, ended_s, what in sorted(calls)
        ]

    def run(self, faults: Sequence[Fault], duration_s: float) -> None:
        """One fault after the other, with up to two seconds between them; after each, everybody is served again."""
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            fault = self.chance.choice(faults)
            began_s = time.monotonic()
            fault(self.cluster, self.chance)
            self.fault_times.append((began_s, time.monotonic(), fault.__name__))
            self.recoveries_s.append(self.await_progress(1))
            time.sleep(self.chance.uniform(0.0, 2.0))
        self.await_progress()

    def await_progress(self, count: int = 20, within_s: float = 2 * TIMEOUT_S) -> float:
        """Return once this many more values are acknowledged: how long that took, in seconds."""
        started_s = time.monotonic()
        goal = self.load.acked + count
        while self.load.acked < goal:
            assert time.monotonic() - started_s < within_s, f"fewer than {count} values in {within_s} s"
            time.sleep(0.01)
        return time.monotonic() - started_s

    def await_election(self, before: Sequence[str], within_s: float) -> str:
        """Who is the first to be elected besides those ballots."""
        deadline = time.monotonic() + within_s
        while not (new := [ballot for ballot in self.cluster.elections() if ballot not in before]):
            assert time.monotonic() < deadline, f"nobody was elected in {within_s} s"
            time.sleep(0.02)
        return new[0].partition(".")[2]

    def await_caught_up(self, gateway: str, within_s: float) -> None:
        """Return once this gateway gives all that was acknowledged before."""
        with self.cluster.client([gateway]) as client:
            reading = read(client, f"late-{gateway}", 1, within_s)
        assert reading.entries is not None, f"{gateway} had not caught up after {within_s} s: {reading.error}"

    def attempt(self, gateway: str, timeout_s: float) -> Attempt:
        """Propose one more value, at this gateway alone."""
        with self.cluster.client([gateway]) as client:
            self.others.append(attempt(client, f"other-{len(self.others)}".encode(), timeout_s))
        return self.others[-1]

    @property
    def attempts(self) -> list[Attempt]:
        return [*self.load.history, *self.hasty.history, *self.others]

    @property
    def readings(self) -> list[Reading]:
        return [*self.readers.history, *self.hasty_readers.history]

    def verify(self) -> None:
        """Raise AssertionError unless every promise was kept; needs all nodes running and the block left."""
        try:
            final = [self._read_all(gateway) for gateway in self.cluster.gateways]
            self._verify(final)
        except BaseException as error:
            self.tell(error)
            raise

    def _read_all(self, gateway: str) -> Reading:
        with self.cluster.client([gateway]) as client:
            return read(client, f"final-{gateway}", 1, CATCH_UP_S)

    def _verify(self, final: list[Reading]) -> None:
        failed = [reading for reading in final if reading.entries is None]
        assert not failed, f"these gateways do not give their log: {failed}"
        log = final[0].entries or ()
        assert all(reading.entries == log for reading in final), "the logs of two learners differ"
        attempts, readings = self.attempts, self.readings
        check(attempts, log)
        self._check_timeouts([*self.load.history, *self.readers.history], TIMEOUT_S)
        self._check_timeouts([*self.hasty.history, *self.hasty_readers.history], HASTY_TIMEOUT_S)
        check_silences([*attempts, *readings], self.cluster.silences)
        found = check_log(list(operations(attempts, [*readings, *final])))
        print(self._summary(readings), f"search: {found.steps} steps", sep="\n")
        assert found.ok, f"the history is no history of a log: {found}"

    def _check_timeouts(self, calls: Sequence[Attempt | Reading], timeout_s: float) -> None:
        most_s = timeout_s * (1 + LATE_SHARE_MAX) + WAKE_S
        late = [
            call
            for call in calls
            if (took_s := call.ended_s - call.started_s) > most_s
            and took_s > most_s + self.pulse.late_s(call.started_s, call.ended_s)
        ]
        assert not late, f"{len(late)} calls ended long after their timeout of {timeout_s} s, such as {late[0]}"

    @property
    def faults(self) -> dict[str, int]:
        """How often what was done."""
        return dict(Counter(name for _, _, name in self.fault_times))

    def _summary(self, readings: list[Reading]) -> str:
        reads = Counter(reading.error or "read" for reading in readings)
        ballots = self.cluster.elections()
        return (
            f"seed {self.seed}, {len(self.fault_times)} faults {self.faults}, "
            f"served again after at most {max(self.recoveries_s, default=0.0):.2f} s, "
            f"longest gap {longest_gap_s(self.load.history):.2f} s, {len(ballots)} leaders up to ballot {ballots[-1]}\n"
            f"patient proposals {outcomes(self.load)}, hasty ones {outcomes(self.hasty)}, reads {dict(reads)}"
        )


def check_silences(calls: Sequence[Attempt | Reading], silences: Sequence[tuple[float, float]]) -> None:
    """Raise AssertionError if anybody was served in these times without a quorum, or nobody was told anything."""
    for began_s, ended_s in silences:
        within = [call for call in calls if began_s <= call.started_s and call.ended_s <= ended_s]
        served = [call for call in within if not call.error]
        assert within, f"no call began and ended in the {ended_s - began_s:.1f} s without a quorum"
        assert not served, f"served without a quorum: {served[:5]}"


def _told(one: Attempt) -> str:
    place = f"revision {one.revision} slot {one.slot}" if one.outcome == "acked" else one.error
    return f"{one.outcome}, {place}"


def _seen(reading: Reading) -> str:
    if reading.entries is None:
        return reading.error
    return f"revisions {reading.start} to {reading.start + len(reading.entries) - 1}"


def outcomes(load: Load) -> dict[str, int]:
    """How many attempts ended how."""
    return dict(Counter(f"{attempt.outcome} {attempt.error}".strip() for attempt in load.history))


def operations(attempts: Sequence[Attempt], readings: Sequence[Reading]) -> Iterator[Operation[LogCall, LogResult]]:
    """What the clients saw, for the search. A call that certainly did nothing is no operation, nor is a failed read."""
    for one in attempts:
        client = one.value.decode().rpartition("-")[0]
        if one.outcome == "acked":
            yield Operation(client, Append(one.value), one.revision, one.started_s, one.ended_s)
        elif one.outcome == "unknown":
            yield Operation(client, Append(one.value), UNKNOWN, one.started_s)
    for reading in readings:
        if reading.entries is not None:
            revisions = [entry.revision for entry in reading.entries]
            assert revisions == list(range(reading.start, reading.start + len(revisions))), f"a gap in {reading}"
            values = tuple(entry.value for entry in reading.entries)
            yield Operation(reading.client, ReadFrom(reading.start), values, reading.started_s, reading.ended_s)


def seed() -> int:
    """The seed of this run: from the environment, to repeat one, or a new one."""
    return int(os.environ.get("PAXOSD_CHAOS_SEED") or random.SystemRandom().randrange(10**9))
