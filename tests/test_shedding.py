"""While a full cluster refuses all commands, the driver has them refused by their heads."""

from __future__ import annotations

import pytest

from paxosd.conduct import BYTES_PER_TURN_MAX, CLIENT_WORK_PER_TURN_MAX
from paxosd.core.messages import GetStatus, Message, Propose, Refused
from paxosd.core.reasons import Reason
from paxosd.core.types import ClientAddress, Instant, Sending
from paxosd.transport.base import Inbound
from tests.core.helpers import session_id
from tests.test_driver import Bench

ME, OTHER = b"me", b"other"


class Full:
    """What the agent of a full node says: it refuses commands, but for those of session 9, which it has to read."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.agent.sheds = lambda now: True  # type: ignore[method-assign]
        bench.agent.shed = self.shed  # type: ignore[method-assign]

    def shed(self, client: ClientAddress, sending: Sending, now: Instant) -> Refused | None:
        return None if sending.session == session_id(9) else refusal(sending)


def refusal(of: Sending | Propose) -> Refused:
    return Refused(of.session, of.attempt, of.first_seq, of.count, Reason.OVERLOADED, 0, "")


def propose(attempt: int = 1, session: int = 7, size: int = 100) -> Propose:
    return Propose(session_id(session), attempt, 1, 1, 1, bytes(size))


def replies(bench: Bench) -> list[tuple[object, list[Message]]]:
    return [
        (entry[1], bench.codec.from_gateway(bytes(entry[2])).messages)  # type: ignore[call-overload]
        for entry in bench.journal
        if entry[0] == "replied"
    ]


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    Full(made)
    return made


def come(bench: Bench, client: bytes, *messages: Message) -> None:
    bench.wire.inbound.append(Inbound(client, bench.frame(*messages, sender="client"), client))


def test_a_command_is_refused_and_its_agent_does_not_see_it(bench: Bench) -> None:
    come(bench, ME, propose())
    bench.driver.turn()

    assert replies(bench) == [(ME, [refusal(propose())])]
    assert bench.agent.given == []
    assert bench.wire.vouched == {ME}


def test_what_one_client_is_refused_in_a_turn_is_told_together_and_before_the_commit(bench: Bench) -> None:
    come(bench, ME, propose(1))
    come(bench, OTHER, propose(2))
    come(bench, ME, propose(3))
    bench.driver.turn()

    assert replies(bench) == [(ME, [refusal(propose(1)), refusal(propose(3))]), (OTHER, [refusal(propose(2))])]


def test_everything_else_is_received_as_usual(bench: Bench) -> None:
    others: list[Message] = [GetStatus(1), propose(session=9)]
    for message in others:
        come(bench, ME, message)
    come(bench, ME, propose(1), propose(2))
    bench.driver.turn()

    assert [message for _, message in bench.agent.given] == [*others, propose(1), propose(2)]
    assert replies(bench) == []


def test_a_node_that_is_not_full_reads_all(bench: Bench) -> None:
    bench.agent.sheds = lambda now: False  # type: ignore[method-assign]
    come(bench, ME, propose())
    bench.driver.turn()

    assert bench.agent.given == [(ME, propose())]


def test_i01_a_command_of_another_history_is_refused_as_such(bench: Bench) -> None:
    bench.agent.belongs_to = b"h" * 16
    bench.driver.turn()
    bench.wire.inbound.append(Inbound(ME, bench.frame(propose(), sender="client", history=b"\x0a" * 16), ME))
    bench.driver.turn()

    assert bench.driver.dropped["another history"] == 1
    assert replies(bench) == [(ME, [])]


def test_o04_what_is_refused_by_its_head_does_not_count_for_its_bytes_and_has_a_bound(
    bench: Bench,
) -> None:
    large = BYTES_PER_TURN_MAX // 4
    for attempt in range(2 * CLIENT_WORK_PER_TURN_MAX):
        come(bench, ME, propose(attempt, size=large if attempt < 20 else 0))
    bench.driver.turn()

    [(_, told)] = replies(bench)
    assert len(told) == CLIENT_WORK_PER_TURN_MAX


def test_o04_a_turn_reads_so_many_bytes_and_the_next_one_the_rest() -> None:
    bench = Bench()
    large = BYTES_PER_TURN_MAX // 4
    for attempt in range(10):
        come(bench, b"%d" % attempt, propose(attempt, size=large))
    read: list[int] = []
    while sum(read) < 10:
        before = len(bench.agent.given)
        bench.driver.turn()
        read.append(len(bench.agent.given) - before)

    assert read == [4, 4, 2]
