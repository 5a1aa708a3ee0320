"""When the time of which call is over, in whatever order the calls began."""

from __future__ import annotations

from random import Random

from paxosd.client.calls import Command
from paxosd.client.deadlines import Deadlines


def test_calls_are_overdue_each_once_and_the_earliest_first_in_whatever_order_they_began() -> None:
    for seed in range(200):
        random = Random(seed)
        deadlines = Deadlines()
        calls = [Command(b"v", float(random.randrange(20))) for _ in range(random.randrange(1, 30))]
        for call in calls:
            deadlines.add(call)
        told: list[Command] = []
        for now in range(20):
            waiting = [call.deadline for call in calls if not call.done and call not in told]
            assert deadlines.next == min(waiting, default=None)
            late = list(deadlines.overdue(now))
            assert {id(call) for call in late} == {id(c) for c in calls if c.deadline == now and not c.done}
            told += late  # type: ignore[arg-type]
            if (call := random.choice(calls)) not in told:
                call.take_back()  # it is done, and never overdue

        assert deadlines.next is None
        assert [call.deadline for call in told] == sorted(call.deadline for call in told)
        assert len({id(call) for call in told}) == len(told)
