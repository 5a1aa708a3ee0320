"""The plain log keeps the contract of a state machine."""

from __future__ import annotations

from paxosd.machine.log import Log
from tests.machine.contract import StateMachineContract


class TestLog(StateMachineContract):
    make = staticmethod(Log)

    def test_a_command_that_looks_like_two_is_one(self) -> None:
        one, two = Log(), Log()
        one.apply(1, [b"a2:b"], 0)
        two.apply(1, [b"a", b"b"], 0)

        assert one.digest() != two.digest()
