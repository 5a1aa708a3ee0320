"""What a gateway says to heads of commands while the leader is full: what it would say to the commands, or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paxosd.core.messages import Applied, ForwardRefused, Propose
from paxosd.core.options import REFUSES_S
from paxosd.core.reasons import Reason
from paxosd.core.types import Outcome, Sending
from tests.core.helpers import session_id
from tests.gateway.test_gateway import ME, OTHER, Desk, propose, refusal


def head(of: Propose) -> Sending:
    return Sending(of.session, of.attempt, of.acknowledged, of.first_seq, of.count)


def full_desk() -> Desk:
    """The leader has just refused a command, because it is full."""
    desk = Desk()
    desk.deliver(ME, propose(b"a", seq=4, attempt=8))
    desk.deliver("p1", ForwardRefused(session_id(7), 8, 4, 1, Reason.OVERLOADED))
    desk.set_aside()
    return desk


SHED = [
    propose(b"a", seq=4, attempt=9),
    propose(b"b", seq=5, attempt=10),
    replace(propose(b"a", seq=4), body=b""),
    propose(b"x", session=8),
]


@pytest.mark.parametrize("message", SHED)
def test_what_a_full_gateway_says_to_the_head_of_a_command_is_what_it_says_to_the_command(message: Propose) -> None:
    read, unread = full_desk(), full_desk()
    assert unread.agent.sheds(unread.now)
    read.deliver(ME, message)
    refused = unread.agent.shed(ME, head(message), unread.now)

    assert refused == refusal(message, Reason.OVERLOADED)
    read.expect_sent(ME, refused)
    for desk in read, unread:
        desk.wait(REFUSES_S + 0.001)
        assert not desk.agent.sheds(desk.now)
        desk.set_aside()
        desk.deliver(ME, replace(propose(b"c", b"d", seq=6), session=message.session, acknowledged=1))
    assert read.sent == unread.sent
    for desk in read, unread:
        desk.set_aside()


def test_what_a_full_gateway_cannot_judge_by_its_head_it_reads() -> None:
    desk = full_desk()
    desk.state.next_seqs[session_id(7)] = 5  # all below are applied
    stranger, impossible = propose(b"a", session=200), replace(propose(b"a", seq=9), count=0)
    for message in propose(b"a", seq=4), propose(b"a", b"b", seq=4), stranger, impossible:
        assert desk.agent.shed(ME, head(message), desk.now) is None
    desk.expect_silence()


def test_results_go_where_the_latest_command_came_from_also_if_nobody_read_it() -> None:
    desk = full_desk()
    desk.agent.shed(OTHER, head(propose(b"b", seq=5)), desk.now)
    desk.apply(1, Outcome("applied", session_id(7), 4, 1, 9, 1))

    assert [target for target, _ in desk.take(Applied)] == [OTHER]


def test_a_gateway_that_is_not_full_or_says_something_else_first_reads_all() -> None:
    differs = full_desk()
    differs.agent.known.difference = "its state is another one"

    assert not Desk().agent.sheds(0.0)
    assert not differs.agent.sheds(differs.now)
