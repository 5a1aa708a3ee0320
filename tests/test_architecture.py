"""The architecture as a test: who may import whom, what the core must never see, which calls are banned."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "paxosd"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in SOURCES}

MAY_IMPORT = {
    "core": {"core"},
    "gateway": {"gateway", "core"},
    "machine": {"machine", "core.types", "core.values", "core.history", "core.agent", "core.shares"},
    "storage": {"storage", "lives", "core.records", "core.plausible", "core.types", "core.history"},
    "transport": {"transport", "core.types", "process.native"},
    "client": {"client", "core.messages", "core.reasons", "core.types", "core.values", "core.membership",
               "core.options", "wire", "transport.base", "transport.addresses", "transport.shortage",
               "transport.zeromq.link", "process.native", "config", "local"},
    "config": {"config", "core", "transport.addresses"},
    "wire": {"wire", "core.messages", "core.reasons", "core.types", "excerpts"},
    "excerpts": set(),
    "driver": {"core", "wire", "conduct", "excerpts", "lives", "storage.base", "transport.base"},
    "conduct": {"core.messages", "core.types"},
    "lives": {"core.types"},
}  # fmt: skip

CORE_MUST_NOT_SEE = {
    "time", "datetime", "os", "io", "socket", "zmq", "msgpack", "threading", "asyncio", "logging", "pathlib", "sqlite3",
    "multiprocessing", "subprocess", "secrets", "uuid",
}  # fmt: skip


def part(path: Path) -> str:
    """The folder or top-level module that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[str]:
    """The dotted names of all modules that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            of = node.module or ""
            yield from dict.fromkeys(name if (name := f"{of}.{alias.name}") in MODULES else of for alias in node.names)


def within(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_layers(path: Path) -> None:
    allowed = MAY_IMPORT.get(part(path))
    own = [name.removeprefix("paxosd.") for name in imports(path) if name.startswith("paxosd.")]

    assert allowed is None or [name for name in own if not within(name, allowed)] == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").glob("*.py")), ids=lambda path: path.name)
def test_the_core_sees_no_clock_no_io_and_no_chance_of_its_own(path: Path) -> None:
    seen = set(imports(path))
    draws = [
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random"
    ]

    assert not {name.split(".")[0] for name in seen} & CORE_MUST_NOT_SEE
    assert draws == [] or "random: Random" in path.read_text()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_m22_nothing_that_runs_foreign_bytes_and_no_blanket_except(path: Path) -> None:
    tree = ast.parse(path.read_text())
    modules = {name.split(".")[0] for name in imports(path)}
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    handlers = [
        ast.unparse(node.type) if node.type else "" for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)
    ]

    assert not modules & {"pickle", "marshal", "shelve", "dill"}
    assert not calls & {"eval", "exec", "yaml.load", "yaml.full_load", "yaml.unsafe_load"}
    assert not {"", "Exception", "BaseException"} & set(handlers)


def test_every_message_stands_in_the_lanes_of_the_messages_file() -> None:
    path = PACKAGE / "core" / "messages.py"
    tree = ast.parse(path.read_text())
    lanes = ast.get_docstring(tree) or ""
    nested = {"NodeStatus"}
    missing = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name not in nested and node.name not in lanes
    ]

    assert missing == []


def test_every_module_stands_in_the_map() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    told = {name.rsplit("/", 1)[-1] for name in re.findall(r"`([\w/*]+\.py)`", text)}
    missing = [
        str(path.relative_to(PACKAGE))
        for path in SOURCES
        if not path.name.startswith("__") and not any(fnmatch(path.name, name) for name in told)
    ]

    assert missing == []


def test_files_and_functions_stay_small() -> None:
    long_files = {
        str(path.relative_to(ROOT)): length for path in SOURCES if (length := len(path.read_text().splitlines())) > 450
    }
    long_functions = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 50
    ]

    assert (long_files, long_functions) == ({}, [])
