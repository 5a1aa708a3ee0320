"""Starting a node leaves the program that starts it as it was; `tests/test_local.py` starts real ones."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from paxosd.local_node import _apart_from_this_program


def test_a_ctrl_c_while_a_child_is_being_started_comes_when_it_is_started() -> None:
    steps: list[str] = []
    with pytest.raises(KeyboardInterrupt), _apart_from_this_program():
        signal.raise_signal(signal.SIGINT)
        steps.append("went on")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # it may also come to another thread
        steps.append("to the end")

    assert steps == ["went on", "to the end"]


def test_a_child_inherits_that_ctrl_c_is_blocked_and_nothing_of_the_main_file() -> None:
    with _apart_from_this_program():
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        main_file = getattr(sys.modules["__main__"], "__file__", None)

    assert signal.SIGINT in blocked
    assert main_file is None


def test_afterwards_everything_is_as_before() -> None:
    before = (sys.modules["__main__"], signal.getsignal(signal.SIGINT), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    with _apart_from_this_program():
        pass

    assert before == (
        sys.modules["__main__"],
        signal.getsignal(signal.SIGINT),
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    )


def test_a_thread_may_start_nodes_too() -> None:
    started: list[bool] = []

    def start() -> None:
        with _apart_from_this_program():
            started.append(True)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert started == [True]
