"""`paxosd` from the outside: wrong files, wrong directories, exit codes that are documented."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from paxosd import __version__
from paxosd.commands.daemon import HELP
from paxosd.core.records import Promised
from paxosd.core.types import Ballot
from paxosd.process.exits import Exit
from paxosd.storage.directory import STORE_NAME
from paxosd.storage.sqlite.store import SQLiteStore
from tests.help_text import unexplained
from tests.system.daemons import ROLES, Daemon, membership_text

ROOT = Path(__file__).parents[2]


def run(*arguments: str, timeout: float = 30, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "paxosd", *arguments]
    nothing = subprocess.DEVNULL
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=nothing, cwd=folder)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PAXOSD_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(membership_text(ROLES))
    return path


def daemon(config: Path, *arguments: str, role: str = "acceptor", node: str = "a1") -> subprocess.CompletedProcess[str]:
    return run("--role", role, "--id", node, "--config", str(config), *arguments)


def test_help_shows_examples_and_exit_codes() -> None:
    done = run("--help")

    assert done.returncode == 0
    assert "paxosd --role acceptor --id a1" in done.stdout
    codes = re.findall(r"(?:^|, |: )(\d+) [a-zA-Z]", " ".join(done.stdout.split("exit codes")[1].split()))
    assert {int(code) for code in codes} == set(Exit) - {Exit.NO_SPACE, Exit.HISTORY}


def test_a_wrong_command_line_is_code_2() -> None:
    assert run("--role", "emperor", "--id", "a1", "--config", "x").returncode == 2
    assert run().returncode == 2


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("chek-config", "there is no command 'chek-config'; did you mean 'check-config'?"),
        ("propose", "there is no command 'propose'; there are check-config, health, local, "),
    ],
)
def test_an_unknown_command_is_named_and_not_taken_for_a_daemon_without_flags(written: str, told: str) -> None:
    done = run(written, "x")

    assert done.returncode == 2
    assert told in done.stderr
    assert "required" not in done.stderr


def test_the_version_can_be_asked_for() -> None:
    done = run("--version")

    assert (done.returncode, done.stdout) == (0, f"paxosd {__version__}\n")


@pytest.mark.parametrize("command", ["check-config", "health", "local", "restore", "rescue"])
def test_the_help_of_every_command_begins_with_examples_and_explains_every_flag(command: str) -> None:
    told = run(command, "--help").stdout

    assert f"  paxosd {command}" in told[told.index("examples:") :]
    assert unexplained(told) == []


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("PAXOSD_LOG_LEVEL=loud", "environment PAXOSD_LOG_LEVEL: 'loud' is none of DEBUG, INFO, WARNING, ERROR"),
        ("PAXOSD_TIMING_HARTBEAT=50ms", "PAXOSD_TIMING_HARTBEAT: unknown key; did you mean 'heartbeat'?"),
        ("PAXOSD_STORAGE_DISK=/d", "PAXOSD_STORAGE_DISK: unknown key; known are engine, dir"),
    ],
)
def test_what_is_wrong_in_the_environment_is_code_7(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, told: str
) -> None:
    monkeypatch.setenv(*variable.split("=", 1))
    done = daemon(config, "--data-dir", str(tmp_path / "a1"))

    assert done.returncode == 7
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "a1").exists()


def test_check_config_names_every_error_with_its_line_and_is_code_7(config: Path) -> None:
    config.write_text(config.read_text().replace("role: proposer", "role: proposr").replace("quorum", "quorom"))
    done = run("check-config", str(config))

    assert done.returncode == 7
    assert f"{config}:4:" in done.stderr
    assert f"{config}:5:" in done.stderr
    assert "2 errors." in done.stderr


def test_every_error_of_check_config_begins_with_its_place_so_that_an_editor_finds_it(config: Path) -> None:
    config.write_text(config.read_text().replace("role: proposer", "role: proposr"))
    *errors, count = run("check-config", str(config)).stderr.splitlines()

    assert len(errors) == 2
    assert all(error.startswith(f"{config}:") for error in errors)
    assert count == "2 errors."


def test_check_config_says_ok_and_the_digest(config: Path) -> None:
    done = run("check-config", str(config))

    assert (done.returncode, done.stderr) == (0, "")
    assert "2 proposer, 3 acceptor, 2 learner, digest " in done.stdout


@pytest.mark.parametrize(
    ("role", "node", "complaint"),
    [("acceptor", "a9", "there is no node 'a9'"), ("learner", "a1", "is acceptor, not learner")],
)
def test_a_node_that_is_not_in_the_file_as_that_role_is_code_7(
    config: Path, role: str, node: str, complaint: str
) -> None:
    done = daemon(config, role=role, node=node)

    assert done.returncode == 7
    assert complaint in done.stderr


def test_a_missing_file_is_code_7(tmp_path: Path) -> None:
    done = daemon(tmp_path / "nowhere.yaml")

    assert done.returncode == 7
    assert "nowhere.yaml" in done.stderr


def test_a_data_directory_that_is_a_file_is_code_8(config: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    done = daemon(config, "--data-dir", str(tmp_path / "data"))

    assert done.returncode == 8
    assert str(tmp_path / "data") in done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def started(config: Path, data: Path, role: str = "acceptor", node: str = "a1") -> Iterator[subprocess.Popen[str]]:
    """A daemon that is ready; at the end it is gone, whatever happened."""
    command = [sys.executable, "-m", "paxosd", "--role", role, "--id", node, "--config", str(config)]
    process = subprocess.Popen([*command, "--data-dir", str(data)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process:
        try:
            assert any(f"ready node={node}" in line for line in process.stderr)
            yield process
        finally:
            process.kill()


@contextmanager
def running(config: Path, data: Path, role: str = "acceptor", node: str = "a1") -> Iterator[None]:
    """A daemon that is ready; it is stopped at the end, and must end well."""
    with started(config, data, role, node) as process:
        yield
        process.terminate()
        process.communicate(timeout=10)
        assert process.returncode == 0


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """It ended with this code and a message that has all of these words."""
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    complaint = done.stderr.partition("paxosd: ")[2]
    assert [word for word in words if word not in complaint] == []


@pytest.mark.parametrize("command", [("--role", "acceptor", "--id", "a1", "--config", "c"), ("local",), ("health",)])
def test_an_empty_data_directory_is_code_2_and_not_the_directory_at_hand(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    done = run(*command, "--data-dir", "", folder=tmp_path)

    assert done.returncode == 2
    assert "--data-dir: name a directory" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_vanishes_ends_its_daemon_with_code_8(config: Path, tmp_path: Path) -> None:
    with started(config, tmp_path / "a1") as process:
        shutil.rmtree(tmp_path / "a1")
        _, written = process.communicate(timeout=20)

    assert process.returncode == 8
    assert "Traceback" not in written
    assert f"{tmp_path / 'a1'} is gone, or is another directory by now" in written


def test_u06_a_damaged_store_is_code_8_and_is_left_as_it_was(config: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(config, data):
        pass
    damaged = b"damaged" * 1000
    (data / STORE_NAME).write_bytes(damaged)

    refused(daemon(config, "--data-dir", str(data)), 8, STORE_NAME, "do not delete it")
    assert (data / STORE_NAME).read_bytes() == damaged


def test_d10_a_store_that_is_gone_is_code_8_and_no_fresh_start(config: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(config, data):
        pass
    with closing(SQLiteStore(data / STORE_NAME)) as store:
        store.commit([Promised(Ballot(1, "p1"))])
    (data / STORE_NAME).unlink()

    refused(daemon(config, "--data-dir", str(data)), 8, "records.sqlite3 is gone", "start with an empty one")


def test_d12_the_directory_of_another_node_is_code_8(config: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(config, data):
        pass

    refused(daemon(config, "--data-dir", str(data), node="a2"), 8, "belongs to acceptor a1", "--data-dir")
    refused(daemon(config, "--data-dir", str(data), role="learner", node="l1"), 8, "belongs to acceptor a1")


def test_d13_a_second_daemon_on_one_directory_is_code_8_and_on_one_port_code_9(config: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(config, data):
        refused(daemon(config, "--data-dir", str(data)), 8, "is in use by process", "stop that one")
        refused(daemon(config, "--data-dir", str(tmp_path / "other")), 9, "127.0.0.1:")


def test_a_cluster_on_queues_has_no_daemons(tmp_path: Path) -> None:
    config = tmp_path / "queue.yaml"
    config.write_text("cluster: c\ntransport: queue\nnodes: {a1: {role: replica}}\n")

    refused(daemon(config, role="replica"), 7, "paxosd local")


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_check_config_likes_every_file_that_is_shipped(path: Path) -> None:
    done = run("check-config", str(path))

    assert (done.returncode, done.stderr) == (0, "")


def test_check_config_warns_of_what_is_odd(config: Path) -> None:
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "a3:" not in line))
    done = run("check-config", str(config))

    assert done.returncode == 0
    assert "warning: " in done.stderr
    assert "2 acceptors survive no more losses than 1 would" in done.stderr


def test_u07_check_config_shows_one_digest_for_one_meaning(config: Path) -> None:
    def digest() -> str:
        return run("check-config", str(config)).stdout.split()[-1]

    first = digest()
    config.write_text("# a comment\n" + config.read_text() + "timing: {ping: 2s}\n")
    same = digest()
    config.write_text(config.read_text() + "limits: {sessions: 7}\n")

    assert first == same != digest()


@pytest.mark.parametrize("text", [HELP, (ROOT / "README.md").read_text()], ids=["help", "README"])
def test_every_exit_code_is_told(text: str) -> None:
    told = re.search(r"[Ee]xit codes: ([^.]+)\.", text)

    assert told is not None
    numbers = [int(number) for number in re.findall(r"\b\d+\b", told[1])]
    assert set(numbers) | {Exit.UNKNOWN, Exit.NO_SPACE, Exit.HISTORY} == set(Exit)


# ---- where records are, and for whom -------------------------------------------------------------


def test_records_are_beside_the_membership_file_wherever_a_daemon_is_started_from(config: Path, tmp_path: Path) -> None:
    data = config.parent / "paxosd-data" / "a1"
    for folder, told in (
        ("here", f"WARNING made a NEW data directory, {data}, without any records"),
        ("there", f"INFO data directory {data}"),
    ):
        (tmp_path / folder).mkdir()
        command = [sys.executable, "-m", "paxosd", "--role", "acceptor", "--id", "a1", "--config", str(config)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path / folder) as process:
            assert process.stderr is not None
            first = process.stderr.readline()
            assert any("ready node=a1" in line for line in process.stderr)
            process.terminate()
        assert told in first
        assert (data / STORE_NAME).exists()
        assert list((tmp_path / folder).iterdir()) == []


def test_records_that_an_earlier_version_kept_in_the_working_directory_are_not_forgotten(
    config: Path, tmp_path: Path
) -> None:
    old = tmp_path / "work" / "paxosd-data" / "a1"
    with running(config, old):
        pass
    command = ("--role", "acceptor", "--id", "a1", "--config", str(config))

    refused(run(*command, folder=tmp_path / "work"), 7, f"those of this node are in {old}", "give that as --data-dir")
    assert not (config.parent / "paxosd-data").exists()


@pytest.mark.parametrize(("text", "told"), [("~/data", "begins with ~"), ("", "is not a path")])
def test_a_place_that_means_something_else_is_refused(text: str, told: str, config: Path) -> None:
    config.write_text(config.read_text() + f'storage: {{dir: "{text}"}}\n')

    refused(daemon(config), 7, told)


def test_a_membership_file_without_a_folder_needs_a_data_directory(config: Path) -> None:
    command = [sys.executable, "-m", "paxosd", "--role", "acceptor", "--id", "a1", "--config", "/dev/stdin"]
    done = subprocess.run(command, input=config.read_text(), capture_output=True, text=True)

    refused(done, 7, "has no folder to be relative to; give --data-dir")


def test_a_working_directory_that_is_gone_is_no_harm_unless_it_is_meant(config: Path, tmp_path: Path) -> None:
    program = "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); "
    program += "from paxosd.commands.paxosd import main; sys.argv[1:] = sys.argv[2:]; sys.exit(main())"
    command = [sys.executable, "-c", program, "paxosd", "--role", "acceptor", "--id", "a1", "--config", str(config)]
    with subprocess.Popen(
        [*command, "--data-dir", str(tmp_path / "a1")], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stderr is not None
        assert any("ready node=a1" in line for line in process.stderr)
        process.terminate()
    relative = subprocess.run([*command, "--data-dir", "a1"], capture_output=True, text=True, cwd=tmp_path)

    assert process.returncode == 0
    assert relative.returncode == 2
    assert "'a1' is relative to a working directory that is gone" in relative.stderr


def test_a_daemon_that_may_open_too_few_files_says_so_and_opens_nothing(config: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "paxosd", "--role", "acceptor", "--id", "a1", "--config", str(config)]
    done = subprocess.run(
        [*command, "--data-dir", str(tmp_path / "a1")],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)),
    )

    refused(done, 9, "may have 40 files open, and needs at least 60", "ulimit -n")
    assert not (tmp_path / "a1").exists()


@pytest.mark.parametrize("umask", [0, 0o777])
def test_what_a_daemon_makes_is_for_its_user_alone_whatever_the_umask_is(
    umask: int, config: Path, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        with running(config, tmp_path / "a1"):
            modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a1").iterdir()}
    finally:
        os.umask(before)

    assert (tmp_path / "a1").stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}


def test_a_daemon_logs_what_is_odd_about_its_file_and_its_environment(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAXOSD_STORAGE_PORT", "tcp://10.96.0.7:7000")
    logged = Daemon("a1", "acceptor", config, tmp_path / "a1", tmp_path / "log")
    logged.await_logged("WARNING .*PAXOSD_STORAGE_PORT: was set for a service")

    assert logged.end(signal.SIGTERM) == 0
