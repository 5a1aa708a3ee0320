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
        self._held: dict[Hashable, Question] = {}  # those of them that a gateway may hold
        self._unasked: dict[Hashable, Question] = {}  # those of them that were not sent since the last rewind

    def __bool__(self) -> bool:
        """Whether any is open."""
        return bool(self._open)

    def __contains__(self, question: object) -> bool:
        """Whether it is open."""
        return isinstance(question, Question) and self._open.get(question.key) is question

    @property
    def awaited(self) -> bool:
        """Whether a gateway was asked one, and did not answer."""
        return len(self._unasked) < len(self._open)

    @property
    def held_s(self) -> float:
        """How long gateways may hold all of them, by our own wish, because there is nothing new."""
        if len(self._held) < len(self._open):
            return 0.0
        return min((question.held_s for question in self._held.values()), default=0.0)

    def add(self, question: Question) -> None:
        """One more, to be asked when it is due."""
        if question.key not in self._open or question.key in self._unasked:
            self._unasked[question.key] = question
        self._open[question.key] = question
        self._held.pop(question.key, None)
        if question.held_s:
            self._held[question.key] = question

    def due(self, now: Instant) -> list[FromClient]:
        """What is to be asked now; from then on an answer is awaited."""
        found = [key for key, question in self._unasked.items() if now >= question.not_before]
        return [self._unasked.pop(key).message for key in found]

    def next_due(self) -> list[Instant]:
        """When those are due that nobody is asked now."""
        return [question.not_before for question in self._unasked.values()]

    def refused(self, key: Hashable, now: Instant) -> bool:
        """A gateway does not answer it: ask again in a moment. False if it is not open."""
        question = self._open.get(key)
        if question is None:
            return False
        self._unasked[key] = question
        question.not_before = now + self._random.uniform(*PAUSE_S)
        return True

    def take(self, key: Hashable) -> Question | None:
        """It is answered, or given up; None if it is not open."""
        self._unasked.pop(key, None)
        self._held.pop(key, None)
        return self._open.pop(key, None)

    def rewind(self) -> None:
        """Another gateway has its turn: ask it all of them."""
        self._unasked = dict(self._open)

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
