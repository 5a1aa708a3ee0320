"""What every role has in common: timers that fire when they are due, outputs that are taken once."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from paxosd.core.agent import Agent, Event, InvariantBroken, Output, Timer, require
from paxosd.core.messages import (
    Fetch,
    Message,
    Ping,
)
from paxosd.core.records import Record, Round
from paxosd.core.types import Instant, Source


class Clockwork(Agent):
    """An agent that notes its timers."""

    def __init__(self) -> None:
        super().__init__("n1")
        self.fired: list[tuple[Timer, Instant]] = []
        self.then_disarm: Timer | None = None
        self.then_arm: tuple[Timer, Instant] | None = None

    def restore(self, records: Iterable[Record], now: Instant) -> None: ...

    def receive(self, source: Source, message: Message, now: Instant) -> None: ...

    def on_timer(self, timer: Timer, now: Instant) -> None:
        self.fired.append((timer, now))
        if self.then_disarm is not None:
            self.disarm(self.then_disarm)
        if self.then_arm is not None:
            self.arm(*self.then_arm)
            self.then_arm = None


class Simple(Agent):
    """An agent without a timer of its own."""

    def restore(self, records: Iterable[Record], now: Instant) -> None: ...

    def receive(self, source: Source, message: Message, now: Instant) -> None: ...


def test_what_is_due_fires_once_in_the_order_of_its_times() -> None:
    agent = Clockwork()
    agent.arm(Timer.FETCH, 3.0)
    agent.arm(Timer.RETRY, 2.0)
    agent.arm(Timer.PING, 4.5)

    agent.tick(1.9)
    agent.tick(4.0)
    agent.tick(4.0)

    assert agent.fired == [(Timer.RETRY, 4.0), (Timer.FETCH, 4.0)]
    assert agent.next_deadline() == 4.5


def test_a_timer_is_due_at_its_very_time() -> None:
    agent = Clockwork()
    agent.arm(Timer.FETCH, 3.0)
    agent.tick(3.0)

    assert agent.fired == [(Timer.FETCH, 3.0)]
    assert agent.next_deadline() is None


def test_arming_again_replaces_the_time_and_disarming_forgets_it() -> None:
    agent = Clockwork()
    agent.arm(Timer.FETCH, 1.0)
    agent.arm(Timer.FETCH, 5.0)
    agent.arm(Timer.PING, 1.0)
    agent.disarm(Timer.PING)
    agent.disarm(Timer.READS)  # was never armed
    agent.tick(2.0)

    assert agent.fired == []
    assert agent.next_deadline() == 5.0


def test_what_a_timer_disarms_does_not_fire_in_the_same_tick() -> None:
    agent = Clockwork()
    agent.arm(Timer.QUORUM, 1.0)
    agent.arm(Timer.HEARTBEAT, 2.0)
    agent.then_disarm = Timer.HEARTBEAT
    agent.tick(2.0)

    assert agent.fired == [(Timer.QUORUM, 2.0)]


def test_what_a_timer_puts_off_does_not_fire_before_its_new_time() -> None:
    agent = Clockwork()
    agent.arm(Timer.QUORUM, 1.0)
    agent.arm(Timer.HEARTBEAT, 2.0)
    agent.then_arm = (Timer.HEARTBEAT, 5.0)
    agent.tick(2.0)
    agent.tick(4.9)

    assert agent.fired == [(Timer.QUORUM, 2.0)]
    assert agent.next_deadline() == 5.0


def test_a_timer_that_arms_itself_for_now_fires_in_the_next_tick() -> None:
    agent = Clockwork()
    agent.arm(Timer.REPLAY, 1.0)
    agent.then_arm = (Timer.REPLAY, 1.0)
    agent.tick(1.0)
    fired_at_first = list(agent.fired)
    agent.tick(1.0)

    assert fired_at_first == [(Timer.REPLAY, 1.0)]
    assert agent.fired == [(Timer.REPLAY, 1.0)] * 2


def test_a_timer_that_nobody_handles_is_a_broken_invariant() -> None:
    agent = Simple("n1")
    agent.arm(Timer.PING, 1.0)

    with pytest.raises(InvariantBroken, match="PING"):
        agent.tick(1.0)


def test_output_is_taken_once() -> None:
    agent = Simple("n1")
    agent.send("a1", Ping(2))
    agent.send_early("a1", Fetch(1))
    agent.record(Round(3))
    agent.report("something.happened", slot=4)

    taken = agent.take_output()

    assert taken == Output(
        [("a1", Fetch(1))], [Round(3)], [("a1", Ping(2))], [], [Event("something.happened", {"slot": 4})]
    )
    assert agent.take_output() == Output()


@pytest.mark.parametrize("part", ["early", "records", "messages", "chosen", "events"])
def test_an_output_with_anything_in_it_is_true(part: str) -> None:
    output = Output()
    assert not output
    getattr(output, part).append("it")

    assert output


def test_a_part_of_a_node_writes_into_the_output_of_the_node() -> None:
    agent, output = Simple("n1"), Output()
    agent.share_output(output)
    agent.send("a1", Ping(2))

    assert output.messages == [("a1", Ping(2))]


def test_most_roles_have_nothing_to_finish_and_apply_nothing() -> None:
    agent = Simple("n1")
    agent.drain(1.0)
    agent.applied(1, [], 1.0)

    assert agent.drained
    assert agent.take_output() == Output()


def test_what_is_ignored_is_counted_by_its_reason() -> None:
    agent = Simple("n1")
    agent.ignore("a reason")
    agent.ignore("a reason")
    agent.ignore("another")

    assert agent.ignored == {"a reason": 2, "another": 1}


def test_a_broken_invariant_says_its_sentence() -> None:
    require(True, "this holds")
    with pytest.raises(InvariantBroken, match="this does not"):
        require(False, "this does not")
