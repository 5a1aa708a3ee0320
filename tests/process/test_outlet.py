"""The way of a log line: nobody waits for its reader, what waits is bounded, what is lost is counted."""

from __future__ import annotations

import fcntl
import io
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from paxosd.process.outlet import LINE_BYTES, WAITING_BYTES_MAX, Outlet, OutletFile

F_SETPIPE_SZ = 1031
LINE = b"x" * 1023 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The reading and the writing end of a pipe that takes 4 KiB."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
    yield reading, writing
    for end in (reading, writing):
        with suppress(OSError):
            os.close(end)


@pytest.fixture
def threadless(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def read_lines(reading: int, until: bytes) -> list[bytes]:
    read = b""
    while until not in read:
        read += os.read(reading, 65536)
    return read.splitlines()


def test_lines_come_out_in_their_order(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1])
    for number in range(10):
        outlet.put(b"%d\n" % number)
    outlet.close(5)

    assert os.read(pipe[0], 100) == b"".join(b"%d\n" % number for number in range(10))


def test_nobody_waits_for_a_reader_that_stands_still_and_what_was_lost_is_told_in_its_place(
    pipe: tuple[int, int],
) -> None:
    outlet = Outlet(pipe[1])
    started = time.monotonic()
    for number in range(5000):
        outlet.put(b"%4d " % number + LINE)
    took_s = time.monotonic() - started
    lines = read_lines(pipe[0], b"lines of this log were lost")
    outlet.put(b"later\n")
    lines += read_lines(pipe[0], b"later")
    outlet.close(5)

    assert took_s < 2.0
    assert lines.pop() == b"later"
    number = 0
    for line in lines:  # each line is there, or counted where it is missing
        note = re.fullmatch(rb"paxosd: (\d+) lines of this log were lost here.*", line)
        if note is None:
            assert int(line[:4]) == number
        number += 1 if note is None else int(note[1])
    assert number == 5000
    kept = sum(line.endswith(b"x") for line in lines)
    assert kept <= WAITING_BYTES_MAX // (len(LINE) + LINE_BYTES) + 10


def test_the_end_waits_for_a_reader_that_stands_still_so_long_and_no_longer(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1])
    for _ in range(100):
        outlet.put(LINE)
    started = time.monotonic()
    outlet.close(0.2)
    outlet.put(b"after the end\n")

    assert 0.1 < time.monotonic() - started < 2.0
    os.set_blocking(pipe[0], False)
    with suppress(BlockingIOError):  # the thread ends with its last line
        while os.read(pipe[0], 65536):
            time.sleep(0.01)


def test_a_line_after_the_end_is_written_if_that_can_be_done_at_once(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1])
    outlet.close(5)
    outlet.put(b"the last word\n")

    assert os.read(pipe[0], 100) == b"the last word\n"


def test_without_a_thread_a_line_is_written_as_soon_as_that_takes_no_time(
    threadless: None, pipe: tuple[int, int]
) -> None:
    outlet = Outlet(pipe[1])
    outlet.put(b"at once\n")
    assert os.read(pipe[0], 100) == b"at once\n"
    for _ in range(3000):
        outlet.put(LINE)
    read = b""
    for _ in range(3000):
        read += os.read(pipe[0], 4096)
        outlet.put(b".")
        if b"were lost" in read:
            break

    assert b"lines of this log were lost here" in read


@pytest.mark.parametrize("with_thread", [True, False])
def test_a_reader_that_is_gone_ends_nobody(
    with_thread: bool, pipe: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    if not with_thread:
        request.getfixturevalue("threadless")
    os.close(pipe[0])
    outlet = Outlet(pipe[1])
    for _ in range(100):
        outlet.put(LINE)
    outlet.close(5)


def test_a_disk_that_is_full_ends_nobody_and_is_told_when_there_is_room_again(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    outlet = Outlet(full)
    for _ in range(3):
        outlet.put(b"lost\n")
    deadline = time.monotonic() + 5
    while outlet._lost < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    room = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(room, full)
    outlet.put(b"kept\n")
    outlet.close(5)
    os.close(room)
    os.close(full)

    note = b"paxosd: 3 lines of this log were lost here: they could not be written, or nobody read\n"
    assert (tmp_path / "log").read_bytes() == note + b"kept\n"


def test_a_pipe_that_somebody_made_non_blocking_gets_every_line(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    outlet = Outlet(pipe[1])
    for _ in range(100):
        outlet.put(LINE)
    outlet.put(b"end\n")

    assert read_lines(pipe[0], b"end") == [LINE[:-1]] * 100 + [b"end"]
    outlet.close(5)


def test_whoever_prints_may_print_into_it(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1])
    stream = io.TextIOWrapper(io.BufferedWriter(OutletFile(outlet, pipe[1])), "ascii", "backslashreplace")
    print("grün", file=stream, flush=True)
    outlet.close(5)

    assert os.read(pipe[0], 100) == b"gr\\xfcn\n"
    assert not stream.isatty()
    assert stream.fileno() == pipe[1]
