"""The tables that a run prints: every figure, the ratios that are asked for, and what was not measured."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.book import P50, P99, RATE, Asked, Book, Key, Spread
from bench.plan import Options

NO_TERMINAL_COLUMNS = 240


def console() -> Console:
    """Of stdout; wide where it is no terminal, so that nothing is cut off."""
    made = Console()
    if not made.is_terminal:
        made.width = NO_TERMINAL_COLUMNS
    return made


def number(value: float) -> str:
    """With three digits that count, or all before the point."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.095 else f"{value:.3f}"


def shown(spread: Spread | None, unit: str = "") -> str:
    """A median, and how far the rounds lie apart if there are several."""
    if spread is None:
        return ""
    told = number(spread.median) + unit
    return told if spread.rounds == 1 else f"{told} ({number(spread.lowest)} to {number(spread.highest)})"


def figures(book: Book) -> Table:
    """One line for each load of each subject."""
    table = Table(title="What was measured: medians of the rounds, and the lowest and highest of them")
    for name in ("", "load", "whose", "a second", P50, P99, "other"):
        table.add_column(name, justify="left" if name in ("", "load", "whose") else "right")
    last = ""
    for part, load, subject in book.lines():
        units = [key.unit for key in book.figures if key[:3] == (part, load, subject)]
        others = [unit for unit in units if unit not in (RATE, P50, P99)]
        cells = [shown(book.spread(Key(part, load, subject, unit))) for unit in (RATE, P50, P99)]
        told = "; ".join(shown(book.spread(Key(part, load, subject, unit)), f" {unit}") for unit in others)
        if last not in ("", part):
            table.add_section()
        table.add_row("" if part == last else part, load, subject, *cells, told)
        last = part
    return table


def answers(book: Book, all_asked: Sequence[Asked]) -> Table:
    """What is asked of the figures, and what came out."""
    table = Table(title="What is asked; a ratio is made within each round, then comes the median")
    for name in ("", "measured", "asked", "the aim"):
        table.add_column(name, justify="left" if not name else "right")
    for asked in all_asked:
        if (spread := book.answer(asked)) is not None:
            table.add_row(asked.what, shown(spread, "x" if asked.to else ""), asked.asked, asked.aim)
    return table


def failures(book: Book) -> Table:
    """What is missing, and why."""
    table = Table(title="Not measured")
    table.add_column("what")
    table.add_column("why")
    for what, why in book.failures.items():
        table.add_row(what, why)
    return table


def print_all(book: Book, all_asked: Sequence[Asked], machine: Sequence[str], options: Options) -> None:
    """All of it."""
    out = console()
    for line in machine:
        out.print(line, highlight=False)
    out.print(f"Each load: {options.seconds:g} s in each of up to {options.rounds} rounds.", highlight=False)
    if book.figures:
        out.print(figures(book))
    if any(book.answer(asked) for asked in all_asked):
        out.print(answers(book, all_asked))
    if book.failures:
        out.print(failures(book))
