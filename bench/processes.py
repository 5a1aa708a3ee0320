"""Work in processes of its own, all of which begin together and end with the block or in time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from queue import Empty
from typing import Any, TypeVar

T = TypeVar("T")
SPARE_S = 60.0
"""How much longer than it should a process may take, to begin and to end."""


def _run(work: Callable[..., T], arguments: Sequence[Any], together: Any, results: Any) -> None:
    try:
        results.put((work(*arguments, together.wait), ""))
    except BaseException as error:
        results.put((None, f"{type(error).__name__}: {error}"))
        raise


class ProcessFailed(Exception):
    """A process that should measure something did not."""


def together(work: Callable[..., T], arguments: Sequence[Sequence[Any]], seconds: float) -> list[T]:
    """Do the work once with each of these arguments, each in its own process; gives what they return.

    `work` gets one more argument: a function that returns as soon as all of them have called it.
    Raises `ProcessFailed`.
    """
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(len(arguments)), context.Queue()
    processes = [context.Process(target=_run, args=(work, each, barrier, results)) for each in arguments]
    try:
        for process in processes:
            process.start()
        found = [results.get(timeout=seconds + SPARE_S) for _ in processes]
    except Empty:
        raise ProcessFailed(f"no result within {seconds + SPARE_S:.0f} s") from None
    finally:
        for process in processes:
            if process.pid is not None:
                process.join(1.0)
                process.kill()
                process.join()
    for _, error in found:
        if error:
            raise ProcessFailed(error)
    return [result for result, _ in found]
