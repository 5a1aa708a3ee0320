"""Commands whose streams are closed, full, cut off or of another encoding: an answer or a message, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.daemons import DaemonCluster, membership_text

PROGRAMS = {"paxosd": "paxosd", "paxosctl": "paxosd.commands.paxosctl"}
SHELL = 'exec "$@"'


def own_environment() -> dict[str, str]:
    """Without variables that daemons and commands have something to say about."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PAXOSD_", "PAXOSCTL_"))}


def sh(redirection: str, *command: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    """A command of ours, started by a shell with these redirections."""
    program, *arguments = command
    line = [sys.executable, "-m", PROGRAMS[program], *arguments]
    return subprocess.run(
        ["sh", "-c", f"{SHELL} {redirection}", "sh", *line],
        input=stdin,
        capture_output=True,
        env={**own_environment(), **env},
        timeout=60,
    )


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "cluster.yaml"
    path.write_text(membership_text({"r1": "replica"}))
    return str(path)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonCluster]:
    with DaemonCluster(tmp_path_factory.mktemp("streams"), {"r1": "replica"}) as running:
        running.leader()
        yield running


def values(cluster: DaemonCluster) -> list[bytes]:
    with cluster.client() as client:
        return [entry.value for entry in client.log()]


# ---- what needs no cluster ---------------------------------------------------------------------

QUICK = [
    ("paxosd", "--help"),
    ("paxosd", "--version"),
    ("paxosd", "check-config", "--help"),
    ("paxosd", "check-config", "FILE"),
    ("paxosd", "health", "--help"),
    ("paxosd", "local", "--help"),
    ("paxosd", "sim", "--help"),
    ("paxosctl", "--help"),
    ("paxosctl", "log", "--help"),
    ("paxosctl", "--version"),
]


def filled(command: tuple[str, ...], file: str) -> list[str]:
    return [file if word == "FILE" else word for word in command]


@pytest.mark.parametrize("command", QUICK, ids=" ".join)
def test_an_answer_for_which_stdout_is_closed_or_full_is_code_3_with_one_line(
    command: tuple[str, ...], file: str
) -> None:
    for redirection, why in ((">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")):
        done = sh(redirection, *filled(command, file))

        told = done.stderr.decode().splitlines()
        assert (done.returncode, len(told)) == (3, 1), told
        assert told[0] == f"{command[0]}: the answer came, but it could not be written to stdout: {why}"


@pytest.mark.parametrize("command", QUICK, ids=" ".join)
def test_an_answer_of_which_the_reader_has_enough_is_code_0(command: tuple[str, ...], file: str) -> None:
    program, *arguments = filled(command, file)
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", PROGRAMS[program], *arguments]
    done = subprocess.run(line, stdout=writing, stderr=subprocess.PIPE, env=own_environment())
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", QUICK, ids=" ".join)
def test_every_help_is_ascii_and_every_answer_can_be_given_in_ascii(command: tuple[str, ...], file: str) -> None:
    done = sh("", *filled(command, file), PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b"\\u" not in done.stdout


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>&- >&- <&-"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("paxosd", "check-config", "/nowhere.yaml"), 7),
        (("paxosd", "health", "--data-dir", "/nowhere"), 5),
        (("paxosd", "reign"), 2),
        (("paxosd", "--role", "acceptor"), 2),
        (("paxosd", "--role", "acceptor", "--id", "a1", "--config", "/nowhere.yaml"), 7),
        (("paxosctl", "reign"), 2),
    ],
    ids=str,
)
def test_a_complaint_that_nobody_can_read_keeps_its_exit_code(
    redirection: str, command: tuple[str, ...], code: int
) -> None:
    assert sh(redirection, *command).returncode == code


def test_what_is_complained_about_cannot_steer_a_terminal() -> None:
    done = sh("", "paxosd", "health", "--data-dir", "/nowhere/\x1b[2J")

    assert b"\x1b" not in done.stderr
    assert b"/nowhere/\\x1b[2J" in done.stderr


# ---- paxosctl ----------------------------------------------------------------------------------


def test_a_proposal_whose_answer_cannot_be_printed_anywhere_is_not_sent(cluster: DaemonCluster) -> None:
    for command in (("propose", "lost"), ("log",), ("status",)):
        done = sh(">&-", "paxosctl", "--config", str(cluster.config), *command)

        assert done.returncode == 2
        assert b"nothing was sent" in done.stderr
    assert b"lost" not in values(cluster)


def test_a_proposal_whose_answer_is_lost_says_that_it_was_applied(cluster: DaemonCluster) -> None:
    for style in ("table", "json"):
        done = sh(">/dev/full", "paxosctl", "--config", str(cluster.config), "propose", f"once-{style}", "-w", style)

        assert done.returncode == 3
        told = done.stderr.decode()
        assert "paxosctl: the value was applied, at revision " in told
        assert "(do not propose it again), but it could not be written to stdout: No space left on device" in told
        assert values(cluster).count(f"once-{style}".encode()) == 1


def test_a_log_and_a_status_that_cannot_be_written_are_code_3(cluster: DaemonCluster) -> None:
    for command in (("log",), ("log", "-w", "json"), ("status",), ("status", "-w", "json")):
        assert sh(">/dev/full", "paxosctl", "--config", str(cluster.config), *command).returncode == 3


def test_a_value_is_read_to_the_last_byte_and_one_that_cannot_be_read_is_not_sent(cluster: DaemonCluster) -> None:
    head = ("paxosctl", "--config", str(cluster.config), "propose", "-")
    for value in (b"\x00\xff\xed\xa0\x80\n", b""):
        assert sh("", *head, stdin=value).returncode == 0
        assert values(cluster)[-1] == value
    before = values(cluster)
    for redirection in ("<&-", "</"):
        done = sh(redirection, *head)
        assert done.returncode in (1, 2)
        assert b"Traceback" not in done.stderr
    assert values(cluster) == before


def test_values_that_no_terminal_shows_are_escaped_in_whatever_encoding(cluster: DaemonCluster) -> None:
    config = str(cluster.config)
    for value in ("grün", "\x1b[2J", os.fsdecode(b"\xff\xfe"), "🙂\u2028"):
        assert sh("", "paxosctl", "--config", config, "propose", value, PYTHONIOENCODING="latin-1").returncode == 0
        assert values(cluster)[-1] == os.fsencode(value)
    for encoding in ("ascii", "latin-1", "utf-8", "utf-8:strict"):
        for style in ("table", "json"):
            done = sh("", "paxosctl", "--config", config, "log", "-w", style, PYTHONIOENCODING=encoding)
            assert (done.returncode, done.stderr) == (0, b"")
            assert b"\x1b" not in done.stdout


def test_a_log_of_which_only_the_head_is_read_is_code_0(cluster: DaemonCluster) -> None:
    with cluster.client() as client:
        for future in [client.propose_async(bytes(1000)) for _ in range(200)]:
            future.result()
    log = [sys.executable, "-m", "paxosd.commands.paxosctl", "--config", str(cluster.config), "log"]
    with subprocess.Popen(log, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()

    assert (process.returncode, told) == (0, b"")


def test_a_pipe_that_somebody_made_non_blocking_gets_every_line(cluster: DaemonCluster) -> None:
    with cluster.client() as client:
        for future in [client.propose_async(bytes(1000)) for _ in range(200)]:
            future.result()
        count = len(list(client.log()))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    log = [sys.executable, "-m", "paxosd.commands.paxosctl", "--config", str(cluster.config), "log", "-w", "json"]
    with subprocess.Popen(log, stdout=writing) as process:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            lines = pipe.read().splitlines()

    assert (process.returncode, len(lines)) == (0, count)
