"""What is measured, and in which order.

Laws:
1. Rounds are the outer loop: each round measures every subject once, one soon after the other. So what changes on the
   machine meanwhile concerns all of them, and a run that is ended early has fewer rounds, and not fewer rows.
2. A subject is measured in time or not at all: it is given up after a multiple of what it usually takes.
3. What fails is told and left behind; the others are measured all the same.
4. Nothing begins that would end after the minutes that there are.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from bench.book import P50, P99, RATE, Book, Key, percentile


class Needed(NamedTuple):
    """A program or library that a subject needs. `missing`: why it cannot be had; empty: it is there."""

    name: str
    missing: Callable[[], str]


@dataclass(frozen=True)
class Options:
    """How much is measured. Times are in seconds, sizes in bytes."""

    seconds: float = 2.0
    rounds: int = 3
    """At most; parts that take long have fewer."""
    value_bytes: int = 100
    windows: tuple[int, ...] = (1, 10, 100, 1000)
    sizes: tuple[int, ...] = (1_000, 100_000)
    clients: tuple[int, ...] = (4, 16, 64)
    members: tuple[int, ...] = (5,)
    sync_ms: tuple[float, ...] = (2.0,)
    keys: int = 1_000_000
    history: int = 200_000
    watchers: int = 1_000
    idle_watchers: int = 10_000
    kills: int = 20
    holders: int = 5


@dataclass
class Report:
    """Takes the figures of one subject in one round."""

    book: Book
    part: str
    subject: str
    round_: int

    def figure(self, load: str, unit: str, value: float) -> None:
        """One figure."""
        self.book.add(Key(self.part, load, self.subject, unit), self.round_, value)

    def rate(self, load: str, count: int, seconds: float, took_s: Sequence[float] = ()) -> None:
        """How many were done in so many seconds, and how long each of some took."""
        self.figure(load, RATE, count / seconds)
        if took_s:
            ordered = sorted(took_s)
            self.figure(load, P50, percentile(ordered, 0.5) * 1e3)
            self.figure(load, P99, percentile(ordered, 0.99) * 1e3)


@dataclass(frozen=True)
class Subject:
    """Something that is measured as a whole. `seconds`: about how long that takes; `rounds`: at most so many."""

    part: str
    name: str
    seconds: float
    measure: Callable[[Options, Report], None]
    needs: tuple[Needed, ...] = ()
    rounds: int = 1_000


@dataclass
class Progress:
    """What the run tells of itself; nothing, if nobody listens."""

    begins: Callable[[Subject, int], None] = lambda subject, round_: None
    ended: Callable[[Subject], None] = lambda subject: None


def turns(subjects: Sequence[Subject], rounds: int) -> Iterator[tuple[int, Subject]]:
    """Every subject in every round that it takes part in; law 1."""
    for round_ in range(1, rounds + 1):
        yield from ((round_, subject) for subject in subjects if round_ <= subject.rounds)


def run(subjects: Sequence[Subject], options: Options, book: Book, progress: Progress, minutes: float = 1e6) -> None:
    """Measure all of it; the book has also what could not be measured. A KeyboardInterrupt ends it early, in order."""
    until = time.monotonic() + minutes * 60
    absent = {subject: why for subject in subjects if (why := _missing(subject))}
    for subject, why in absent.items():
        book.fail(f"{subject.part}: {subject.name}", why)
    for round_, subject in turns([each for each in subjects if each not in absent], options.rounds):
        name = f"{subject.part}: {subject.name}, round {round_}"
        if time.monotonic() + subject.seconds > until:
            book.fail(name, "the minutes were over, and so nothing came later")
            return
        progress.begins(subject, round_)
        try:
            with within(60 + 5 * subject.seconds):
                subject.measure(options, Report(book, subject.part, subject.name, round_))
        except KeyboardInterrupt:
            book.fail(name, "it was interrupted, and so was all that would have come later")
            return
        except Exception as error:
            book.fail(name, f"{type(error).__name__}: {error}"[:300])
        progress.ended(subject)


def _missing(subject: Subject) -> str:
    return "; ".join(why for needed in subject.needs if (why := needed.missing()))


class TookTooLong(Exception):
    """Something was not measured in time."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises `TookTooLong` in the main thread, in the block, after so many seconds."""

    def ring(*_: object) -> None:
        raise TookTooLong(f"it took longer than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
