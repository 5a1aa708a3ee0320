"""The memory store keeps the contract, and gives the simulator copies that share nothing."""

from __future__ import annotations

from paxosd.core.records import Learned, Promised, Round, Told, Voted
from paxosd.core.types import Ballot
from paxosd.storage.base import Store
from paxosd.storage.memory import MemoryStore
from tests.storage.contract import LOW, StoreContract
from tests.storage.shelf_contract import ShelfContract


class TestMemoryStore(StoreContract):
    def setup_method(self) -> None:
        self._store = MemoryStore()

    def reopen(self) -> MemoryStore:
        return self._store


def test_a_copy_shares_nothing_with_its_original() -> None:
    original = MemoryStore()
    original.commit([Promised(LOW), Voted(1, LOW, b"v"), Round(2), Learned(1, b"v"), Told(2)])
    copy = original.copy()
    original.commit([Promised(Ballot(9, "p9")), Voted(2, Ballot(9, "p9"), b"w"), Learned(2, b"w"), Round(3)])

    assert copy.promised() == LOW
    assert copy.round() == 2
    assert copy.vote(2) is None
    assert (copy.voted_slots(), copy.learned_slots(), copy.learned_stop()) == ([1], [1], 2)


class TestMemoryShelf(ShelfContract):
    def make(self) -> MemoryStore:
        return MemoryStore()

    def reopen(self, store: Store) -> Store:
        store.records()
        return store
