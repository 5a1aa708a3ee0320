"""The gateway: it forwards, waits for apply, and answers from its own state; every refusal names its sending."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from paxosd.core.messages import (
    Applied,
    Forward,
    ForwardRefused,
    GetStatus,
    LogPage,
    OpenSession,
    Ping,
    Pong,
    Propose,
    ReadIndex,
    ReadIndexReply,
    ReadLog,
    ReadSlots,
    Refused,
    Resign,
    SessionOpened,
    SlotPage,
    StatusReport,
)
from paxosd.core.reasons import Reason
from paxosd.core.types import Ballot, Entry, Lag, MachineName, NodeId, Outcome, Page, Revision, SessionId, Slot
from paxosd.core.values import COMMANDS_MAX, encode_body, old_session
from paxosd.gateway import repetitions
from paxosd.gateway.gateway import Gateway
from paxosd.gateway.openings import PER_CLIENT_BURST
from paxosd.gateway.pages import BYTES_PER_TURN_MAX, SLOT_BYTES
from paxosd.gateway.readers import HELD_S_MAX, REFUSED_AFTER_S
from paxosd.machine.ledger import OWNER_BYTES_MAX
from tests.core.helpers import LIMITS, ROLES, TIMING, Stage, heartbeat, membership, session_id

B3, B4 = Ballot(3, "p1"), Ballot(4, "p2")
ME, OTHER = b"me", b"other"
T = TIMING.election_s


@dataclass
class State:
    """What the log made so far, as the test says."""

    revision: Revision = 0
    first_revision: Revision = 1
    known_stop: Slot = 1
    digest_now: bytes = b"the digest of me"
    next_slot: Slot = 1
    results: dict[tuple[SessionId, int, int], list[Outcome]] = field(default_factory=dict)
    log: list[bytes] = field(default_factory=list)
    forgotten: set[SessionId] = field(default_factory=set)
    opened: int = 100  # the number of the latest session
    pages_made: int = 0
    first_slot: Slot = 1
    log_time_ms: int = 0
    chosen: list[bytes] = field(default_factory=list)
    next_seqs: dict[SessionId, int] = field(default_factory=dict)
    due_ms: int | None = None
    trims_ms: int | None = None
    complaint: str = "the bank does not know"
    machines: dict[str, object] = field(default_factory=lambda: {"log": "the log", "bank": "a bank"})

    def machine(self, name: str) -> object | None:
        return self.machines.get(name)

    def stored(self, session: SessionId, first_seq: int, count: int) -> Iterator[Outcome] | None:
        known = self.results.get((session, first_seq, count))
        return None if known is None else iter(known)

    def knows(self, session: SessionId) -> bool:
        return session <= session_id(self.opened) and session not in self.forgotten

    def next_seq(self, session: SessionId) -> int:
        return self.next_seqs.get(session, 1) if self.knows(session) else 0

    def digest(self) -> bytes:
        return b"%d" % self.revision

    def values(self, first: Slot, bytes_max: int) -> tuple[bytes, ...]:
        assert bytes_max == LIMITS.page_bytes_max
        return tuple(self.chosen[first - 1 : self.next_slot - 1])

    def state_digest(self) -> bytes:
        return self.digest_now

    def page(self, start: Revision, bytes_max: int) -> Page:
        assert bytes_max == LIMITS.page_bytes_max
        self.pages_made += 1
        held = tuple(Entry(revision, revision, held) for revision, held in enumerate(self.log, 1) if revision >= start)
        read = len(held), sum(len(entry.value) for entry in held)
        return Page(held, *read, max(start, len(self.log) + 1))

    @property
    def log_revision(self) -> Revision:
        return self.revision

    def query(self, machine: MachineName, question: bytes) -> tuple[bytes, str]:
        if question == b"nonsense":
            return b"", self.complaint
        return b"%b: %b at %d" % (machine.encode(), question, self.revision), ""


class Desk(Stage[Gateway]):
    """A gateway on stage, with the state that it answers from."""

    def __init__(self, hears: Ballot | None = B3, node: NodeId = "l1", endpoints: dict[NodeId, str] | None = None):
        self.state = State()
        known = endpoints or {}
        super().__init__(
            lambda _: Gateway(node, "demo", membership(), TIMING, replace(LIMITS, sessions_max=3), known, self.state)
        )
        self.turn()
        self.set_aside()  # the pings of the start
        if hears is not None:
            self.deliver(hears.proposer, heartbeat(hears))

    def hear_leader(self) -> None:
        self.deliver(B3.proposer, heartbeat(B3))

    def apply(self, slot: Slot, *outcomes: Outcome) -> None:
        """The driver applied a slot, and the answers leave."""
        self.state.next_slot = slot + 1
        self.agent.applied(slot, list(outcomes), self.now)
        self.turn()


def propose(*commands: bytes, seq: int = 1, attempt: int = 1, session: int = 7) -> Propose:
    """By a client that has all results before these."""
    return Propose(session_id(session), attempt, seq, seq, len(commands), encode_body(commands))


def refusal(message: Propose, reason: Reason, hint: str = "") -> Refused:
    return Refused(message.session, message.attempt, message.first_seq, message.count, reason, 0, hint)


def read(request: int = 1, start: Revision = 1, linearizable: bool = True, seen: int = 0, wait_ms: int = 0) -> ReadLog:
    return ReadLog(request, start, linearizable, seen, wait_ms)


# ---- commands --------------------------------------------------------------------------------


def test_commands_go_to_the_leader_unread() -> None:
    desk = Desk()
    desk.deliver(ME, propose(b"a", b"b", seq=4, attempt=9))

    desk.expect_sent("p1", Forward(session_id(7), 9, 4, 4, 2, encode_body([b"a", b"b"])), early=True)
    desk.expect_silence()


@pytest.mark.parametrize("seconds", [0.0, T])
def test_n20_without_a_leader_this_very_sending_is_refused(seconds: float) -> None:
    desk = Desk(hears=B3 if seconds else None)
    desk.wait(seconds + 0.01)
    desk.deliver(ME, propose(b"a", seq=4, attempt=9))

    desk.expect_sent(ME, Refused(session_id(7), 9, 4, 1, Reason.NO_LEADER, 0, ""))
    desk.expect_silence()


def test_a_leader_is_believed_for_an_election_timeout() -> None:
    desk = Desk()
    desk.wait(T * 0.99)
    desk.deliver(ME, propose(b"a"))

    assert desk.take(Forward)[0][0] == "p1"


def test_a_gateway_to_which_nothing_comes_notices_by_itself_that_the_leader_is_silent() -> None:
    desk = Desk()
    until = desk.now + T * 1.01
    while (due := desk.agent.next_deadline()) is not None and due <= until:
        desk.now = due
        desk.turn()
    desk.now = until
    desk.deliver(ME, propose(b"a", attempt=9))

    assert [message.reason for _, message in desk.take(Refused)] == [Reason.NO_LEADER]
    desk.set_aside()


def test_a_high_ballot_that_went_silent_does_not_keep_the_leader_out() -> None:
    desk = Desk(hears=Ballot(9, "p2"))
    desk.wait(T + 0.01)
    desk.deliver("p1", heartbeat(B3))
    desk.deliver(ME, propose(b"a"))

    assert desk.take(Forward)[0][0] == "p1"


def test_u15_a_leader_that_resigned_is_sent_nothing_more() -> None:
    desk = Desk()
    desk.deliver("p1", Resign(B3))
    desk.deliver(ME, propose(b"a"), read())

    desk.expect_sent(ME, refusal(propose(b"a"), Reason.NO_LEADER), LogPage(1, (), 0, Reason.NO_LEADER, ""))
    desk.expect_silence()


@pytest.mark.parametrize(("source", "ballot"), [("p1", Ballot(2, "p1")), ("p2", B3), ("p2", B4)])
def test_who_resigns_another_leadership_than_the_one_believed_changes_nothing(source: NodeId, ballot: Ballot) -> None:
    desk = Desk()
    desk.deliver(source, Resign(ballot))
    desk.deliver(ME, propose(b"a"))

    assert desk.take(Forward)[0][0] == "p1"


def test_u15_a_read_that_a_resigned_leader_left_unanswered_is_refused_at_once() -> None:
    desk = Desk()
    desk.deliver(ME, read())
    desk.take_one(ReadIndex, "p1")
    desk.deliver("p1", Resign(B3))

    desk.expect_sent(ME, LogPage(1, (), 0, Reason.NO_LEADER, ""))
    desk.expect_silence()


def test_of_two_leaders_the_one_with_the_higher_ballot_is_believed() -> None:
    desk = Desk(hears=B4)
    desk.deliver("p1", heartbeat(B3))
    desk.deliver("p9", heartbeat(Ballot(9, "p1")))  # in another name
    desk.deliver(ME, propose(b"a"))

    assert [target for target, _ in desk.take(Forward)] == ["p2"]
    desk.expect_ignored("heartbeat of an old leader", 2)


def test_a_refusal_of_the_leader_is_passed_on_with_the_sending_that_it_names() -> None:
    desk = Desk()
    desk.deliver(ME, propose(b"a", seq=4, attempt=8), propose(b"a", seq=4, attempt=9))
    desk.set_aside()
    desk.deliver("p1", ForwardRefused(session_id(7), 8, 4, 1, Reason.OVERLOADED))

    desk.expect_sent(ME, Refused(session_id(7), 8, 4, 1, Reason.OVERLOADED, 0, ""))
    desk.expect_silence()


def test_a_refusal_for_a_client_that_is_gone_is_ignored() -> None:
    desk = Desk()
    desk.deliver(
        "p1",
        ForwardRefused(session_id(7), 8, 4, 1, Reason.OVERLOADED),
        ForwardRefused(session_id(200), 8, 0, 1, Reason.OVERLOADED),
    )

    desk.expect_silence()
    desk.expect_ignored("refusal for a client that is gone", 2)


def test_a_client_that_comes_back_from_elsewhere_is_answered_there() -> None:
    desk = Desk()
    desk.deliver(ME, propose(b"a"))
    desk.deliver(OTHER, propose(b"a", attempt=2))
    desk.set_aside()
    desk.apply(1, Outcome("applied", session_id(7), 1, 1, revision=1, slot=1))

    desk.expect_sent(OTHER, Applied(session_id(7), 1, 1, 1, 1, ""))
    desk.expect_silence()


def test_o05_what_can_never_enter_the_log_is_refused_at_once() -> None:
    desk = Desk()
    too_large = propose(bytes(LIMITS.command_bytes_max + 1))
    for message, reason in (
        (too_large, Reason.TOO_LARGE),
        (propose(b"a", bytes(LIMITS.command_bytes_max + 1)), Reason.TOO_LARGE),
        (replace(propose(b"a"), body=b"nonsense"), Reason.MALFORMED),
        (replace(propose(b"a"), count=2), Reason.MALFORMED),
        (replace(propose(b"a"), count=0), Reason.MALFORMED),
        (propose(b"a", seq=0), Reason.MALFORMED),
    ):
        desk.deliver(ME, message)
        most = LIMITS.command_bytes_max if reason is Reason.TOO_LARGE else 0
        desk.expect_sent(ME, replace(refusal(message, reason), expected=most))
        desk.expect_silence()


@pytest.mark.parametrize(
    "impossible",
    [
        {"count": 0},
        {"count": 2**63 - 1},
        {"count": COMMANDS_MAX + 1, "body": b""},
        {"first_seq": 0, "acknowledged": 0},
        {"first_seq": 4, "acknowledged": 5},
        {"first_seq": 4, "acknowledged": 2**63 - 1, "body": b""},
    ],
    ids=str,
)
def test_m16_numbers_that_no_client_has_are_malformed_and_nothing_is_kept_of_them(impossible: dict[str, Any]) -> None:
    desk = Desk()
    message = replace(propose(b"a"), **impossible)
    desk.deliver(ME, message)
    desk.expect_sent(ME, refusal(message, Reason.MALFORMED))
    desk.expect_silence()
    desk.apply(1, Outcome("applied", message.session, 1, 1, revision=1, slot=1))

    desk.expect_silence()


def test_m16_a_wish_for_a_session_that_could_be_one_of_an_old_log_is_malformed() -> None:
    desk = Desk()
    desk.deliver(ME, OpenSession(old_session(7), 6))

    desk.expect_sent(ME, Refused(old_session(7), 6, 0, 1, Reason.MALFORMED, 0, ""))
    desk.expect_silence()


def test_numbers_at_the_end_of_their_range_are_forwarded_like_any_other() -> None:
    desk = Desk()
    last = 2**63 - 1
    desk.deliver(ME, Propose(session_id(7), last, last, last, 1, encode_body([b"a"])), OpenSession(b"\xff" * 16, last))

    assert [forward.attempt for _, forward in desk.take(Forward)] == [last, last]
    desk.expect_silence()


def test_the_largest_command_and_a_withdrawal_are_forwarded() -> None:
    desk = Desk()
    largest = propose(bytes(LIMITS.command_bytes_max))
    withdrawal = replace(propose(b"a", b"b", seq=2), body=b"")
    for message in (largest, withdrawal):
        desk.deliver(ME, message)
        assert desk.take_one(Forward, "p1").body == message.body


def test_c21_a_gateway_that_stops_takes_no_commands_and_still_answers_what_it_knows() -> None:
    desk = Desk()
    desk.agent.drain(desk.now)
    desk.deliver(ME, propose(b"a", attempt=3), OpenSession(session_id(155), 4))
    desk.expect_sent(
        ME,
        Refused(session_id(7), 3, 1, 1, Reason.STOPPING, 0, ""),
        Refused(session_id(155), 4, 0, 1, Reason.STOPPING, 0, ""),
    )
    desk.state.results[session_id(7), 1, 1] = [Outcome("applied", session_id(7), 1, 1, revision=1, slot=1)]
    desk.deliver(ME, propose(b"a", attempt=5))

    desk.expect_sent(ME, Applied(session_id(7), 1, 1, 1, 1, ""))


def test_c21_a_gateway_that_stops_stays_to_answer_what_it_forwarded_and_what_is_on_its_way_to_it() -> None:
    desk = Desk()
    desk.deliver(ME, propose(b"a", attempt=3))
    desk.expect_sent("p1", Forward(session_id(7), 3, 1, 1, 1, encode_body([b"a"])))
    desk.agent.drain(desk.now)
    desk.wait(TIMING.retry_s * 0.9)
    assert not desk.agent.drained
    desk.apply(3, Outcome("applied", session_id(7), 1, 1, revision=5, slot=3))
    desk.expect_sent(ME, Applied(session_id(7), 1, 1, 5, 3, ""))
    desk.wait(TIMING.retry_s * 0.1)

    assert desk.agent.drained


# ---- results ---------------------------------------------------------------------------------


def test_a_result_is_told_after_apply_and_after_the_commit() -> None:
    desk = Desk()
    desk.deliver(ME, propose(b"a", b"b"))
    desk.set_aside()
    desk.apply(3, Outcome("applied", session_id(7), 1, 2, revision=5, slot=3))

    desk.expect_sent(ME, Applied(session_id(7), 1, 2, 5, 3, ""), early=False)


def test_l01_a_repetition_is_answered_from_the_stored_results_and_goes_no_further() -> None:
    desk = Desk(hears=None)
    desk.state.results[session_id(7), 1, 2] = [
        Outcome("applied", session_id(7), 1, 1, revision=5, slot=3),
        Outcome("applied", session_id(7), 2, 1, revision=9, slot=4),
    ]
    desk.deliver(ME, propose(b"a", b"b", attempt=2))

    desk.expect_sent(ME, Applied(session_id(7), 1, 1, 5, 3, ""), Applied(session_id(7), 2, 1, 9, 4, ""))
    desk.expect_silence()


def test_a_repetition_of_what_its_client_acknowledged_is_told_that_nobody_has_the_results() -> None:
    desk = Desk(hears=None)
    desk.state.results[session_id(7), 1, 1] = []
    message = propose(b"a")
    desk.deliver(ME, message)

    desk.expect_sent(ME, refusal(message, Reason.ACKNOWLEDGED))
    desk.expect_silence()


def late(message: Propose) -> Propose:
    """The same by a client that has no results yet."""
    return replace(message, acknowledged=1)


def test_l04_a_command_that_lacks_an_earlier_one_takes_no_slot_however_often_it_comes() -> None:
    desk = Desk()
    desk.deliver(ME, propose(b"a", b"b"))
    desk.set_aside()
    for attempt in range(2, 102):
        message = late(propose(b"d", seq=4, attempt=attempt))
        desk.deliver(ME, message)
        desk.expect_sent(ME, replace(refusal(message, Reason.GAP), expected=3))
    desk.deliver(ME, late(propose(b"c", seq=3, attempt=102)), late(propose(b"d", seq=4, attempt=103)))

    assert [forward.first_seq for _, forward in desk.take(Forward)] == [3, 4]
    desk.expect_silence()


def test_l04_what_the_leader_refused_or_the_log_lacks_is_awaited_again_before_what_follows() -> None:
    desk = Desk()
    desk.deliver(ME, *(late(propose(b"x", seq=seq, attempt=seq)) for seq in (1, 2, 3)))
    desk.deliver("p1", ForwardRefused(session_id(7), 2, 2, 1, Reason.NOT_LEADER))
    desk.set_aside()
    desk.deliver(ME, late(propose(b"x", seq=4)))
    desk.expect_sent(ME, replace(refusal(propose(b"x", seq=4), Reason.GAP), expected=2))
    desk.apply(1, Outcome("gap", session_id(7), 3, 1, slot=1, expected=1))
    desk.set_aside()
    desk.deliver(ME, late(propose(b"x", seq=2)))

    desk.expect_sent(ME, replace(refusal(propose(b"x", seq=2), Reason.GAP), expected=1))
    desk.expect_silence()


def test_without_a_leader_a_command_that_lacks_an_earlier_one_is_refused_for_that() -> None:
    desk = Desk(hears=None)
    desk.deliver(ME, late(propose(b"a", seq=4, attempt=9)))

    desk.expect_sent(ME, refusal(propose(b"a", seq=4, attempt=9), Reason.NO_LEADER))
    desk.expect_silence()


def test_l04_a_gap_and_a_lost_session_are_told_without_a_sending() -> None:
    desk = Desk()
    desk.deliver(ME, propose(b"a", seq=4))
    desk.set_aside()
    desk.apply(
        1, Outcome("gap", session_id(7), 4, 1, slot=1, expected=2), Outcome("unknown", session_id(7), 4, 1, slot=1)
    )

    desk.expect_sent(
        ME,
        Refused(session_id(7), 0, 4, 1, Reason.GAP, 2, ""),
        Refused(session_id(7), 0, 4, 1, Reason.SESSION_UNKNOWN, 0, ""),
    )


def test_a_session_that_the_log_forgot_takes_no_slot_and_is_refused_as_such_after_a_round() -> None:
    desk = Desk()
    desk.state.forgotten.add(session_id(7))
    message = propose(b"a", seq=4, attempt=9)
    desk.deliver(ME, message)
    desk.expect_sent(ME, refusal(message, Reason.BEHIND))
    desk.deliver("p1", ReadIndexReply(desk.take_one(ReadIndex).request, 1))
    desk.deliver(ME, message)

    desk.expect_sent(ME, refusal(message, Reason.SESSION_UNKNOWN))
    desk.expect_silence()


def test_forged_sessions_make_no_slot_and_are_refused_by_name() -> None:
    desk = Desk()
    message = propose(b"a", session=desk.state.opened + 1, attempt=9)
    desk.deliver(ME, message)

    desk.expect_sent(ME, refusal(message, Reason.BEHIND))
    desk.take_one(ReadIndex, "p1")  # and no Forward
    desk.expect_silence()


def test_a_gateway_that_is_behind_forwards_a_session_once_it_has_applied_its_opening() -> None:
    desk = Desk()
    message = propose(b"a", session=desk.state.opened + 1)
    desk.deliver(ME, message)
    desk.expect_sent(ME, refusal(message, Reason.BEHIND))
    desk.set_aside()
    desk.state.opened += 1
    desk.deliver(ME, message)

    assert desk.take_one(Forward, "p1").session == message.session


def test_a_session_that_a_whole_round_did_not_bring_is_in_no_log() -> None:
    desk = Desk()
    message = propose(b"a", session=desk.state.opened + 1)
    desk.deliver(ME, message)
    question = desk.take_one(ReadIndex, "p1")
    desk.deliver("p1", ReadIndexReply(question.request, 5))
    desk.set_aside()
    desk.deliver(ME, message)  # nothing is proved before slot 4 is applied here
    desk.expect_sent(ME, refusal(message, Reason.BEHIND))
    desk.apply(4)
    desk.deliver(OTHER, message)  # who names it for the first time now may know it from an opening after that round
    desk.expect_sent(OTHER, refusal(message, Reason.BEHIND))
    desk.set_aside()
    desk.deliver(ME, message)

    desk.expect_sent(ME, refusal(message, Reason.SESSION_UNKNOWN))
    desk.expect_silence()


def test_a_round_that_began_before_a_session_was_named_proves_nothing_about_it() -> None:
    desk = Desk()
    desk.deliver(ME, read(1))
    earlier = desk.take_one(ReadIndex)
    message = propose(b"a", session=desk.state.opened + 1)
    desk.deliver(ME, message)
    desk.deliver("p1", ReadIndexReply(earlier.request, 1))
    desk.take_one(ReadIndex)  # the next round, for this session
    desk.set_aside()
    desk.deliver(ME, message)

    desk.expect_sent(ME, refusal(message, Reason.BEHIND))
    desk.expect_silence()


def test_without_a_leader_an_unknown_session_is_refused_for_that() -> None:
    desk = Desk(hears=None)
    message = propose(b"a", session=desk.state.opened + 1)
    desk.deliver(ME, message)

    desk.expect_sent(ME, refusal(message, Reason.NO_LEADER))
    desk.expect_silence()


def test_sessions_that_are_not_known_take_nobodys_place_among_the_clients() -> None:
    desk = Desk()
    desk.deliver(ME, propose(b"a", session=1))
    for number in range(1, 10):
        desk.deliver(OTHER, propose(b"a", session=desk.state.opened + number))
    desk.set_aside()
    desk.apply(1, Outcome("applied", session_id(1), 1, 1, revision=1, slot=1))

    assert desk.take(Applied) == [(ME, Applied(session_id(1), 1, 1, 1, 1, ""))]


def test_what_one_turn_has_no_room_to_repeat_is_refused_to_be_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetitions, "PER_CLIENT_MAX", 3)
    desk = Desk()
    message = propose(b"a", b"b", attempt=2)
    desk.state.results[session_id(7), 1, 2] = [
        Outcome("applied", session_id(7), seq, 1, revision=seq, slot=seq) for seq in (1, 2)
    ]
    desk.deliver(ME, message, message)

    assert [told.first_seq for _, told in desk.take(Applied)] == [1, 2, 1]
    desk.expect_sent(ME, refusal(message, Reason.OVERLOADED))
    desk.deliver(ME, message)
    assert [told.first_seq for _, told in desk.take(Applied)] == [1, 2]


def test_results_of_clients_of_other_gateways_are_not_told() -> None:
    desk = Desk()
    desk.apply(
        1,
        Outcome("applied", session_id(8), 1, 1, revision=1, slot=1),
        Outcome("opened", session_id(9), 0, 1, slot=1, wish=session_id(123)),
    )

    desk.expect_silence()


def test_a_session_is_asked_for_and_told_to_whoever_asked_once() -> None:
    desk = Desk()
    desk.deliver(ME, OpenSession(session_id(123), 1))
    asked = desk.take_one(Forward, "p1")
    assert asked == Forward(session_id(123), 1, 0, 0, 1, asked.body)
    desk.apply(1, Outcome("opened", session_id(9), 0, 1, slot=1, wish=session_id(123)))
    desk.expect_sent(ME, SessionOpened(session_id(123), session_id(9), ""))
    desk.apply(2, Outcome("opened", session_id(10), 0, 1, slot=2, wish=session_id(123)))

    desk.expect_silence()


def test_a_wish_for_a_session_is_refused_by_its_name_and_sending() -> None:
    desk = Desk()
    desk.deliver(ME, OpenSession(session_id(123), 6))
    desk.set_aside()
    desk.deliver("p1", ForwardRefused(session_id(123), 6, 0, 1, Reason.NOT_LEADER))

    desk.expect_sent(ME, Refused(session_id(123), 6, 0, 1, Reason.NOT_LEADER, 0, ""))


def test_a_client_that_opens_sessions_too_fast_is_refused_and_others_are_not() -> None:
    desk = Desk()
    wishes = [session_id(1000 + number) for number in range(PER_CLIENT_BURST + 1)]
    desk.deliver(ME, *(OpenSession(session, 1) for session in wishes))
    desk.deliver(OTHER, OpenSession(session_id(999), 1))

    assert [forward.session for _, forward in desk.take(Forward)] == [*wishes[:-1], session_id(999)]
    desk.expect_sent(ME, Refused(wishes[-1], 1, 0, 1, Reason.OVERLOADED, 0, ""))
    desk.expect_silence()


def test_a_thousand_clients_that_start_together_all_get_a_session() -> None:
    desk = Desk()
    for number in range(1, 1001):
        desk.deliver(b"%d" % number, OpenSession(session_id(1000 + number), 1))

    assert len(desk.take(Forward)) == 1000


def test_while_nobody_leads_wishes_for_a_session_do_not_count() -> None:
    desk = Desk(hears=None)
    for number in range(1, 3 * PER_CLIENT_BURST):
        desk.deliver(ME, OpenSession(session_id(1000 + number), 1))
    assert {refused.reason for _, refused in desk.take(Refused)} == {Reason.NO_LEADER}
    desk.deliver("p1", heartbeat(B3))
    desk.deliver(ME, OpenSession(session_id(199), 1))

    desk.take_one(Forward, "p1")


def test_a_session_is_opened_in_the_name_of_the_connection_that_asked() -> None:
    one, other = Desk(), Desk(node="l2")
    for desk in (one, other):
        for client, number in ((ME, 201), (ME, 202), (OTHER, 203)):
            desk.deliver(client, OpenSession(session_id(number), 1))
    owners = [forward.body for desk in (one, other) for _, forward in desk.take(Forward)]

    assert {len(owner) for owner in owners} == {OWNER_BYTES_MAX}
    assert [owners.index(owner) for owner in owners] == [0, 0, 2, 3, 3, 5]


def test_who_uses_many_sessions_loses_its_own_place_first() -> None:
    desk = Desk()
    for client, session in ((ME, 1), (OTHER, 2), (OTHER, 3), (OTHER, 4), (OTHER, 5)):
        desk.deliver(client, propose(b"a", session=session))
    desk.set_aside()
    for session in (1, 2, 3, 4, 5):
        desk.apply(session, Outcome("applied", session_id(session), 1, 1, revision=session, slot=session))

    assert [told.session for _, told in desk.take(Applied)] == [session_id(number) for number in (1, 4, 5)]


def test_what_is_remembered_of_clients_is_bounded_and_the_longest_unused_is_forgotten() -> None:
    desk = Desk()
    for session in (1, 2, 3, 1, 4):
        desk.deliver(ME, propose(b"a", session=session))
    desk.set_aside()
    for session in (1, 2, 3, 4):
        desk.apply(session, Outcome("applied", session_id(session), 1, 1, revision=session, slot=session))

    assert [told.session for _, told in desk.take(Applied)] == [session_id(number) for number in (1, 3, 4)]


def test_a_hint_names_the_gateway_beside_the_leader_if_that_is_another_one() -> None:
    endpoints = {"l1": "one:1", "p2": "two:2"}
    for hears, node, hint in ((B4, "l1", "two:2"), (B3, "l1", ""), (B4, "p2", ""), (None, "l1", "")):
        desk = Desk(hears=hears, node=node, endpoints=endpoints)
        desk.state.results[session_id(7), 1, 1] = [Outcome("applied", session_id(7), 1, 1, revision=1, slot=1)]
        desk.deliver(ME, propose(b"a"))
        assert desk.take_one(Applied).hint == hint


# ---- reads -----------------------------------------------------------------------------------


def test_a_linearizable_read_is_answered_after_the_leaders_round_and_after_apply_only() -> None:
    desk = Desk()
    desk.state.log, desk.state.revision, desk.state.next_slot = [b"old"], 1, 2
    desk.deliver(ME, read(start=1))
    question = desk.take_one(ReadIndex, "p1")
    desk.expect_silence()
    desk.deliver("p1", ReadIndexReply(question.request, 3))
    desk.expect_silence()
    desk.state.log.append(b"new")
    desk.state.revision = 2
    desk.apply(2)

    desk.expect_sent(ME, LogPage(1, (Entry(1, 1, b"old"), Entry(2, 2, b"new")), 2, 0, "", next=3), early=False)


def test_a_read_that_came_while_a_question_was_under_way_waits_for_one_of_its_own() -> None:
    desk = Desk()
    desk.deliver(ME, read(1))
    first = desk.take_one(ReadIndex)
    desk.deliver(ME, read(2))
    desk.expect_silence()
    desk.deliver("p1", ReadIndexReply(first.request, 1))
    assert desk.take_one(LogPage).request == 1
    second = desk.take_one(ReadIndex)
    assert second.request != first.request
    desk.deliver("p1", ReadIndexReply(first.request, 1))
    desk.expect_silence()
    desk.deliver("p1", ReadIndexReply(second.request, 1))

    assert desk.take_one(LogPage).request == 2
    desk.agent.ignored.clear()


def test_many_reads_share_one_question() -> None:
    desk = Desk()
    desk.deliver(ME, read(1), read(2), read(3))
    question = desk.take_one(ReadIndex)
    desk.deliver("p1", ReadIndexReply(question.request, 1))

    assert [page.request for _, page in desk.take(LogPage)] == [1, 2, 3]


def test_a_question_or_answer_that_was_lost_is_asked_again_and_a_late_answer_to_the_first_counts_no_more() -> None:
    desk = Desk()
    desk.deliver(ME, read())
    first = desk.take_one(ReadIndex)
    desk.wait(TIMING.retry_s)
    second = desk.take_one(ReadIndex)
    desk.deliver("p1", ReadIndexReply(first.request, 1))
    desk.expect_silence()
    desk.expect_ignored("read index that is not awaited")
    desk.deliver("p1", ReadIndexReply(second.request, 1))

    assert desk.take_one(LogPage).request == 1


def test_who_does_not_lead_is_asked_no_more_than_once_per_retry_time() -> None:
    desk = Desk()
    desk.deliver(ME, read())
    question = desk.take_one(ReadIndex)
    desk.deliver("p1", ReadIndexReply(question.request, 0))
    desk.expect_silence()
    desk.deliver("p2", heartbeat(B4))
    desk.wait(TIMING.retry_s)

    assert desk.take_one(ReadIndex, "p2").request > question.request


def test_l07_without_a_leader_a_linearizable_read_is_refused_and_a_cheap_one_is_answered() -> None:
    desk = Desk(hears=None)
    desk.state.log, desk.state.revision = [b"x"], 1
    desk.deliver(ME, read(1), read(2, linearizable=False))

    desk.expect_sent(ME, LogPage(1, (), 0, Reason.NO_LEADER, ""))
    desk.expect_sent(ME, LogPage(2, (Entry(1, 1, b"x"),), 1, 0, "", next=2))
    desk.expect_silence()


def test_a_read_whose_leader_fell_silent_is_refused() -> None:
    desk = Desk()
    desk.deliver(ME, read())
    desk.set_aside()
    desk.wait(T + TIMING.retry_s)

    assert desk.take_one(LogPage).refused == Reason.NO_LEADER
    desk.set_aside()


def test_l14_a_cheap_read_shows_at_least_what_its_session_has_seen() -> None:
    desk = Desk()
    desk.state.revision = 3
    desk.deliver(ME, read(linearizable=False, seen=4))
    desk.expect_silence()
    desk.state.revision = 4
    desk.apply(9)

    assert desk.take_one(LogPage).last == 4


def test_a_read_that_follows_the_log_waits_for_the_next_entry_until_its_deadline() -> None:
    desk = Desk()
    desk.deliver(ME, read(1, linearizable=False, wait_ms=300), read(2, linearizable=False, wait_ms=900))
    desk.wait(0.31)
    desk.expect_sent(ME, LogPage(1, (), 0, 0, "", next=1))
    desk.expect_silence()
    desk.state.log, desk.state.revision = [b"x"], 1
    desk.apply(1)

    desk.expect_sent(ME, LogPage(2, (Entry(1, 1, b"x"),), 1, 0, "", next=2))


def test_slots_are_told_as_they_were_chosen_with_what_they_made() -> None:
    desk = Desk()
    desk.speaks_of_disks = True
    desk.state.chosen, desk.state.revision, desk.state.log_time_ms = [b"s1", b"s2", b"s3"], 2, 77
    desk.apply(2)
    desk.deliver(ME, ReadSlots(1, 2, linearizable=False))

    assert desk.take(SlotPage) == [(ME, SlotPage(1, 2, (b"s2",), 1, 3, 2, 77, b"2", "", "demo", desk.agent.voters))]


def test_slots_with_all_that_was_acknowledged_wait_for_a_round_of_the_leader() -> None:
    desk = Desk()
    desk.speaks_of_disks = True
    desk.state.chosen = [b"s1"]
    desk.deliver(ME, ReadSlots(1, 1, linearizable=True))
    asked = desk.take(ReadIndex)[0][1]
    assert desk.take(SlotPage) == []
    desk.deliver("p1", ReadIndexReply(asked.request, 2))
    assert desk.take(SlotPage) == []
    desk.apply(1)
    desk.turn()

    assert desk.take(SlotPage) == [(ME, SlotPage(1, 1, (b"s1",), 1, 2, 0, 0, b"0", "", "demo", desk.agent.voters))]


def test_slots_that_a_gateway_does_not_know_yet_are_refused_and_trimmed_ones_are_named() -> None:
    desk = Desk()
    desk.speaks_of_disks = True
    desk.state.chosen, desk.state.first_slot = [b"s1", b"s2", b"s3"], 3
    desk.apply(3)
    desk.deliver(ME, ReadSlots(1, 5, linearizable=False), ReadSlots(2, 4, False), ReadSlots(3, 2, False))

    assert desk.take(LogPage) == [(ME, LogPage(1, (), 0, Reason.BEHIND, ""))]
    assert [(page.request, page.values, page.start) for _, page in desk.take(SlotPage)] == [(2, (), 3), (3, (), 3)]


def test_one_turn_tells_no_more_slots_than_its_share() -> None:
    desk = Desk()
    desk.speaks_of_disks = True
    desk.state.chosen = [bytes(BYTES_PER_TURN_MAX)] * 2
    desk.apply(2)
    desk.set_aside()
    desk.deliver(ME, ReadSlots(1, 1, False), ReadSlots(2, 1, False))

    assert [page.request for _, page in desk.take(SlotPage)] == [1]
    desk.turn()
    assert [page.request for _, page in desk.take(SlotPage)] == [2]


def test_l13_absurd_reads_are_answered_or_refused() -> None:
    desk = Desk()
    last = 2**63 - 1
    desk.deliver(ME, read(1, start=last, linearizable=False, wait_ms=last), read(2, linearizable=False, seen=last))
    desk.wait(HELD_S_MAX)
    desk.expect_sent(ME, LogPage(1, (), 0, 0, "", next=last))
    desk.take(Ping)
    desk.expect_silence()
    desk.wait(REFUSED_AFTER_S - HELD_S_MAX)
    desk.expect_sent(ME, LogPage(2, (), 0, Reason.BEHIND, ""))
    desk.take(Ping)
    desk.state.revision = last
    desk.apply(1)

    desk.expect_silence()


def test_l13_a_read_that_waits_for_apply_does_not_keep_the_gateway_busy() -> None:
    desk = Desk()
    desk.deliver(ME, read(1), read(2, linearizable=False, seen=9))
    question = desk.take_one(ReadIndex)
    desk.deliver("p1", ReadIndexReply(question.request, 99))
    desk.turn()

    due = desk.agent.next_deadline()
    assert due is not None
    assert due > desk.now


def test_reads_above_a_clients_share_are_refused_by_name() -> None:
    desk = Desk()
    desk.deliver(ME, *(read(request, start=9, linearizable=False, wait_ms=900) for request in range(1025)))

    desk.expect_sent(ME, LogPage(1024, (), 0, Reason.OVERLOADED, ""))
    desk.expect_silence()


def test_many_reads_of_the_same_page_read_it_once() -> None:
    desk = Desk()
    desk.state.log, desk.state.revision = [b"x", b"y"], 2
    for client in (ME, OTHER, b"third"):
        desk.agent.receive(client, read(1, linearizable=False), desk.now)
        desk.agent.receive(client, read(2, start=2, linearizable=False), desk.now)
    desk.turn()

    assert {len(page.entries) for _, page in desk.take(LogPage)} == {1, 2}
    assert desk.state.pages_made == 2


def test_one_turn_answers_so_many_bytes_and_one_page_of_each_client_in_turn() -> None:
    desk = Desk()
    desk.state.log, desk.state.revision = [bytes(BYTES_PER_TURN_MAX // 4)], 1
    for request in range(1, 6):
        desk.agent.receive(ME, read(request, linearizable=False), desk.now)
    desk.agent.receive(OTHER, read(1, linearizable=False), desk.now)
    turns: list[object] = []
    for _ in range(2):
        desk.turn()
        turns.append([(client, page.request) for client, page in desk.take(LogPage)])
        turns.append(desk.agent.next_deadline() == desk.now)

    assert turns == [[(ME, 1), (OTHER, 1), (ME, 2)], True, [(ME, 3), (ME, 4), (ME, 5)], False]


def test_slots_that_must_be_read_for_a_page_count_however_little_is_in_them() -> None:
    desk = Desk()
    desk.state.log = [b""] * (BYTES_PER_TURN_MAX // SLOT_BYTES // 2)
    desk.state.revision = len(desk.state.log)
    for start in range(1, 6):
        desk.agent.receive(ME, read(start, start=start, linearizable=False), desk.now)
    desk.turn()
    answered = [page.request for _, page in desk.take(LogPage)]

    assert answered == [1, 2]
    desk.turn()
    assert [page.request for _, page in desk.take(LogPage)] == [3, 4]
    desk.turn()
    desk.take_one(LogPage)


def test_a_read_index_of_a_node_that_was_not_asked_confirms_nobody() -> None:
    desk = Desk()
    desk.deliver(ME, read())
    question = desk.take_one(ReadIndex, "p1")
    desk.deliver("a1", ReadIndexReply(question.request, 1))

    desk.expect_silence()
    desk.expect_ignored("read index that is not awaited")


# ---- status ----------------------------------------------------------------------------------


def test_every_node_is_pinged_again_and_again() -> None:
    desk = Desk()
    desk.wait(TIMING.ping_s)

    assert {target for target, _ in desk.take(Ping)} == set(ROLES)
    sequences = []
    for _ in range(2):
        desk.wait(TIMING.ping_s)
        sequences += [ping.sequence for _, ping in desk.take(Ping)]
    assert sorted(set(sequences)) == sequences


def test_a_status_request_is_answered_with_fresh_answers_of_all_nodes() -> None:
    desk = Desk()
    desk.deliver(ME, GetStatus(5))
    desk.deliver(OTHER, GetStatus(6))
    assert {target for target, _ in desk.take(Ping)} == set(ROLES)
    desk.deliver("p1", Pong(9, True, B3, 8, 0, 0))
    desk.deliver("l1", Pong(9, False, B3, 7, 6, 4))
    desk.expect_silence()
    desk.state.revision = 4
    desk.wait(TIMING.retry_s)

    reports = desk.take(StatusReport)
    assert [(client, report.request) for client, report in reports] == [(ME, 5), (OTHER, 6)]
    report = reports[0][1]
    assert (report.cluster, report.gateway, report.leader, report.ballot) == ("demo", "l1", "p1", B3)
    assert (report.watermark, report.applied, report.revision) == (8, 6, 4)
    assert {row.node: row.reachable for row in report.nodes} == {node: node in ("p1", "l1") for node in ROLES}
    desk.expect_silence()


@pytest.mark.parametrize(("waited_s", "reachable"), [(TIMING.ping_s - 0.1, True), (TIMING.ping_s + 0.1, False)])
def test_a_node_is_reachable_until_it_missed_one_ping_and_the_answer_to_the_next(
    waited_s: float, reachable: bool
) -> None:
    desk = Desk()
    desk.deliver("a1", Pong(9, False, B3, 7, 0, 0))
    desk.wait(waited_s)
    desk.deliver(ME, GetStatus(5))
    desk.wait(TIMING.retry_s)

    report = desk.take_one(StatusReport)
    assert [row.reachable for row in report.nodes if row.node == "a1"] == [reachable]
    desk.set_aside()


def test_a_status_without_a_leader_names_none() -> None:
    desk = Desk(hears=None)
    desk.deliver(ME, GetStatus(5))
    desk.wait(TIMING.retry_s)

    assert desk.take_one(StatusReport).leader == ""
    desk.set_aside()


def test_after_a_long_turn_of_its_own_a_gateway_does_not_take_the_leader_for_silent() -> None:
    desk = Desk()
    desk.now += 3 * T
    desk.deliver(ME, propose(b"a"))  # the leader's heartbeats are behind it, in the same turn

    assert len(desk.take(Forward)) == 1
    desk.deliver(ME, propose(b"b", seq=2))
    desk.expect_sent(ME, refusal(propose(b"b", seq=2), Reason.NO_LEADER))
    desk.expect_silence()


def test_a_read_below_what_is_kept_is_told_where_the_log_begins() -> None:
    desk = Desk()
    desk.state.log, desk.state.revision, desk.state.first_revision = [b"a", b"b", b"c"], 3, 3
    desk.deliver(ME, read(start=2, linearizable=False))
    desk.expect_sent(ME, LogPage(1, (), 3, Reason.COMPACTED, "", first=3), early=False)
    desk.deliver(ME, read(request=2, start=3, linearizable=False))
    desk.expect_sent(ME, LogPage(2, (Entry(3, 3, b"c"),), 3, 0, "", first=3, next=4), early=False)


def test_a_read_from_no_revision_begins_where_the_log_does() -> None:
    desk = Desk()
    desk.state.log, desk.state.revision, desk.state.first_revision = [b"a", b"b"], 2, 1
    desk.deliver(ME, read(start=0, linearizable=False))

    assert [entry.value for entry in desk.take_one(LogPage).entries] == [b"a", b"b"]


# ---- a gateway that is behind ----------------------------------------------------------------


def behind() -> Desk:
    """A gateway that has applied the first of 5000 slots that are on its disk."""
    desk = Desk()
    desk.state.known_stop = 5001
    desk.turn()
    desk.set_aside()
    return desk


def test_a_gateway_that_is_far_behind_refuses_commands_and_says_how_far_it_is() -> None:
    desk = behind()
    desk.deliver(ME, OpenSession(b"a wish of mine..", 1), propose(b"a"), read())

    lag = Lag(1, 5001, 0)
    page = desk.take_one(LogPage)
    assert [(refused.reason, refused.lag) for _, refused in desk.take(Refused)] == 2 * [(Reason.BEHIND, lag)]
    assert (page.refused, page.lag) == (Reason.BEHIND, lag)
    assert desk.agent.lag == lag


def test_a_gateway_that_is_far_behind_still_answers_reads_of_what_it_has() -> None:
    desk = behind()
    desk.state.log, desk.state.revision = [b"a"], 1
    desk.deliver(ME, read(linearizable=False))

    assert [entry.value for entry in desk.take_one(LogPage).entries] == [b"a"]


def test_a_gateway_that_has_caught_up_serves_again_and_both_are_told_to_the_operator() -> None:
    desk = Desk()
    desk.state.known_stop = 5001
    desk.turn()
    desk.state.next_slot = 2501
    desk.wait(1.0)
    desk.state.next_slot = 4501
    desk.wait(5.0)
    told = [(event.name, event.fields["slot"]) for event in desk.events]
    desk.set_aside()

    assert told == [("learner.catches_up", 1), ("learner.caught_up", 4501)]
    desk.deliver("p1", heartbeat(B3, watermark=5001))
    desk.deliver(ME, OpenSession(b"a wish of mine..", 1))
    assert desk.take(Refused) == []
    desk.set_aside()


def test_a_gateway_is_behind_what_its_leader_says_is_chosen() -> None:
    desk = Desk()
    desk.deliver("p1", heartbeat(B3, watermark=2000))

    assert desk.agent.lag == Lag(1, 2000, 0)
    desk.set_aside()
