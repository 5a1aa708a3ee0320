"""`paxosd` from the outside: wrong files, wrong directories, exit codes that are documented."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.daemons import ROLES, membership_text


def run(*arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "paxosd.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


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
    assert "7 configuration" in done.stdout


def test_a_wrong_command_line_is_code_2() -> None:
    assert run("--role", "emperor", "--id", "a1", "--config", "x").returncode == 2
    assert run().returncode == 2


def test_check_config_names_every_error_with_its_line_and_is_code_7(config: Path) -> None:
    config.write_text(config.read_text().replace("role: proposer", "role: proposr").replace("quorum", "quorom"))
    done = run("check-config", str(config))

    assert done.returncode == 7
    assert f"{config}:4:" in done.stderr
    assert f"{config}:5:" in done.stderr
    assert "Nothing was started." in done.stderr


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


def test_u06_a_damaged_store_is_code_8_and_is_left_as_it_was(config: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "paxosd.cli",
            "--role",
            "acceptor",
            "--id",
            "a1",
            "--config",
            str(config),
            "--data-dir",
            str(data),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert first.stderr is not None
    assert any("ready node=a1" in line for line in first.stderr)
    first.terminate()
    assert first.wait(10) == 0
    first.stderr.close()
    store = next(path for path in data.iterdir() if path.suffix.startswith(".sqlite") or path.suffix == ".db")
    damaged = b"damaged" * 1000
    store.write_bytes(damaged)
    done = daemon(config, "--data-dir", str(data))

    assert done.returncode == 8
    assert "Traceback" not in done.stderr
    assert store.read_bytes() == damaged


def test_health_is_code_5_without_a_daemon_and_0_while_the_loop_turns(tmp_path: Path) -> None:
    never = run("health", "--data-dir", str(tmp_path))
    (tmp_path / "alive").touch()
    alive = run("health", "--data-dir", str(tmp_path))
    os.utime(tmp_path / "alive", times=(time.time() - 60, time.time() - 60))
    stale = run("health", "--data-dir", str(tmp_path))

    assert (never.returncode, alive.returncode, stale.returncode) == (5, 0, 5)
    assert "no daemon has run" in never.stderr
    assert "last turned 60 s ago" in stale.stderr
