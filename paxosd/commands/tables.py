"""Tables, for a person or for a program.

Laws:
1. Nothing that came from a client or a node reaches a terminal with its control characters (`excerpts.py`).
2. A table is drawn for a terminal only; anything else gets plain columns, easy to cut and grep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO, TypeAlias

from paxosd.excerpts import escaped

Cell: TypeAlias = str | int
"""A column that holds a number is aligned to the right."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], file: TextIO) -> None:
    """Print a table to this file: drawn if it is a terminal, plain otherwise."""
    texts = [[escaped(str(cell)) for cell in row] for row in rows]
    right = [any(isinstance(row[place], int) for row in rows) for place in range(len(columns))]
    if file.isatty():
        _draw(columns, texts, right, file)
    else:
        _write_plain(columns, texts, right, file)


def _write_plain(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], file: TextIO) -> None:
    lines = [columns, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        print("  ".join(cells).rstrip(), file=file)


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], file: TextIO) -> None:
    from rich import box, console, table, text  # noqa: PLC0415 (slow to import, and only terminals need it)

    drawn = table.Table(box=box.SIMPLE_HEAD)
    for column, to_right in zip(columns, right, strict=True):
        drawn.add_column(column, justify="right" if to_right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*map(text.Text, row))  # as text, so that no cell is read as markup
    console.Console(file=file).print(drawn)
