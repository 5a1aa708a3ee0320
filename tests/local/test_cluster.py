"""A whole cluster on this machine, from the outside: `paxosd local`, and `Client.local`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

import paxosd.local.cluster as cluster_module
from paxosd import Client
from paxosd.client.errors import ConfigurationError, Unavailable
from paxosd.commands import local as local_cli
from paxosd.local.cluster import LocalCluster, local_config
from paxosd.local.run import ExperimentResult
from tests.processes import WITHIN_S, await_gone, nodes_of

SCRIPT = """
from paxosd import Client
with Client.local(1, 1, 1) as client:
    print(client.propose(b"hello").revision, [entry.value for entry in client.log()])
"""
FORGETFUL = """
from paxosd import Client
print(Client.local(1, 1, 1).propose(b"hello").revision)
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "paxosd", "local", *arguments]


def local(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=WITHIN_S, stdin=subprocess.DEVNULL
    )


@contextmanager
def started(*arguments: str, temporary: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """`paxosd local` in a process group of its own, which is killed if it does not end; `temporary` is its /tmp."""
    process = subprocess.Popen(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(temporary)} if temporary else None,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """`paxosd local --serve`, and what it says once it serves."""
    with started("--serve", "-w", "json", *arguments) as process:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())


# ---- experiments -----------------------------------------------------------------------------


def test_every_learner_has_every_acknowledged_value() -> None:
    done = local("--requests", "300", "-w", "json")
    report = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert report["ok"]
    assert report["acknowledged"] == 300
    assert [(row["learner"], row["values"], row["missing"], row["agrees"]) for row in report["learners"]] == [
        ("l1", 300, 0, True),
        ("l2", 300, 0, True),
    ]
    assert report["messages"]["Accept"] > 0


def test_a_leader_that_is_killed_in_the_middle_costs_no_value_and_doubles_none(tmp_path: Path) -> None:
    done = local("--requests", "600", "--kill-leader", "-w", "json", "--data-dir", str(tmp_path))
    report = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert report["acknowledged"] == 600
    assert report["killed"] != report["took_over"]
    assert {(row["values"], row["missing"], row["doubled"]) for row in report["learners"]} == {(600, 0, 0)}
    assert all(row["noops"] >= 2 for row in report["learners"])  # each of the two leaders opened with one
    assert (tmp_path / f"{report['killed']}.log").read_text().count("ready node=") == 2


def test_n10_frames_that_are_lost_are_sent_again() -> None:
    done = local("--requests", "200", "--drop", "0.1", "--seed", "5", "--replicas", "3", "-w", "json")
    report = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert {row["missing"] for row in report["learners"]} == {0}


def test_the_table_is_for_people() -> None:
    done = local("--requests", "50", "--proposers", "1", "--acceptors", "1", "--learners", "1")

    assert done.returncode == 0, done.stderr
    assert re.search(r"^l1 +50 +0 +0 +\d+ +yes$", done.stdout, re.M)
    assert "50 of 50 requests acknowledged" in done.stdout
    assert "p1 leads 3 nodes" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--drop", "1.5"), 2, "not a probability"),
        (("--requests", "0"), 2, "not a whole number from 1"),
        (("--learners", "two"), 2, "not a whole number from 0"),
        (("--acceptors", "0"), 7, "there is no acceptor"),
        (("--proposers", "1", "--kill-leader"), 2, "needs another proposer"),
        (("--serve", "--requests", "5"), 2, "leave out --requests"),
        (("--config", "config/local.yaml", "--acceptors", "5"), 2, "names the nodes"),
        (("--config", "config/cluster.yaml"), 7, "must be queue"),
    ],
)
def test_wrong_flags_are_one_clear_error(arguments: tuple[str, ...], code: int, complaint: str) -> None:
    done = local(*arguments)

    assert done.returncode == code
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_of_another_cluster_is_refused(tmp_path: Path) -> None:
    first = local("--requests", "5", "--data-dir", str(tmp_path))
    other = local("--requests", "5", "--acceptors", "5", "--data-dir", str(tmp_path))

    assert first.returncode == 0, first.stderr
    assert other.returncode == 7
    assert "holds a cluster of other nodes" in other.stderr


def test_the_file_in_config_starts_the_usual_cluster() -> None:
    done = local("--config", "config/local.yaml", "--requests", "20", "-w", "json")

    assert done.returncode == 0, done.stderr
    assert [row["learner"] for row in json.loads(done.stdout)["learners"]] == ["l1", "l2"]


def test_a_directory_that_cannot_be_used_is_code_8(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = local("--data-dir", str(tmp_path / "file"))

    assert done.returncode == 8
    assert f"{tmp_path / 'file'} cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["l2 lacks 3 acknowledged values"], 1)])
def test_a_run_with_a_problem_is_code_1_and_says_what_it_is(
    problems: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = ExperimentResult(10, acknowledged=10, seconds=1.0, problems=problems)
    monkeypatch.setattr(local_cli, "LocalCluster", lambda *_: nullcontext())
    monkeypatch.setattr(local_cli, "run", lambda *_: result)

    assert local_cli.main(["-w", "json"]) == code
    told = capsys.readouterr()
    assert json.loads(told.out)["ok"] == (code == 0)
    assert told.err == "".join(f"paxosd local: {problem}\n" for problem in problems)


# ---- the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("--serve",), ("--requests", "99999999")])
def test_ctrl_c_ends_everything_at_once_without_a_word_too_many(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with started(*arguments, temporary=tmp_path) as process:
        assert process.stderr is not None
        if "--serve" in arguments:
            assert process.stdout is not None
            process.stdout.readline()
        else:
            assert "leads 7 nodes" in process.stderr.readline()
        nodes = nodes_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the nodes get it too
        at = time.monotonic()
        code = process.wait(WITHIN_S)
        took_s = time.monotonic() - at
        said = process.stderr.read()
        await_gone(nodes)

    assert (code, said, len(nodes)) == (130, "", 7)
    assert took_s < 10.0  # it gives itself 1.5 s; a machine may be busy
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_the_nodes_are_being_started_leaves_none_behind(tmp_path: Path) -> None:
    with started("--serve", temporary=tmp_path) as process:
        deadline = time.monotonic() + WITHIN_S
        while not (nodes := nodes_of(process.pid)):
            assert time.monotonic() < deadline
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(WITHIN_S)
        assert process.stderr is not None
        said = process.stderr.read()
        await_gone(nodes)

    assert (code, said) == (130, "")
    assert list(tmp_path.iterdir()) == []


def test_nodes_die_with_their_parent_however_it_dies(tmp_path: Path) -> None:
    with serving("--data-dir", str(tmp_path)) as (process, _):
        nodes = nodes_of(process.pid)
        process.kill()
        process.wait(WITHIN_S)

        assert len(nodes) == 7
        await_gone(nodes)


def test_a_node_that_ends_by_itself_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with serving("--data-dir", str(tmp_path), "--replicas", "3") as (process, _):
        os.kill(nodes_of(process.pid)[0], signal.SIGKILL)
        assert process.stderr is not None
        told = process.stderr.readline()
        logged = process.stderr.readline()

    assert re.fullmatch(r"r\d ended by itself \(exit code -9\); its log ends:\n", told)
    assert "ready node=r" in logged or "leader" in logged or "WARNING" in logged


# ---- serving ---------------------------------------------------------------------------------


def test_a_served_cluster_is_reached_by_the_lines_that_it_prints(tmp_path: Path) -> None:
    with started("--serve", "--data-dir", str(tmp_path)) as process:
        assert process.stdout is not None
        said = list(iter(process.stdout.readline, "Ctrl-C ends it\n"))
        proposed, log, status = (paxosctl(line.split()[1:]) for line in said if line.startswith("  paxosctl"))
        process.send_signal(signal.SIGTERM)
        code = process.wait(WITHIN_S)

    assert proposed.startswith("revision 1,")
    assert log.split()[-1] == "hello"
    assert "leader p" in status
    assert code == 0


def paxosctl(arguments: list[str]) -> str:
    ctl = [sys.executable, "-m", "paxosd.commands.paxosctl", *arguments, "--timeout", "20"]
    return subprocess.run(ctl, capture_output=True, text=True, timeout=WITHIN_S, check=True).stdout


# ---- in a program ----------------------------------------------------------------------------


def run_script(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(text)
    (folder / "tmp").mkdir()
    return subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
    )


def test_a_client_of_a_cluster_of_its_own_ends_it_when_it_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    before = set(nodes_of(os.getpid()))
    threads = threading.active_count()
    with Client.local(1, 3, 1) as client:
        nodes = set(nodes_of(os.getpid())) - before
        receipts = [client.propose(value).revision for value in (b"one", b"two")]
        log = [entry.value for entry in client.log(start=1)]

    assert (receipts, log) == ([1, 2], [b"one", b"two"])
    assert len(nodes) == 5
    await_gone(list(nodes), within_s=0.1)
    assert threading.active_count() == threads
    assert caplog.records == []  # no node is reported as one that ended by itself


def test_a_data_directory_keeps_the_log_from_one_local_cluster_to_the_next(tmp_path: Path) -> None:
    for value in (b"one", b"two"):
        with Client.local(replicas=1, data_dir=tmp_path) as client:
            client.propose(value)
            log = [entry.value for entry in client.log(start=1)]

    assert log == [b"one", b"two"]


def test_why_nobody_can_lead_is_said_and_not_where_the_logs_are_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "ANSWERS_WITHIN_S", 8.0)
    config = local_config(None, None, None, 3)
    with LocalCluster(config, tmp_path) as cluster:
        cluster.leader()
    for node in ("r1", "r2"):
        shutil.rmtree(tmp_path / node)

    with (
        LocalCluster(config, tmp_path) as cluster,
        pytest.raises(Unavailable, match=r"r1, r2.*; the nodes' logs are in"),
    ):
        cluster.leader()


def test_c10_a_node_that_is_started_again_finds_its_records_wherever_the_program_is_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalCluster(local_config(None, None, None, replicas=1), Path("data")) as cluster:
        cluster.leader()
        with cluster.client() as client:
            client.propose(b"one")
        monkeypatch.chdir("/")
        cluster.kill("r1")
        cluster.restart("r1")
        cluster.leader()
        with cluster.client() as client:
            log = [entry.value for entry in client.log(start=1)]

    assert log == [b"one"]


def test_a_script_needs_no_guard_around_it(tmp_path: Path) -> None:
    done = run_script(tmp_path, SCRIPT)

    assert (done.stdout, done.stderr) == ("1 [b'hello']\n", "")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_script_that_forgets_to_close_ends_its_cluster_all_the_same(tmp_path: Path) -> None:
    done = run_script(tmp_path, FORGETFUL)

    assert (done.stdout, done.stderr, done.returncode) == ("1\n", "", 0)
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"acceptors": 0}, "there is no acceptor"),
        ({"drop": 1.0}, "not a probability"),
        ({"data_dir": "/proc/nothing"}, "cannot be used"),
    ],
)
def test_a_cluster_that_cannot_be_is_a_configuration_error(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Client.local(**options)
