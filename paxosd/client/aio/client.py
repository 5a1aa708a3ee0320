"""The client for asyncio: the verbs of `Client`, each to be awaited, with a session of its own in the loop that runs.

Laws:
1. No thread, but for the look-up of names: the loop turns the client.
2. A call that is cancelled is over at once. A command that was sent may be applied; what a recipe made goes.
3. It belongs to the loop in which it was made, and to its process.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

from paxosd.client import arguments, verdicts
from paxosd.client.aio.driver import AsyncRecipeDriver
from paxosd.client.aio.keys import AsyncKeys
from paxosd.client.aio.pump import Pump, closed
from paxosd.client.arguments import addresses, revision, seconds
from paxosd.client.calls import Command, Question
from paxosd.client.errors import PaxosError
from paxosd.client.opening import FRAME_BYTES_MAX, draw_wish, from_file, open_link
from paxosd.client.outcomes import Receipt
from paxosd.client.upkeep import ConnectionState
from paxosd.client.watching import WatchingSession
from paxosd.config import Config
from paxosd.core.messages import GetStatus, LogPage, ReadLog, StatusReport
from paxosd.core.options import COMMAND_BYTES_MAX
from paxosd.core.types import Entry, Revision
from paxosd.transport.base import PollableLink
from paxosd.wire.frames import Codec

POLL_WAIT_MS = 1000
"""How long a gateway holds a follower's question when there is nothing new."""
REVOKED_WITHIN_S = 1.0
"""How long the end of a client waits until its leases are revoked."""


class AsyncClient(AsyncKeys):
    """Proposes values to a cluster, reads its log, and has the verbs of the keys; for any number of tasks of one loop.

    To be made in a coroutine. The arguments are those of `Client`, and so are the errors.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        timeout: float = 5.0,
        digest: bytes = b"",
        command_bytes_max: int = COMMAND_BYTES_MAX,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        link: PollableLink | None = None,
    ) -> None:
        urls = addresses(endpoints, any_scheme=link is not None)
        self._timeout = seconds(timeout)
        self._command_bytes_max = command_bytes_max
        self._requests = count(1)
        random = Random(secrets.randbits(64))
        codec = Codec(digest, f"client-{random.getrandbits(48):012x}", random.getrandbits(63), frame_bytes_max)
        link = open_link(frame_bytes_max) if link is None else link
        session = WatchingSession(urls, random, link.troubles, draw_wish)
        self._pump = Pump(session, codec, link)
        self._driver = AsyncRecipeDriver(self._pump, self._timeout, self._requests)

    @classmethod
    def from_config(cls, config: str | Path | Config, **options: Any) -> AsyncClient:
        """A client of the cluster that a membership file describes. Raises `ConfigurationError` or `TypeError`."""
        gateways, usual = from_file(config)
        return cls(gateways, **{**usual, **options})

    # ---- the log ----

    async def propose(self, value: bytes | bytearray | memoryview, timeout: float | None = None) -> Receipt:
        """Put a value into the log, durably, once; returns where it stands. Raises what `Client.propose` raises."""
        kept = arguments.value(value, self._command_bytes_max)
        command = Command(kept, time.monotonic() + self._seconds(timeout))
        await self._driver.call(command)
        assert command.receipt is not None
        return command.receipt

    async def log(
        self,
        start: Revision | None = None,
        follow: bool = False,
        timeout: float | None = None,
        linearizable: bool = True,
    ) -> AsyncIterator[Entry]:
        """The entries from revision `start` on, in order, as `Client.log` gives them."""
        first, limit = 0 if start is None else revision(start), self._seconds(timeout)
        page = await self._page(first, linearizable, 0, limit, 0)
        end, at = page.last, first or page.first
        if at > end + 1:
            raise verdicts.beyond_end(at, end)
        while True:
            for entry in page.entries:
                if follow or entry.revision <= end:
                    yield entry
            is_at_end = not page.entries and page.next > page.last
            at = max(at, page.next, page.entries[-1].revision + 1 if page.entries else 0)
            if not follow and at > end:
                return
            wait_ms = POLL_WAIT_MS if follow and is_at_end else 0
            page = await self._page(at, False, min(end, at), limit + wait_ms / 1000, wait_ms)

    async def _page(self, start: Revision, linearizable: bool, seen: Revision, timeout: float, wait_ms: int) -> LogPage:
        read = ReadLog(next(self._requests), start, linearizable, seen, wait_ms)
        question = Question(read, time.monotonic() + timeout)
        await self._driver.call(question)
        assert isinstance(question.answer, LogPage)
        if question.answer.refused:
            raise verdicts.compacted(start, question.answer.first)
        return question.answer

    async def status(self, timeout: float | None = None) -> StatusReport:
        """Who leads, and how every node is, as one gateway sees it; needs no quorum. Raises `ReadTimeout`."""
        question = Question(GetStatus(next(self._requests)), time.monotonic() + self._seconds(timeout))
        await self._driver.call(question)
        assert isinstance(question.answer, StatusReport)
        return question.answer

    def _seconds(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else seconds(timeout)

    # ---- how its leases stand ----

    @property
    def connection(self) -> ConnectionState:
        """Whether gateways answer, and how the leases of this client stand."""
        return self._pump.upkeep.connection

    def listen(self, listener: Callable[[ConnectionState], None]) -> None:
        """Call it, in the loop, whenever that changes."""
        self._driver.listen(listener)

    # ---- the end ----

    async def close(self) -> None:
        """Revoke the leases, for a second at most, and release everything; what is under way fails."""
        try:
            await asyncio.wait_for(self._driver.revoke_all(), REVOKED_WITHIN_S)
        except (PaxosError, TimeoutError):
            pass  # they run out
        finally:
            self._pump.end(closed())

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
