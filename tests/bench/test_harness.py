"""The harness of the measurements: rounds, ratios, what fails or is missing, and what is asked."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest

from bench import asked
from bench.book import RATE, Asked, Book, Key
from bench.parts import PARTS
from bench.plan import Needed, Options, Progress, Report, Subject, TookTooLong, run, within
from bench.table import answers, figures, number

OURS, THEIRS = Key("part", "load", "ours", RATE), Key("part", "load", "theirs", RATE)


def subject(name: str, measured: list[str], rounds: int = 9, needs: tuple[Needed, ...] = ()) -> Subject:
    def measure(options: Options, report: Report) -> None:
        measured.append(f"{report.subject} {report.round_}")
        report.figure("load", RATE, len(measured))

    return Subject("part", name, 0.0, measure, needs, rounds)


def test_each_round_measures_every_subject_once() -> None:
    measured: list[str] = []
    subjects = [subject("ours", measured), subject("theirs", measured, rounds=1)]
    run(subjects, Options(rounds=2), Book(), Progress())

    assert measured == ["ours 1", "theirs 1", "ours 2"]


def test_what_fails_is_told_and_the_others_are_measured() -> None:
    def fails(options: Options, report: Report) -> None:
        raise OSError("no such thing")

    measured: list[str] = []
    book = Book()
    run([Subject("part", "theirs", 0.0, fails), subject("ours", measured)], Options(rounds=1), book, Progress())

    assert measured == ["ours 1"]
    assert book.failures == {"part: theirs, round 1": "OSError: no such thing"}


def test_an_absent_peer_is_reported_once_and_nothing_stands_for_it() -> None:
    measured: list[str] = []
    book = Book()
    absent = Needed("peer", lambda: "it is not installed")
    run([subject("theirs", measured, needs=(absent,))], Options(rounds=3), book, Progress())

    assert book.failures == {"part: theirs": "it is not installed"}
    assert (measured, book.figures) == ([], {})


def test_an_interrupt_keeps_what_was_measured() -> None:
    def interrupted(options: Options, report: Report) -> None:
        raise KeyboardInterrupt

    measured: list[str] = []
    book = Book()
    subjects = [subject("ours", measured), Subject("part", "theirs", 0.0, interrupted), subject("later", measured)]
    run(subjects, Options(rounds=2), book, Progress())

    assert measured == ["ours 1"]
    assert [*book.figures] == [OURS]


def test_nothing_begins_that_would_end_after_the_minutes() -> None:
    measured: list[str] = []
    book = Book()
    run([subject("ours", measured)], Options(rounds=1), book, Progress(), minutes=-1)

    assert (measured, [*book.failures.values()]) == ([], ["the minutes were over, and so nothing came later"])


def test_who_takes_too_long_is_given_up() -> None:
    with pytest.raises(TookTooLong), within(0.01):
        time.sleep(10)


def test_a_ratio_is_made_within_each_round() -> None:
    book = Book()
    for round_, ours, theirs in ((1, 10, 1), (2, 40, 20), (3, 90, 30)):
        book.add(OURS, round_, ours)
        book.add(THEIRS, round_, theirs)
    book.add(OURS, 4, 1000)

    assert book.answer(Asked("", OURS, THEIRS)) == (3, 2, 10, 3)


def test_every_figure_is_in_the_file_at_once(tmp_path: Path) -> None:
    book = Book(tmp_path / "figures.csv")
    book.add(OURS, 1, 12.5)

    with (tmp_path / "figures.csv").open() as file:
        assert [*csv.reader(file)][1:] == [["part", "load", "ours", "/s", "1", "12.5"]]


def test_a_table_has_a_line_for_each_load_of_each_subject() -> None:
    book = Book()
    for key in (OURS, THEIRS, OURS._replace(unit="MB")):
        book.add(key, 1, 5)

    assert (figures(book).row_count, answers(book, [Asked("", OURS, THEIRS)]).row_count) == (2, 1)


@pytest.mark.parametrize(("value", "told"), [(12345.6, "12,346"), (12.34, "12.3"), (0.5, "0.50"), (0.012, "0.012")])
def test_numbers_have_the_digits_that_count(value: float, told: str) -> None:
    assert number(value) == told


def test_what_is_asked_is_of_subjects_that_are_measured() -> None:
    named = {(subject.part, subject.name) for part in PARTS.values() for subject in part(Options())}
    keys = [key for each in asked.ALL for key in (each.of, each.to) if key is not None]

    assert [key for key in keys if (key.part, key.subject) not in named] == []
