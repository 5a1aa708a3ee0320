"""stdin, stdout and stderr of a process of ours, whatever they were when it was started.

Laws:
1. What a stream cannot show (its encoding has no such character) is escaped, and never an error.
2. stderr never raises: a complaint that cannot be written must not become another error, or another exit code.
3. stdout raises `Unwritten` and nothing else, so that an answer that got lost is told apart from other failures.
4. The numbers 0, 1 and 2 stay taken: a socket or a database that got one of them would be printed into.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from paxosd.excerpts import escaped
from paxosd.process.exits import Exit

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from paxosd.process.outlet import Outlet

STDIN, STDOUT, STDERR = range(3)


class Unwritten(OSError):
    """Something could not be written to stdout. `became` says what had been done by then, if anything had."""

    became = ""


def prepare() -> None:
    """Make the streams of this process keep the laws; once, before anything else is opened."""
    _take_missing_numbers()
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(STDIN, closefd=False)))
    sys.stdout = _writer(_Answers(STDOUT), sys.stdout)
    sys.stderr = _writer(_Complaints(STDERR), sys.stderr, line_buffering=True)


def log_to(outlet: Outlet) -> None:
    """From now on whatever is printed to stderr goes there, and nobody waits for its reader."""
    from paxosd.process.outlet import OutletFile  # noqa: PLC0415 (`paxosd health` runs often, and has no use for it)

    sys.stderr = _writer(OutletFile(outlet, STDERR), sys.stderr, line_buffering=True)


def _take_missing_numbers() -> None:
    """Each is opened the wrong way round but stderr, so that it fails as a closed one does."""
    for number, way in ((STDIN, os.O_WRONLY), (STDOUT, os.O_RDONLY), (STDERR, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):  # where there is no such device
                os.open(os.devnull, way)  # gets the lowest number that is free, this one; it stays with our children


def _writer(raw: io.RawIOBase, like: TextIO | None, line_buffering: bool = False) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding if like is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=line_buffering or raw.isatty(),
        write_through=isinstance(like, io.TextIOWrapper) and like.write_through,
    )


class _Answers(io.FileIO):
    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.abandoned = False

    def write(self, data: ReadableBuffer) -> int:
        if self.abandoned:
            return len(memoryview(data))
        try:
            while (written := super().write(data)) is None:  # whoever shares this file made it non-blocking
                _wait_until_writable(self.fileno())
        except OSError as error:
            raise Unwritten(error.errno, error.strerror) from error
        return written


class _Complaints(io.FileIO):
    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)

    def write(self, data: ReadableBuffer) -> int:
        with suppress(OSError):
            while (written := super().write(data)) is None:
                _wait_until_writable(self.fileno())
            return written
        return len(memoryview(data))


def _wait_until_writable(number: int) -> None:
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    poll.poll()


# ---- what a command tells --------------------------------------------------------------------


def complain(text: str) -> None:
    """Print lines to stderr; what they quote cannot steer a terminal."""
    print("\n".join(map(escaped, text.split("\n"))), file=sys.stderr)


def tell(command: str, reason: object) -> None:
    """Say on stderr why something is as it is."""
    complain(f"{command}: {reason}")


def stdout_is_open() -> bool:
    """Whether an answer can be written, as far as is known before it is: not if stdout is closed, or for reading."""
    return fcntl.fcntl(STDOUT, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


def run(command: str, work: Callable[[], int]) -> int:
    """The exit code of `work`, whose answers are written to the last byte when this returns.

    If they could not be, this is told, with a code of its own; unless their reader has read enough (`head`).
    """
    code: int = Exit.OK
    try:
        try:
            code = work()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else Exit.ERROR if ended.code else Exit.OK
        sys.stdout.flush()
    except Unwritten as error:
        _abandon_stdout()
        if error.errno != errno.EPIPE:
            became = error.became or "the answer came"
            tell(command, f"{became}, but it could not be written to stdout: {error.strerror}")
            return Exit.UNWRITTEN
    return code


def _abandon_stdout() -> None:
    """What is still buffered goes nowhere, instead of failing again when the process ends."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Answers):
        raw.abandoned = True
