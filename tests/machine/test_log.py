"""The plain log keeps the contract of a state machine; and its digest is of every command and its place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from paxosd.machine.log import Log
from paxosd.testing import MachineContract

COMMANDS = (b"one", b"two", b"", b"\x00\xff", b"one", b"x" * 1000)


def fed(commands: Sequence[bytes]) -> bytes:
    """The digest after these commands."""
    log = Log()
    log.apply(1, list(commands), 0)
    return log.digest()


class TestLog(MachineContract):
    make = staticmethod(Log)
    commands = COMMANDS

    def test_every_order_of_different_commands_has_its_own_digest(self) -> None:
        assert len({fed(order) for order in permutations([b"a", b"b", b"ab", b""])}) == 24

    def test_every_prefix_of_a_log_has_its_own_digest(self) -> None:
        assert len({fed(COMMANDS[:length]) for length in range(len(COMMANDS) + 1)}) == len(COMMANDS) + 1

    def test_where_one_command_ends_and_the_next_begins_makes_a_difference(self) -> None:
        assert fed([b"ab", b"c"]) != fed([b"a", b"bc"])

    def test_a_command_that_looks_like_two_is_one(self) -> None:
        assert fed([b"a2:b"]) != fed([b"a", b"b"])
