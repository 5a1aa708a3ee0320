"""What the system refuses a local cluster, and where programs run it: a cluster, or one typed error."""

from __future__ import annotations

import multiprocessing.synchronize
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from paxosd.local.start import start
from paxosd.process.exits import Exit
from paxosd.transport.queues.switchboard import Switchboard
from tests.processes import WITHIN_S

TRY = """
from paxosd import Client, PaxosError
try:
    with Client.local(replicas=1) as client:
        print(client.propose(b"x").revision)
except PaxosError as error:
    print(f"{type(error).__name__}: {error}")
"""

LOCAL = [sys.executable, "-m", "paxosd", "local", "--replicas", "1", "--requests", "5"]


def tried(
    temporary: Path, *command: str, before: Callable[[], None] | None = None, **options: str
) -> subprocess.CompletedProcess[str]:
    """What a program says that tries to have a cluster; `before` is called in its process first."""
    return subprocess.run(
        command or [sys.executable, "-c", TRY],
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        env={**os.environ, "TMPDIR": str(temporary), **options},
    )


def said(done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    return done.stdout, done.stderr


def few_files(count: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


@pytest.mark.parametrize("count", [8, 16])
def test_too_few_file_descriptors_are_an_error_that_says_so(count: int, tmp_path: Path) -> None:
    done = tried(tmp_path, before=few_files(count))

    assert "Too many open files" in done.stdout
    assert "ulimit -n" in done.stdout
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_too_few_file_descriptors_for_the_command_are_one_line_and_code_1(tmp_path: Path) -> None:
    done = tried(tmp_path, *LOCAL, before=few_files(16))

    assert (done.returncode, done.stdout) == (1, "")
    assert "ulimit -n" in done.stderr
    assert done.stderr.count("\n") == 1


def no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_disk_without_room_is_an_error_that_names_the_directory(tmp_path: Path) -> None:
    program, command = tried(tmp_path, before=no_room), tried(tmp_path, *LOCAL, before=no_room)

    assert program.stdout.startswith("ConfigurationError: ")
    assert command.returncode == 8
    for told in (program.stdout, command.stderr):
        assert str(tmp_path) in told
        assert told.count("\n") == 1


def test_no_temporary_directory_at_all_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    done = tried(tmp_path, sys.executable, "-c", "import tempfile; tempfile.tempdir = '/proc'" + TRY)

    assert done.stdout.startswith("ConfigurationError: no temporary directory can be made: ")
    assert "TMPDIR" in done.stdout


@pytest.mark.parametrize("name", ["tëmp", "x" * 200 + "/" + "y" * 200])
def test_a_temporary_directory_of_any_name_is_used_or_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir(parents=True)
    done = tried(tmp_path / name, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")

    assert done.stdout == "1\n" or done.stdout.startswith("ConfigurationError: ")
    assert done.stderr == ""
    assert list((tmp_path / name).iterdir()) == []


def test_a_main_file_that_cannot_be_imported_is_not_needed(tmp_path: Path) -> None:
    from_stdin = subprocess.run(
        [sys.executable, "-"], input=TRY, capture_output=True, text=True, timeout=WITHIN_S, cwd=tmp_path
    )

    assert said(from_stdin) == ("1\n", "")


def test_a_working_directory_that_is_gone_is_not_needed(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    text = f"import os; os.chdir({str(tmp_path / 'gone')!r}); os.rmdir({str(tmp_path / 'gone')!r})\n{TRY}"

    assert said(tried(tmp_path, sys.executable, "-c", text)) == ("1\n", "")


def test_modules_of_the_working_directory_do_not_get_into_the_nodes(tmp_path: Path) -> None:
    for module in ("json", "signal", "subprocess", "select"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('the wrong module')")
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRY], capture_output=True, text=True, timeout=WITHIN_S, cwd=tmp_path
    )

    assert said(done) == ("1\n", "")


@pytest.mark.parametrize(("closed", "code"), [([2], Exit.OK), ([0, 1, 2], Exit.UNWRITTEN)])
def test_standard_streams_that_are_closed_are_not_needed_but_for_an_answer(
    closed: list[int], code: Exit, tmp_path: Path
) -> None:
    text = f"""
from paxosd import Client
with Client.local(replicas=1) as client, open({str(tmp_path / "said")!r}, "w") as file:
    file.write(str(client.propose(b"x").revision))
"""

    def close() -> None:
        for number in closed:
            os.close(number)

    program = tried(tmp_path, sys.executable, "-c", text, before=close)
    command = tried(tmp_path, *LOCAL, before=close)

    assert (program.returncode, command.returncode) == (0, code)
    assert (tmp_path / "said").read_text() == "1"


def test_a_daemonic_process_may_have_a_cluster(tmp_path: Path) -> None:
    text = f"""
import multiprocessing, os
program = {TRY!r}
worker = multiprocessing.get_context("fork").Process(target=exec, args=(program, {{}}), daemon=True)
worker.start()
worker.join()
"""
    assert said(tried(tmp_path, sys.executable, "-c", text)) == ("1\n", "")


def test_signals_that_the_program_blocks_or_ignores_reach_its_nodes(tmp_path: Path) -> None:
    text = """
import signal, time
from paxosd.local.cluster import LocalCluster, local_config
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
with LocalCluster(local_config(None, None, None, 1)) as cluster:
    cluster.leader()
    cluster.stop()
    print(cluster.lives_uncounted, cluster.died)
"""
    assert said(tried(tmp_path, sys.executable, "-c", text)) == ("0 {}\n", "")


def test_queues_need_no_semaphore_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(multiprocessing.synchronize.SemLock, "__init__", refuse)
    switchboard = Switchboard(1000)
    switchboard.replace("a").given_away()
    switchboard.close()


def test_what_a_started_process_gets_is_above_the_standard_streams_and_nothing_stays_open(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    held = os.open(tmp_path, os.O_RDONLY)
    with (tmp_path / "out").open("wb") as output:
        code = "import os, sys; print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:4])"
        pid = start("paxosd-test", code, None, output, tmp_path, [held])
    os.close(held)
    os.waitpid(pid, 0)

    assert (tmp_path / "out").read_text().startswith("[0, 1, 2, ")
    left = set(Path("/proc/self/fd").iterdir()) - before
    assert left == set(), "what an earlier test left open may be closed meanwhile, but nothing is new"
