"""Which of the numbers behind one address is dialled: the one that answered last, then the others in the order given.

Laws:
1. A number at which nobody answered is not dialled again before all others were: whoever comes back to an address goes
   on where it stopped.
2. Before the others were tried a number is given little time, so that a dead one costs little; after that, plenty.
"""

from __future__ import annotations

from collections.abc import Sequence


class Route:
    """What is known of the way to one address."""

    def __init__(self) -> None:
        self._numbers: Sequence[str] = ()
        self._answered = ""
        self._silent: set[str] = set()
        self._went_round = False

    @property
    def hurries(self) -> bool:
        """Whether there is another number to try soon."""
        return len(self._numbers) > 1 and not self._went_round

    def learn(self, numbers: Sequence[str]) -> None:
        """What the address stands for now; nothing: nobody knows, so what was known before stays."""
        if numbers:
            self._numbers = numbers

    def untried(self) -> str | None:
        """The next number of this round; None if nobody answered at any of them."""
        preferred = [self._answered] if self._answered in self._numbers else []
        return next((number for number in (*preferred, *self._numbers) if number not in self._silent), None)

    def start(self) -> str | None:
        """The next number, in a new round if this one is over; None if the address stands for nothing."""
        number = self.untried()
        if number is None and self._numbers:
            self._silent.clear()
            self._went_round = True
            number = self.untried()
        return number

    def answered(self, number: str) -> None:
        """Somebody is there, and speaks as we do."""
        self._answered = number
        self._silent.clear()
        self._went_round = False

    def silent(self, number: str) -> None:
        """Nobody is there, or somebody else."""
        self._silent.add(number)

    def misleads(self, number: str) -> None:
        """Who answered at this number is not who was meant."""
        self._answered = ""
        self._silent.add(number)
