"""Threads of the system: where nothing is patched, and where something else stands in their place."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from paxosd.process import native

GREEN = """
import _thread, threading, time
def green(*_, **__): raise AssertionError("a greenlet, which would stop all others")
slept = []
_thread.start_new_thread = threading._start_new_thread = green
sleep, allocate_lock = time.sleep, _thread.allocate_lock
_thread.allocate_lock = lambda: allocate_lock()
time.sleep = lambda pause_s: (slept.append(pause_s), sleep(pause_s))
"""
"""What a patched process looks like from inside: Python functions in place of those of the system."""


def run_green(program: str) -> str:
    told = subprocess.run([sys.executable, "-c", GREEN + program], capture_output=True, text=True, timeout=30)
    assert told.stderr == ""
    return told.stdout.strip()


def test_a_thread_runs_beside_and_can_be_waited_for() -> None:
    gate, ran = threading.Event(), []

    def run() -> None:
        gate.wait()
        ran.append((threading.current_thread().name, thread.is_current))

    thread = native.NativeThread(run, "a name")
    assert not thread.join(0.01)
    gate.set()

    assert thread.join()
    assert thread.join(0.0)
    assert ran == [("a name", True)]
    assert not thread.is_current


def test_a_wait_that_was_interrupted_with_the_lock_in_its_hands_holds_up_no_later_one() -> None:
    thread = native.NativeThread(lambda: None, "ended")
    assert native.wait(thread._running, 5.0)  # and then a Ctrl-C

    assert thread.join(5.0)


def test_a_thread_that_would_wait_for_itself_does_not() -> None:
    joined: list[bool] = []
    made = threading.Event()

    def run() -> None:
        made.wait()
        joined.append(thread.join())

    thread = native.NativeThread(run, "itself")
    made.set()

    assert thread.join()
    assert joined == [False]


def test_a_thread_that_cannot_be_started_is_an_error_of_its_own_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        native.NativeThread(lambda: None, "none")


@pytest.mark.parametrize("name", ["_thread.start_new_thread", "_thread.allocate_lock", "time.sleep"])
def test_a_function_that_is_not_the_system_s_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not native.is_patched()
    with monkeypatch.context() as patched:
        patched.setattr(name, lambda *_: None)
        noticed = native.is_patched()

    assert noticed


def test_after_a_patch_threads_and_locks_are_still_the_system_s() -> None:
    program = """
from paxosd.process import native
done = native.allocate_lock()
done.acquire()
thread = native.NativeThread(done.release, "real")
print(native.is_patched(), native.wait(done, 10), thread.join(10))
"""

    assert run_green(program) == "True True True"


def test_whoever_waits_in_a_patched_process_sleeps_as_its_greenlets_do_and_no_longer_than_it_may() -> None:
    program = """
from paxosd.process import native
held = native.allocate_lock()
held.acquire()
begin = time.monotonic()
print(native.wait(held, 0.2), 0.2 <= time.monotonic() - begin < 1.0, 5 < len(slept) < 100)
"""

    assert run_green(program) == "False True True"


def test_a_local_cluster_refuses_a_patched_process_at_once() -> None:
    program = """
from paxosd import Client, ConfigurationError
try:
    Client.local()
except ConfigurationError as error:
    print(error)
"""

    assert "start `paxosd local --serve` beside it" in run_green(program)
