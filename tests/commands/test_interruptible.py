"""A command that signals end: nothing in its work is interrupted, and nothing in it can hold up its end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.processes import WITHIN_S, program

HEAD = """
import os, signal, sys, threading, time
from paxosd.process.exits import Exit
from paxosd.commands.interruptible import run
"""
KILLS_ITSELF = "os.kill(os.getpid(), signal.{name})"


def ended(text: str, temporary: Path) -> tuple[int, str, str]:
    with program(HEAD + text, temporary) as process:
        said, complaints = process.communicate(timeout=WITHIN_S)
    return process.returncode, said, complaints


@pytest.mark.parametrize(
    ("number", "server", "code"),
    [
        (signal.SIGINT, False, 130),
        (signal.SIGINT, True, 130),
        (signal.SIGTERM, False, 143),
        (signal.SIGTERM, True, 0),
        (signal.SIGHUP, True, 0),
    ],
)
def test_a_signal_cleans_up_and_ends_the_command_with_its_code(
    number: signal.Signals, server: bool, code: int, tmp_path: Path
) -> None:
    text = f"""
def work(ending):
    if {server}:
        ending.told_to_end = Exit.OK
    os.kill(os.getpid(), {int(number)})
    ending.came.wait()
    print("nobody hears this")
    return 5
run(work, lambda: os.write(1, b"cleaned up"))
"""
    assert ended(text, tmp_path) == (code, "cleaned up", "")


def test_work_and_clean_up_that_never_end_do_not_hold_it_up(tmp_path: Path) -> None:
    text = """
def work(ending):
    with threading.Lock():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1000)
run(work, lambda: time.sleep(1000))
"""
    assert ended(text, tmp_path) == (130, "", "")


def test_a_reader_that_does_not_read_does_not_hold_it_up(tmp_path: Path) -> None:
    text = """
def work(ending):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    print("x" * 1000000)
run(work, lambda: None)
"""
    with program(HEAD + text, tmp_path) as process:
        assert process.wait(WITHIN_S) == 130


def test_signals_after_the_first_one_change_nothing(tmp_path: Path) -> None:
    text = """
def work(ending):
    os.kill(os.getpid(), signal.SIGINT)
    ending.came.wait()

def clean_up():
    for _ in range(5):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
    os.write(1, b"cleaned up")
run(work, clean_up)
"""
    assert ended(text, tmp_path) == (130, "cleaned up", "")


def test_a_signal_that_is_ignored_from_the_start_stays_so(tmp_path: Path) -> None:
    text = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)

def work(ending):
    os.kill(os.getpid(), signal.SIGHUP)
    return 5 if not ending.came.wait(0.2) else 6
sys.exit(run(work, lambda: None))
"""
    assert ended(text, tmp_path) == (5, "", "")


def test_without_a_signal_the_work_is_all_that_counts(tmp_path: Path) -> None:
    assert ended("sys.exit(run(lambda ending: print('done') or 3, lambda: print('no')))", tmp_path) == (3, "done\n", "")
    assert ended("run(lambda ending: sys.exit(2), lambda: print('no'))", tmp_path) == (2, "", "")
