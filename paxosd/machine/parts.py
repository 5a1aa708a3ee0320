"""Results of commands, told or kept a part at a time."""

from __future__ import annotations

from collections.abc import Iterator

from paxosd.core.types import Outcome
from paxosd.core.values import RESULT_DROPPED
from paxosd.machine.sessions import SAID_PER_RUN_MAX, weight_of


def within(stored: Iterator[Outcome], results_max: int) -> Iterator[Outcome]:
    """As many of these as count for that, and at least one."""
    told = 0
    for outcome in stored:
        told += weight_of(outcome)
        if told > max(results_max, weight_of(outcome)):
            return
        yield outcome


def parts(results: list[bytes]) -> Iterator[list[bytes]]:
    """These results in runs that are not too large."""
    if sum(map(len, results)) <= SAID_PER_RUN_MAX:
        yield results
        return
    begin, size = 0, 0
    for index, result in enumerate(results):
        size += len(result)
        if size > SAID_PER_RUN_MAX and index > begin:
            yield results[begin:index]
            begin, size = index, len(result)
    yield results[begin:]


def fitting(results: list[bytes], room: int) -> list[bytes]:
    """These results; in the place of each for which no room is left, of so many bytes, that it was dropped."""
    if sum(map(len, results)) <= room:
        return results
    told: list[bytes] = []
    for result in results:
        told.append(result if len(result) <= max(room, len(RESULT_DROPPED)) else RESULT_DROPPED)
        room -= len(told[-1])
    return told
