"""A `multiprocessing.Queue` with one writing and one reading process, and one thread at each end.

Laws:
1. It needs no locks that processes share: whoever is killed while holding one would never give it back, and they are
   named semaphores in /dev/shm, which a machine may refuse and a killed program leaves behind.
2. Only the thread of the writing end closes that end, once there is one: nobody else knows whether it writes.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from typing import Any

from paxosd.transport.base import TransportError


class _NoLock:
    """In place of the locks and the semaphore of a queue (law 1).

    The thread of the queue takes and releases that of the writing end for each item: so `released` counts what was
    written. How much may wait, the writer decides.
    """

    def __init__(self, value: int = 1) -> None:
        self.released = 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        return True

    def release(self) -> None:
        self.released += 1

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *failure: object) -> None:
        self.release()


class _NoLocks:
    """What a queue asks for its locks."""

    Lock = BoundedSemaphore = _NoLock


def new_queue(items_max: int, stack: ExitStack) -> Queue[Any]:
    """A queue that `stack` closes. Raises `TransportError`."""
    try:
        made: Queue[Any] = Queue(items_max, ctx=_NoLocks())
    except OSError as error:
        raise TransportError(f"no queue can be made: {error.strerror}; raise the limit (ulimit -n)") from error
    made._ignore_epipe = True  # type: ignore[attr-defined]  # as concurrent.futures does: a killed reader is no error
    stack.callback(close_queue, made)
    return made


def close_queue(queue_: Queue[Any]) -> None:
    """Close both ends, in a process that has both."""
    queue_.close()
    if queue_._thread is None:  # type: ignore[attr-defined]  # else that one closes them (law 2)
        reading_end(queue_).close()
        writing_end(queue_).close()


def start_thread(queue_: Queue[Any]) -> None:
    """Start what writes the items into the pipe. Raises `TransportError`."""
    try:
        queue_._start_thread()  # type: ignore[attr-defined]
    except RuntimeError as error:
        queue_._thread = None  # type: ignore[attr-defined]
        raise no_thread(error) from error


def no_thread(error: RuntimeError) -> TransportError:
    """What to raise because of this error of `Thread.start`."""
    return TransportError(f"no thread can be started for a node: {error}; raise the limit (ulimit -u)")


def arrived(queue_: Queue[Any], count_max: int) -> Iterator[Any]:
    """What can be read now, without waiting."""
    with suppress(queue.Empty, EOFError, OSError):
        for _ in range(count_max):
            yield queue_.get_nowait()


# A queue keeps the two ends of its pipe to itself; there is no other way to wait for several, or to close one.


def reading_end(queue_: Queue[Any]) -> Connection:
    """The end that `get` reads from."""
    return queue_._reader  # type: ignore[attr-defined, no-any-return]


def writing_end(queue_: Queue[Any]) -> Connection:
    """The end that the thread of the queue writes to."""
    return queue_._writer  # type: ignore[attr-defined, no-any-return]


def written(queue_: Queue[Any]) -> int:
    """How many items this process has written into the pipe."""
    return queue_._wlock.released  # type: ignore[attr-defined, no-any-return]
