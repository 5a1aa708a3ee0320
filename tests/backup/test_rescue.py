"""Rescue: what disks that are left are worth, in every case that differs, and that nothing in them changes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from paxosd.backup.disks import open_disks
from paxosd.backup.errors import BackupError
from paxosd.backup.file import RevisionRows, Values
from paxosd.backup.rescue import RescuedLog, RescuePlan, plan
from paxosd.commands.rescue import sentences
from paxosd.core.records import Disk, Floor, Kept, KeptRow, Learned, Promised, Record, Seen, Told, Voted
from paxosd.core.types import Ballot, NodeId, RevisionRow, Slot
from paxosd.core.values import encode_value
from paxosd.core.voters import Voter, Voters
from paxosd.storage.directory import open_directory
from paxosd.storage.sqlite.store import SQLiteStore

HISTORY = b"history of three"
B1, B2 = Ballot(1, "p1"), Ballot(2, "p2")


def voters(history: bytes = HISTORY, since: Slot = 1) -> Voters:
    named = tuple(Voter(f"a{number}", number, since if number == 3 else 1, 1) for number in (1, 2, 3))
    return Voters(history, max(1, since), 1, 2, 2, named)


def make(place: Path, node: NodeId, role: str, records: Sequence[Record]) -> Path:
    path = place / node
    with (
        closing(open_directory(path, "demo", node, role)) as directory,
        closing(SQLiteStore(directory.store_path, directory)) as store,
    ):
        directory.note_records()
        store.commit(list(records))
    return path


def acceptor(place: Path, number: int, *records: Record, known: Voters | None = None, copied: bool = False) -> Path:
    own: list[Record] = [known or voters(), Disk(number, copied, True), Promised(B2)]
    return make(place, f"a{number}", "acceptor", [*own, *records])


def learner(place: Path, stop: Slot, known: Voters | None = None) -> Path:
    log = [Learned(slot, value(slot)) for slot in range(1, stop)]
    return make(place, "l1", "learner", [known or voters(), *log])


def value(slot: Slot) -> bytes:
    return encode_value(slot)


def voted(*slots: Slot, ballot: Ballot = B1) -> list[Record]:
    return [Voted(slot, ballot, value(slot)) for slot in slots]


def found(*paths: Path) -> RescuePlan:
    with open_disks(paths) as disks:
        return plan(disks)


def rescued(*paths: Path) -> list[tuple[Slot, bytes]]:
    with open_disks(paths) as disks:
        rows = [rows for rows in RescuedLog(plan(disks), ("log",)).rows() if isinstance(rows, Values)]
    return [(slot, held) for part in rows for slot, held in enumerate(part.values, part.first)]


def test_a_quorum_of_disks_goes_on_and_nothing_is_lost(tmp_path: Path) -> None:
    plan = found(acceptor(tmp_path, 1, Told(3), *voted(1, 2, 3)), acceptor(tmp_path, 2, Told(2), *voted(1, 2, 3)))

    assert plan.can_go_on
    assert (plan.missing, plan.may_be_lost) == (("a3",), False)
    assert (plan.chosen_stop, plan.held_stop, plan.end) == (4, 4, 4)  # the last one by votes of one ballot
    assert (
        sentences(plan)[-1]
        == "do: start the nodes: a1, a2 go on by themselves; a3 may start with an empty " + "directory"
    )


def test_one_disk_of_three_says_what_to_wait_for_and_what_may_be_lost(tmp_path: Path) -> None:
    plan = found(acceptor(tmp_path, 1, Told(3), *voted(1, 2, 3, 4)))

    assert not plan.can_go_on
    assert plan.waits_for == [("a2",), ("a3",)]
    assert plan.may_be_lost
    assert (plan.chosen_stop, plan.held_stop, plan.end) == (3, 1, 5)  # no vote of one disk alone proves its value
    said = "\n".join(sentences(plan))
    assert "may be lost: whatever was chosen by the missing disks alone, from slot 1 on" in said
    assert "bring back the disk of a2 or a3: then the cluster goes on, and nothing is lost" in said
    assert f"--make-history {HISTORY.hex()[:8]} --data-dir NEW" in said


def test_a_log_proves_its_values(tmp_path: Path) -> None:
    paths = acceptor(tmp_path, 1, Told(3), *voted(3, 4)), learner(tmp_path, 4)
    plan = found(*paths)

    assert (plan.chosen_stop, plan.held_stop, plan.end) == (4, 4, 5)
    assert rescued(*paths) == [(slot, value(slot)) for slot in (1, 2, 3, 4)]


def test_values_that_are_chosen_and_nowhere_here_end_what_is_rescued(tmp_path: Path) -> None:
    paths = acceptor(tmp_path, 1, Told(9), *voted(4, 5, 7, 8, 12)), learner(tmp_path, 4)
    plan = found(*paths)

    assert (plan.chosen_stop, plan.held_stop, plan.end) == (9, 4, 6)
    assert [slot for slot, _ in rescued(*paths)] == [1, 2, 3, 4, 5]


def test_a_hole_above_all_that_is_chosen_is_filled_as_a_leader_would(tmp_path: Path) -> None:
    paths = acceptor(tmp_path, 1, Told(3), *voted(1, 2, 5)), acceptor(tmp_path, 2, *voted(3, ballot=B2))

    assert rescued(*paths) == [(1, value(1)), (2, value(2)), (3, value(3)), (4, encode_value(3)), (5, value(5))]


def test_of_several_votes_the_highest_is_taken(tmp_path: Path) -> None:
    other = [Voted(1, B2, b"\x01" + bytes(6) + b"9")]
    paths = acceptor(tmp_path, 1, *voted(1)), acceptor(tmp_path, 2, *other)

    assert rescued(*paths)[0][1] == b"\x01" + bytes(6) + b"9"


def test_votes_of_different_ballots_prove_no_value(tmp_path: Path) -> None:
    plan = found(acceptor(tmp_path, 1, *voted(1, 2)), acceptor(tmp_path, 2, *voted(1), *voted(2, ballot=B2)))

    assert (plan.chosen_stop, plan.end) == (2, 3)


def test_of_a_trimmed_log_the_places_of_all_revisions_that_are_kept_are_rescued(tmp_path: Path) -> None:
    """Without them nothing of the log can be read, however much of it is there."""
    index = tuple(RevisionRow(slot, slot, b"about") for slot in range(1, 10))
    log = [Learned(slot, value(slot)) for slot in range(1, 11)]
    kept = Kept(10, (KeptRow("ledger", b"", b"state"),), (), index, first=5, first_revision=5)
    path = make(tmp_path, "l1", "learner", [voters(), *log, kept])
    with open_disks([path, acceptor(tmp_path, 1), acceptor(tmp_path, 2)]) as disks:
        assert disks.read[0].store.revisions(1, 9) == [], "the first ones are gone"
        rows = list(RescuedLog(plan(disks), ("log",)).rows())

    found = [row[0] for part in rows if isinstance(part, RevisionRows) for row in part.rows]
    assert found == [5, 6, 7, 8, 9]


# ---- disks that let go of votes --------------------------------------------------------------


def trimmed(place: Path) -> list[Path]:
    """Two of three: one let go of its votes below slot 4, and the other one was not there when slot 2 was decided."""
    older = [Voted(2, B1, b"\x01" + bytes(6) + b"9"), *voted(3, 4, 5, ballot=B2)]
    return [
        acceptor(place, 1, Told(5), Floor(4), *voted(4, 5, ballot=B2)),
        acceptor(place, 2, Told(5), *voted(1), *older),
    ]


def test_below_a_floor_the_vote_that_is_left_is_not_taken_for_what_was_chosen(tmp_path: Path) -> None:
    paths = [*trimmed(tmp_path), learner(tmp_path, 2)]
    plan = found(*paths)

    assert (plan.chosen_stop, plan.held_stop, plan.end) == (5, 2, 2)
    assert [slot for slot, _ in rescued(*paths)] == [1]


def test_what_only_lost_learners_had_is_lost(tmp_path: Path) -> None:
    plan = found(*trimmed(tmp_path), learner(tmp_path, 2))
    said = sentences(plan)

    assert not plan.can_go_on
    assert said[2:] == [
        "missing: the disks of a3",
        "lost: the values of slots 2 to 4: they are chosen, acceptors let go of them, and no directory here has all "
        "of them",
        "do: bring back the directory of a learner that has slot 2 and those above: then the cluster goes on, and "
        "nothing is lost",
        "or: restore the latest backup, with the archive if there is one (paxosd restore): what came later is lost",
        "or: make a new history of what is here, every slot below 2, with the loss that is named above: the same "
        f"command with --make-history {HISTORY.hex()[:8]} --data-dir NEW instead of --plan",
    ]


def test_where_a_disk_and_a_log_are_missing_both_are_asked_for(tmp_path: Path) -> None:
    plan = found(trimmed(tmp_path)[0])

    assert (
        sentences(plan)[-3] == "do: bring back the disk of a2 or a3 and the directory of a learner that has slot 1 and "
        "those above: then the cluster goes on, and nothing is lost"
    )


def test_a_learner_that_has_all_below_the_floors_makes_up_for_them(tmp_path: Path) -> None:
    plan = found(*trimmed(tmp_path), learner(tmp_path, 4))

    assert plan.can_go_on
    assert (plan.chosen_stop, plan.held_stop, plan.end) == (6, 6, 6)
    assert "lost: nothing; every chosen value has a vote or a log here" in sentences(plan)


def test_a_floor_says_how_far_all_is_chosen(tmp_path: Path) -> None:
    assert found(acceptor(tmp_path, 1, Floor(4))).chosen_stop == 4


# ---- disks that do not count -----------------------------------------------------------------


def test_a_disk_that_was_replaced_does_not_count(tmp_path: Path) -> None:
    newer = Voters(HISTORY, 5, 1, 2, 2, (Voter("a1", 1, 1, 1), Voter("a2", 2, 1, 1), Voter("a3", 77, 5, 1)))
    plan = found(acceptor(tmp_path, 1, known=newer), acceptor(tmp_path, 3))

    assert list(plan.counted) == ["a1"]
    assert [why for _, why in plan.not_counted] == [
        "is not the disk with which this node votes: a guest, or one that was replaced"
    ]


@pytest.mark.parametrize(("copied", "counted"), [(False, ["a1"]), (True, ["a1", "a3"])])
def test_a_new_disk_counts_once_it_has_copied(tmp_path: Path, copied: bool, counted: list[str]) -> None:
    known = voters(since=5)
    plan = found(acceptor(tmp_path, 1, known=known), acceptor(tmp_path, 3, known=known, copied=copied))

    assert list(plan.counted) == counted


def test_a_disk_that_is_here_and_has_not_copied_is_not_asked_to_be_brought_back(tmp_path: Path) -> None:
    known = voters(since=5)
    plan = found(acceptor(tmp_path, 1, known=known), acceptor(tmp_path, 3, known=known, copied=False))

    assert (plan.missing, plan.waits_for) == (("a2", "a3"), [("a2",)])
    assert "do: bring back the disk of a2: then the cluster goes on, and nothing is lost" in sentences(plan)


def test_an_older_copy_of_a_disk_that_had_not_copied_went_back_in_time(tmp_path: Path) -> None:
    known = voters(since=5)
    plan = found(acceptor(tmp_path, 1, Seen(((3, 9),)), known=known), acceptor(tmp_path, 3, known=known, copied=False))

    assert plan.waits_for == [("a2",), ("a3",)]


def test_a_disk_of_which_more_was_seen_went_back_in_time(tmp_path: Path) -> None:
    plan = found(acceptor(tmp_path, 1, Seen(((2, 9),))), acceptor(tmp_path, 2))

    assert list(plan.counted) == ["a1"]
    assert plan.not_counted[0][1] == "went back in time: 9 commits of it were seen, and it has 1"


def test_a_disk_of_another_history_is_named(tmp_path: Path) -> None:
    other = acceptor(tmp_path, 3, known=voters(b"another history!"))
    plan = found(acceptor(tmp_path, 1), acceptor(tmp_path, 2), other)

    assert (plan.history, list(plan.counted)) == (HISTORY, ["a1", "a2"])
    assert plan.not_counted[0][1] == f"is of history {b'anot'.hex()}"


def test_a_directory_that_cannot_be_read_is_named_and_the_others_count(tmp_path: Path) -> None:
    broken = acceptor(tmp_path, 2)
    (broken / "records.sqlite3").write_bytes(b"rubbish" * 1000)
    (tmp_path / "nothing").mkdir()
    with open_disks([acceptor(tmp_path, 1), broken, tmp_path / "nothing", tmp_path / "gone"]) as disks:
        assert [disk.node for disk in disks.read] == ["a1"]
        assert [path.name for path, _ in disks.refused] == ["a2", "nothing", "gone"]
        assert "is no data directory: it has no identity.json" in disks.refused[1][1]


def test_a_directory_that_a_running_node_holds_is_refused(tmp_path: Path) -> None:
    path = acceptor(tmp_path, 1)
    with (
        closing(open_directory(path, "demo", "a1", "acceptor")),
        pytest.raises(BackupError, match="is in use: stop the node that runs with it"),
    ):
        found(path)


def test_directories_without_a_history_are_nothing_to_rescue(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="there is nothing to rescue: start the nodes"):
        found(make(tmp_path, "a1", "acceptor", [Disk(1, False, False)]))


def test_nothing_in_a_directory_changes(tmp_path: Path) -> None:
    path = acceptor(tmp_path, 1, Told(2), *voted(1))
    with ExitStack() as stack:  # as after a kill -9: the journal is there
        directory = stack.enter_context(closing(open_directory(path, "demo", "a1", "acceptor")))
        store = stack.enter_context(closing(SQLiteStore(directory.store_path, directory)))
        store.commit(voted(2))
        copy = tmp_path / "copy"
        copy.mkdir()
        for file in path.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in copy.iterdir()}
    assert "records.sqlite3-wal" in before
    with open_disks([copy]) as disks:
        assert [vote.slot for vote in disks.read[0].votes(1)] == [1, 2]

    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in copy.iterdir()} == before
