"""What a daemon does around its driver; whole daemons are in `tests/system/`."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paxosd import Client
from paxosd.server.daemon import TOLD_EVERY_S, DropReport, Sign
from paxosd.server.health import Beat, complaint
from paxosd.storage.base import StorageError
from paxosd.transport.queues.switchboard import QueueTransport
from tests.system.daemons import membership_text


class Dropping(QueueTransport):
    """Carries nothing; only its counter matters."""

    def __init__(self) -> None:
        self.dropped = Counter()


def test_what_the_transport_dropped_is_told_once_and_not_more_often_than_every_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "paxosd")
    transport = Dropping()
    drops = DropReport(transport, now=100.0)
    transport.dropped.update({"client gone": 2, "foreign shape": 1})
    drops.tell(100.0 + TOLD_EVERY_S - 1)
    assert caplog.messages == []
    drops.tell(100.0 + TOLD_EVERY_S)
    drops.tell(100.0 + 2 * TOLD_EVERY_S)
    transport.dropped["client gone"] += 3
    drops.tell(100.0 + 3 * TOLD_EVERY_S)

    assert caplog.messages == [
        "transport.dropped 2 (client gone), 1 (foreign shape)",
        "transport.dropped 3 (client gone)",
    ]


def test_a_sign_of_life_that_cannot_be_given_is_told_once_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    sign = Sign(Beat(tmp_path))
    monkeypatch.setattr(os, "pwrite", refuse)
    for now in (100.0, 101.0, 100.0 + TOLD_EVERY_S - 1, 100.0 + TOLD_EVERY_S):
        sign.touch(now)

    told = f"{tmp_path / 'alive'} cannot be written: No space left on device; make room on the disk"
    assert [message[: len(told)] for message in caplog.messages] == [told, told]


def test_a_data_directory_that_is_gone_ends_the_daemon(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    sign = Sign(Beat(directory))
    directory.rename(tmp_path / "moved")

    with pytest.raises(StorageError, match="is gone, or is another directory by now"):
        sign.touch(100.0)


# ---- whoever reads its log stands still ----------------------------------------------------------


@contextmanager
def unread(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Client]]:
    """A replica whose log goes into a pipe that is full and that nobody reads, and a client of it."""
    config = folder / "cluster.yaml"
    config.write_text(membership_text({"r1": "replica"}))
    reading, writing = os.pipe()
    fcntl.fcntl(writing, 1031, 4096)  # F_SETPIPE_SZ
    os.write(writing, bytes(4096))
    command = [sys.executable, "-m", "paxosd", "--role", "replica", "--id", "r1", "--config", str(config)]
    with subprocess.Popen([*command, "--data-dir", str(folder / "r1")], stderr=writing) as process:
        os.close(writing)
        try:
            with Client.from_config(config, timeout=20) as client:
                yield process, client
        finally:
            process.kill()
            os.close(reading)


def test_a_daemon_whose_log_nobody_reads_serves_is_well_and_ends_in_time(tmp_path: Path) -> None:
    with unread(tmp_path) as (process, client):
        assert client.propose(b"served").revision == 1
        assert complaint(tmp_path / "r1") is None
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 0
        assert time.monotonic() - started < 5.0


def test_a_daemon_whose_log_nobody_reads_ends_by_an_error_of_its_own_all_the_same(tmp_path: Path) -> None:
    with unread(tmp_path) as (process, client):
        client.propose(b"served")
        shutil.rmtree(tmp_path / "r1")

        assert process.wait(10) == 8


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", ">&- 2>&- <&-", "2>&1 | head -n 1 >/dev/null"])
def test_a_daemon_whose_log_goes_nowhere_serves(redirection: str, tmp_path: Path) -> None:
    config = tmp_path / "cluster.yaml"
    config.write_text(membership_text({"r1": "replica"}))
    command = f"{sys.executable} -m paxosd --role replica --id r1 --config {config} --data-dir {tmp_path / 'r1'}"
    with subprocess.Popen(["sh", "-c", f"{command} {redirection}"]) as shell:
        with Client.from_config(config, timeout=20) as client:
            assert client.propose(b"served").revision == 1
        pid = int((tmp_path / "r1" / "lock").read_text())
        os.kill(pid, signal.SIGTERM)
        shell.wait(10)

    assert "has ended" in (complaint(tmp_path / "r1") or "")
