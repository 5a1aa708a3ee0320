"""When another one leads, clients send again at once what the one before may have lost."""

from __future__ import annotations

from paxosd.core.messages import Refused
from paxosd.core.reasons import Reason
from paxosd.core.types import Ballot
from tests.core.helpers import heartbeat, session_id
from tests.gateway.test_gateway import B4, ME, OTHER, Desk, propose


def sent_on(desk: Desk) -> None:
    """Two clients have commands on their way to the leader, of which the log has those of the second one."""
    desk.deliver(ME, propose(b"a", b"b", seq=4))
    desk.deliver(OTHER, propose(b"c", session=8))
    desk.state.next_seqs |= {session_id(7): 5, session_id(8): 2}
    desk.set_aside()


def again(endpoint: str = "") -> Refused:
    return Refused(session_id(7), 0, 5, 1, Reason.GAP, 5, endpoint)


def test_who_waits_for_what_the_last_leader_was_sent_hears_at_once_from_where_on_to_send_again() -> None:
    desk = Desk(endpoints={"p2": "tcp://p2:1"})
    sent_on(desk)
    desk.deliver("p2", heartbeat(B4))

    desk.expect_sent(ME, again("tcp://p2:1"))


def test_it_is_told_once_and_not_with_each_heartbeat() -> None:
    desk = Desk()
    sent_on(desk)
    desk.deliver("p2", heartbeat(B4))
    desk.set_aside()
    desk.deliver("p2", heartbeat(B4))

    desk.expect_silence()


def test_a_leader_that_leads_again_with_another_ballot_may_have_lost_it_too() -> None:
    desk = Desk()
    sent_on(desk)
    desk.deliver("p1", heartbeat(Ballot(5, "p1")))

    desk.expect_sent(ME, again())


def test_a_leader_that_is_only_heard_again_lost_nothing() -> None:
    desk = Desk()
    sent_on(desk)
    desk.hear_leader()

    desk.expect_silence()
