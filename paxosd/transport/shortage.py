"""Looking before libzmq does: it ends the whole process where a thread or a file descriptor cannot be had.

Laws:
1. Nothing of libzmq is made before what it needs was there a moment ago, with some to spare: others in this process
   open files and start threads at the same time.
2. A shortage is an error that names what is short; whoever meets it tries again later, or says so.
"""

from __future__ import annotations

import _thread
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import zmq

from paxosd.process.native import NativeThread, allocate_lock, allocate_rlock
from paxosd.transport.base import TransportError

CONTEXT_DESCRIPTORS = 20
"""What a context needs to start (6) and for its first link (4), and some to spare."""
LINK_DESCRIPTORS = 10
"""What a socket, its monitor and its connection need (4), and some to spare."""
CONTEXT_THREADS = 2
FORGOTTEN_WITHIN_S = 1.0
"""How long to wait for the end of threads that were tried; then their room is counted on all the same."""


class Shortage(TransportError):
    """This process may not have as many threads, file descriptors or as much memory as are needed."""


@contextmanager
def room_for(descriptors: int, threads: int = 0) -> Iterator[None]:
    """Whoever makes something of libzmq does it in here; raises `Shortage` if there is no room for it.

    One at a time, or several would count on the same room. It lets its own thread in again, where a finalizer may run.
    """
    with _making:
        require_descriptors(descriptors)
        require_threads(threads)
        yield


def require_descriptors(count: int) -> None:
    """Raise `Shortage` unless so many files can be opened now."""
    opened: list[int] = []
    try:
        for _ in range(count):
            opened.append(os.eventfd(0, os.EFD_CLOEXEC))
    except (OSError, MemoryError) as error:
        why = error.strerror if isinstance(error, OSError) else "no memory"
        raise Shortage(
            f"no file descriptors: fewer than {count} are free ({why}); close files, or raise the limit (ulimit -n)"
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def require_threads(count: int) -> None:
    """Raise `Shortage` unless so many threads can run at once now."""
    gate = allocate_lock()
    gate.acquire()
    numbers: list[int] = []

    def pass_through() -> None:
        numbers.append(_thread.get_native_id())
        with gate:
            pass

    started: list[NativeThread] = []
    try:
        for _ in range(count):
            started.append(NativeThread(pass_through, "a trial"))
    except (RuntimeError, MemoryError) as error:
        raise thread_shortage(error) from error
    finally:
        gate.release()
        for thread in started:
            thread.join()
        _await_gone(numbers)


def _await_gone(numbers: Sequence[int]) -> None:
    """The system counts a thread until it has forgotten it, which is a moment after its work ended."""
    end = time.monotonic() + FORGOTTEN_WITHIN_S
    while any(Path(f"/proc/self/task/{number}").exists() for number in numbers) and time.monotonic() < end:
        time.sleep(0.0005)


def thread_shortage(error: BaseException) -> Shortage:
    """What is said when a thread cannot be started."""
    why = str(error) or "no memory"
    return Shortage(f"no thread: {why}; end others, or raise the limit (ulimit -u, TasksMax, a container's pids)")


def open_context() -> zmq.Context[zmq.Socket[bytes]]:
    """A context whose threads run; raises `Shortage` where libzmq would end the process."""
    with room_for(CONTEXT_DESCRIPTORS, CONTEXT_THREADS):
        try:
            context = zmq.Context()
            context.socket(zmq.PAIR).close(linger=0)  # the first socket is what starts them
        except (zmq.ZMQError, MemoryError) as error:
            raise Shortage(f"no socket: {error or 'no memory'}; close files, or raise the limit (ulimit -n)") from error
        return context


_making = allocate_rlock()


def _after_fork() -> None:
    global _making  # the parent's may have been held by a thread that is not here
    _making = allocate_rlock()


os.register_at_fork(after_in_child=_after_fork)
