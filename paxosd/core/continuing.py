"""Where a node goes on that was restored: another history is over, and this one begins where that ends.

Laws:
1. Who continues a history has nothing to do with it any more: whoever is still of it is not heard.
2. It joins one history only, the one that is born in the very slot at which its own log ends. So nodes that were
   restored to different ends never go on together: above its end each would lack, or have, what the others do not.
   Until it hears of that birth, its learner takes no value and no watermark.
3. A history is born only if all its disks continue the same, up to the same slot with the same state (`bound.py`).
   The birth decree says what that is.
"""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import FIRST_SLOT, HISTORY_BYTES, NO_HISTORY, HistoryId, Slot

SLOT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Continues:
    """A record: this directory holds what was restored of `history`, every slot below `watermark`.

    `digest`: of the state there; empty if it is not known.
    """

    history: HistoryId
    watermark: Slot = FIRST_SLOT
    digest: bytes = b""

    @property
    def past(self) -> bytes:
        """All of it, as a promise tells it and the birth decree keeps it."""
        return self.history + self.watermark.to_bytes(SLOT_BYTES, "big") + self.digest

    def refuses(self, history: HistoryId, birth: Slot = 0) -> bool:
        """Whether this is not the history that goes on from here; `birth`: the slot of its birth, 0 if not known."""
        return history != NO_HISTORY and (history == self.history or birth not in (0, self.watermark))


def past_text(past: bytes) -> str:
    """For people: what a disk held before it had a history (`Promise.past`)."""
    if not past:
        return "nothing was there before"
    if len(past) < HISTORY_BYTES + SLOT_BYTES:
        return "an upgraded directory"
    watermark = int.from_bytes(past[HISTORY_BYTES:][:SLOT_BYTES], "big")
    return f"history {past[:HISTORY_BYTES].hex()[:8]} up to slot {watermark - 1}"
