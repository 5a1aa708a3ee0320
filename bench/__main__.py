"""Measure paxosd on this machine, side by side with others: `python -m bench`, or `make bench`.

Everything runs on this machine. Each round measures each subject once; the table has the medians. What a peer needs and
is not there is reported, and `bench/peers/install.sh` installs it. `bench/README.md` says what is compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench import asked, machine, plan, table
from bench.book import Book
from bench.parts import ONLY_IF_ASKED, PARTS
from bench.plan import Options, Subject, turns

MINUTES = 40.0


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    options = Options(**{field.name: getattr(chosen, field.name) for field in fields(Options)})
    all_of_them = [subject for name in chosen.only for subject in PARTS[name](options)]
    subjects = [subject for subject in all_of_them if chosen.whose in subject.name]
    if chosen.list:
        return _list(subjects, options)
    described = machine.described()
    book = Book(chosen.csv)
    _measure(subjects, options, book, chosen.minutes)
    table.print_all(book, asked.ALL, described, options)
    if chosen.csv:
        print(f"every figure of every round: {chosen.csv}")
    return 0 if book.figures else 1


def _measure(subjects: list[Subject], options: Options, book: Book, minutes: float) -> None:
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    err = Console(stderr=True)
    with Progress(*columns, console=err, transient=True) as bar:
        whole = sum(subject.seconds for _, subject in turns(subjects, options.rounds))
        task = bar.add_task("", total=whole)

        def begins(subject: Subject, round_: int) -> None:
            told = f"round {round_}, {subject.part}: {subject.name}"
            bar.update(task, description=told)
            if not err.is_terminal:
                print(told, file=sys.stderr, flush=True)

        def ended(subject: Subject) -> None:
            bar.advance(task, subject.seconds)

        plan.run(subjects, options, book, plan.Progress(begins, ended), minutes)


def _list(subjects: Sequence[Subject], options: Options) -> int:
    for subject in subjects:
        missing = "".join(f"; missing: {why}" for needed in subject.needs if (why := needed.missing()))
        print(f"{subject.part}: {subject.name}, {subject.seconds:.0f} s a round{missing}")
    print(f"all together: {sum(subject.seconds for _, subject in turns(subjects, options.rounds)) / 60:.0f} min")
    return 0


def _parts(text: str) -> list[str]:
    names = [*PARTS] if text == "all" else text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return names


def _several(kind: Callable[[str], object]) -> Callable[[str], tuple[object, ...]]:
    def numbers(text: str) -> tuple[object, ...]:
        return tuple(kind(each) for each in text.split(","))

    return numbers


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual, usual_parts = Options(), [name for name in PARTS if name not in ONLY_IF_ASKED]
    told = f"usually {','.join(usual_parts)}; there are also {','.join(ONLY_IF_ASKED)}; all: everything"
    parser.add_argument("--only", type=_parts, default=usual_parts, metavar="PART,…", help=told)
    parser.add_argument("--whose", default="", metavar="TEXT", help="only those in whose name this stands")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="nothing begins that would end later")
    parser.add_argument("--csv", type=Path, help="every figure of every round, as it is measured")
    parser.add_argument("--list", action="store_true", help="what would be measured, and how long it takes")
    for field in fields(Options):
        default = getattr(usual, field.name)
        several = isinstance(default, tuple)
        kind = _several(type(default[0])) if several else type(default)
        told = ",".join(f"{each:g}" for each in default) if several else f"{default:g}"
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=default, help=f"usually {told}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
