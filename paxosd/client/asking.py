"""Questions of all kinds under way: asked of whichever gateway has its turn, again and again until one answers."""

from __future__ import annotations

from collections.abc import Hashable
from random import Random

from paxosd.client.calls import Question, Told
from paxosd.core.messages import Answer, FromClient, GetStatus, LogPage
from paxosd.core.types import Instant, Revision

A_WORD = GetStatus(0)
"""A question whose answer nobody awaits: that there is one is enough."""
PAUSE_S = 0.05, 0.15
"""How long a question waits that a gateway refused, at least and at most, before it is asked again."""


class Asking:
    """Those of one client, by what their answers are found by."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._open: dict[Hashable, Question] = {}
        self._asked: set[Hashable] = set()  # which were sent since the last rewind

    def __bool__(self) -> bool:
        """Whether any is open."""
        return bool(self._open)

    def __contains__(self, question: object) -> bool:
        """Whether it is open."""
        return isinstance(question, Question) and self._open.get(question.key) is question

    @property
    def awaited(self) -> bool:
        """Whether a gateway was asked one, and did not answer."""
        return bool(self._asked)

    @property
    def held_s(self) -> float:
        """How long gateways may hold all of them, by our own wish, because there is nothing new."""
        return min((question.held_s for question in self._open.values()), default=0.0)

    def add(self, question: Question) -> None:
        """One more, to be asked when it is due."""
        self._open[question.key] = question

    def due(self, now: Instant) -> list[FromClient]:
        """What is to be asked now; from then on an answer is awaited."""
        found = [key for key, question in self._open.items() if key not in self._asked and now >= question.not_before]
        self._asked.update(found)
        return [self._open[key].message for key in found]

    def next_due(self) -> list[Instant]:
        """When those are due that nobody is asked now."""
        return [question.not_before for key, question in self._open.items() if key not in self._asked]

    def refused(self, key: Hashable, now: Instant) -> bool:
        """A gateway does not answer it: ask again in a moment. False if it is not open."""
        question = self._open.get(key)
        if question is None:
            return False
        self._asked.discard(key)
        question.not_before = now + self._random.uniform(*PAUSE_S)
        return True

    def take(self, key: Hashable) -> Question | None:
        """It is answered, or given up; None if it is not open."""
        self._asked.discard(key)
        return self._open.pop(key, None)

    def rewind(self) -> None:
        """Another gateway has its turn: ask it all of them."""
        self._asked.clear()

    def all(self) -> list[Question]:
        """All that are open."""
        return list(self._open.values())


def shown(answer: Told) -> Revision:
    """The latest revision that whoever gave this answer had applied; 0: it does not say."""
    match answer:
        case LogPage(last=revision) | Answer(revision=revision):
            return revision
        case _:
            return 0
