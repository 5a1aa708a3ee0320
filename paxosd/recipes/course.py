"""One recipe on its way, for whoever drives it: step by step, to its result or its error, or given up at any step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from paxosd.recipes.steps import AwaitChange, Change, Do, Later, Look, OnFailure, Step, Steps

T = TypeVar("T")


class Course(Generic[T]):
    """A recipe, and the step that it waits for. `later` takes what is to be done in any case; it must not wait.

    `begin`, `answer` and `fail` raise what the recipe raises; then it is over.
    """

    def __init__(self, steps: Steps[T], later: Callable[[Change], None]) -> None:
        self._steps = steps
        self._later = later
        self._on_failure: list[Change] = []
        self.step: Do | Look | AwaitChange | None = None
        """What it waits for; None: it has not begun, or is over."""
        self.is_over = False
        self.result: T

    def begin(self) -> None:
        """Go to the first step that waits."""
        self._go_on(lambda: next(self._steps))

    def answer(self, answer: object) -> None:
        """The step is done."""
        self._go_on(lambda: self._steps.send(answer))

    def fail(self, error: Exception) -> None:
        """The step ended with this error, which the recipe raises again as a rule."""
        self._go_on(lambda: self._steps.throw(error))

    def give_up(self) -> None:
        """Nobody wants it any more; nothing is raised. Safe to call at any time."""
        if not self.is_over:
            self.step, self.is_over = None, True
            self._steps.close()
            self._clean_up()

    def _go_on(self, resume: Callable[[], Step]) -> None:
        self.step = None
        is_done = False
        try:
            step = resume()
            while isinstance(step, Later | OnFailure):
                if isinstance(step, Later):
                    self._later(step.change)
                else:
                    self._on_failure.append(step.change)
                step = self._steps.send(None)
            self.step = step
        except StopIteration as end:
            self.result = end.value
            is_done = True
        finally:
            self.is_over = self.step is None
            if self.is_over and not is_done:
                self._clean_up()

    def _clean_up(self) -> None:
        while self._on_failure:
            self._later(self._on_failure.pop())
