"""The processes in which `paxosd sim` runs what it runs."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import BaseContext
from multiprocessing.pool import Pool

READ_BEFORE = ["paxosd.commands.sim.cli"]


@contextmanager
def pool(jobs: int, initializer: Callable[[], None] | None = None, tasks_max: int | None = None) -> Iterator[Pool]:
    """So many processes for this block; each does `tasks_max` tasks and is replaced by a fresh one.

    Fresh ones are forked off a process that has read all of the simulator and did nothing else: to read it takes a
    second, and a process for one task often has less than that to do.

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
    with _context(tasks_max).Pool(jobs, initializer, maxtasksperchild=tasks_max) as started:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        for handled, handler in handlers.items():
            signal.signal(handled, handler)
        for number in came[:1]:
            signal.raise_signal(number)
        yield started


def _context(tasks_max: int | None) -> BaseContext:
    context = multiprocessing.get_context("spawn" if tasks_max is None else "forkserver")
    context.set_forkserver_preload(READ_BEFORE)
    return context
