"""The processes in which `paxosd sim` runs what it runs."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.pool import Pool


@contextmanager
def pool(jobs: int, initializer: Callable[[], None] | None = None, tasks_max: int | None = None) -> Iterator[Pool]:
    """So many processes for this block; each does `tasks_max` tasks and is replaced by a fresh one.

    A signal waits until all are started: one that is started by half would print where it stood. Ctrl-C at a terminal
    is sent to all of them at once, and is for us alone: they inherit that it is blocked.
    """
    came: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    resource_tracker.ensure_running()  # whose start unblocks what is blocked in the next line
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    with multiprocessing.get_context("spawn").Pool(jobs, initializer, maxtasksperchild=tasks_max) as started:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        for handled, handler in handlers.items():
            signal.signal(handled, handler)
        for number in came[:1]:
            signal.raise_signal(number)
        yield started
