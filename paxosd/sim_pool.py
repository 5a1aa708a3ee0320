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

    Ctrl-C at a terminal is sent to all of them at once. It is for us alone: they would each print where they stood.
    """
    resource_tracker.ensure_running()  # whose start unblocks what is blocked in the next line
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a child inherits it for good
    try:
        made = multiprocessing.get_context("spawn").Pool(jobs, initializer, maxtasksperchild=tasks_max)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with made:
        yield made
