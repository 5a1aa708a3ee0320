"""The audit finds every way in which a learner can be wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from paxosd.config import queue_cluster
from paxosd.core.records import Learned as LearnedRecord
from paxosd.core.types import Slot
from paxosd.core.values import Batch, encode_body, encode_value
from paxosd.local.audit import LearnerAudit, audit
from paxosd.machine.ledger import opened_session
from paxosd.storage.directory import STORE_NAME
from paxosd.storage.sqlite.store import SQLiteStore
from tests.core.helpers import session_id

CONFIG = queue_cluster(1, 1, 2)
OPENED = encode_value(1, [Batch(session_id(7), 0, 0, 1, b"")])
NOOP = encode_value(1)
ACKNOWLEDGED = {b"one": 1, b"two": 2, b"three": 3}


def commands(first_seq: int, *values: bytes, opened_in: Slot = 1) -> bytes:
    session = opened_session(session_id(7), opened_in)
    return encode_value(1, [Batch(session, 0, first_seq, len(values), encode_body(values))])


GOOD = [OPENED, NOOP, commands(1, b"one", b"two"), commands(3, b"three")]


def audited(
    data_dir: Path, l1: Sequence[bytes], l2: Sequence[bytes], acknowledged: Mapping[bytes, int] = ACKNOWLEDGED
) -> list[LearnerAudit]:
    """What the audit says of two learners that learned these values, from slot 1 on."""
    for learner, values in (("l1", l1), ("l2", l2)):
        (data_dir / learner).mkdir()
        store = SQLiteStore(data_dir / learner / STORE_NAME)
        store.commit([LearnedRecord(slot, value) for slot, value in enumerate(values, start=1)])
        store.close()
    return audit(CONFIG, data_dir, set(acknowledged), acknowledged)


def test_two_learners_with_everything_are_fine_and_their_noops_are_counted(tmp_path: Path) -> None:
    l1, l2 = audited(tmp_path, GOOD, [*GOOD, NOOP])

    assert (l1.learner, l1.values, l1.missing, l1.doubled, l1.noops, l1.agrees) == ("l1", 3, 0, 0, 1, True)
    assert (l2.learner, l2.values, l2.missing, l2.doubled, l2.noops, l2.agrees) == ("l2", 3, 0, 0, 2, True)
    assert (l1.complaint, l2.complaint) == ("", "")


def test_a_learner_that_lacks_acknowledged_values_is_found(tmp_path: Path) -> None:
    l1, l2 = audited(tmp_path, GOOD, GOOD[:3])

    assert l1.complaint == ""
    assert (l2.values, l2.missing) == (2, 1)
    assert l2.complaint == "l2 lacks 1 acknowledged values and has another log than the others"


def test_a_value_that_no_learner_has_is_missing_on_each(tmp_path: Path) -> None:
    found = audited(tmp_path, GOOD, GOOD, {**ACKNOWLEDGED, b"lost": 4})

    assert [learned.missing for learned in found] == [1, 1]
    assert all(learned.agrees for learned in found)


def test_a_value_at_another_revision_than_its_receipt_says_is_missing(tmp_path: Path) -> None:
    found = audited(tmp_path, GOOD, GOOD, {b"one": 1, b"two": 3, b"three": 2})

    assert [learned.missing for learned in found] == [2, 2]


def test_l01_a_value_that_was_applied_twice_is_found(tmp_path: Path) -> None:
    twice = [*GOOD, commands(4, b"one")]
    found = audited(tmp_path, twice, twice)

    assert [(learned.missing, learned.doubled) for learned in found] == [(0, 1), (0, 1)]
    assert found[0].complaint == "l1 applied 1 values more than once"


def test_l01_a_command_that_stands_twice_in_the_log_is_applied_once(tmp_path: Path) -> None:
    repeated = [*GOOD, commands(3, b"three")]
    found = audited(tmp_path, repeated, GOOD)

    assert [learned.complaint for learned in found] == ["", ""]


def test_another_order_is_another_log(tmp_path: Path) -> None:
    other = [OPENED, commands(1, b"one", b"three"), commands(3, b"two")]
    l1, l2 = audited(tmp_path, GOOD, other)

    assert (l1.agrees, l2.agrees, l2.missing) == (True, False, 2)


def test_what_stands_above_a_gap_counts_for_nothing(tmp_path: Path) -> None:
    audited(tmp_path, GOOD, GOOD[:2])
    store = SQLiteStore(tmp_path / "l2" / STORE_NAME)
    store.commit([LearnedRecord(4, GOOD[3])])
    store.close()
    l2 = audit(CONFIG, tmp_path, set(ACKNOWLEDGED), ACKNOWLEDGED)[1]

    assert (l2.values, l2.missing) == (0, 3)


def test_values_of_other_clients_may_repeat(tmp_path: Path) -> None:
    log = [OPENED, commands(1, b"same", b"same"), commands(3, b"mine")]
    found = audited(tmp_path, log, log, {b"mine": 3})

    assert [learned.complaint for learned in found] == ["", ""]


def test_a_complaint_names_all_that_is_wrong() -> None:
    assert LearnerAudit("l1", 3, 1, 2, 0, b"", agrees=False).complaint == (
        "l1 lacks 1 acknowledged values and applied 2 values more than once and has another log than the others"
    )
