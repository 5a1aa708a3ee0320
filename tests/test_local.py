"""A whole cluster on this machine, from the outside: `paxosd local`, and `Client.local`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paxosd import Client
from paxosd.client.errors import ConfigurationError

WITHIN_S = 60.0
SCRIPT = """
from paxosd import Client
with Client.local(1, 1, 1) as client:
    print(client.propose(b"hello").revision, [entry.value for entry in client.log()])
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "paxosd.cli", "local", *arguments]


def local(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=WITHIN_S, stdin=subprocess.DEVNULL
    )


def nodes_of(pid: int) -> list[int]:
    """The nodes that this process started."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in children if b"spawn_main" in command_line(child)]


def command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # it is gone by now


def await_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while alive := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, f"{alive} live on"
        time.sleep(0.05)


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """`paxosd local --serve`, and what it says once it serves."""
    process = subprocess.Popen(
        command("--serve", "-w", "json", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


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


def test_a_leader_that_is_killed_in_the_middle_costs_no_value_and_doubles_none() -> None:
    done = local("--requests", "600", "--kill-leader", "-w", "json")
    report = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert report["acknowledged"] == 600
    assert report["killed"] != report["took_over"]
    assert {(row["values"], row["missing"], row["doubled"]) for row in report["learners"]} == {(600, 0, 0)}
    assert all(row["noops"] >= 2 for row in report["learners"])  # each of the two leaders opened with one


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


# ---- the end ---------------------------------------------------------------------------------


def test_ctrl_c_ends_everything_without_a_word_too_many() -> None:
    with serving() as (process, _):
        nodes = nodes_of(process.pid)
        process.send_signal(signal.SIGINT)
        code = process.wait(WITHIN_S)
        assert process.stderr is not None
        said = process.stderr.read()

    assert code == 130
    assert "Traceback" not in said
    assert len(nodes) == 7
    await_gone(nodes)


def test_nodes_die_with_their_parent_however_it_dies() -> None:
    with serving() as (process, _):
        nodes = nodes_of(process.pid)
        process.kill()
        process.wait(WITHIN_S)

        await_gone(nodes)


# ---- serving ---------------------------------------------------------------------------------


def ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=True).stdout


def test_a_served_cluster_is_reached_by_paxosctl_and_keeps_its_log(tmp_path: Path) -> None:
    for life in (1, 2):
        with serving("--data-dir", str(tmp_path), "--replicas", "3") as (process, said):
            assert isinstance(said["endpoints"], dict)
            endpoints = ",".join(map(str, said["endpoints"].values()))
            ctl = [sys.executable, "-m", "paxosd.ctl", "--endpoints", endpoints]
            proposed = subprocess.run(
                [*ctl, "propose", f"life {life}"], capture_output=True, text=True, timeout=WITHIN_S
            )
            log = subprocess.run([*ctl, "log", "-w", "json"], capture_output=True, text=True, timeout=WITHIN_S)
            process.send_signal(signal.SIGTERM)
            process.wait(WITHIN_S)

        assert proposed.stdout.startswith(f"revision {life},")
        assert [json.loads(line)["value"] for line in log.stdout.splitlines()] == [
            f"life {n}" for n in range(1, life + 1)
        ]


# ---- in a program ----------------------------------------------------------------------------


def test_a_client_of_a_cluster_of_its_own_ends_it_when_it_is_closed() -> None:
    before = set(nodes_of(os.getpid()))
    with Client.local(1, 3, 1) as client:
        nodes = set(nodes_of(os.getpid())) - before
        receipts = [client.propose(value).revision for value in (b"one", b"two")]
        log = [entry.value for entry in client.log(start=1)]

    assert (receipts, log) == ([1, 2], [b"one", b"two"])
    assert len(nodes) == 5
    await_gone(list(nodes))


def test_a_script_needs_no_guard_around_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=WITHIN_S)

    assert done.stdout == "1 [b'hello']\n", done.stderr


def test_roles_that_make_no_cluster_are_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="there is no acceptor"):
        Client.local(1, 0, 1)
