"""How much memory the sessions take: what ARCHITECTURE's table says, in bytes that Python allocated."""

from __future__ import annotations

import gc
import tracemalloc
from random import Random

from paxosd.core.options import Limits
from paxosd.core.types import SessionId
from paxosd.core.values import Batch, encode_body, encode_value
from paxosd.machine.ledger import Ledger
from paxosd.machine.log import Log
from paxosd.storage.memory import MemoryStore

SESSIONS = 3000
BYTES_MAX = 1600
"""Of one session with an owner of its own and one result: 100,000 of them take 160 MB."""


def test_a_hundred_thousand_sessions_take_what_the_table_of_bounds_says() -> None:
    random = Random(1)
    ledger = Ledger(MemoryStore(), {"log": Log()}, SESSIONS, 1 << 20)
    body = encode_body([b"x"])

    def use(session: SessionId, seq: int) -> None:
        ledger.apply(ledger.next_slot, encode_value(1, [Batch(session, seq, seq, 1, body)]))

    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for owner in range(2 * SESSIONS):  # so that each that is remembered took the place of another one
            opening = Batch(random.randbytes(16), 0, 0, 1, owner.to_bytes(8, "big"))
            (opened,) = ledger.apply(ledger.next_slot, encode_value(1, [opening]))
            use(opened.session, 1)
            use(opened.session, 2)
            ledger.keep()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert ledger.sessions == ledger.results == SESSIONS
    assert taken <= SESSIONS * BYTES_MAX
    assert Limits().sessions_max == 100_000
