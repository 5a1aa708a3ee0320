"""Which commands are sent together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paxosd.client.calls import Command
from paxosd.core.options import CLIENT_FRAME_BYTES
from paxosd.core.types import MachineName
from paxosd.core.values import encode_body

BATCH_COMMANDS_MAX = 4096
BATCH_BYTES_MAX = CLIENT_FRAME_BYTES


def body_of(batch: list[Command]) -> bytes:
    """What a sending of these says; empty if they are withdrawn."""
    values = [command.value for command in batch if command.value is not None]
    return encode_body(values) if values else b""


def machine_of(command: Command) -> MachineName | None:
    """The machine that a command is sent to; None: it is withdrawn."""
    return None if command.value is None else command.machine


def batches(commands: Sequence[Command]) -> Iterator[list[Command]]:
    """Runs of these that fit one sending each, for one machine; what is withdrawn is sent apart from what is not."""
    batch: list[Command] = []
    size = 0
    machine: MachineName | None = None  # of the batch
    for command in commands:
        value = command.value
        own_machine, own_size = (None, 0) if value is None else (command.machine, len(value))
        full = size + own_size > BATCH_BYTES_MAX or len(batch) == BATCH_COMMANDS_MAX
        if batch and (full or own_machine != machine):
            yield batch
            batch, size = [], 0
        size += own_size
        machine = own_machine
        batch.append(command)
    if batch:
        yield batch
