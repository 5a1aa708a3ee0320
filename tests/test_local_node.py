"""Starting a node leaves the program that starts it as it was; `tests/test_local.py` starts real ones."""

from __future__ import annotations

import signal
import threading

import pytest

from paxosd.local_start import signals_later


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_the_program_handles_comes_when_the_step_is_done(number: signal.Signals) -> None:
    steps: list[str] = []
    before = signal.signal(number, lambda *_: steps.append("handled"))
    try:
        with signals_later():
            signal.raise_signal(number)
            steps.append("went on")
    finally:
        signal.signal(number, before)

    assert steps == ["went on", "handled"]


def test_a_ctrl_c_in_the_middle_is_a_keyboard_interrupt_at_the_end() -> None:
    steps: list[str] = []
    with pytest.raises(KeyboardInterrupt), signals_later():
        signal.raise_signal(signal.SIGINT)
        steps.append("went on")

    assert steps == ["went on"]


def test_afterwards_everything_is_as_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with signals_later():
        pass

    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def test_a_thread_may_start_nodes_too() -> None:
    started: list[bool] = []

    def start() -> None:
        with signals_later():
            started.append(True)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert started == [True]
