"""The pages of one turn: read once for many, never of an earlier revision, and no more than a turn may send."""

from __future__ import annotations

from paxosd.core.types import Entry, Page
from paxosd.gateway.pages import ANSWERED_PER_TURN_MAX, Pages


class GrowingLog:
    """A log whose entry of revision n stands in slot n; counts how often it is read."""

    def __init__(self) -> None:
        self.revision = 0
        self.reads = 0

    @property
    def log_revision(self) -> int:
        return self.revision

    @property
    def first_revision(self) -> int:
        return 1

    def page(self, start: int, bytes_max: int) -> Page:
        self.reads += 1
        entries = tuple(Entry(number, number, b"%d" % number) for number in range(start, self.revision + 1))
        return Page(entries, len(entries), 0, self.revision + 1)

    def values(self, first: int, bytes_max: int) -> tuple[bytes, ...]:
        return ()


def pages_of(log: GrowingLog) -> Pages:
    pages = Pages(log, 1000)
    pages.begin_turn()
    return pages


def revisions(page: Page) -> list[int]:
    return [entry.revision for entry in page.entries]


def test_a_page_that_many_ask_for_is_read_once() -> None:
    log = GrowingLog()
    log.revision = 3
    pages = pages_of(log)

    assert [revisions(pages.answer(2)) for _ in range(3)] == [[2, 3]] * 3
    assert log.reads == 1


def test_what_is_applied_within_a_turn_is_in_the_pages_that_it_answers_after_that() -> None:
    log = GrowingLog()
    pages = pages_of(log)
    before = revisions(pages.answer(1))
    log.revision = 2

    assert (before, revisions(pages.answer(1))) == ([], [1, 2])


def test_a_turn_answers_no_more_than_its_share() -> None:
    pages = pages_of(GrowingLog())
    answered = 0
    while pages.has_room:
        pages.answer(1)
        answered += 1
    pages.begin_turn()

    assert answered == ANSWERED_PER_TURN_MAX
    assert pages.has_room
