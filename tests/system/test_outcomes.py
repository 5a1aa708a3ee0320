"""A program that wrote the name of its command down and died: others ask what became of it, once and for all."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from paxosd import NeverApplied, NoLongerKnown, WasApplied
from paxosd.client import AsyncClient
from paxosd.process.exits import Exit
from tests.system.daemons import REPLICAS, DaemonCluster
from tests.system.test_backup import paxosctl, paxosd
from tests.system.test_ctl_keys import CTL

UNSURE = """
import os, signal, sys
from paxosd import Client, ProposeTimeout
with Client([sys.argv[1]], timeout=20) as client:
    client.propose(b"begun")
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        client.propose(b"unsure", timeout=1.0)
    except ProposeTimeout as error:
        print(error.session.hex(), error.seq, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def outcome_by_shell(cluster: DaemonCluster, session: str, seq: int) -> tuple[int, dict[str, object]]:
    asked = [*CTL, "--config", str(cluster.config), "outcome", session, str(seq), "--timeout", "30", "-w", "json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, json.loads(done.stdout)


def unsure(cluster: DaemonCluster, leader: str) -> tuple[str, int]:
    """Run a program whose command reaches the leader, and no quorum; what it wrote down before it died."""
    others = [node for node in cluster.roles if node != leader]
    command = [sys.executable, "-c", UNSURE, cluster.gateways[leader]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        cluster.pause(*others)
        program.stdin.write("go\n")
        program.stdin.flush()
        session, seq = program.stdout.readline().split()
        program.wait(30)
    return session, int(seq)


@pytest.mark.parametrize("the_leader", ["dies", "goes on"])
def test_what_became_of_the_command_of_a_dead_program_is_told_alike_to_all_and_stays_so(
    tmp_path: Path, the_leader: str
) -> None:
    async def ask_async() -> object:
        async with AsyncClient.from_config(cluster.config, timeout=30) as client:
            return await client.outcome(bytes.fromhex(session), seq)

    with DaemonCluster(tmp_path, REPLICAS) as cluster:
        leader = cluster.leader()
        session, seq = unsure(cluster, leader)
        if the_leader == "dies":  # with a vote for the command on its disk
            cluster.kill(leader)
        cluster.resume(*[node for node in cluster.roles if node != leader])
        with cluster.client(timeout=30) as client:
            told = client.outcome(session, seq)
            if the_leader == "dies":
                cluster.start(leader)  # which has that vote still
            client.propose(b"afterwards")
            values = [entry.value for entry in client.log()]
            assert client.outcome(bytes.fromhex(session), seq) == told
            assert isinstance(client.outcome(bytes(16), 1), NoLongerKnown)
        assert asyncio.run(ask_async()) == told
        code, fields = outcome_by_shell(cluster, session, seq)

    assert isinstance(told, WasApplied | NeverApplied)
    assert (b"unsure" in values) == isinstance(told, WasApplied)
    assert fields["outcome"] == told.outcome
    assert code == (Exit.OK if isinstance(told, WasApplied) else Exit.ERROR)


def test_in_a_restored_cluster_it_is_told_what_became_of_a_command_in_the_history_that_there_is_now(
    tmp_path: Path,
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    with DaemonCluster(old, REPLICAS) as cluster, cluster.client(timeout=30) as client:
        before = client.propose(b"before the backup")
        session = client._worker.session._outbox.session
        assert paxosctl("--config", str(cluster.config), "backup", str(tmp_path / "b")).returncode == 0
        client.propose(b"after it")
    assert (
        paxosd("restore", str(tmp_path / "b"), "--config", str(cluster.config), "--data-dir", str(new)).returncode == 0
    )
    with DaemonCluster(new, REPLICAS, config=cluster.config) as restored, restored.client(timeout=30) as client:
        assert client.outcome(session, 1) == WasApplied(before)
        assert client.outcome(session, 2) == NeverApplied()
        assert isinstance(client.outcome(bytes(16), 1), NoLongerKnown)
        assert [entry.value for entry in client.log()] == [b"before the backup"]
