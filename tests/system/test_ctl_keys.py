"""The verbs of keys of `paxosctl`, typed into a shell beside real daemons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from paxosd.process.exits import Exit
from tests.system.daemons import REPLICAS, DaemonCluster

CTL = [sys.executable, "-m", "paxosd.commands.paxosctl"]
WITHIN_S = 60


class Begun:
    """A command that goes on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def end(self, number: signal.Signals) -> int:
        self._process.send_signal(number)
        return self.code()

    def code(self) -> int:
        return self._process.wait(WITHIN_S)

    @property
    def goes_on(self) -> bool:
        return self._process.poll() is None


class Shell:
    """Types commands for one cluster."""

    def __init__(self, cluster: DaemonCluster) -> None:
        self.environment = os.environ | {"PAXOSCTL_CONFIG": str(cluster.config), "PAXOSCTL_TIMEOUT": "20"}

    def __call__(self, *words: str, stdin: str = "", code: int = Exit.OK) -> str:
        done = subprocess.run(
            [*CTL, *words],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == Exit.OK else done.stdout + done.stderr

    def json(self, *words: str, stdin: str = "") -> Any:
        return json.loads(self(*words, "-w", "json", stdin=stdin))

    @contextmanager
    def begun(self, *words: str) -> Iterator[Begun]:
        with subprocess.Popen([*CTL, *words], env=self.environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield Begun(process)
            finally:
                process.kill()


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with DaemonCluster(tmp_path_factory.mktemp("ctl"), REPLICAS) as cluster:
        yield Shell(cluster)


def test_a_key_is_put_read_changed_and_deleted(shell: Shell) -> None:
    first = shell.json("put", "flags/dark", "on")["revision"]
    assert shell.json("put", "flags/dark", "-", "--prev-kv", stdin="off")["previous"]["value"] == "on"
    assert shell("get", "flags/dark", "--print-value-only") == "off\n"
    assert shell.json("get", "flags/dark", "--rev", str(first))["keys"][0]["value"] == "on"
    assert shell.json("get", "--prefix", "flags/", "--count-only")["count"] == 1
    assert "flags/dark" in shell("get", "--prefix", "flags/")
    assert shell.json("del", "--prefix", "flags/")["deleted"] == 1
    assert "no such key" in shell("get", "flags/dark", code=Exit.ERROR)


def test_a_put_may_have_a_condition(shell: Shell) -> None:
    revision = shell.json("put", "once", "1", "--if-absent")["revision"]
    assert "not applied" in shell("put", "once", "2", "--if-absent", code=Exit.ERROR)
    shell("put", "once", "2", "--if-revision", str(revision))
    assert "not applied" in shell("put", "once", "3", "--if-revision", str(revision), code=Exit.ERROR)


def test_a_transaction_comes_from_stdin(shell: Shell) -> None:
    shell("put", "owner", "me")
    done = shell.json("txn", stdin='value("owner") = "me"\n\nput conf new\nget conf\n')
    assert (done["succeeded"], done["results"][1]["get"][0]["value"]) == (True, "new")
    assert shell("txn", stdin='value("owner") = "you"\n\nput conf newer\n').startswith("FAILURE")
    assert "nothing was sent" in shell("txn", stdin="put a b\n\nget a\n", code=Exit.USAGE)


def test_a_key_goes_with_its_lease(shell: Shell) -> None:
    lease = str(shell.json("lease", "grant", "60", "--name", "mine")["lease"])
    shell("put", "here", "me", "--lease", lease)
    assert shell.json("lease", "show", lease)["keys"] == [{"key": "here"}]
    assert "mine" in shell("lease", "list")
    assert shell.json("lease", "keep", lease, "--once")["ttl_ms"] == 60_000
    assert shell.json("lease", "revoke", lease)["deleted"] == 1
    assert "no such key" in shell("get", "here", code=Exit.ERROR)
    shell("lease", "keep", lease, code=Exit.ERROR)
    shell("lease", "show", lease, code=Exit.ERROR)


def test_who_ends_the_keeping_of_a_lease_is_not_told_that_something_was_on_its_way(shell: Shell) -> None:
    lease = str(shell.json("lease", "grant", "60")["lease"])
    pipe, command = subprocess.PIPE, [*CTL, "lease", "keep", lease]
    with subprocess.Popen(command, env=shell.environment, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        kept = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=WITHIN_S)

    assert kept == f"lease {lease} kept for 60 s\n"
    assert (process.returncode, said) == (Exit.INTERRUPTED, "")


def test_a_watch_tells_what_happened_from_a_revision_on_and_runs_a_command_for_each_event(shell: Shell) -> None:
    first = str(shell.json("put", "watched/a", "1")["revision"])
    shell("del", "watched/a")
    told = shell("watch", "--prefix", "watched/", "--rev", first, "--count", "2", "-w", "json").splitlines()
    assert [json.loads(line)["event"] for line in told] == ["put", "delete"]
    show = ["--", "sh", "-c", "echo $PAXOSCTL_WATCH_EVENT $PAXOSCTL_WATCH_KEY $PAXOSCTL_WATCH_VALUE"]
    assert shell("watch", "--prefix", "watched/", "--rev", first, "--count", "2", *show) == (
        "PUT watched/a 1\nDELETE watched/a\n"
    )


def test_a_command_runs_under_a_lock_with_its_fence_and_its_code_is_ours(shell: Shell) -> None:
    fences = [int(shell("lock", "job", "--", "sh", "-c", "echo $PAXOSCTL_FENCE")) for _ in range(2)]
    assert fences == sorted(set(fences))
    shell("lock", "job", "--", "sh", "-c", "exit 7", code=7)
    assert "could not be started" in shell("lock", "job", "--", "./nothing-here", code=Exit.ERROR)


def test_a_lock_is_held_until_its_holder_is_ended_and_then_given_back_at_once(shell: Shell) -> None:
    with shell.begun("lock", "held") as holder:
        assert holder.line().startswith("lock/held/")
        assert "held by others" in shell("lock", "held", "--wait", "0", "--", "true", code=Exit.UNKNOWN)
        assert holder.end(signal.SIGTERM) == Exit.TERMINATED
    shell("lock", "held", "--wait", "0", "--", "true")


def test_the_command_is_ended_when_the_lock_is_lost(shell: Shell, tmp_path: Path) -> None:
    began, ended = tmp_path / "began", tmp_path / "ended"
    script = f"trap 'touch {ended}; exit 0' TERM; touch {began}; while :; do sleep 0.1; done"
    with shell.begun("lock", "lost", "--", "sh", "-c", script) as holder:
        while not began.exists():
            assert holder.goes_on
            time.sleep(0.02)
        lease = shell.json("get", "--prefix", "lock/lost/")["keys"][0]["lease"]
        shell("lease", "revoke", str(lease))
        assert holder.code() == Exit.ERROR
    assert ended.exists()


def test_two_places_of_a_semaphore_are_held_by_two_and_no_third(shell: Shell) -> None:
    nested = [*CTL, "sem", "builds", "2", "--wait", "0", "--"]
    shell("sem", "builds", "2", "--", *nested, "true")
    shell("sem", "builds", "2", "--", *nested, *nested, "true", code=Exit.UNKNOWN)


def test_who_leads_is_seen(shell: Shell) -> None:
    with shell.begun("elect", "workers", "me") as leader, shell.begun("elect", "workers", "--listen") as observer:
        while observer.line() != "me\n":
            assert observer.goes_on
        assert leader.end(signal.SIGINT) == Exit.INTERRUPTED
        assert observer.line() == "nobody leads\n"


def test_an_entry_comes_back_unless_its_work_was_done(shell: Shell) -> None:
    shell("queue", "put", "mail", "one")
    shell("queue", "put", "mail", "-", "--priority", "1", stdin="two")
    assert shell("queue", "get", "mail") == "two\n"
    shell("queue", "work", "mail", "--", "false", code=1)
    assert shell.json("queue", "size", "mail") == {"size": 1}
    assert shell("queue", "work", "mail", "--", "cat") == "one"
    assert "no entry" in shell("queue", "get", "mail", "--wait", "0", code=Exit.UNKNOWN)


@pytest.mark.parametrize("words", ["put a -", "queue put mail -", "txn"])
def test_of_a_stdin_without_end_no_more_is_read_than_the_cluster_takes(shell: Shell, words: str) -> None:
    with Path("/dev/zero").open("rb") as endless:
        command = [*CTL, *words.split()]
        done = subprocess.run(
            command, stdin=endless, env=shell.environment, capture_output=True, timeout=WITHIN_S, check=False
        )

    assert done.returncode == Exit.ERROR
    assert b"not applied: the value has 1048577 bytes or more" in done.stderr


def test_who_says_another_limit_of_a_semaphore_is_told_which_one_it_is(shell: Shell) -> None:
    inner = [*CTL, "sem", "places", "3", "--wait", "0", "--", "true"]
    assert "2 have their turn at once here, not 3" in shell("sem", "places", "2", "--", *inner, code=Exit.USAGE)


def test_history_that_was_let_go_of_is_told_so(shell: Shell) -> None:
    shell("put", "old", "1")
    revision = shell.json("put", "old", "2")["revision"]
    shell("compact", str(revision))
    assert "not kept any more" in shell("get", "old", "--rev", str(revision - 1), code=Exit.ERROR)
    shell("watch", "old", "--rev", "1", code=Exit.ERROR)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_shell_is_told_all_commands(shell: Shell, name: str) -> None:
    told = shell("completion", name)
    assert all(
        verb in told for verb in ("propose", "watch", "lock", "--print-value-only" if name != "fish" else "size")
    )


def test_bash_completes(shell: Shell) -> None:
    script = (
        shell("completion", "bash") + 'COMP_WORDS=(paxosctl lea); COMP_CWORD=1; _paxosctl; echo "${COMPREPLY[@]}"\n'
    )
    assert subprocess.check_output(["bash", "-c", script], text=True) == "lease\n"
