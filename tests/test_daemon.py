"""What a daemon does around its driver; whole daemons are in `tests/system/`."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

from paxosd.daemon import TOLD_EVERY_S, DropReport
from paxosd.transport.queues import QueueTransport


class Dropping(QueueTransport):
    """Carries nothing; only its counter matters."""

    def __init__(self) -> None:
        self.dropped = Counter()


def test_what_the_transport_dropped_is_told_once_and_not_more_often_than_every_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "paxosd")
    transport = Dropping()
    drops = DropReport(transport, now=100.0)
    transport.dropped.update({"client gone": 2, "foreign shape": 1})
    drops.tell(100.0 + TOLD_EVERY_S - 1)
    assert caplog.messages == []
    drops.tell(100.0 + TOLD_EVERY_S)
    drops.tell(100.0 + 2 * TOLD_EVERY_S)
    transport.dropped["client gone"] += 3
    drops.tell(100.0 + 3 * TOLD_EVERY_S)

    assert caplog.messages == [
        "transport.dropped 2 (client gone), 1 (foreign shape)",
        "transport.dropped 3 (client gone)",
    ]
