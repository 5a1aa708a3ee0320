"""No client has more than its share of a turn, and who goes on after warnings is cut off."""

from __future__ import annotations

import pytest

from paxosd.conduct import (
    BYTES_PER_UNIT,
    CLIENT_WORK_PER_TURN_MAX,
    LITTLE,
    PEER_WORK_PER_TURN_MAX,
    PEERS_WORK_PER_TURN_MAX,
    WARNED_MAX,
    WARNINGS_MAX,
    WORK_PER_TURN_MAX,
    ClientShares,
    PeerShares,
    Warnings,
)
from paxosd.core.messages import (
    Fetched,
    FetchedVotes,
    Message,
    Ping,
)
from paxosd.core.types import NO_BALLOT, Vote
from paxosd.wire.frames import PEER_MESSAGES_MAX

CONNECTIONS = 256
"""As many as the peers' port of a node has."""


def test_a_client_that_had_its_share_has_no_more_of_this_turn_and_others_have() -> None:
    shares = ClientShares()
    shares.begin_turn()
    shares.take_messages(b"busy", CLIENT_WORK_PER_TURN_MAX + 1)

    assert not shares.has_more(b"busy")
    assert shares.has_more(b"other")
    shares.begin_turn()
    assert shares.has_more(b"busy")


def test_bytes_are_work_as_messages_are() -> None:
    shares = ClientShares()
    shares.begin_turn()
    shares.take_frame(b"a", BYTES_PER_UNIT * CLIENT_WORK_PER_TURN_MAX)
    for _ in range(CLIENT_WORK_PER_TURN_MAX):
        assert shares.has_more(b"b")
        shares.take_frame(b"b", 0)

    assert not shares.has_more(b"a")
    assert not shares.has_more(b"b")


def test_all_clients_together_have_a_bounded_part_of_a_turn() -> None:
    shares = ClientShares()
    shares.begin_turn()
    served = 0
    while shares.has_more(b"%d" % served):
        shares.take_messages(b"%d" % served, CLIENT_WORK_PER_TURN_MAX + 1)
        served += 1

    assert served == WORK_PER_TURN_MAX // CLIENT_WORK_PER_TURN_MAX


def test_one_warning_too_many_is_told_once_and_then_all_are_forgotten() -> None:
    warnings = Warnings()
    told = [warnings.warn("c", 5.0) for _ in range(2 * WARNINGS_MAX + 2)]

    assert [place for place, one in enumerate(told) if one] == [WARNINGS_MAX, 2 * WARNINGS_MAX + 1]


def test_warnings_fade_so_that_a_mistake_now_and_then_is_forgiven() -> None:
    warnings = Warnings()

    assert not any(warnings.warn("c", float(second)) for second in range(1000))


def test_who_is_warned_faster_than_it_fades_is_cut_off_in_the_end() -> None:
    warnings = Warnings()

    assert any(warnings.warn("c", number * 0.5) for number in range(2 * WARNINGS_MAX + 2))


def test_a_bounded_number_of_connections_is_remembered() -> None:
    warnings = Warnings()
    for number in range(3 * WARNED_MAX):
        warnings.warn(number, 5.0)

    assert len(warnings._fade_at) == WARNED_MAX


@pytest.mark.parametrize(
    "page",
    [
        Fetched(1, (b"",) * PEER_WORK_PER_TURN_MAX, 1),
        FetchedVotes(1, 1, 1, (Vote(1, NO_BALLOT, b""),) * PEER_WORK_PER_TURN_MAX, 1),
    ],
)
def test_rows_of_a_page_are_work_as_messages_are(page: Message) -> None:
    shares = PeerShares()
    shares.begin_turn()
    shares.take("flood", [Ping(1)] * (PEER_WORK_PER_TURN_MAX - 1))
    assert shares.has_more("flood")
    shares.take("pages", [page])

    assert not shares.has_more("pages")
    assert shares.has_more("other")


def crowd_sends(shares: PeerShares, messages: int) -> int:
    """A turn in which so many connections as a node has send a full frame each; how much of it is taken in."""
    taken = 0
    for number in range(CONNECTIONS):
        if shares.has_more(number):
            shares.take(number, [Ping(1)] * messages)
            taken += messages
        else:
            shares.drop(number, 4 * messages)
    return taken


def test_all_connections_of_peers_together_have_a_bounded_part_of_a_turn() -> None:
    shares = PeerShares()
    taken = []
    for _ in range(30):
        shares.begin_turn()
        taken.append(crowd_sends(shares, PEER_MESSAGES_MAX))

    assert max(taken) <= PEERS_WORK_PER_TURN_MAX


def test_who_sends_little_is_heard_beside_a_greedy_crowd() -> None:
    shares = PeerShares()
    shares.take("a peer that lives", [Ping(1)])
    for _ in range(30):
        shares.begin_turn()
        crowd_sends(shares, PEER_MESSAGES_MAX)

        assert shares.has_more("a peer that lives")
        shares.take("a peer that lives", [Ping(1)] * (LITTLE // 4))


def test_honest_peers_that_all_have_much_to_tell_are_heard() -> None:
    shares = PeerShares()
    for _ in range(10):
        shares.begin_turn()
        for frame in range(3):
            for peer in range(7):
                assert shares.has_more(peer), f"frame {frame}"
                shares.take(peer, [Ping(1)] * PEER_MESSAGES_MAX)


def test_of_connections_that_are_gone_nothing_is_remembered_for_long() -> None:
    shares = PeerShares()
    shares.take("gone", [Ping(1)] * PEER_MESSAGES_MAX)
    for _ in range(20):
        shares.begin_turn()

    assert shares._before == {}


def test_a_peer_that_comes_to_a_greedy_crowd_is_heard_from_its_second_turn_on() -> None:
    shares = PeerShares()
    heard = []
    for _ in range(5):
        shares.begin_turn()
        crowd_sends(shares, PEER_MESSAGES_MAX)
        heard.append(shares.has_more("new"))
        if heard[-1]:
            shares.take("new", [Ping(1)])
        else:
            shares.drop("new", 300)

    assert heard == [False, True, True, True, True]
