"""What a gateway refuses by itself: everything for a moment, and of a session what comes after a refused batch."""

from __future__ import annotations

from paxosd.core.options import REFUSES_S
from paxosd.core.reasons import Reason
from paxosd.core.types import NO_SESSION, SessionId
from paxosd.gateway.refusing import REMEMBERED_S, SESSIONS_MAX, Refusing
from tests.core.helpers import session_id

LATER = REFUSES_S + 0.001
SESSION = session_id(7)


def full(first_seq: int = 5, session: SessionId = SESSION) -> Refusing:
    """The leader has just refused this batch, because it is full."""
    refusing = Refusing()
    refusing.heard(Reason.OVERLOADED, session, first_seq, 0.0)
    return refusing


def test_for_a_moment_everything_is_refused() -> None:
    refusing = full()

    assert refusing.refuses(session_id(8), 1, 1, 0.01)
    assert refusing.refuses(NO_SESSION, 0, 99, 0.01)
    assert not refusing.refuses(session_id(9), 1, 1, LATER)
    assert not refusing.refuses(NO_SESSION, 0, 99, LATER)


def test_a_refusal_for_another_reason_says_nothing_about_the_next_batch() -> None:
    refusing = Refusing()
    refusing.heard(Reason.NOT_LEADER, session_id(7), 5, 0.0)

    assert not refusing.refuses(session_id(7), 5, 6, 0.0)


def test_what_comes_after_a_refused_batch_is_refused_until_that_one_comes_again() -> None:
    refusing = full(first_seq=5)

    assert refusing.refuses(session_id(7), 5, 6, LATER)
    assert not refusing.refuses(session_id(7), 5, 5, LATER)
    assert not refusing.refuses(session_id(7), 5, 6, LATER)


def test_of_what_the_gateway_refuses_itself_the_first_one_counts() -> None:
    refusing = full(first_seq=5)
    refusing.refuses(session_id(8), 3, 3, 0.01)
    refusing.refuses(session_id(8), 3, 4, 0.01)

    assert refusing.refuses(session_id(8), 3, 4, LATER)
    assert not refusing.refuses(session_id(8), 3, 3, LATER)


def test_a_refused_batch_that_has_a_result_by_now_holds_up_nothing() -> None:
    assert not full(first_seq=5).refuses(session_id(7), 6, 6, LATER)  # another sending of it had come through


def test_a_client_that_never_sends_it_again_is_not_refused_for_ever() -> None:
    assert not full(first_seq=5).refuses(session_id(7), 1, 6, REMEMBERED_S)


def test_it_remembers_so_many_sessions() -> None:
    refusing = full()
    for session in range(1, 2 * SESSIONS_MAX):
        refusing.refuses(session_id(session), 1, 1, 0.01)

    assert len(refusing._refused) == SESSIONS_MAX
