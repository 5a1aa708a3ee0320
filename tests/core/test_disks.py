"""Birth, lost disks and guests, in a whole cluster of agents over disks in memory; see `core/voters.py`."""

from __future__ import annotations

import pytest

from paxosd.core.decrees import Replace, after, decree_of
from paxosd.core.messages import Outdated, Recall, Recalled
from paxosd.core.records import Disk, Seen, Voted
from paxosd.core.seen import hear
from paxosd.core.types import NO_DISK, NodeId
from paxosd.core.voters import Known, Voters
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import FIVE, REPLICAS, ROLES, TIMING, acceptor, born, disk_of, membership
from tests.core.network import Network


def voters(network: Network, node: NodeId = "p1") -> Voters:
    return network.members[node].agent.voters


def wipe(network: Network, node: NodeId) -> None:
    """The node ends, and starts again with an empty directory."""
    network.members[node].disk = MemoryStore()
    network.restart(node)


def votes(network: Network, node: NodeId) -> bool:
    acceptor = network.members[node].acceptor
    assert acceptor is not None
    return acceptor.may_vote


def admitted(network: Network, node: NodeId) -> bool:
    """Whether the disk that the node has now is decreed, as everybody knows, and votes."""
    acceptor = network.members[node].acceptor
    assert acceptor is not None
    return acceptor.may_vote and voters(network, network.leaders()[0]).disk_of(node) == acceptor.standing.disk


# ---- birth -----------------------------------------------------------------------------------


def test_a_cluster_is_born_once_with_the_disks_of_all_its_acceptors() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"a")
    network.run(1.0)

    assert network.log_of("l1") == network.log_of("l2") == [b"a"]
    known = {voters(network, node) for node in ROLES}
    assert len(known) == 1
    (born,) = known
    assert born.decreed == born.birth == 1
    assert {voter.node: voter.disk for voter in born.named} == {
        node: network.members[node].disk.disk for node in ("a1", "a2", "a3")
    }


def test_nobody_is_born_as_long_as_one_acceptor_was_not_heard() -> None:
    network = Network(is_born=False)
    network.crash("a3")
    network.run(5.0)

    assert network.leaders() == []
    assert [member.proposer.waits_for for member in network.members.values() if member.proposer] == [("a3",), ("a3",)]
    network.restart("a3")
    network.run_until(network.leaders)
    network.run(0.5)
    assert voters(network).are_named


def test_after_the_birth_a_majority_is_enough_whoever_restarts() -> None:
    network = Network(is_born=False)
    network.run_until(lambda: network.leaders() and voters(network).are_named)
    network.run(0.5)
    network.crash("a3")
    network.restart(*(node for node in ROLES if node != "a3"))
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"a")
    network.run(1.0)

    assert network.log_of("l2") == [b"a"]


def test_replicas_are_born_too() -> None:
    network = Network(REPLICAS, is_born=False)
    session = network.open_session("r1")
    network.propose("r1", session, 1, b"a")
    network.run(1.0)

    assert [network.log_of(node) for node in REPLICAS] == [[b"a"]] * 3
    assert len({voters(network, node) for node in REPLICAS}) == 1


def test_a_birth_that_was_told_to_one_acceptor_alone_is_the_one_that_all_take_up() -> None:
    network = Network(is_born=False)
    network.run_until(lambda: any(network.members[node].disk.vote(1) for node in ("a1", "a2", "a3")), 20.0)
    born = next(vote.value for node in ("a1", "a2", "a3") if (vote := network.members[node].disk.vote(1)))
    network.restart(*ROLES)
    network.run_until(lambda: network.leaders() and voters(network).are_named)
    network.run(0.5)

    assert network.chosen[1] == born


# ---- lost disks ------------------------------------------------------------------------------


def test_d10_an_acceptor_that_lost_its_disk_is_admitted_by_a_decree_and_knows_what_the_one_before_knew() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    for seq in range(1, 6):
        network.propose("l1", session, seq, b"%d" % seq)
    network.run(0.5)
    before = voters(network)
    wipe(network, "a2")
    network.run(0.2)
    assert not votes(network, "a2")
    network.run_until(lambda: network.leaders() and admitted(network, "a2"))
    network.run(0.5)

    after = voters(network)
    assert after.history == before.history
    assert after.disk_of("a2") == network.members["a2"].disk.disk != before.disk_of("a2")
    for slot in range(1, after.decreed + 1):
        vote = network.members["a2"].disk.vote(slot)
        assert vote is not None
        assert vote.value == network.chosen[slot]
    network.crash("a1")  # now it is needed
    network.propose("l1", session, 6, b"6")
    network.run(3.0)
    assert network.log_of("l2") == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_i05_a_blank_and_a_stale_acceptor_serve_nothing_and_with_the_third_back_nothing_is_lost() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    network.cut_off("a3")
    for seq in range(1, 6):
        network.propose("l1", session, seq, b"%d" % seq)
        network.run(0.2)
    network.run(0.5)
    assert network.log_of("l1") == [b"1", b"2", b"3", b"4", b"5"]
    network.crash("a1")
    network.cut.clear()
    wipe(network, "a2")
    network.crash("l1", "l2")
    wipe(network, "l1")
    network.run(5.0)

    assert network.leaders() == []
    network.restart("a1")
    network.run_until(lambda: network.leaders() and admitted(network, "a2"))
    network.run(3.0)
    assert network.log_of("l1") == [b"1", b"2", b"3", b"4", b"5"]


def test_i10_two_of_five_lose_their_disks_at_once_and_writes_go_on() -> None:
    network = Network(FIVE, is_born=False)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    wipe(network, "a4")
    wipe(network, "a5")
    network.propose("l1", session, 2, b"2")
    network.run_until(lambda: network.leaders() and admitted(network, "a4") and admitted(network, "a5"))
    for seq in (2, 3):
        network.propose("l1", session, seq, b"%d" % seq, attempt=2)
        network.run(1.0)

    assert network.log_of("l2") == [b"1", b"2", b"3"]


def test_a_disk_that_comes_back_after_it_was_replaced_is_a_guest_with_another_id() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(0.5)
    old, member = network.members["a2"].disk, network.members["a2"]
    wipe(network, "a2")
    network.run_until(lambda: network.leaders() and admitted(network, "a2"))
    first, second = old.disk, member.disk.disk
    member.disk = old
    network.restart("a2")
    network.run(0.2)
    assert not votes(network, "a2")
    assert member.disk.disk not in (first, second, NO_DISK)

    network.run_until(lambda: network.leaders() and admitted(network, "a2"))
    assert voters(network).disk_of("a2") == member.disk.disk


def test_a_new_disk_that_is_lost_again_before_it_was_told_everything_is_replaced_again() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    for _ in range(3):
        disk = voters(network).disk_of("a2")
        wipe(network, "a2")
        network.run_until(lambda disk=disk: voters(network).disk_of("a2") != disk)  # type: ignore[misc]
    network.run_until(lambda: network.leaders() and admitted(network, "a2"))
    network.propose("l1", session, 2, b"2")
    network.run(1.0)

    assert network.log_of("l2") == [b"1", b"2"]


def test_a_new_disk_goes_on_copying_after_a_restart() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(0.5)
    wipe(network, "a2")
    network.cut_off("a2", "a1", "a3")  # it hears the leader and cannot copy
    network.run_until(lambda: voters(network).decreed > 1)
    network.run(1.0)
    assert not votes(network, "a2")
    network.restart("a2")
    network.cut.clear()
    network.run_until(lambda: network.leaders() and admitted(network, "a2"))
    found = [record for record in network.members["a2"].disk.records() if isinstance(record, Disk)]
    assert [record.copied for record in found] == [True]


def test_a_disk_is_replaced_only_if_the_others_could_begin_a_ballot_without_it() -> None:
    network = Network()
    network.run_until(network.leaders)
    network.crash("a1")
    network.run(0.5)
    wipe(network, "a2")
    network.run(5.0)

    assert voters(network).disk_of("a2") == disk_of("a2")


# ---- disks that went back in time ------------------------------------------------------------


def test_i06_an_acceptor_whose_disk_was_put_back_is_noticed_and_treated_as_blank() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(0.5)
    earlier = network.members["a2"].disk.copy()
    for seq in range(2, 6):
        network.propose("l1", session, seq, b"%d" % seq)
        network.run(0.5)
    network.members["a2"].disk = earlier
    old = earlier.disk
    network.restart("a2")
    network.run_until(lambda: network.members["a2"].disk.disk != old)
    assert not votes(network, "a2")

    network.run_until(lambda: network.leaders() and admitted(network, "a2"))
    assert network.log_of("l2") == [b"1", b"2", b"3", b"4", b"5"]


def test_an_acceptor_that_starts_asks_before_it_votes_and_all_may_start_at_once() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(0.5)
    network.cut_off("a2")
    network.restart("a2")
    network.run(1.0)
    assert not votes(network, "a2")

    network.cut.clear()
    network.restart(*ROLES)
    network.run_until(network.leaders)
    network.run(0.5)
    assert [votes(network, node) for node in ("a1", "a2", "a3")] == [True] * 3
    assert {voters(network, node).decreed for node in ROLES} == {1}


def put_back(network: Network, live_on: tuple[NodeId, ...]) -> int:
    """a3 is stale, a1 is put back, a2 is away; all but `live_on` start again. Returns the disk of a1."""
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(0.5)
    network.crash("a3")
    network.run(3.0)
    earlier = network.members["a1"].disk.copy()
    for seq in range(2, 8):
        network.propose("l1", session, seq, b"%d" % seq)
        network.run(0.05)
    network.run(3.0)  # nothing else is written any more
    network.crash("a2", *(node for node in ROLES if node not in live_on))
    network.members["a1"].disk = earlier
    network.restart(*(node for node in ROLES if node != "a2" and node not in live_on))
    return earlier.disk


@pytest.mark.parametrize("live_on", [("p1", "p2"), ("l1", "l2"), ()], ids=["proposers", "learners", "nobody"])
def test_a_disk_that_was_put_back_beside_a_stale_one_is_noticed_by_whoever_remembers_it(
    live_on: tuple[NodeId, ...],
) -> None:
    network = Network(is_born=False)
    old = put_back(network, live_on)
    network.run(5.0)

    assert network.members["a1"].disk.disk != old
    assert not votes(network, "a1")
    assert network.leaders() == []
    network.restart("a2")
    network.run_until(lambda: network.leaders() and admitted(network, "a1"))
    network.run(3.0)
    assert network.log_of("l1") == network.log_of("l2") == [b"%d" % seq for seq in range(1, 8)]


def test_an_idle_cluster_remembers_what_it_saw_last_and_writes_no_more() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    for seq in range(1, 6):
        network.propose("l1", session, seq, b"%d" % seq)
        network.run(0.05)
    network.run(3.0)
    before = {node: network.members[node].disk.commits for node in ROLES}
    network.run(3.0)

    assert {node: network.members[node].disk.commits for node in ROLES} == before
    for node in ROLES:
        (seen,) = (record for record in network.members[node].disk.records() if isinstance(record, Seen))
        assert dict(seen.commits) == {network.members[a].disk.disk: before[a] for a in ("a1", "a2", "a3")}


def test_a_disk_that_votes_already_is_given_up_when_somebody_tells_more_of_it_and_not_for_an_old_message() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(1.0)
    disk = network.members["a1"].disk
    old, commits = disk.disk, disk.commits
    network.members["a1"].turn([("l1", Recalled(old, commits))])
    assert (disk.disk, votes(network, "a1")) == (old, True)
    network.members["a1"].turn([("l1", Recalled(old, commits + 1))])

    assert disk.disk != old
    assert not votes(network, "a1")


def test_a_disk_that_went_back_is_a_warning_that_says_by_how_much_and_who_knows() -> None:
    stage = acceptor()
    stage.set_aside()
    stage.deliver("l1", Recalled(disk_of("a1"), 1000))
    found = [event for event in stage.events if event.name == "disk.rolled_back"]

    assert [(event.is_warning, event.fields["seen"], event.fields["by"]) for event in found] == [(True, 1000, "l1")]
    stage.set_aside()


def test_what_was_seen_of_the_disks_of_others_is_told_after_a_restart_too() -> None:
    stage = acceptor("a3", records=[Seen(((disk_of("a1"), 9),))])
    stage.deliver("a1", Recall(disk_of("a1"), 1))

    assert [told for _, told in stage.take(Recalled, "a1")] == [Recalled(disk_of("a1"), 9)]
    stage.set_aside()


def test_whoever_hears_less_of_a_disk_than_it_remembers_says_so_and_remembers_it_still() -> None:
    known, disk = Known(), disk_of("a1")
    known.restore([born(membership())])
    answers = [hear(known, (disk, commits)) for commits in (5, 9, 9, 8, 10)]

    assert answers == [None, None, None, ("a1", Recalled(disk, 9)), None]
    assert known.seen == {disk: 10}
    assert hear(known, (77, 1)) is None  # nobody votes with that


def test_a_decree_about_a_disk_that_was_replaced_meanwhile_replaces_nobody() -> None:
    first = after(born(membership()), 5, Replace("a1", disk_of("a1"), 77))
    second = after(first, 9, Replace("a1", disk_of("a1"), 78))

    assert (first.disk_of("a1"), second.disk_of("a1")) == (77, 77)
    assert second.decreed == 9


# ---- what nobody remembers any more ----------------------------------------------------------


def replaced_by_its_own_vote(network: Network) -> tuple[MemoryStore, MemoryStore]:
    """The disk of a1 as it was early and as it ended; that another one takes its place was decided with its own vote
    and that of a2. Meanwhile a3 and p2 have heard nothing of it."""
    network.cut_off("p2")
    network.run_until(lambda: network.leaders() == ["p1"])
    earlier, mine = network.members["a1"].disk.copy(), network.members["a1"].disk
    network.members["a1"].disk = MemoryStore()
    network.restart("a1")
    network.run(TIMING.election_s)
    network.cut_off("a3")
    network.run_until(lambda: is_decree(latest_vote(network, "a2")))
    network.crash("a3")
    assert not is_decree(latest_vote(network, "a3"))
    guest, network.members["a1"].disk = network.members["a1"].disk, mine
    network.restart("a1")
    network.run_until(lambda: voters(network, "a2").disk_of("a1") != earlier.disk)
    network.members["a1"].disk = guest
    return earlier, mine


def latest_vote(network: Network, node: NodeId) -> bytes:
    return [record.value for record in network.members[node].disk.records() if isinstance(record, Voted)][-1]


def is_decree(value: bytes) -> bool:
    return isinstance(decree_of(value), Replace)


def test_who_knows_of_a_later_disk_does_not_vouch_for_one_that_was_replaced() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(1.0)
    earlier, _ = replaced_by_its_own_vote(network)
    network.crash("p1", "l1", "l2")
    network.cut.clear()
    network.cut_off("a2", "p2", "a3")
    network.members["a1"].disk = earlier
    network.restart("a1", "a3")
    network.run(2 * TIMING.retry_s)
    network.crash("a2")
    network.run(5.0)

    assert not votes(network, "a1")


def test_a_guest_that_is_found_is_offered_under_another_id_for_a_copy_of_it_may_have_voted() -> None:
    network = Network(is_born=False)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    wipe(network, "a1")
    network.run(0.1)
    copy, guest = network.members["a1"].disk.copy(), network.members["a1"].disk.disk
    network.run_until(lambda: admitted(network, "a1"))
    assert network.members["a1"].disk.disk == guest
    wipe(network, "a1")
    network.run_until(lambda: network.leaders() and admitted(network, "a1"))
    network.members["a1"].disk = copy
    network.restart("a1")
    network.run_until(lambda: network.leaders() and admitted(network, "a1"))

    assert network.members["a1"].disk.disk != guest


@pytest.mark.parametrize(("node", "told"), [("p1", [Outdated]), ("l1", [])])
def test_of_nodes_without_a_disk_proposers_say_that_another_one_votes_by_now(node: NodeId, told: list[type]) -> None:
    network = Network()
    network.run_until(network.leaders)
    agent = network.members[node].agent
    agent.known.take_up(voters(network).replaced(9, "a1", disk_of("a1"), 77))
    agent.receive("a1", Recall(disk_of("a1"), 1), network.now)
    sent = [message for target, message in agent.take_output().early if target == "a1"]

    assert [type(message) for message in sent if isinstance(message, Recalled | Outdated)] == told
