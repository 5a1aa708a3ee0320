"""SIGTERM, SIGINT and SIGHUP at every moment of a process: it ends soon, with a documented code and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paxosd.process import signals
from tests.system.daemons import Daemon, DaemonCluster, membership_text

FOR_EVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
STANDS = f"import sqlite3; print('stands', flush=True); sqlite3.connect(':memory:').execute('{FOR_EVER}').fetchall()"
"""A call that does not return, and in which Python runs no handler, as one that waits for a disk."""

AT_ONCE_S = 3.0
"""What `at once` may take on a machine that is busy."""


class Ended:
    """How a process ended, and how long that took."""

    def __init__(self, process: subprocess.Popen[str], started: float) -> None:
        out, self.told = process.communicate(timeout=60)
        self.took_s = time.monotonic() - started
        self.code = process.returncode
        self.told += out


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, *command], stdout=pipe, stderr=pipe, stdin=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def program(*lines: str) -> Iterator[Callable[[int], Ended]]:
    """A Python program that prints a line when it stands where it shall be signalled."""
    with running("-c", "\n".join(["from paxosd.process.signals import *", "import os", *lines])) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield ending(process)


def ending(process: subprocess.Popen[str]) -> Callable[[int], Ended]:
    def end(number: int) -> Ended:
        process.send_signal(number)
        return Ended(process, time.monotonic())

    return end


def opened_fifo(path: Path) -> int:
    """The writing end, once somebody waits to read from the other one."""
    os.mkfifo(path)
    deadline = time.monotonic() + 30
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline, "nobody reads it"
            time.sleep(0.01)


# ---- a daemon while it starts --------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_daemon_that_starts_ends_at_once_with_0(number: signal.Signals, tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    command = ("--role", "replica", "--id", "r1", "--config", str(file), "--data-dir", str(tmp_path / "r1"))
    with running("-m", "paxosd", *command) as process:
        held = opened_fifo(file)
        ended = ending(process)(number)
        os.close(held)

    assert ended.code == 0
    assert ended.took_s < AT_ONCE_S
    assert ended.told.splitlines()[-1].endswith(f"WARNING ended at once: {number.name} while it was starting")
    assert "Traceback" not in ended.told


@pytest.mark.parametrize(
    ("begin", "code"),
    [("end_at_once()", 143), ("end_in_order()", 143), ("stop = Stop(); stop.watch(); stop.ready(lambda: 0, 0.5)", 0)],
)
def test_whoever_starts_it_with_the_signals_blocked_can_end_it_all_the_same(begin: str, code: int) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        with program(begin, "print('stands', flush=True)", "while True: time.sleep(0.1)") as end:
            ended = end(signal.SIGTERM)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    assert ended.code == code
    assert ended.took_s < AT_ONCE_S + 0.5


def test_as_process_1_it_ends_too(tmp_path: Path) -> None:
    alone = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("no process may have process ids of its own here")
    file = tmp_path / "cluster.yaml"
    command = ["-m", "paxosd", "--role", "replica", "--id", "r1", "--config", str(file)]
    with subprocess.Popen([*alone, sys.executable, *command], stderr=subprocess.PIPE, text=True) as parent:
        held = opened_fifo(file)
        (child,) = subprocess.check_output(["pgrep", "-P", str(parent.pid)], text=True).split()
        os.kill(int(child), signal.SIGTERM)
        told = parent.communicate(timeout=10)[1]
        os.close(held)

    assert (parent.returncode, "Traceback" in told) == (0, False)


@pytest.mark.parametrize(
    "command", ["paxosd --role replica --id r1 --config", "paxosd.commands.paxosctl propose - --config"]
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_was_blocked_until_the_handlers_stand_is_not_lost(
    number: signal.Signals, command: str, tmp_path: Path
) -> None:
    """A program that starts us may leave signals blocked; the image does so on purpose, for process 1."""
    file = tmp_path / "cluster.yaml"
    file.write_text(membership_text({"r1": "replica"}))

    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})

    pipe = subprocess.PIPE
    words = [sys.executable, "-m", *command.split(), str(file)]
    with subprocess.Popen(words, stdin=pipe, stderr=pipe, text=True, preexec_fn=block) as process:
        process.send_signal(number)  # before Python itself has started
        try:
            process.wait(timeout=10)
        finally:
            process.kill()
        told = process.stderr.read() if process.stderr else ""

    assert process.returncode == (0 if "--role" in command else 128 + number)
    assert "Traceback" not in told


def test_nothing_that_is_slow_to_import_comes_before_the_handlers() -> None:
    show = "import sys; from paxosd.commands import paxosd, paxosctl; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-S", "-c", show], cwd=Path(__file__).parents[2], text=True)

    assert {"paxosd", "paxosd.commands.paxosd", "paxosd.commands.paxosctl", "paxosd.process.signals"} <= set(
        loaded.split()
    )
    assert not {"argparse", "logging", "enum", "typing", "re", "zmq", "sqlite3", "yaml"} & set(loaded.split())


def test_a_daemon_ends_at_once_also_in_a_call_that_does_not_return() -> None:
    with program("stop = Stop(); stop.watch()", STANDS) as send:
        ended = send(signal.SIGTERM)

    assert (ended.code, ended.told) == (0, "")
    assert ended.took_s < AT_ONCE_S


def test_where_no_thread_can_be_started_the_handlers_act() -> None:
    refuse = "def refuse(*_): raise RuntimeError('no more threads')"
    stand = "print('stands', flush=True); import time; time.sleep(60)"
    with program("import _thread", refuse, "_thread.start_new_thread = refuse", "Stop().watch()", stand) as send:
        ended = send(signal.SIGTERM)

    assert (ended.code, ended.told) == (0, "")
    assert ended.took_s < AT_ONCE_S


# ---- a daemon that is ready ----------------------------------------------------------------------


def test_a_daemon_whose_disk_stands_still_ends_in_time() -> None:
    ready = "stop.before_exit = lambda why: os.write(2, why.encode()); stop.ready(lambda: os.write(2, b'wake, '), 1.0)"
    with program("stop = Stop(); stop.watch()", ready, STANDS) as send:
        ended = send(signal.SIGTERM)

    assert (ended.code, ended.told) == (0, "wake, draining took longer than 1 s")
    assert 0.9 < ended.took_s < 1.0 + AT_ONCE_S


def test_a_second_signal_ends_it_at_once() -> None:
    ready = "stop.before_exit = lambda why: os.write(2, why.encode()); stop.ready(lambda: os.write(2, b'woken\\n'), 60)"
    with running(
        "-c", f"from paxosd.process.signals import *\nimport os\nstop = Stop(); stop.watch(); {ready}\n{STANDS}"
    ) as it:
        assert it.stdout is not None and it.stderr is not None
        it.stdout.readline()
        it.send_signal(signal.SIGTERM)
        it.stderr.readline()
        time.sleep(2 * signals.SAME_WITHIN_S)  # what comes sooner is the same wish
        ended = ending(it)(signal.SIGINT)

    assert (ended.code, ended.told) == (0, "SIGINT while it was draining")
    assert ended.took_s < AT_ONCE_S


def test_two_signals_in_one_instant_are_one_and_the_daemon_drains(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, {"r1": "replica"}) as cluster:
        daemon = cluster.daemons["r1"]
        daemon.send(signal.SIGTERM)
        code = daemon.end(signal.SIGHUP)  # as systemd does with SendSIGHUP

    assert code == 0
    assert "stopped node=r1 signal=SIG" in daemon.written()
    assert "ended at once" not in daemon.written()


def test_nohup_keeps_its_word(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(membership_text({"r1": "replica"}))
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; a child inherits it
    try:
        config, log = tmp_path / "cluster.yaml", tmp_path / "log"
        daemon = Daemon("r1", "replica", config, tmp_path / "r1", log)
    finally:
        signal.signal(signal.SIGHUP, previous)
    daemon.await_logged("ready node=r1")
    daemon.send(signal.SIGHUP)

    assert daemon.end(signal.SIGTERM) == 0
    assert "draining signal=SIGTERM" in daemon.written()


def test_a_directory_opens_again_whenever_its_daemon_was_ended(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(membership_text({"r1": "replica"}))
    codes = []
    for tenth in range(10):
        daemon = Daemon("r1", "replica", tmp_path / "cluster.yaml", tmp_path / "r1", tmp_path / "log")
        time.sleep(tenth / 10)
        codes.append(daemon.end(signal.SIGTERM))
    daemon = Daemon("r1", "replica", tmp_path / "cluster.yaml", tmp_path / "r1", tmp_path / "log")
    daemon.await_logged("ready node=r1")
    daemon.end(signal.SIGTERM)

    assert set(codes) <= {0, -signal.SIGTERM}  # the latter before the interpreter ran a line of ours
    assert "Traceback" not in (tmp_path / "log").read_text()


# ---- other commands ------------------------------------------------------------------------------

ENDED = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "code"), ENDED)
def test_a_command_that_reads_a_file_ends_without_a_word(number: signal.Signals, code: int, tmp_path: Path) -> None:
    with running("-m", "paxosd", "check-config", str(tmp_path / "file")) as process:
        held = opened_fifo(tmp_path / "file")
        ended = ending(process)(number)
        os.close(held)

    assert (ended.code, ended.told) == (code, "")


@pytest.mark.parametrize(("number", "code"), ENDED)
def test_a_command_ends_at_once_also_in_a_call_that_does_not_return(number: signal.Signals, code: int) -> None:
    """As one does that a signal meets in the instant before it waits for a file."""
    with program("end_at_once(); end_at_once_from_a_thread()", STANDS) as send:
        ended = send(number)

    assert (ended.code, ended.told) == (code, "")
    assert ended.took_s < AT_ONCE_S


@pytest.mark.parametrize(("number", "code"), ENDED)
def test_a_proposal_that_is_broken_off_says_that_it_may_have_been_applied(number: signal.Signals, code: int) -> None:
    client = "class Client:\n  def propose(self, *_, **__): print('stands', flush=True); time.sleep(60)"
    options = "SimpleNamespace(write_out='json', timeout=60, given=b'value')"
    ask = f"propose(Client(), {options})"
    imports = "import time; from types import SimpleNamespace; from paxosd.commands.ctl.answers import propose"
    with program("end_at_once()", imports, client, ask) as send:
        ended = send(number)

    assert ended.code == code
    assert ended.told == "paxosctl: ended while the value was on its way: read the log before you propose it again\n"


@pytest.mark.parametrize(("number", "code"), ENDED)
@pytest.mark.parametrize(("options", "child"), [("--seeds 100000", "spawn_main"), ("--planted reads", "forkserver")])
def test_a_simulation_ends_with_all_of_its_processes_and_without_a_word_of_them(
    options: str, child: str, number: signal.Signals, code: int
) -> None:
    sim = [sys.executable, "-m", "paxosd", "sim", *options.split(), "--jobs", "2"]
    pipe = subprocess.PIPE
    with subprocess.Popen(sim, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        while subprocess.run(["pgrep", "-f", "-P", str(process.pid), child], capture_output=True).returncode:
            time.sleep(0.05)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        ended = ending(process)(number)  # returns once no process has the pipes any more

    assert (ended.code, ended.told) == (code, "")
