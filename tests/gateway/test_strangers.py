"""Strangers: when a session that a gateway does not know is proved to be in no log."""

from __future__ import annotations

import pytest

from paxosd.gateway import strangers as module
from paxosd.gateway.strangers import Strangers
from tests.core.helpers import session_id

ME, OTHER = b"me", b"other"


def test_nothing_is_proved_before_a_round_that_began_later_is_applied() -> None:
    strangers = Strangers()
    strangers.name(ME, session_id(7), next_round=5)
    assert strangers.unconfirmed
    strangers.confirm(4, applied=10)
    assert not strangers.is_of_another_log(ME, session_id(7), next_slot=99)
    strangers.confirm(5, applied=10)

    assert not strangers.unconfirmed
    assert not strangers.is_of_another_log(ME, session_id(7), next_slot=9)
    assert strangers.is_of_another_log(ME, session_id(7), next_slot=10)


def test_it_is_proved_of_this_client_and_this_session_alone() -> None:
    strangers = Strangers()
    strangers.name(ME, session_id(7), next_round=5)
    strangers.confirm(5, applied=1)

    assert not strangers.is_of_another_log(OTHER, session_id(7), next_slot=1)
    assert not strangers.is_of_another_log(ME, session_id(8), next_slot=1)


def test_naming_a_session_again_does_not_put_off_its_proof() -> None:
    strangers = Strangers()
    strangers.name(ME, session_id(7), next_round=5)
    strangers.name(ME, session_id(7), next_round=6)
    strangers.confirm(5, applied=1)

    assert strangers.is_of_another_log(ME, session_id(7), next_slot=1)


def test_when_nobody_leads_no_round_is_asked_for_until_a_session_is_named_again() -> None:
    strangers = Strangers()
    strangers.name(ME, session_id(7), next_round=5)
    strangers.give_up()
    assert not strangers.unconfirmed
    strangers.name(ME, session_id(7), next_round=5)

    assert strangers.unconfirmed


def test_who_named_one_the_longest_ago_is_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRANGERS_MAX", 2)
    strangers = Strangers()
    for client in (ME, OTHER, b"third"):
        strangers.name(client, session_id(7), next_round=1)
    strangers.confirm(1, applied=1)

    assert [strangers.is_of_another_log(client, session_id(7), 1) for client in (ME, OTHER, b"third")] == [
        False,
        True,
        True,
    ]
