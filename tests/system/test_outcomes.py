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
