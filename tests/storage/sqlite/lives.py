"""Lives of a learner, each killed with SIGKILL at another statement to its SQLite file; every next one is looked at.

Prints, for each life, at which slot it found the kept state and how far what was learned went.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from pathlib import Path

from paxosd.core.records import Learned, Told
from paxosd.core.types import SessionId, Slot, Wish
from paxosd.core.values import Batch, encode_body, encode_value
from paxosd.machine import sessions
from paxosd.machine.ledger import Ledger, opened_session
from paxosd.machine.log import Log
from paxosd.storage.base import Store
from paxosd.storage.memory import MemoryStore
from paxosd.storage.sqlite.store import SQLiteStore

LIVES = 150
STATEMENTS_MAX = 40
KEEP_EVERY = 3


def wish(slot: Slot) -> Wish:
    """The one that opens a session in this slot."""
    return b"%16d" % slot


def session_of(number: int) -> SessionId:
    """The session that is opened as the first, second, … of all."""
    slot = (number - 1) // 3 * 20 + (number - 1) % 3 + 1
    return opened_session(wish(slot), slot)


def value(slot: Slot) -> bytes:
    """What is chosen in this slot: three clients by turns, who open sessions now and then and acknowledge late."""
    if slot % 20 in (1, 2, 3):
        return encode_value(slot, [Batch(wish(slot), 0, 0, 1, b"%d" % (slot % 20))])
    session = session_of((slot - 1) // 20 * 3 + 1 + slot % 3)
    seq = (slot - 1) % 20 // 3
    return encode_value(slot, [Batch(session, max(1, seq - 3), seq, 1, encode_body([b"value %d" % slot]))])


def recovered(store: Store) -> Ledger:
    """The ledger of a life that starts with this store."""
    ledger = Ledger(store, {"log": Log()}, 4, 1 << 20)
    ledger.restore()
    for slot, chosen in store.learned(ledger.next_slot, store.learned_stop(), 1 << 30):
        ledger.apply(slot, chosen)
    return ledger


def live(path: Path, statements: int) -> None:
    """Learn, apply and keep, until the last of so many statements; that one is never executed."""
    left = statements

    def count(statement: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    store = SQLiteStore(path)
    ledger = recovered(store)
    if ledger.unkept_slots > 2 * KEEP_EVERY:  # otherwise what is to be kept would grow from life to life
        store.commit([ledger.keep()])
    store._db.set_trace_callback(count)
    while True:
        slot = ledger.next_slot
        store.commit([Told(slot), Learned(slot, value(slot))])  # alone, what is learned is held back
        ledger.apply(slot, value(slot))
        if slot % KEEP_EVERY == 0:
            store.commit([ledger.keep()])


def look(path: Path) -> tuple[Slot, Slot]:
    """What a next life finds is what a life that was never killed would have."""
    with closing(SQLiteStore(path)) as store:
        found, stop = recovered(store), store.learned_stop()
        steady = Ledger(MemoryStore(), {"log": Log()}, 4, 1 << 20)
        for slot in range(1, stop):
            steady.apply(slot, value(slot))
        assert found.next_slot == steady.next_slot == stop
        assert (found.revision, found.digest(), found.results) == (steady.revision, steady.digest(), steady.results)
        for session in map(session_of, range(1, stop // 6 + 2)):
            assert found.knows(session) == steady.knows(session)
            for seq in range(1, 8):
                assert list(found.stored(session, seq, 1) or ()) == list(steady.stored(session, seq, 1) or ())
        assert [entry.value for entry in found.entries(1, 1 << 20)] == [
            b"value %d" % slot for slot in range(1, stop) if slot % 20 not in (1, 2, 3) and (slot - 1) % 20 // 3
        ]
        return store.kept_slot(), stop


def main() -> None:
    path = Path(sys.argv[1])
    sessions.BLOCK_RUNS = 2
    for number in range(LIVES):
        if not os.fork():
            live(path, 1 + number % STATEMENTS_MAX)
        _, status = os.wait()
        assert os.WTERMSIG(status) == signal.SIGKILL
        print(*look(path), flush=True)


if __name__ == "__main__":
    main()
