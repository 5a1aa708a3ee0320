"""A table of what a study has measured."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.system.daemons import REPLICAS, ROLES

LAYOUTS = {"roles": ROLES, "replicas": REPLICAS}


NO_TERMINAL_COLUMNS = 400
"""How wide a table may be in a file or a pipe, where 80 columns would cut its figures off."""


def show(title: str, rows: Sequence[dict[str, object]], as_json: bool) -> None:
    """Print the rows as a table for people, or one JSON object per line."""
    machine = f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if as_json:
        for row in rows:
            print(json.dumps({"benchmark": title, "machine": machine, **row}))
        return
    table = Table(title=title, caption=machine)
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row.values()))
    console = Console()
    if not console.is_terminal:
        console.width = NO_TERMINAL_COLUMNS
    console.print(table)
