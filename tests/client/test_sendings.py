"""Which sendings may still be refused."""

from __future__ import annotations

from paxosd.client.calls import Command
from paxosd.client.sendings import Sendings


def test_of_sendings_those_that_have_all_results_are_forgotten_and_no_later_one() -> None:
    sendings = Sendings()
    done, awaited = Command(b"1", 1.0), Command(b"2", 1.0)
    first, second = sendings.add([done], 0.0), sendings.add([awaited], 0.0)
    done.settled = True
    sendings.forget_settled()

    assert sendings.take(first) is None
    assert sendings.take(second) == [awaited]
    assert awaited.unaccounted == 0
