"""The plain log keeps the contract of a state machine."""

from __future__ import annotations

from paxosd.machine.log import Log
from tests.machine.contract import StateMachineContract


class TestLog(StateMachineContract):
    make = staticmethod(Log)
