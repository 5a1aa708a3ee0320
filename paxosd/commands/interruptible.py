"""A command that signals can end at any instant: its work has a thread, and the main thread does nothing but wait.

Laws:
1. No signal interrupts the work. Python raises KeyboardInterrupt anywhere in the main thread, also between the taking
   of a lock and the block that gives it back: then the lock is never given back, and whoever needs it waits for ever.
2. After a signal the command ends within `ENDS_WITHIN_S`, whatever its work or its clean-up waits for, and says no
   more. Further signals change nothing.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from paxosd.process.exits import Exit

ENDS_WITHIN_S = 1.5
"""How long clean-up and work may take to end after a signal; then the process ends without them."""

_DONE = b"\0"
"""What stands in the pipe of the signals when the work is done; no signal has this number."""


@dataclass(slots=True)
class Ending:
    """What the work is told of its end, and tells of it."""

    came: threading.Event = field(default_factory=threading.Event)
    """Set when a signal came."""
    told_to_end: Exit = Exit.TERMINATED
    """The exit code if SIGTERM or SIGHUP ends the command; that of a server is `Exit.OK`."""

    def code(self, number: int) -> Exit:
        """The exit code after this signal."""
        return Exit.INTERRUPTED if number == signal.SIGINT else self.told_to_end


def run(work: Callable[[Ending], int], clean_up: Callable[[], None]) -> int:
    """Do the work and return its exit code. SIGINT, SIGTERM or SIGHUP cleans up and ends the process instead.

    To be called once, by the main thread. Raises what the work raises, and `RuntimeError` if there is no thread for it.
    """
    ending = Ending()
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup asks for
            signal.signal(number, _noted)  # for good: the process ends soon after us
    done = ThreadPoolExecutor(1).submit(work, ending)
    done.add_done_callback(lambda _: os.write(writing, _DONE))
    came = _first_signal(reading)
    if came is None:
        signal.set_wakeup_fd(-1)
        return done.result()
    _end(ending, done, clean_up, ending.code(came))
    raise AssertionError("the process has ended")


def _noted(number: int, frame: FrameType | None) -> None:
    """The number of the signal stands in the pipe."""


def _first_signal(reading: int) -> int | None:
    """Wait for a signal, and return its number; None if the work was done before."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    while True:
        poll.poll()
        first = os.read(reading, 1)
        if first == _DONE:
            return None
        if first[0] in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            return first[0]


def _end(ending: Ending, work: Future[int], clean_up: Callable[[], None], code: Exit) -> None:
    try:
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (what is cut off has nothing to tell)
        ending.came.set()
        under_way: list[Future[Any]] = [work, ThreadPoolExecutor(1).submit(clean_up)]
        wait(under_way, ENDS_WITHIN_S)
    finally:  # also where no thread can be started. Not sys.exit, which waits for threads, and for who reads stdout
        os._exit(code)
