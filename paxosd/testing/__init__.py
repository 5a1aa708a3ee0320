"""For the tests of those who build on this package: is a state machine of theirs one?"""

from __future__ import annotations

from paxosd.testing.anything import taking_any
from paxosd.testing.feeding import FedMachine
from paxosd.testing.machines import MachineContract

__all__ = ["FedMachine", "MachineContract", "taking_any"]
