"""The upgrade killed at every call that it makes to the disk, and on disks that fail or are full."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from paxosd.storage.directory import STORE_NAME, open_directory
from paxosd.storage.sqlite.store import SQLiteStore
from paxosd.storage.upgrade import DRAFT_NAME, Upgrade
from tests.golden.old import unpack
from tests.storage.contract import MANY
from tests.storage.sqlite.test_faults import STRACE, traced

NAMES = [
    "identity.json", "identity.tmp", "lock",
    *(f"{name}{suffix}" for name in (STORE_NAME, DRAFT_NAME) for suffix in ("", "-wal", "-shm", "-acknowledged")),
]  # fmt: skip
CALLS = [
    "rename",
    *(pytest.param(call, marks=pytest.mark.slow) for call in ("fsync", "fdatasync", "unlink", "ftruncate", "openat")),
    *(pytest.param(call, marks=pytest.mark.slow) for call in ("pwrite64", "write")),
]
UPGRADE = (
    "import sys; from pathlib import Path; from paxosd.storage.upgrade import Upgrade; Upgrade(Path(sys.argv[1])).run()"
)


def upgrading(path: Path, fault: str, *names: str) -> tuple[int, str, str]:
    """Upgrade in a process of its own under a fault of these files; its exit code, what it and the kernel said."""
    call, trace = fault.partition(":")[0], path.parent / "trace"
    watched = [word for name in names for word in ("-P", str(path / name))]
    tracer = [STRACE or "", "-f", *watched, "-e", f"trace={call}", "-e", f"inject={fault}"]
    command = [*tracer, "-o", str(trace), sys.executable, "-c", UPGRADE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr, trace.read_text()


def contents(path: Path) -> object:
    """All that is in an upgraded replica, opened as a daemon does."""
    directory = open_directory(path, "local", "r2", "replica")
    directory.require_records()
    with closing(SQLiteStore(directory.store_path, directory)) as store:
        found = store.votes(1, 1 << 60, MANY), store.learned(1, 1 << 60, MANY), store.commits, store.records()
    directory.close()
    return found


@traced
@pytest.mark.parametrize("call", CALLS)
def test_c11_an_upgrade_that_is_killed_at_any_call_is_gone_on_from(call: str, tmp_path: Path) -> None:
    old = unpack("replicas", tmp_path / "old") / "r2"
    shutil.copytree(old, tmp_path / "whole")
    with Upgrade(tmp_path / "whole") as upgrade:
        upgrade.run()
    truth = contents(tmp_path / "whole")
    step, ended = 0, False
    while not ended:
        step += 1
        path = tmp_path / str(step) / "r2"
        shutil.copytree(old, path)
        _, said, trace = upgrading(path, f"{call}:signal=KILL:when={step}", *NAMES, "")
        ended = "killed" not in trace
        assert "Traceback" not in said, said
        with Upgrade(path) as upgrade:
            upgrade.run()
        assert contents(path) == truth
    assert step > 1, f"it makes no {call}"


@traced
@pytest.mark.parametrize("fault", ["pwrite64:error=ENOSPC:when=3+", "fsync:error=EIO:when=1"])
def test_d03_a_draft_that_cannot_be_written_is_taken_back_and_nothing_else_is_changed(
    fault: str, tmp_path: Path
) -> None:
    path = unpack("replicas", tmp_path / "old") / "r2"
    with closing(sqlite3.connect(path / STORE_NAME)) as db:  # its journal is moved into the file, as 0.2.0 does
        db.execute("SELECT count(*) FROM votes").fetchone()
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    code, said, trace = upgrading(path, fault, DRAFT_NAME)

    assert (code, "INJECTED" in trace) == (1, True)
    assert "make room on the disk" in said or "the disk failed" in said or "Input/output error" in said
    assert {file.name: file.read_bytes() for file in path.iterdir() if file.name != "lock"} == {
        name: data for name, data in before.items() if name != "lock"
    }
    with Upgrade(path) as upgrade:
        upgrade.run()
    contents(path)
