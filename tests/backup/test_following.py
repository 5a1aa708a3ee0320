"""Following a log into an archive: nothing is missed, and what does not answer is asked again."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from paxosd.backup import following
from paxosd.backup.archive import Archive, Followed
from paxosd.backup.errors import BackupError
from paxosd.client.errors import NoQuorum, PaxosError, WrongCluster
from paxosd.core.messages import (
    SlotPage,
)
from paxosd.core.types import Slot
from paxosd.core.voters import NO_VOTERS
from tests.backup.test_taking import VOTERS, Cluster, log

FOLLOWED = Followed("demo", VOTERS.history.hex())


class Troubled(Cluster):
    """A cluster that fails now and then, and then for good."""

    troubles: list[PaxosError]

    def slots(self, first: Slot, linearizable: bool = True, timeout: float | None = None) -> SlotPage:
        if len(self.asked) > 1 and self.troubles:
            raise self.troubles.pop(0)
        return super().slots(first, linearizable, timeout)


def values(folder: Path) -> list[bytes]:
    return [value for part in Archive(folder).read(FOLLOWED, 1) for value in part.values]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def test_once_ends_with_all_that_was_acknowledged(tmp_path: Path) -> None:
    cluster = Cluster(log(5))
    told: list[tuple[int, int]] = []

    assert following.follow(cluster, tmp_path, 5.0, once=True, told=lambda *done: told.append(done)) == 6
    assert values(tmp_path) == log(5)
    assert cluster.asked == [(1, False), (1, True), (3, False), (5, False)]
    assert told == [(3, 6), (5, 6), (6, 6)]
    cluster.log += [b"more"]
    assert following.follow(cluster, tmp_path, 5.0, once=True) == 7
    assert values(tmp_path) == [*log(5), b"more"]


def test_a_cluster_that_does_not_answer_is_asked_again_and_one_that_is_another_ends_it(tmp_path: Path) -> None:
    cluster = Troubled(log(5))
    cluster.troubles = [NoQuorum("nobody leads"), NoQuorum("nobody leads"), WrongCluster("another")]
    said: list[str] = []

    with pytest.raises(WrongCluster):
        following.follow(cluster, tmp_path, 5.0, once=False, trouble=said.append)
    assert said == ["nobody leads; tried again"] * 2
    assert values(tmp_path) == log(2)


def test_a_log_that_does_not_reach_back_to_the_end_of_the_archive_is_not_archived(tmp_path: Path) -> None:
    cluster = Cluster(log(5))
    following.follow(cluster, tmp_path, 5.0, once=True)
    cluster.log, cluster.start = log(20), 9

    with pytest.raises(BackupError, match=r"begins at slot 9 by now, and .* ends below slot 6: .* Begin a new archive"):
        following.follow(cluster, tmp_path, 5.0, once=True)
    assert values(tmp_path) == log(5)


def test_a_new_archive_of_a_trimmed_log_begins_where_that_does(tmp_path: Path) -> None:
    cluster = Cluster(log(5), start=3)
    following.follow(cluster, tmp_path, 5.0, once=True)

    parts = list(Archive(tmp_path).read(FOLLOWED, 3))
    assert [value for part in parts for value in part.values] == log(5)[2:]


def test_a_gateway_that_knows_no_history_yet_is_asked_again_once_a_leader_was_heard(tmp_path: Path) -> None:
    class New(Cluster):
        def slots(self, first: Slot, linearizable: bool = True, timeout: float | None = None) -> SlotPage:
            page = super().slots(first, linearizable, timeout)
            return page if any(asked for _, asked in self.asked) else replace(page, voters=NO_VOTERS)

    following.follow(New(log(5)), tmp_path, 5.0, once=True)

    assert values(tmp_path) == log(5)
