"""What is held by a key, with a fence that grows with every holder."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

from paxosd.client.aio.driver import AsyncLost, AsyncRecipeDriver
from paxosd.client.errors import HoldLost, PaxosError
from paxosd.client.leases import HeldLease
from paxosd.core.types import Revision
from paxosd.recipes.line import give_back
from paxosd.recipes.steps import Steps

H = TypeVar("H", bound="AsyncHeld")


class AsyncHeld:
    """Something that is held; a context manager that gives it back.

    `fence` grows with every holder: give it to whatever you write to, and let that refuse a smaller one than it has
    seen. `lost` is set before others may have it; from then on, stop.
    """

    def __init__(self, driver: AsyncRecipeDriver, lease: HeldLease, key: bytes, fence: Revision) -> None:
        self.key = key
        self.fence = fence
        self._hold, self._guard = driver.hold(lease, key, fence)
        self.lost = AsyncLost(self._hold)
        self._driver = driver
        self._lease = lease
        self._is_given_back = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r}, fence {self.fence}{', lost' if self.lost.is_set() else ''}>"

    @property
    def is_held(self) -> bool:
        """Whether it is neither lost nor given back."""
        return not self._is_given_back and not self.lost.is_set()

    def require(self) -> None:
        """Raise `HoldLost` if it is not held any more."""
        if not self.is_held:
            why = self._hold.why_lost or "it was given back"
            raise HoldLost(f"{self.key!r} with fence {self.fence} is not held any more: {why}")

    async def release(self, timeout: float | None = None) -> bool:
        """Give it back. False: nobody answered in time; it goes as soon as somebody does, or with its lease."""
        if self._is_given_back:
            return True
        self._is_given_back = True
        self._driver.let_go(self._guard)
        try:
            await self._driver.drive(self._giving_back(), timeout, self._lease, hurried=True)
        except PaxosError:
            return False
        return True

    def _giving_back(self) -> Steps[None]:
        return give_back(self.key)

    async def __aenter__(self: H) -> H:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        was_lost = not self._is_given_back and self.lost.is_set()
        await self.release()
        if was_lost and error is None:
            raise HoldLost(
                f"{self.key!r} with fence {self.fence} was lost before the block ended, and others may have had it: "
                f"{self._hold.why_lost}"
            )
