"""A value on its way, as the caller sees it."""

from __future__ import annotations

import time
from copy import copy
from typing import NoReturn

from paxosd.client import verdicts
from paxosd.client.arguments import seconds
from paxosd.client.calls import Command, Receipt
from paxosd.client.errors import PaxosError
from paxosd.client.worker import GRACE_S, Worker


class Future:
    """A value on its way; the result is a `Receipt`."""

    __slots__ = ("_client", "_command", "_worker")

    def __init__(self, client: object, worker: Worker, command: Command) -> None:
        self._client = client  # which lives at least as long as its commands
        self._worker = worker
        self._command = command

    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._command.done

    def result(self, timeout: float | None = None) -> Receipt:
        """Wait for the receipt; raises what `propose` raises.

        `timeout`, in seconds, bounds this wait, not the command: a plain `TimeoutError` says that the command goes
        on, and that its result can be asked for again. None: until the command's own time is over.
        """
        self._await(timeout)
        if self._command.error is not None:
            raise copy(self._command.error)  # an error that was raised holds its callers, and they the client
        assert self._command.receipt is not None
        return self._command.receipt

    def exception(self, timeout: float | None = None) -> PaxosError | None:
        """Wait as `result` does, and give the error instead of raising it; None if there is a receipt."""
        self._await(timeout)
        return copy(self._command.error)

    def _await(self, timeout: float | None) -> None:
        timeout_s = None if timeout is None else seconds(timeout, least=0.0)
        self._worker.wait(self._command, timeout_s)
        if self._command.done:
            return
        if timeout_s is not None and time.monotonic() < self._command.deadline + GRACE_S:
            raise TimeoutError("no result yet; the command goes on, and result() may be called again")
        raise verdicts.thread_is_stuck()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a future cannot be pickled or copied: it waits in this process; pass on what result() gives")
