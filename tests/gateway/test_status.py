"""The board on which a gateway notes how every node was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paxosd.core.messages import (
    DiskSpace,
    NodeStatus,
    Pong,
)
from paxosd.core.types import NO_BALLOT, Ballot
from paxosd.core.voters import NO_VOTERS, Voters
from paxosd.gateway import status as module
from paxosd.gateway.status import StatusBoard
from tests.core.helpers import ROLES, born, disk_of, membership

B3 = Ballot(3, "p1")


def board() -> StatusBoard:
    return StatusBoard("l1", "demo", membership())


def row(noted: StatusBoard, node: str, now: float) -> NodeStatus:
    return next(row for row in noted.rows(now, silent_after_s=2.0) if row.node == node)


def test_every_node_has_a_row_with_its_role() -> None:
    rows = board().rows(1.0, 2.0)

    assert {row.node: row.role for row in rows} == {node: role.value for node, role in ROLES.items()}
    assert board().others == tuple(node for node in ROLES if node != "l1")


def test_a_node_that_never_answered_is_not_reachable_and_was_never_heard() -> None:
    assert row(board(), "a1", 1.0) == NodeStatus("a1", "acceptor", False, -1, False, NO_BALLOT, 0, 0, 0)


def test_a_row_repeats_the_latest_answer_and_how_long_ago_it_came() -> None:
    noted = board()
    noted.hear("p1", Pong(1, False, NO_BALLOT, 1, 0, 0), 10.0)
    noted.hear("p1", Pong(2, True, B3, 7, 6, 5), 11.0)

    assert row(noted, "p1", 12.5) == NodeStatus("p1", "proposer", True, 1500, True, B3, 7, 6, 5, per_s=6)


def test_a_node_that_is_silent_too_long_is_not_reachable_and_leads_no_more() -> None:
    noted = board()
    noted.hear("p1", Pong(1, True, B3, 7, 6, 5), 10.0)

    assert (row(noted, "p1", 11.9).reachable, row(noted, "p1", 11.9).leading) == (True, True)
    assert (row(noted, "p1", 12.0).reachable, row(noted, "p1", 12.0).leading) == (False, False)
    assert row(noted, "p1", 12.0).silent_ms == 2000


def test_o09_a_row_tells_how_the_disk_of_the_node_is_and_whether_it_refuses_commands_while_it_leads() -> None:
    noted = board()
    noted.hear("p1", Pong(1, True, B3, 7, 6, 5), 10.0)
    noted.hear_space("p1", DiskSpace(2, 3000, 0, True))
    found, later = row(noted, "p1", 11.0), row(noted, "p1", 20.0)

    assert (found.space, found.data_bytes, found.room_bytes, found.refuses) == (2, 3000, 0, True)
    assert (later.space, later.refuses) == (2, False)


def test_a_disk_that_was_replaced_or_is_silent_is_not_shown_to_vote() -> None:
    noted, voters = board(), born(membership())
    noted.hear("a1", replace(pong(disk=98), standing="voter"), 1.0)
    noted.hear("a2", replace(pong(disk=disk_of("a2")), standing="voter"), 1.0)

    def shown(now: float) -> list[str]:
        return [row.standing for row in noted.rows(now, 2.0, voters) if row.node in ("a1", "a2")]

    assert shown(1.5) == ["guest", "voter"]
    assert shown(4.0) == ["", ""]


def standstill(noted: StatusBoard, voters: Voters, now: float = 1.0) -> str:
    return noted.standstill(voters, now, silent_after_s=2.0)


def pong(disk: int = 0, waits_for: str = "", alarm: str = "") -> Pong:
    return Pong(1, False, NO_BALLOT, 1, 0, 0, disk=disk, waits_for=waits_for, alarm=alarm)


def test_a_standstill_is_told_by_the_disks_with_which_acceptors_speak_now() -> None:
    noted, voters = board(), born(membership())
    noted.hear("a1", pong(disk=98), 1.0)
    noted.hear("a2", pong(disk=99), 1.0)

    assert "2 of 3 disks that vote are new or went back (a1, a2)" in standstill(noted, voters)
    assert standstill(noted, voters, now=9.0) == ""


def test_a_disk_that_was_lost_before_a_new_one_had_copied_is_told_to_be_what_that_one_needs() -> None:
    noted, voters = board(), born(membership())
    noted.hear("a1", replace(pong(disk=disk_of("a1")), standing="copies slot 1 of 9"), 1.0)
    noted.hear("a2", replace(pong(disk=99), standing="guest"), 1.0)
    noted.hear("a3", replace(pong(disk=disk_of("a3")), standing="voter"), 1.0)

    assert "bring back a2 with the directory that it had" in standstill(noted, voters)


def test_a_standstill_is_told_by_the_alarms_and_the_awaited_acceptors_of_others() -> None:
    noted = board()
    assert standstill(noted, NO_VOTERS) == ""
    noted.hear("p1", pong(waits_for="a2, a3"), 1.0)
    assert "a2, a3 are not" in standstill(noted, NO_VOTERS)
    assert standstill(noted, born(membership())) == ""
    noted.hear("p2", pong(alarm="disks went back"), 1.0)
    assert standstill(noted, born(membership())) == "disks went back"


def test_requests_are_taken_once() -> None:
    noted = board()
    assert not noted.asked
    noted.ask(b"me", 4)
    noted.ask(b"other", 4)
    assert noted.asked

    assert noted.take_asked() == [(b"me", 4), (b"other", 4)]
    assert noted.take_asked() == []
    assert not noted.asked


def test_requests_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASKED_MAX", 3)
    noted = board()
    kept = [noted.ask(client, request) for client, request in ((b"me", 1), (b"me", 2), (b"other", 7), (b"third", 8))]

    assert kept == [True, True, True, False]
    assert noted.take_asked() == [(b"me", 2), (b"other", 7), (b"third", 8)]


def test_a_client_that_asks_for_the_status_too_often_loses_its_own_requests_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ASKED_PER_CLIENT_MAX", 2)
    noted = board()

    assert [noted.ask(b"me", request) for request in (1, 1, 2, 3)] == [True, True, True, False]
    assert noted.ask(b"other", 1)
    assert noted.take_asked() == [(b"me", 1), (b"me", 2), (b"other", 1)]
