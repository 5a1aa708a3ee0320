"""Backups of real clusters, taken with `paxosctl` as a person would, while they run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paxosd import Client, Compacted, NoQuorum, Unavailable, WrongHistory
from paxosd.backup.file import summary
from paxosd.config import load
from tests.system.daemons import REPLICAS, ROLES, DaemonCluster

LAYOUTS = [pytest.param(ROLES, id="roles"), pytest.param(REPLICAS, id="replicas")]


def paxosctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("paxosd.commands.paxosctl", *arguments)


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("roles", LAYOUTS)
def test_a_backup_of_a_running_cluster_holds_all_that_was_acknowledged(tmp_path: Path, roles: dict[str, str]) -> None:
    with DaemonCluster(tmp_path, roles) as cluster, cluster.client() as client:
        futures = [client.propose_async(b"%d" % number * 1000) for number in range(2000)]
        revision = max(future.result().revision for future in futures)
        made = paxosctl("--config", str(cluster.config), "backup", str(tmp_path / "b"))
        again = paxosctl("--config", str(cluster.config), "backup", str(tmp_path / "b"))
        config = load(cluster.config)
    told = paxosctl("backup", "status", str(tmp_path / "b"))
    as_json = paxosctl("backup", "status", str(tmp_path / "b"), "-w", "json")

    assert (made.returncode, made.stderr) == (0, "")
    found = summary(tmp_path / "b")
    assert (found.position.revision, found.header.cluster) == (revision, config.cluster)
    assert made.stdout == f"{tmp_path / 'b'}: revision {revision}, every slot below {found.position.watermark}\n"
    assert (told.returncode, as_json.returncode) == (0, 0)
    assert f"revision             {revision}\n" in told.stdout
    assert json.loads(as_json.stdout)["revision"] == revision
    assert again.returncode == 8
    assert "is there already, and a backup is never written over" in again.stderr


def test_a_damaged_backup_is_named_and_needs_no_cluster_to_be_seen(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"paxosd-backup 1\nrubbish")
    told = paxosctl("backup", "status", str(tmp_path / "b"))

    assert (told.returncode, told.stdout) == (8, "")
    assert "is damaged" in told.stderr
    assert "take another copy of it, or another backup" in told.stderr


def test_a_backup_without_a_quorum_says_so_and_a_stale_one_is_taken(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, ROLES) as cluster:
        with cluster.client() as client:
            client.propose(b"v")
        cluster.kill("a1", "a2")
        flags = ("--config", str(cluster.config), "--timeout", "3", "backup", str(tmp_path / "b"))
        refused = paxosctl(*flags)
        stale = paxosctl(*flags, "--stale")

    assert refused.returncode == 4
    assert stale.returncode == 0
    assert summary(tmp_path / "b").position.revision == 1


def paxosd(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("paxosd", *arguments)


@pytest.mark.parametrize("roles", LAYOUTS)
def test_a_restored_cluster_has_all_of_the_backup_and_goes_on(tmp_path: Path, roles: dict[str, str]) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    with DaemonCluster(old, roles) as cluster, cluster.client() as client:
        futures = [client.propose_async(b"%d" % number) for number in range(500)]
        entries = [(future.result().revision, b"%d" % number) for number, future in enumerate(futures)]
        made = paxosctl("--config", str(cluster.config), "backup", str(tmp_path / "b"))
        client.propose(b"after the backup")
    restored = paxosd("restore", str(tmp_path / "b"), "--config", str(cluster.config), "--data-dir", str(new))

    assert (made.returncode, restored.returncode) == (0, 0)
    assert "start the nodes when all are restored" in restored.stdout
    cluster = DaemonCluster(new, roles, config=cluster.config)
    with cluster, cluster.client() as client:
        assert client.propose(b"next").revision == 501
        assert [(entry.revision, entry.value) for entry in client.log()] == [*sorted(entries), (501, b"next")]
        cluster.kill(*roles)
        cluster.start(*roles)
        assert client.propose(b"after a restart").revision == 502


def test_each_node_can_be_restored_by_itself_and_nothing_that_is_there_is_touched(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    with DaemonCluster(old, ROLES) as cluster, cluster.client() as client:
        client.propose(b"v")
        paxosctl("--config", str(cluster.config), "backup", str(tmp_path / "b"))
    for node in ROLES:
        flags = ("--config", str(cluster.config), "--id", node)
        done = paxosd("restore", str(tmp_path / "b"), *flags, "--data-dir", str(new / node))
        assert done.returncode == 0, done.stderr
    again = paxosd("restore", str(tmp_path / "b"), "--config", str(cluster.config), "--data-dir", str(new))

    assert again.returncode == 8
    assert "is the data directory of a node: nothing was touched" in again.stderr
    with DaemonCluster(new, ROLES, config=cluster.config) as cluster, cluster.client() as client:
        assert [entry.value for entry in client.log()] == [b"v"]


def test_an_archive_and_a_backup_restore_the_cluster_as_it_was_at_any_revision(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    archive, backup = str(tmp_path / "archive"), str(tmp_path / "b")
    with DaemonCluster(old, REPLICAS) as cluster, cluster.client() as client:
        flags = ("--config", str(cluster.config))
        for number in range(10):
            client.propose(b"before %d" % number)
        assert paxosctl(*flags, "archive", "--once", archive).returncode == 0
        assert paxosctl(*flags, "backup", backup).returncode == 0
        futures = [client.propose_async(b"after %d" % number) for number in range(200)]
        entries = sorted((future.result().revision, b"after %d" % number) for number, future in enumerate(futures))
        done = paxosctl(*flags, "archive", "--once", archive, "-w", "json")
    assert json.loads(done.stdout.splitlines()[-1])["watermark"] > 11
    restore = ("restore", backup, "--config", str(cluster.config), "--data-dir", str(new))
    restored = paxosd(*restore, "--archive", archive, "--to-revision", "60", "--to-time", "2100-01-01", "-w", "json")

    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["revision"] == 60
    assert restored.stderr == ""
    later = ("--archive", archive, "--to-time", "2100-01-01", "--data-dir", str(tmp_path / "later"))
    told = paxosd(*restore[:4], *later).stderr
    assert "what was chosen from then to 2100-01-01T00:00:00.000Z is not in it" in told
    with DaemonCluster(new, REPLICAS, config=cluster.config) as cluster, cluster.client() as client:
        log = [(entry.revision, entry.value) for entry in client.log()]
        assert log == [*((number + 1, b"before %d" % number) for number in range(10)), *entries[:50]]
        assert client.propose(b"another way").revision == 61


def await_trimmed(client: Client) -> None:
    deadline = time.monotonic() + 20
    while client.slots(1, linearizable=False).start == 1:
        assert time.monotonic() < deadline, "the log is not trimmed"
        time.sleep(0.1)


def test_a_cluster_that_keeps_only_the_end_of_its_log_is_restored_with_its_state(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    archive, backup = str(tmp_path / "archive"), str(tmp_path / "b")
    with DaemonCluster(old, REPLICAS, "log: {keep_entries: 20}") as cluster, cluster.client() as client:
        flags = ("--config", str(cluster.config))
        for number in range(200):
            client.propose(b"%d" % number)
        await_trimmed(client)
        made = paxosctl(*flags, "backup", backup)
        assert made.returncode == 0, made.stderr
        client.propose(b"after the backup")
        assert paxosctl(*flags, "archive", "--once", archive).returncode == 0
    told = json.loads(paxosctl("backup", "status", backup, "-w", "json").stdout)
    assert (told["revision"], told["whole"]) == (200, True)
    assert told["first"] > 1
    assert told["kept"] > 0
    for place, more in (("plain", ()), ("archived", ("--archive", archive))):
        done = paxosd("restore", backup, *flags, "--data-dir", str(new / place), *more)
        assert done.returncode == 0, done.stderr
        with DaemonCluster(new / place, REPLICAS, config=cluster.config) as cluster, cluster.client() as client:
            last = 200 + len(more) // 2
            assert client.propose(b"next").revision == last + 1
            with pytest.raises(Compacted):
                list(client.log(start=1))
            values = {entry.revision: entry.value for entry in client.log(start=190)}
            assert values[200] == b"199"
            assert values.get(201) == (b"after the backup" if more else b"next")


def restored(tmp_path: Path) -> tuple[DaemonCluster, DaemonCluster]:
    """A cluster of three replicas that is stopped, after a backup of one value and one value more; and what is restored
    of it, not started yet."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    cluster = DaemonCluster(old, REPLICAS)
    with cluster, cluster.client() as client:
        client.propose(b"kept")
        assert paxosctl("--config", str(cluster.config), "backup", str(tmp_path / "b")).returncode == 0
        client.propose(b"lost")
    done = paxosd("restore", str(tmp_path / "b"), "--config", str(cluster.config), "--data-dir", str(new))
    assert done.returncode == 0, done.stderr
    return cluster, DaemonCluster(new, REPLICAS, config=cluster.config)


def test_a_daemon_of_the_history_that_is_over_is_not_heard_before_the_new_one_is_born(tmp_path: Path) -> None:
    old, new = restored(tmp_path)
    try:
        old.start("r3")
        new.start("r1", "r2")
        new.daemons["r1"].await_logged(r"another history: \w+ is over here: we were restored")
        with new.client(timeout=2.0) as client, pytest.raises((NoQuorum, Unavailable)):
            client.propose(b"too early")
        old.kill("r3")
        new.start("r3")
        with new.client() as client:
            assert client.propose(b"next").revision == 2
            assert [entry.value for entry in client.log()] == [b"kept", b"next"]
    finally:
        old.__exit__(None, None, None)
        new.__exit__(None, None, None)


def test_a_daemon_and_a_client_of_the_history_that_is_over_are_refused_by_the_new_one(tmp_path: Path) -> None:
    old, new = restored(tmp_path)
    try:
        old.start("r1", "r2", "r3")
        with new.client(timeout=20.0) as client:
            client.propose(b"of the old history")
            old.kill("r1", "r2", "r3")
            new.start("r1", "r2", "r3")
            with new.client() as other:
                other.propose(b"first")
            with pytest.raises(WrongHistory):
                client.propose(b"for the old history")
        new.kill("r3")
        old.start("r3")
        with new.client() as client:
            assert [client.propose(b"%d" % number).revision for number in range(20)] == list(range(3, 23))
            assert [entry.value for entry in client.log()][:2] == [b"kept", b"first"]
        old.daemons["r3"].await_logged(r"another history")
    finally:
        old.__exit__(None, None, None)
        new.__exit__(None, None, None)


def test_what_is_left_of_lost_disks_is_told_and_can_become_a_new_history(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    with DaemonCluster(old, REPLICAS) as cluster, cluster.client() as client:
        values = [b"%d" % number for number in range(30)]
        for value in values:
            client.propose(value)
        with cluster.client(["r1"]) as beside:  # it has learned all of them by then
            assert len(list(beside.log())) == 30
    config = ("--config", str(cluster.config))
    all_three = paxosd("rescue", "--plan", *config, *(str(old / node) for node in REPLICAS))
    plan = paxosd("rescue", "--plan", *config, str(old / "r1"), "-w", "json")
    told = json.loads(plan.stdout)
    make = ("rescue", *config, "--data-dir", str(new), str(old / "r1"), "--make-history")
    unconfirmed = paxosd(*make, "00000000")

    assert (all_three.returncode, plan.returncode, unconfirmed.returncode) == (0, 5, 2)
    assert "lost: nothing; every chosen value has a vote or a log here" in all_three.stdout
    assert (told["missing"], told["may_be_lost"], told["waits_for"]) == (["r2", "r3"], True, [["r2"], ["r3"]])
    assert list(new.iterdir()) == []
    made = paxosd(*make, told["history"][:8])
    assert made.returncode == 0, made.stderr
    with DaemonCluster(new, REPLICAS, config=cluster.config) as cluster, cluster.client() as client:
        assert [entry.value for entry in client.log()] == values
        assert client.propose(b"next").revision == 31


def test_what_is_left_of_a_trimmed_log_becomes_a_new_history_with_all_keys(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    with DaemonCluster(old, REPLICAS, "log: {keep_entries: 20}") as cluster, cluster.client() as client:
        for number in range(300):
            client.put(f"{number % 10}", b"%d" % number)
            client.propose(b"%d" % number)
        await_trimmed(client)
        with cluster.client(["r1"]) as beside:  # it has learned all of them by then
            kept, keys = list(beside.log()), beside.get_range(prefix=b"").items
    config = ("--config", str(cluster.config))
    all_three = paxosd("rescue", "--plan", *config, *(str(old / node) for node in REPLICAS))
    told = json.loads(paxosd("rescue", "--plan", *config, str(old / "r1"), "-w", "json").stdout)
    make = ("rescue", *config, "--data-dir", str(new), str(old / "r1"), "--make-history", told["history"][:8])
    made = paxosd(*make)

    assert "lost: nothing; every chosen value has a vote or a log here" in all_three.stdout
    assert made.returncode == 0, made.stderr
    assert [entry.value for entry in kept][-1] == b"299"
    with DaemonCluster(new, REPLICAS, config=cluster.config) as cluster, cluster.client() as client:
        assert list(client.log()) == kept
        assert client.get_range(prefix=b"").items == keys
        assert client.propose(b"next").revision == 601
        with pytest.raises(Compacted):
            list(client.log(start=1))


@pytest.mark.parametrize("extra", ["", "log: {keep_entries: 50}"], ids=["all of the log", "the end of it"])
def test_keys_and_their_leases_are_in_a_backup_and_who_watched_is_told_of_the_new_history(
    tmp_path: Path, extra: str
) -> None:
    with DaemonCluster(tmp_path, REPLICAS, extra) as cluster, cluster.client() as client:
        lease = client.lease(ttl=3600)
        client.put("kept", b"1", lease=lease)
        put = client.put("kept", b"2", lease=lease)
        for number in range(300):
            client.put(f"many/{number % 10}", b"%d" % number)
        client.delete("many/3")
        before = client.get_range(prefix=b"")
        made = paxosctl("--config", str(cluster.config), "backup", str(tmp_path / "b"))
        assert made.returncode == 0, made.stderr
        watcher = client.watch(prefix=b"", start=put.revision)
        assert watcher.next(timeout=20) is not None
        cluster.kill(*REPLICAS)
        place = tmp_path / "restored"
        done = run("paxosd", "restore", str(tmp_path / "b"), "--config", str(cluster.config), "--data-dir", str(place))
        assert done.returncode == 0, done.stderr
        with DaemonCluster(place, REPLICAS, config=cluster.config) as restored, restored.client() as other:
            after = other.get_range(prefix=b"", timeout=20)
            later = other.put("kept", b"3", previous=True)
            with pytest.raises(WrongHistory):
                while watcher.next(timeout=30) is not None:
                    pass

    assert after.items == before.items
    assert later.previous is not None and later.previous.lease == lease.id
    assert later.revision > before.revision
