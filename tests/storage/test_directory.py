"""A data directory belongs to one node, is opened by one process, and is never adopted by guessing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from paxosd.storage.base import Corrupt, ForeignDirectory, InUse, StorageError
from paxosd.storage.directory import IDENTITY_NAME, INCARNATION_NAME, STORE_NAME, open_directory


def opened(path: Path, cluster: str = "demo", node: str = "a1", role: str = "acceptor") -> int:
    """Open and close it; the incarnation."""
    directory = open_directory(path, cluster, node, role)
    directory.close()
    return directory.incarnation


def test_a_directory_is_made_with_an_identity_of_its_own(tmp_path: Path) -> None:
    opened(tmp_path / "deep" / "a1")
    identity = json.loads((tmp_path / "deep" / "a1" / IDENTITY_NAME).read_text())

    assert (identity["cluster"], identity["node"], identity["role"]) == ("demo", "a1", "acceptor")
    assert len(identity["directory"]) == 32


def test_the_identity_stays_and_the_incarnation_grows_from_life_to_life(tmp_path: Path) -> None:
    first = opened(tmp_path)
    identity = (tmp_path / IDENTITY_NAME).read_bytes()
    lives = [opened(tmp_path) for _ in range(3)]

    assert (tmp_path / IDENTITY_NAME).read_bytes() == identity
    assert [first, *lives] == sorted({first, *lives})


def test_k01_the_incarnation_grows_even_if_the_clock_was_set_back(tmp_path: Path) -> None:
    opened(tmp_path)
    far_ahead = 10**14
    (tmp_path / INCARNATION_NAME).write_text(f"{far_ahead}\n")

    assert opened(tmp_path) == far_ahead + 1


@pytest.mark.parametrize(
    ("cluster", "node", "role", "what"),
    [("other", "a1", "acceptor", "cluster"), ("demo", "a2", "acceptor", "node"), ("demo", "a1", "learner", "role")],
)
def test_d12_the_directory_of_another_node_is_refused_and_not_touched(
    tmp_path: Path, cluster: str, node: str, role: str, what: str
) -> None:
    opened(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.name != "lock"}

    with pytest.raises(ForeignDirectory, match=f"other {what}"):
        open_directory(tmp_path, cluster, node, role)

    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.name != "lock"} == before


def test_d13_a_second_opener_is_told_who_has_it(tmp_path: Path) -> None:
    first = open_directory(tmp_path, "demo", "a1", "acceptor")

    with pytest.raises(InUse, match=f"in use by process {os.getpid()}"):
        open_directory(tmp_path, "demo", "a1", "acceptor")

    first.close()
    first.close()
    opened(tmp_path)


def test_records_without_an_identity_are_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / STORE_NAME).write_bytes(b"x")
    (tmp_path / IDENTITY_NAME).unlink()

    with pytest.raises(Corrupt):
        open_directory(tmp_path, "demo", "a1", "acceptor")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "\x00" * 10])
def test_d08_an_identity_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    opened(tmp_path)
    (tmp_path / IDENTITY_NAME).write_text(text)

    with pytest.raises(Corrupt):
        open_directory(tmp_path, "demo", "a1", "acceptor")


def test_u06_a_newer_format_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    identity = json.loads((tmp_path / IDENTITY_NAME).read_text())
    (tmp_path / IDENTITY_NAME).write_text(json.dumps(identity | {"format": 7}))

    with pytest.raises((ForeignDirectory, Corrupt)):
        open_directory(tmp_path, "demo", "a1", "acceptor")


def test_d15_a_draft_left_by_a_power_cut_does_no_harm(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "identity.tmp").write_text("half of")

    assert opened(tmp_path) > 0


def test_a_path_that_is_a_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="name a directory"):
        open_directory(tmp_path / "file", "demo", "a1", "acceptor")
