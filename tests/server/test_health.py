"""`paxosd health`: what is no sign of life, and that whoever looks changes nothing."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paxosd.commands.health import main as health_command
from paxosd.server import health
from paxosd.server.health import BEAT_NAME, LINE_BYTES, STALE_AFTER_S, Beat, complaint, notice
from tests.system.daemons import Daemon, DaemonCluster, membership_text


@pytest.fixture
def beat(tmp_path: Path) -> Beat:
    return Beat(tmp_path)


def told(directory: Path) -> str:
    found = complaint(directory)
    assert found is not None
    return found


def test_a_daemon_is_well_while_its_loop_turns(beat: Beat, tmp_path: Path) -> None:
    assert "has been starting for 0 s" in told(tmp_path)
    beat.touch(time.monotonic())
    assert complaint(tmp_path) is None
    beat.close()
    assert "has ended" in told(tmp_path)


def test_o09_a_disk_that_is_nearly_full_is_told_and_is_no_illness(beat: Beat, tmp_path: Path) -> None:
    told_of: list[str | None] = []
    for number, word in enumerate(("", "low", "full", "")):
        beat.note(word)
        beat.touch(100.0 + number)
        assert complaint(tmp_path) is None
        assert len((tmp_path / BEAT_NAME).read_bytes()) == LINE_BYTES
        told_of.append(notice(tmp_path))

    assert [found and found.partition(":")[0] for found in told_of] == [
        None, "the disk is nearly full", "the disk is full", None,
    ]  # fmt: skip


def test_a_loop_that_does_not_turn_is_told_with_how_long_not(
    beat: Beat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat.touch(time.monotonic())
    later = health._monotonic_ms() + 1000 * int(STALE_AFTER_S) + 1200
    monkeypatch.setattr(health, "_monotonic_ms", lambda: later)

    assert "last turned 11 s ago" in told(tmp_path)


def test_it_is_written_once_a_second_and_one_line_replaces_the_other(beat: Beat, tmp_path: Path) -> None:
    file = tmp_path / BEAT_NAME
    beat.touch(100.0)
    first = file.read_bytes()
    time.sleep(0.002)
    beat.touch(100.9)
    assert file.read_bytes() == first
    beat.touch(101.0)

    assert file.read_bytes() != first
    assert len(file.read_bytes()) == len(first) == LINE_BYTES


def test_the_time_of_the_file_means_nothing(beat: Beat, tmp_path: Path) -> None:
    for shift_s in (-3600, 3600):
        beat.touch(time.monotonic() + 10)
        os.utime(tmp_path / BEAT_NAME, (time.time() + shift_s,) * 2)
        assert complaint(tmp_path) is None


def test_a_daemon_in_a_real_time_namespace_is_well_for_whoever_looks_from_outside(tmp_path: Path) -> None:
    inside = ["unshare", "--time", "--monotonic", "90000", "--boottime", "1000", "--fork"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("no process may have a time namespace of its own here")
    beat = f"Beat(Path({str(tmp_path)!r}))"
    program = f"from paxosd.server.health import Beat; from pathlib import Path; {beat}.touch(1e9); input()"
    with subprocess.Popen([*inside, sys.executable, "-c", program], stdin=subprocess.PIPE) as daemon:
        deadline = time.monotonic() + 30
        while complaint(tmp_path) is not None and time.monotonic() < deadline:
            time.sleep(0.02)
        found = complaint(tmp_path)
        daemon.communicate(b"\n")

    assert found is None


def test_a_daemon_whose_time_namespace_adds_years_is_well_for_whoever_looks_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, offsets = time.monotonic_ns, tmp_path / "offsets"
    with monkeypatch.context() as inside:
        inside.setattr(time, "monotonic_ns", lambda: ours() + 100_000_000 * 10**9)
        inside.setattr(health, "_OFFSETS", offsets)
        offsets.write_text("monotonic   100000000         0\nboottime   100000000         0\n")
        Beat(tmp_path).touch(100.0)

    assert complaint(tmp_path) is None


@pytest.mark.parametrize(
    ("position", "other", "why"),
    [
        (1, "01234567-89ab-cdef-0123-456789abcdef", "of another boot"),
        (5, "99999999999999", "a time that has not come yet"),
        (5, "-5", "last turned"),
        (5, "soon", "is not what a daemon of this version writes"),
        (3, "-1", "is not what a daemon of this version writes"),
        (3, "9" * 40, "is not what a daemon of this version writes"),
        (4, "1", "the daemon is dead"),
        (0, "living", "is not what a daemon of this version writes"),
    ],
)
def test_what_was_not_written_by_a_living_daemon_of_this_boot_is_no_sign_of_life(
    position: int, other: str, why: str, beat: Beat, tmp_path: Path
) -> None:
    beat.touch(time.monotonic())
    words = (tmp_path / BEAT_NAME).read_text().split()
    words[position] = other
    (tmp_path / BEAT_NAME).write_text(" ".join(words))

    assert why in told(tmp_path)


@pytest.mark.parametrize("text", [b"", b"\0" * LINE_BYTES, b"garbage", b"\xff\xfe", b"turning " * 50])
def test_a_file_of_another_version_or_of_garbage_is_no_sign_of_life(text: bytes, tmp_path: Path) -> None:
    (tmp_path / BEAT_NAME).write_bytes(text)

    assert "is not what a daemon of this version writes" in told(tmp_path)


def test_what_stands_in_the_place_of_the_file_is_not_followed_nor_waited_for(tmp_path: Path) -> None:
    living = tmp_path / "living"
    living.mkdir()
    Beat(living).touch(time.monotonic())
    place = tmp_path / BEAT_NAME
    place.symlink_to(living / BEAT_NAME)
    assert "cannot be read" in told(tmp_path)
    place.unlink()
    os.mkfifo(place)
    assert "cannot be read: it is not a file" in told(tmp_path)
    place.unlink()
    place.mkdir()
    assert "cannot be read: it is not a file" in told(tmp_path)


def test_a_directory_that_never_had_a_daemon_is_told_so_and_is_left_as_it_is(tmp_path: Path) -> None:
    assert "no daemon has run in this data directory yet" in told(tmp_path)
    assert "no daemon has run in this data directory yet" in told(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_its_place_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    for link in (Path.symlink_to, Path.hardlink_to):
        other.write_text("somebody else's")
        (tmp_path / BEAT_NAME).unlink(missing_ok=True)
        link(tmp_path / BEAT_NAME, other)
        Beat(tmp_path).touch(time.monotonic())

        assert other.read_text() == "somebody else's"
        assert complaint(tmp_path) is None


def test_it_is_for_its_user_alone_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Beat(tmp_path)
    finally:
        os.umask(before)

    assert (tmp_path / BEAT_NAME).stat().st_mode & 0o777 == 0o600


# ---- a file that cannot be written ---------------------------------------------------------------


def test_a_file_that_cannot_be_written_is_no_end_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    beat = Beat(tmp_path)
    beat.touch(100.0)
    assert beat.trouble is not None
    assert beat.trouble.errno == errno.ENOSPC
    assert complaint(tmp_path) is not None
    monkeypatch.setattr(os, "pwrite", write)
    beat.touch(101.0)

    assert beat.trouble is None
    assert complaint(tmp_path) is None


def test_a_file_that_somebody_deleted_is_made_again(beat: Beat, tmp_path: Path) -> None:
    (tmp_path / BEAT_NAME).unlink()
    beat.touch(time.monotonic())

    assert complaint(tmp_path) is None


@pytest.mark.parametrize("replaced", [False, True])
def test_a_directory_that_is_gone_is_an_error(replaced: bool, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    beat = Beat(directory)
    directory.rename(tmp_path / "moved")
    if replaced:
        directory.mkdir()

    with pytest.raises(FileNotFoundError):
        beat.touch(time.monotonic())


# ---- real daemons --------------------------------------------------------------------------------


def health_of(directory: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "paxosd", "health", "--data-dir", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_a_daemon_is_healthy_until_it_dies_and_not_a_moment_longer(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, {"r1": "replica"}) as cluster:
        cluster.leader()
        alive = health_of(tmp_path / "r1")
        cluster.kill("r1")
        dead = health_of(tmp_path / "r1")
        cluster.start("r1")
        cluster.leader()
        again = health_of(tmp_path / "r1")
        cluster.daemons["r1"].end(signal.SIGTERM)
        stopped = health_of(tmp_path / "r1")

    assert alive == again == (0, "")
    assert (dead[0], "the daemon is dead: its process" in dead[1]) == (5, True)
    assert (stopped[0], "the daemon has ended" in stopped[1]) == (5, True)


def test_a_daemon_that_cannot_start_leaves_no_sign_of_life(tmp_path: Path) -> None:
    config = tmp_path / "cluster.yaml"
    config.write_text(membership_text({"r1": "replica"}))
    port = int(config.read_text().split('address: "127.0.0.1:')[1].split('"')[0])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        daemon = Daemon("r1", "replica", config, tmp_path / "r1", tmp_path / "log")
        assert daemon.process.wait(30) == 9

    assert "the daemon has ended" in health_of(tmp_path / "r1")[1]


def test_a_daemon_that_catches_up_is_alive_and_is_not_ready(
    beat: Beat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beat.touch(time.monotonic(), "slot 7 of 9000, 100 a second, 90 s more")
    flags = ["--data-dir", str(tmp_path)]

    assert health_command(flags) == 0
    assert "catches up with the log: slot 7 of 9000" in capsys.readouterr().out
    assert health_command(["--ready", *flags]) == 5
    assert "slot 7 of 9000, 100 a second, 90 s more; it serves when it has" in capsys.readouterr().err
    beat.touch(time.monotonic() + 2)
    assert health_command(["--ready", *flags]) == 0
