"""The SQLite store on disks that fail, fill up, or turn read-only, and killed at every step of its birth."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from paxosd.core.records import Promised, Record, Seen, Voted
from paxosd.core.types import Ballot
from paxosd.storage.ballast import BALLAST_NAME, Ballast
from paxosd.storage.sqlite.store import SQLiteStore
from tests.storage.contract import MANY

MIB = 1 << 20
BALLOT = Ballot(1, "p1")
COMMITTING = Path(__file__).with_name("committing.py")
STRACE = shutil.which("strace")


def can_trace() -> bool:
    return (
        STRACE is not None and subprocess.run([STRACE, "-o", "/dev/null", "true"], capture_output=True).returncode == 0
    )


traced = pytest.mark.skipif(not can_trace(), reason="needs strace, and a kernel that lets it look")


def committing(path: Path, *options: str, strace: tuple[str, ...] = ()) -> list[str]:
    """Run the committing process to its end; what it said."""
    tracer = [STRACE or "", "-f", *strace] if strace else []
    command = [*tracer, sys.executable, str(COMMITTING), str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.splitlines()


def slots_in(path: Path) -> list[int]:
    with closing(SQLiteStore(path)) as store:
        return [vote.slot for vote in store.votes(1, 1 << 40, MANY)]


def check_nothing_lost(path: Path, said: list[str]) -> None:
    """Every slot that was acknowledged is there, and at most one more."""
    last = max((int(line) for line in said if line.isdigit()), default=0)
    found = slots_in(path) if path.exists() else []

    assert found[:last] == list(range(1, last + 1))
    assert len(found) <= last + 1


# ---- disks that fail -------------------------------------------------------------------------

FAULTS = [
    ("d01 the journal cannot be synced", "-wal", "fdatasync:error=EIO:when=7", "the disk failed"),
    ("d01 the main file cannot be synced", "", "fdatasync:error=EIO:when=7", "the disk failed"),
    ("d01 the journal cannot be read back", "-wal", "pread64:error=EIO:when=7", "do not delete it"),
    ("d03 the disk is full", "-wal", "pwrite64:error=ENOSPC:when=40+", "make room on the disk"),
    ("d03 the count beside cannot be written", "-acknowledged", "pwrite64:error=ENOSPC:when=7", "No space left"),
    ("d23 the file system turns read-only", "-wal", "pwrite64:error=EROFS:when=40+", "the disk failed"),
]


@traced
@pytest.mark.parametrize(("suffix", "fault", "advice"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS])
def test_after_a_fault_nothing_is_committed_and_nothing_acknowledged_is_lost(
    tmp_path: Path, suffix: str, fault: str, advice: str
) -> None:
    path = tmp_path / "x.sqlite3"
    SQLiteStore(path).close()
    call = fault.partition(":")[0]
    strace = ("-P", f"{path}{suffix}", "-e", f"trace={call}", "-e", f"inject={fault}", "-o", str(tmp_path / "trace"))
    said = committing(path, "--checkpoint-bytes", "1", strace=strace)
    *_, acknowledged, error, refused = said

    assert "INJECTED" in (tmp_path / "trace").read_text()
    assert acknowledged.isdigit()
    assert error.startswith("error: ")
    assert advice in error
    assert "restart the daemon" in refused
    check_nothing_lost(path, said)


@traced
def test_d03_as_long_as_the_main_file_cannot_grow_the_journal_does_and_nothing_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    SQLiteStore(path).close()
    fault = ("-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC:when=9+")
    strace = ("-P", str(path), *fault, "-o", str(tmp_path / "trace"))
    said = committing(path, "--checkpoint-bytes", "1", "--commits", "60", strace=strace)

    assert (tmp_path / "trace").read_text().count("INJECTED") > 10
    assert said == ["opened", *(str(slot) for slot in range(1, 61))]
    check_nothing_lost(path, said)


@traced
@pytest.mark.parametrize(("suffix", "write"), [*(("-wal", write) for write in range(40, 46)), ("", 9), ("", 10)])
def test_d03_a_write_that_finds_no_room_gets_that_of_the_ballast_and_is_made_again(
    tmp_path: Path, suffix: str, write: int
) -> None:
    path = tmp_path / "x.sqlite3"
    SQLiteStore(path).close()
    (tmp_path / BALLAST_NAME).write_bytes(bytes(MIB))
    fault = f"inject=pwrite64:error=ENOSPC:when={write}"
    strace = ("-P", f"{path}{suffix}", "-e", "trace=pwrite64", "-e", fault, "-o", str(tmp_path / "trace"))
    said = committing(path, "--checkpoint-bytes", "1", "--commits", "60", "--ballast", strace=strace)

    assert "INJECTED" in (tmp_path / "trace").read_text()
    assert said == ["opened", *(str(slot) for slot in range(1, 61))]
    assert not (tmp_path / BALLAST_NAME).exists()
    check_nothing_lost(path, said)


@traced
@pytest.mark.parametrize("read", range(1, 12, 2))
def test_d17_an_error_in_reading_at_the_start_is_told_and_nothing_is_lost(tmp_path: Path, read: int) -> None:
    path = tmp_path / "x.sqlite3"
    said = committing(path, "--commits", "9")
    fault = ("-P", str(path), "-e", "trace=pread64", "-e", f"inject=pread64:error=EIO:when={read}")
    refused = committing(path, "--commits", "0", strace=fault)[-1]

    assert re.match(rf"not opened: {path} could not be (opened|written): ", refused)
    check_nothing_lost(path, said)


def test_d03_a_file_that_may_not_grow_is_an_error_and_nothing_is_committed_any_more(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    said = committing(path, "--file-bytes", "300000")
    *_, last, error, refused = said

    assert last.isdigit()
    assert error.startswith("error: ")
    assert "restart the daemon" in refused
    check_nothing_lost(path, said)


# ---- killed at every step --------------------------------------------------------------------

STEPS = [
    "fdatasync",
    *(pytest.param(call, marks=pytest.mark.slow) for call in ("openat", "pwrite64", "fsync", "ftruncate", "rename")),
    *(pytest.param(call, marks=pytest.mark.slow) for call in ("unlink", "close")),
]
FILES = [
    f"{name}{suffix}"
    for name in ("x.sqlite3", "x.sqlite3-draft")
    for suffix in ("", "-wal", "-shm", "-journal", "-acknowledged")
]


@traced
@pytest.mark.parametrize("call", STEPS)
def test_c11_a_store_that_is_killed_at_any_step_of_its_first_lives_opens_again(tmp_path: Path, call: str) -> None:
    """Two lives, each of one commit: the first makes the file, the second finds it. Killed at every such call."""

    def live(folder: Path, when: int | None) -> list[str]:
        kill = () if when is None else ("-e", f"inject={call}:signal=KILL:when={when}")
        paths = [word for file in FILES for word in ("-P", str(folder / file))]
        strace = (*paths, "-P", str(folder), "-e", f"trace={call}", *kill, "-o", str(folder / "trace"))
        return committing(folder / "x.sqlite3", "--commits", "1", strace=strace)

    for life in (1, 2):
        step, ended = 0, False
        while not ended:
            step += 1
            folder = tmp_path / f"{life}-{step}"
            folder.mkdir()
            before = live(folder, None) if life == 2 else []
            said = live(folder, step)
            ended = "killed" not in (folder / "trace").read_text()
            check_nothing_lost(folder / "x.sqlite3", [*before, *said])
        assert step > 1 or life == 2, f"the first life makes no {call}"


# ---- a learner that is killed -----------------------------------------------------------------


def test_a_learner_that_is_killed_at_any_statement_finds_the_state_that_it_would_have_had(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.storage.sqlite.lives", str(tmp_path / "records.sqlite3")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]

    assert (done.returncode, done.stderr) == (0, "")
    assert len(found) == 150
    assert found == sorted(found)  # nothing that was there is gone
    assert {stop - kept for kept, stop in found} >= {0, 1, 2, 3}


class RoomMade(Ballast):
    """One that makes room in a file that may not grow."""

    store: SQLiteStore

    def give_up(self) -> bool:
        self.store._db.execute("PRAGMA max_page_count = 1000000")
        return True


@pytest.mark.parametrize("large", [Seen(tuple((disk, 1 << 40) for disk in range(9999))), Voted(5, BALLOT, bytes(MIB))])
def test_d03_whatever_statement_found_no_room_the_whole_commit_is_made_again_once(
    tmp_path: Path, large: Record
) -> None:
    path = tmp_path / "x.sqlite3"
    with closing(SQLiteStore(path)) as store:
        store.commit([Promised(BALLOT)])
        store.ballast = ballast = RoomMade(tmp_path)
        ballast.store = store
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        store.commit([Voted(1, BALLOT, b"before"), large, Voted(9, BALLOT, b"after")])
        commits = store.commits
    with closing(SQLiteStore(path)) as store:
        slots = [vote.slot for vote in store.votes(1, 100, MANY)]

        assert (commits, store.commits) == (2, 2)
        assert slots == [1, 5, 9] if isinstance(large, Voted) else [1, 9]
        assert large in store.records()
