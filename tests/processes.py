"""Programs with a local cluster, as real processes, and what is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

WITHIN_S = 60.0
"""How long a test waits for anything at all; a machine under load is slow, and an event that never comes is the bug."""


@contextmanager
def program(text: str, temporary: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program with its own /tmp; killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, *options, "-c", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def children_of(pid: int, named: bytes = b"") -> list[int]:
    """The processes that this one started and that live, with this in their command line."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in found if named in command_line(child) and lives(int(child))]


def nodes_of(pid: int) -> list[int]:
    """The nodes that this process started."""
    return children_of(pid, b"paxosd-node-")


def command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # it is gone by now


def lives(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(what: str, holds: Callable[[], object], within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)


def await_gone(pids: list[int], within_s: float = WITHIN_S) -> None:
    eventually(f"{pids} are gone", lambda: not any(map(lives, pids)), within_s)


def await_empty(folder: Path) -> None:
    eventually(f"{folder} is empty", lambda: list(folder.iterdir()) == [])
