"""Which commands are sent together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from paxosd.client.calls import Command
from paxosd.core.options import CLIENT_FRAME_BYTES

BATCH_COMMANDS_MAX = 4096
BATCH_BYTES_MAX = CLIENT_FRAME_BYTES


def batches(commands: Iterable[Command]) -> Iterator[list[Command]]:
    """Runs of these that fit one sending each; what is withdrawn is sent apart from what is not."""
    batch: list[Command] = []
    size = 0
    for command in commands:
        withdrawn = command.value is None
        grown = size + len(command.value or b"")
        full = len(batch) == BATCH_COMMANDS_MAX or grown > BATCH_BYTES_MAX
        if batch and (full or withdrawn != (batch[0].value is None)):
            yield batch
            batch, grown = [], len(command.value or b"")
        size = grown
        batch.append(command)
    if batch:
        yield batch
