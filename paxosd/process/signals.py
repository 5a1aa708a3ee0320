"""What SIGTERM, SIGINT and SIGHUP do to a process of ours, from its first moment on.

Laws:
1. Handlers stand before anything slow is imported. Earlier is only the start of the interpreter itself (some 30 ms):
   a signal then ends the process as the kernel does it, or, if it is process 1 of a container, is lost. What was
   blocked by whoever started us, as in our image, waits instead: it is let in when the handlers stand.
2. What is on disk is whole at every instant, for a kill may come at any. So who has nothing to finish ends at once,
   wherever it stands: no traceback, no wait.
3. A daemon that is ready drains. A second signal ends it at once, and so does a drain that takes too long.
4. The main thread may stand in a call for long (a disk that is slow), and Python runs handlers in it alone. So a
   thread acts for it, in a daemon and in a command that ends at once; the handlers act themselves only where no thread
   could be started.

Only what the interpreter has loaded anyway is imported here: this comes first of all.
"""

from __future__ import annotations

import _thread
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import NoReturn
else:
    import _signal as signal  # `signal` makes enumerations of it, which takes longer than all else until handlers stand

SAME_WITHIN_S = 0.1
"""Signals so close to the first one are no second wish to end: a service manager sends SIGHUP right after SIGTERM."""

NAMES: dict[int, str] = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "SIGINT", signal.SIGHUP: "SIGHUP"}


def _nothing(*_: object) -> None: ...


last_words = b""
"""What a command that is ended at once writes to stderr first."""


def end_at_once() -> None:
    """For a command that has nothing to finish: SIGINT and SIGTERM end it with 130 and 143.

    Who starts it with a signal ignored, as a shell does for what runs in the background, wants it to stay so.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)
    _let_them_come()


def end_at_once_from_a_thread() -> None:
    """Start the thread of law 4 for a command that ends at once, when the standard streams have their numbers."""
    if _act_in_a_thread(lambda numbers: _leave(os.read(numbers, 1)[0], None)):
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) == _leave:
                signal.signal(number, _nothing)


def _act_in_a_thread(act: Callable[[int], object]) -> bool:
    """Start a thread with the reading end of a pipe into which the numbers of signals are written; False: none starts.

    A signal that comes in the instant before a call that waits finds no handler that runs until that call returns.
    """
    try:
        numbers, noted = os.pipe2(os.O_CLOEXEC)
    except OSError:
        return False  # too few file descriptors: the handlers act, and the daemon will tell
    os.set_blocking(noted, False)
    signal.set_wakeup_fd(noted, warn_on_full_buffer=False)
    try:
        _thread.start_new_thread(act, (numbers,))
    except RuntimeError:
        return False
    return True


def _let_them_come() -> None:
    """A thread that keeps signals away from itself keeps them away from what it starts, too."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NAMES)


def _leave(number: int, frame: object) -> None:
    try:
        os.write(2, last_words)
    finally:
        os._exit(128 + number)


def end_in_order() -> None:
    """For a command with something to finish: they raise KeyboardInterrupt, or SystemExit with 143."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    signal.set_wakeup_fd(-1)  # no thread acts from here on
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, leave)):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)
    _let_them_come()


class Stop:
    """The signals that end a daemon: SIGTERM, SIGINT and SIGHUP (its terminal was closed; not under nohup).

    `name` is that of the first one that came after `ready`. `before_exit` is told why the process ends at once, and
    may not wait for long.
    """

    def __init__(self) -> None:
        self.name = ""
        self.before_exit: Callable[[str], object] = _nothing
        self._wake: Callable[[], object] = _nothing
        self._drains_within_s: float | None = None
        self._came_at = 0.0  # monotonic
        self._watched = False
        for number in NAMES:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        _let_them_come()

    def ready(self, wake: Callable[[], object], drains_within_s: float) -> None:
        """From now on a signal sets `name` and calls `wake`, from any thread; the process has so long to end."""
        self._wake = wake
        self._drains_within_s = drains_within_s

    def exit(self, code: int) -> NoReturn:
        """End the process when all is done: while the interpreter takes itself apart, a signal would undo its code."""
        os._exit(code)

    def _on_signal(self, number: int, frame: object) -> None:
        if not self._watched:
            self._came(number)

    def _came(self, number: int) -> None:
        if self._drains_within_s is None:
            self._end(f"{NAMES[number]} while it was starting")
        if not self.name:
            self._came_at = time.monotonic()
            self.name = NAMES[number]
            self._wake()
        elif time.monotonic() - self._came_at > SAME_WITHIN_S:
            self._end(f"{NAMES[number]} while it was draining")

    def _end(self, why: str) -> NoReturn:
        try:
            self.before_exit(why)
        finally:
            os._exit(0)

    # ---- the thread ----

    def watch(self) -> None:
        """Start the thread, once the standard streams have their numbers."""
        self._watched = _act_in_a_thread(self._watch)

    def _watch(self, numbers: int) -> None:
        self._came(os.read(numbers, 1)[0])
        import select  # noqa: PLC0415 (nothing that can wait is imported before a signal comes)

        assert self._drains_within_s is not None
        end = self._came_at + self._drains_within_s
        time.sleep(SAME_WITHIN_S)
        while select.select([numbers], [], [], 0)[0]:
            os.read(numbers, 1)
        while select.select([numbers], [], [], max(0.0, end - time.monotonic()))[0]:
            self._came(os.read(numbers, 1)[0])
        self._end(f"draining took longer than {self._drains_within_s:.0f} s")
