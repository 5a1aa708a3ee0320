"""A machine for the simulator, whose clients propose bytes of their own and know no commands of anybody's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast
from zlib import crc32

from paxosd.core.types import Revision
from paxosd.machine.base import StateMachine


class _TakingAny:
    """Takes any bytes for one of some commands; in all else it is the machine."""

    def __init__(self, machine: StateMachine, commands: Sequence[bytes]) -> None:
        self._machine = machine
        self._commands = commands

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        meant = [self._commands[crc32(command) % len(self._commands)] for command in commands]
        return self._machine.apply(first_revision, meant, log_time_ms)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)


def taking_any(make: Callable[[], StateMachine], commands: Sequence[bytes]) -> Callable[[], StateMachine]:
    """What makes machines for `paxosd sim --machine`: those of `make`, which take any bytes for one of these commands,
    the same bytes always for the same one."""
    if not commands:
        raise ValueError("there must be a command for which bytes are taken")
    return lambda: cast(StateMachine, _TakingAny(make(), commands))
