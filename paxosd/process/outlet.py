"""Lines on their way to a file descriptor: the log of a daemon, and whatever else it writes to stderr.

Laws:
1. Nobody who writes a line waits for its reader, or gets an error for it. A thread writes; where none can be started,
   what can be written at once is written, and the rest waits for the next line.
2. What waits is bounded. A line for which there is no room, or that could not be written, is counted, and the count
   is told in its place as soon as lines go out again.
3. The end waits for the reader so long, and no longer.
"""

from __future__ import annotations

import io
import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

WAITING_BYTES_MAX = 1024 * 1024
"""How much waits for a reader that stands still."""

LINE_BYTES = 200
"""About what a line costs in memory besides its text."""

AT_ONCE_BYTES = select.PIPE_BUF
"""So much can be written, without waiting, to what says that it can be written to."""

Waiting: TypeAlias = tuple[bytes, int]
"""A text, and how many lines are lost if it cannot be written."""


class Outlet:
    """Takes text from any thread and writes it to `file`, a file descriptor that stays open."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._ready = select.poll()
        self._ready.register(file, select.POLLOUT)
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._lost = 0
        self._closed = False
        self._changed = threading.Condition()  # whose lock lets its own thread in again: a destructor may print
        self._thread: threading.Thread | None = threading.Thread(target=self._run, name="paxosd-log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # there are as many threads as there may be
            self._thread = None

    def put(self, text: bytes) -> None:
        """Write this text soon; returns at once."""
        with self._changed:
            if self._waiting_bytes + len(text) + LINE_BYTES > WAITING_BYTES_MAX:
                self._lost += 1
            else:
                self._note_lost()
                self._append(text, 1)
                self._changed.notify()
            if self._thread is None or self._closed:
                self._write_what_goes_at_once()

    def close(self, within_s: float) -> None:
        """Write what waits, in so many seconds at most; what is put later is written if that can be done at once."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(within_s)

    # ---- what waits; the lock is held ----

    def _append(self, text: bytes, lines: int) -> None:
        self._waiting.append((text, lines))
        self._waiting_bytes += len(text) + LINE_BYTES

    def _take(self) -> Waiting:
        text, lines = self._waiting.popleft()
        self._waiting_bytes -= len(text) + LINE_BYTES
        return text, lines

    def _note_lost(self) -> None:
        if self._lost:
            note = f"paxosd: {self._lost} lines of this log were lost here: they could not be written, or nobody read\n"
            self._append(note.encode(), self._lost)
            self._lost = 0

    def _write_what_goes_at_once(self) -> None:
        while self._waiting and self._ready.poll(0):
            text, lines = self._take()
            try:
                rest = text[os.write(self._file, text[:AT_ONCE_BYTES]) :]
            except BlockingIOError:
                rest = text
            except OSError:
                self._lost += lines
                return
            if rest:
                self._waiting.appendleft((rest, lines))
                self._waiting_bytes += len(rest) + LINE_BYTES
            if rest == text:
                return

    # ---- the thread ----

    def _run(self) -> None:
        written = True
        while True:
            with self._changed:
                if written and not self._waiting:
                    self._note_lost()
                while not self._waiting:
                    if self._closed:
                        return
                    self._changed.wait()
                text, lines = self._take()
            written = self._write(text)
            if not written:
                with self._changed:
                    self._lost += lines

    def _write(self, text: bytes) -> bool:
        while text:
            try:
                text = text[os.write(self._file, text) :]
            except BlockingIOError:  # whoever shares this file made it so
                self._ready.poll()
            except OSError:
                return False
        return True


class OutletFile(io.RawIOBase):
    """An outlet as a file, for what prints and logs."""

    def __init__(self, outlet: Outlet, file: int) -> None:
        self._outlet = outlet
        self._file = file

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file

    def isatty(self) -> bool:
        return os.isatty(self._file)

    def write(self, data: ReadableBuffer) -> int:
        text = bytes(data)
        self._outlet.put(text)
        return len(text)
