"""However a program with a local cluster ends, nothing of the cluster stays; and nothing else ends it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from paxosd import Client
from paxosd.local.cluster import LocalCluster, close_when_forgotten, local_config
from tests.processes import WITHIN_S, await_empty, await_gone, children_of, eventually, nodes_of, program

FORKS = """
import multiprocessing, os, sys
from paxosd import Client, ClientClosed, PaxosError
client = Client.local(replicas=1)
client.propose(b"before")

def raises():
    raise KeyError("a child fails")

def uses():
    for call in (lambda: client.propose(b"x"), lambda: client.status(), lambda: list(client.log())):
        try:
            call()
        except ClientClosed as error:
            assert "fork" in str(error), error
        else:
            os._exit(9)

def closes():
    client.close()
    sys.exit(0)

def with_block():
    with client:
        pass

codes = []
for ends in (lambda: sys.exit(0), lambda: os._exit(0), raises, uses, closes, with_block, lambda: None):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        ends()
        sys.exit(0)
    codes.append(os.waitpid(child, 0)[1])
process = multiprocessing.get_context("fork").Process(target=uses)
process.start()
process.join()
codes.append(process.exitcode)
print(client.propose(b"after").revision, codes, os.listdir(os.environ["TMPDIR"]) != [], flush=True)
client.close()
"""

ENDS = {
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "SIGHUP": "os.kill(os.getpid(), signal.SIGHUP)",
    "SIGKILL to its group": "os.killpg(0, signal.SIGKILL)",
    "os._exit": "os._exit(0)",
    "abort": "os.abort()",
    "sys.exit": "sys.exit(0)",
    "the end of the file": "",
    "an exec": "os.execv('/bin/true', ['true'])",
    "SIGKILL, and a forked child lives on": "os.fork() or time.sleep(60); os.kill(os.getpid(), signal.SIGKILL)",
}

WITH_CLUSTER = """
import os, signal, sys, time
from paxosd import Client
client = Client.local(replicas=1, data_dir=os.environ.get("DATA_DIR"))
client.propose(b"x" * 100000)
print("up", flush=True)
sys.stdin.readline()
"""


def test_a_forked_child_can_neither_end_nor_use_the_cluster_of_its_parent(tmp_path: Path) -> None:
    with program(FORKS, tmp_path) as process:
        said, complaints = process.communicate(timeout=WITHIN_S)

    assert (said, complaints) == ("2 [0, 0, 256, 0, 0, 0, 0, 0] True\n", "")
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_of_the_parent_says_so_in_a_forked_child(tmp_path: Path) -> None:
    text = """
import os
from paxosd import ClientClosed
from paxosd.local.cluster import LocalCluster, local_config
with LocalCluster(local_config(None, None, None, replicas=1)) as cluster:
    if os.fork() == 0:
        uses = cluster.client, cluster.leader, cluster.stop, lambda: cluster.kill("r1"), lambda: cluster.restart("r1")
        for use in uses:
            try:
                use()
            except ClientClosed as error:
                assert "before the process forked" in str(error)
            else:
                os._exit(9)
        os._exit(0)
    print(os.wait()[1], cluster.leader())
"""
    with program(text, tmp_path) as process:
        assert process.communicate(timeout=WITHIN_S) == ("0 r1\n", "")


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_however_a_program_ends_its_nodes_end_and_its_temporary_directory_goes(end: str, tmp_path: Path) -> None:
    with program(WITH_CLUSTER + end, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "up\n"
        started = children_of(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait(WITHIN_S)
        await_gone(started)
        await_empty(tmp_path)
        if "fork" in end:
            os.killpg(process.pid, signal.SIGKILL)
        assert process.stderr.read() == ""

    assert len(started) == 2  # a node, and what removes the directory


def test_a_program_that_is_killed_while_it_starts_its_nodes_leaves_nothing(tmp_path: Path) -> None:
    text = "from paxosd import Client\nClient.local()"
    with program(text, tmp_path) as process:
        eventually("a node is started", lambda: nodes_of(process.pid))
        process.kill()
        started = children_of(process.pid)
        process.wait(WITHIN_S)
        await_gone(started)
        await_empty(tmp_path)


def test_a_directory_that_the_user_named_is_never_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "kept"))
    with program(WITH_CLUSTER, tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        started = children_of(process.pid)
        process.kill()
        process.wait(WITHIN_S)
        await_gone(started)

    with Client.local(replicas=1, data_dir=tmp_path / "kept") as client:
        assert [len(entry.value) for entry in client.log()] == [100000]


def test_clusters_one_after_the_other_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def use() -> None:
        with Client.local(replicas=1) as client:
            client.propose(b"x")

    def held() -> tuple[int, int, int, int]:
        files = len(list(Path("/proc/self/fd").iterdir()))
        return threading.active_count(), files, len(children_of(os.getpid())), len(list(tmp_path.iterdir()))

    use()  # what is loaded once
    before = held()
    for _ in range(4):
        use()

    eventually("the threads have ended", lambda: threading.active_count() <= before[0])
    assert held() == before


def test_a_cluster_whose_owner_is_forgotten_is_closed() -> None:
    class Owner:
        pass

    owner = Owner()
    cluster = LocalCluster(local_config(None, None, None, replicas=1))
    close_when_forgotten(owner, cluster)
    nodes = list(cluster.pids.values())
    del owner

    await_gone(nodes)
    eventually("its directory is gone", lambda: not cluster.data_dir.exists())


def test_a_node_that_dies_while_a_program_waits_for_a_leader_is_its_error_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "r1").write_text("no directory")
    text = f"""
from paxosd import Client, PaxosError
try:
    Client.local(replicas=1, data_dir={str(tmp_path)!r})
except PaxosError as error:
    print(error)
"""
    with program(text, tmp_path) as process:
        said, complaints = process.communicate(timeout=WITHIN_S)

    assert said.startswith("r1 ended by itself: ")
    assert said.count("\n") == 1
    assert complaints == ""


# ---- Ctrl-C ----------------------------------------------------------------------------------


def interrupt(after_s: float, twice: bool, temporary: Path) -> None:
    """Ctrl-C in `paxosd local`, so long after it began to work; it has to leave nothing, within its time."""
    process = subprocess.Popen(
        [sys.executable, "-m", "paxosd", "local", "--replicas", "1", "--requests", "99999999"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        eventually("its work has begun", lambda: len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 1)
        time.sleep(after_s)
        started = children_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        if twice:
            time.sleep(0.03)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        at = time.monotonic()
        said, complaints = process.communicate(timeout=WITHIN_S)
        took_s = time.monotonic() - at
        await_gone(started)
        await_empty(temporary)
    finally:
        process.kill()

    assert process.returncode == 130
    assert said == ""
    assert "Traceback" not in complaints
    assert "Error" not in complaints
    assert took_s < 10.0  # it gives itself 1.5 s; a machine may be busy


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.7])
def test_ctrl_c_at_any_point_ends_everything_without_a_word(after_s: float, twice: bool, tmp_path: Path) -> None:
    interrupt(after_s, twice, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_times_ctrl_c_at_points_drawn_by_chance(tmp_path: Path) -> None:
    drawn = random.Random(13)
    for _ in range(100):
        interrupt(drawn.uniform(0.0, 1.5), drawn.random() < 0.5, tmp_path)
