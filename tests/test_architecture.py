"""The architecture as a test: who may import whom, what the core must never see, which calls are banned."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from paxosd.core import messages

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "paxosd"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in SOURCES}

MAY_IMPORT = {
    "core": {"core"},
    "gateway": {"gateway", "core"},
    "machine": {"machine", "core.agent", "core.history", "core.options", "core.records", "core.shares", "core.types",
                "core.values"},
    "testing": {"testing", "core.types", "machine.base"},
    "testing.plugin": {"client", "local.cluster"},
    "kv": {"machine.kv"},
    "excerpts": set(),
    "wire": {"wire", "core.messages", "core.reasons", "core.types", "core.voters", "excerpts"},
    "lives": {"core.types"},
    "conduct": {"core.messages", "core.types"},
    "keeping": {"core.records", "core.types", "storage.base"},
    "driver": {"core", "wire", "conduct", "excerpts", "keeping", "lives", "storage.base", "transport.base"},
    "storage": {"storage.base", "storage.files", "storage.ballast", "core.messages.space", "core.records",
                "core.snapshots", "core.space", "core.types", "lives"},
    "storage.memory": {"storage.memory", "storage.base", "core.history", "core.plausible", "core.records",
                       "core.snapshots", "core.types"},
    "storage.sqlite": {"storage.sqlite", "storage.base", "storage.ballast", "storage.contents", "storage.files",
                       "core.history", "core.plausible", "core.records", "core.snapshots", "core.types", "core.voters"},
    "storage.upgrade": {"storage.base", "storage.directory", "storage.files", "storage.sqlite", "core.membership",
                        "core.records", "core.types"},
    "process": {"process", "excerpts"},
    "transport": {"transport.base", "transport.shortage", "core.types", "process.native"},
    "transport.zeromq": {"transport.zeromq", "transport.addresses", "transport.base", "transport.shortage",
                         "transport.waker", "core.types", "process.native"},
    "transport.queues": {"transport.queues", "transport.base", "transport.waker", "core.types"},
    "config": {"config", "core", "transport.addresses"},
    "backup": {"backup", "client.errors", "config", "core.continuing", "core.membership", "core.messages.backup",
               "core.quorum", "core.records", "core.types", "core.values", "core.voters", "machine.base",
               "machine.ledger", "machine.revisions", "storage"},
    "recipes": {"recipes", "core.types", "machine.kv"},
    "client": {"client", "core.messages", "core.options", "core.reasons", "core.types", "core.values", "wire",
               "config", "machine.kv", "recipes", "transport.addresses", "transport.base", "transport.shortage",
               "transport.zeromq.link", "process.forks", "process.native", "local.cluster", "excerpts"},
    "server": {"server", "driver", "lives", "core", "gateway", "machine", "wire", "config", "storage", "transport",
               "process"},
    "local": {"local", "server", "client", "core", "machine", "config", "storage", "transport", "process"},
    "sim": {"sim", "backup.file", "backup.restoring", "server.assembly", "driver", "lives", "core", "gateway",
            "machine.base", "machine.kv", "machine.ledger", "machine.log", "recipes", "testing.feeding", "wire",
            "config", "client.calls", "client.clock", "client.driving", "client.engine", "client.errors",
            "client.gateways", "client.leases", "client.outcomes", "client.reads",
            "client.watched", "client.watches", "client.watching",
            "storage.base", "storage.memory", "storage.space", "transport.base"},
    "sim.check": {"sim.check", "sim.keys.model", "client.leases", "core", "driver", "machine.kv", "machine.ledger",
                  "recipes", "storage.memory", "wire.frames"},
    "commands": {"commands", "backup", "local", "server", "sim", "client", "core", "machine", "config", "storage.base",
                 "storage.upgrade", "transport.base", "process", "excerpts"},
    "__init__": {"client", "core.messages", "core.types", "machine.kv.records"},
    "__main__": {"commands.paxosd"},
}  # fmt: skip
"""What a folder or a module may import of the package; the rule with the longest name holds."""

HIDDEN_CIRCLES = {
    ("paxosd.client.client", "paxosd.local.cluster"): "`Client.local` starts a cluster, and a cluster makes clients",
}
"""Imports in a function that would close a circle, each with its reason."""

START_FAST = {"__init__.py", "commands/paxosd.py", "commands/paxosctl.py", "commands/daemon.py"}
"""Files whose functions import what they need, so that handlers of signals stand early and `paxosd health` is quick."""

FOREIGN_CODE = {"machine/replicated.py": {"Exception"}}
"""Where a method that is not of this package is called, which may raise whatever it likes."""

PURE = [path for path in SOURCES if path.is_relative_to(PACKAGE / "core") or path.is_relative_to(PACKAGE / "gateway")]

CORE_MUST_NOT_SEE = {
    "time", "datetime", "os", "io", "socket", "zmq", "msgpack", "threading", "asyncio", "logging", "pathlib", "sqlite3",
    "multiprocessing", "subprocess", "secrets", "uuid",
}  # fmt: skip


def rule(path: Path) -> str:
    """The longest name in `MAY_IMPORT` that holds for a file; empty if none does."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in names if name in MAY_IMPORT), "")


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


def own_imports(path: Path) -> set[str]:
    """The modules of the package that a file imports, below `paxosd`."""
    return {name.removeprefix("paxosd.") for name in imports(path) if name.startswith("paxosd.")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_layers(path: Path) -> None:
    assert [name for name in sorted(own_imports(path)) if not within(name, MAY_IMPORT[rule(path)])] == []


def test_no_rule_allows_what_nobody_imports() -> None:
    used: defaultdict[str, set[str]] = defaultdict(set)
    for path in SOURCES:
        used[rule(path)] |= own_imports(path)
    idle = [(name, each) for name, may in MAY_IMPORT.items() for each in may
            if not any(within(module, {each}) for module in used[name])]  # fmt: skip

    assert idle == []


def test_no_import_closes_a_circle_not_even_in_a_function_or_for_a_type() -> None:
    graph = {name: {to for to in imports(path) if to in MODULES} for name, path in MODULES.items()}
    for importer, imported in HIDDEN_CIRCLES:
        assert importer in reached(graph, imported), f"{importer} may import {imported} at its head"
        graph[importer].remove(imported)

    assert [name for name in graph if name in reached(graph, name)] == []


def reached(graph: dict[str, set[str]], name: str) -> set[str]:
    """All that a module imports, and what that imports, and so on."""
    found: set[str] = set()
    ahead = set(graph[name])
    while ahead:
        found |= ahead
        ahead = set().union(*(graph[each] for each in ahead)) - found
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_an_import_in_a_function_says_why(path: Path) -> None:
    text = path.read_text()
    lines = text.splitlines()
    inner = {
        lines[node.lineno - 1]
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    silent = [line for line in inner if not re.search(r"# noqa: PLC0415 \(.+\)$", line)]

    assert silent == [] or str(path.relative_to(PACKAGE)) in START_FAST


def test_no_two_classes_have_one_name() -> None:
    named: defaultdict[str, list[str]] = defaultdict(list)
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                named[node.name].append(str(path.relative_to(PACKAGE)))

    assert {name: paths for name, paths in named.items() if len(paths) > 1} == {}


def test_every_folder_says_what_it_holds() -> None:
    folders = [path for path in SOURCES if path.name == "__init__.py"]

    assert {path.parent for path in SOURCES} == {path.parent for path in folders}
    assert [path for path in folders if not ast.get_docstring(ast.parse(path.read_text()))] == []


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(PACKAGE)))
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
    handlers = {
        ast.unparse(node.type) if node.type else "" for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)
    }

    assert not modules & {"pickle", "marshal", "shelve", "dill"}
    assert not calls & {"eval", "exec", "yaml.load", "yaml.full_load", "yaml.unsafe_load"}
    assert not {"", "Exception", "BaseException"} & handlers - FOREIGN_CODE.get(str(path.relative_to(PACKAGE)), set())


def test_every_message_stands_in_the_lanes_and_can_be_imported_beside_them() -> None:
    folder = PACKAGE / "core" / "messages"
    lanes = set(re.findall(r"\w+", ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""))
    trees = [ast.parse(path.read_text()) for path in sorted(folder.glob("*.py"))]
    defined = {node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}

    assert defined - {"NodeStatus"} - lanes == set()  # which stands in a message
    assert defined - set(messages.__all__) == set()


def test_every_module_stands_in_the_map_and_nothing_else_does() -> None:
    """A name without a folder is meant in the folders that its row names first."""
    modules = {str(path.relative_to(PACKAGE)) for path in SOURCES if not path.name.startswith("__")}
    told: set[str] = set()
    unknown: list[str] = []
    for row in re.findall(r"^\| (`[\w/]+(?:\.py|/)`.*)$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE):
        names = re.findall(r"`([\w/]+(?:\.py|/))`", row)
        first = re.findall(r"`([\w/]+(?:\.py|/))`", row.split(" | ")[0])
        folders = {name.rpartition("/")[0] for name in first if "/" in name} or {""}
        for name in names:
            places = {name} if "/" in name else {f"{folder}/{name}".lstrip("/") for folder in folders}
            told |= places & modules
            if not places & modules and not any((ROOT / top / name).is_dir() for top in ("paxosd", ".")):
                unknown.append(name)

    assert (sorted(modules - told), unknown) == ([], [])


def test_files_and_functions_stay_small() -> None:
    long_files = {
        str(path.relative_to(ROOT)): length for path in SOURCES if (length := len(path.read_text().splitlines())) > 400
    }
    long_functions = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 50
    ]

    assert (long_files, long_functions) == ({}, [])
