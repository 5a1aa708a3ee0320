"""Starting a node leaves the program that starts it as it was; `tests/local/test_cluster.py` starts real ones."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from paxosd.local.cluster import LocalCluster, local_config
from paxosd.local.node import NodeProcess
from paxosd.local.start import signals_later
from tests.processes import children_of


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


def test_a_ctrl_c_while_nodes_are_started_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    start = NodeProcess.start

    def interrupted(process: NodeProcess) -> None:
        start(process)
        signal.raise_signal(signal.SIGINT)  # before anybody has noted that there is such a process

    monkeypatch.setattr(NodeProcess, "start", interrupted)
    before = children_of(os.getpid())  # the cluster of the fixtures may be one of them
    with pytest.raises(KeyboardInterrupt):
        LocalCluster(local_config(None, None, None, replicas=3))

    assert children_of(os.getpid()) == before
