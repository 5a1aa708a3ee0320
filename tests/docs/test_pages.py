"""The programs in the documents run as they stand there, each against a cluster."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paxosd import Client

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs" / "recipes").glob("*.md")), ROOT / "docs" / "keys.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_programs_of_a_page_run(page: Path, paxosd_client: Client) -> None:
    programs = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert programs
    for program in programs:
        exec(compile(program, page.name, "exec"), {"client": paxosd_client})


def test_every_recipe_has_a_page() -> None:
    recipes = {"lock", "rlock", "read-write-lock", "semaphore", "election", "barrier", "double-barrier", "queue"}
    recipes |= {"priority-queue", "locking-queue", "counter", "party"}
    assert {page.stem for page in PAGES} == recipes | {"README", "keys"}


def test_every_verb_that_the_comparison_names_is_there() -> None:
    told = re.findall(r"`client\.(\w+)", (ROOT / "docs" / "coming-from.md").read_text())
    assert len(told) > 30
    assert [name for name in told if not hasattr(Client, name)] == []
