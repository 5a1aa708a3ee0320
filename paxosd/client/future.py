"""A value on its way, as the caller sees it: a future of the standard library, for whatever takes one.

Laws:
1. `result` and `exception` wait in the client's own way (see `worker.py`): woken by this value alone, never longer than
   its time, and with greenlets running beside. Nearly all futures are only ever asked for that.
2. So the locks and lists of the standard library are made when something asks for the first of them:
   `add_done_callback`, `concurrent.futures.wait` and `as_completed`, `asyncio.wrap_future`. From then on the client
   holds the future until it is done.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
from concurrent.futures import CancelledError, InvalidStateError
from contextlib import suppress
from copy import copy
from typing import Any, NoReturn

from paxosd.client import driving, verdicts
from paxosd.client.arguments import seconds
from paxosd.client.calls import Command
from paxosd.client.errors import PaxosError
from paxosd.client.outcomes import Receipt
from paxosd.client.worker import GRACE_S, Worker
from paxosd.machine.kv.results import PutDone, encode_result
from paxosd.process import native

_STANDARD = frozenset(vars(concurrent.futures.Future()))
"""What the standard library keeps in a future."""
PUT_DONE = encode_result(PutDone())
"""What the keys say to nearly every put."""
_making = native.allocate_rlock()


class Future(concurrent.futures.Future[Receipt]):
    """A value on its way; the result is a `Receipt`.

    Callbacks are called in the client's own thread, or at once if it is done: they must not wait, nor call the client.
    """

    def __init__(self, client: object, worker: Worker, command: Command) -> None:
        self._client = client  # which lives at least as long as its commands
        self._worker = worker
        self._command = command

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of a value that is {'done' if self.done() else 'on its way'}>"

    # ---- asking ----

    def done(self) -> bool:
        """Whether there is a result or an error, or it was cancelled."""
        return self._command.done

    def running(self) -> bool:
        """Whether it is on its way, and too late to be cancelled."""
        return self._command.is_begun and not self._command.done

    def cancelled(self) -> bool:
        """Whether `cancel` was in time."""
        return self._command.taken_back

    def cancel(self) -> bool:
        """Take the value back, if it was not sent yet; False: it was, or is done. What was sent may be applied, and
        nobody can undo that."""
        return self.cancelled() or (not self._worker.is_foreign and self._command.take_back())

    def result(self, timeout: float | None = None) -> Receipt:
        """Wait for the receipt; raises what `propose` raises, or `CancelledError` if it was cancelled.

        `timeout`, in seconds, bounds this wait, not the command: a plain `TimeoutError` says that the command goes
        on, and that its result can be asked for again. None: until the command's own time is over.
        """
        timeout_s = None if timeout is None else seconds(timeout, least=0.0)
        if self._command.receipt is None:
            self._await(timeout_s)
            if self._command.error is not None:
                raise copy(self._command.error)  # an error that was raised holds its callers, and they the client
        return self._receipt()

    def _receipt(self) -> Receipt:
        """Of a command that is applied. Raises what its machine has to say against it."""
        assert self._command.receipt is not None
        return self._command.receipt

    def exception(self, timeout: float | None = None) -> PaxosError | None:
        """Wait as `result` does, and give the error instead of raising it; None if there is a receipt."""
        self._await(None if timeout is None else seconds(timeout, least=0.0))
        if self._command.error is not None:
            return copy(self._command.error)
        try:
            self._receipt()
        except PaxosError as error:
            return error
        return None

    def _await(self, timeout_s: float | None) -> None:
        self._worker.wait(self._command, timeout_s)
        if self._command.taken_back:
            raise CancelledError("not applied: it was cancelled before it was sent")
        if self._command.done:
            return
        if timeout_s is not None and time.monotonic() < self._command.deadline + GRACE_S:
            raise TimeoutError("no result yet; the command goes on, and result() may be called again")
        raise verdicts.thread_is_stuck()

    # ---- what the standard library asks ----

    def __getattr__(self, name: str) -> Any:
        if name not in _STANDARD:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._be_standard()
        return vars(self)[name]

    def _be_standard(self) -> None:
        """Have from now on what the standard library keeps in a future, and be told of the end."""
        with _making:
            if "_condition" in vars(self):
                return
            made = vars(concurrent.futures.Future())
            made["_condition"] = threading.Condition(native.allocate_rlock())  # the client's thread is a native one
            vars(self).update(made)
        unfinished = [True]

        def finish() -> None:
            with suppress(IndexError):  # somebody else does
                unfinished.pop()
                self._finish()

        self._command.watcher = finish
        if self._command.done:
            finish()

    def _finish(self) -> None:
        """Tell whoever waits in the way of the standard library."""
        self._command.watcher = None
        with suppress(InvalidStateError):  # somebody else set a result, who had no business to
            if self._command.taken_back:
                super().cancel()
                self.set_running_or_notify_cancel()
            elif self._command.error is not None:
                self.set_exception(copy(self._command.error))
            else:
                self._finish_applied()

    def _finish_applied(self) -> None:
        try:
            receipt = self._receipt()
        except PaxosError as error:
            self.set_exception(error)
        else:
            self.set_result(receipt)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a future cannot be pickled or copied: it waits in this process; pass on what result() gives")


class PutFuture(Future):
    """A put on its way; the result is a `Receipt`. What the keys have to say against it is an error."""

    def _receipt(self) -> Receipt:
        receipt = super()._receipt()
        if receipt.result != PUT_DONE:
            driving.require_condition(driving.answer_to_command(self._command))
        return receipt
