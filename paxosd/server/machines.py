"""The machines that the membership file names, made: built-in ones, and classes of users."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from paxosd.config import Config, ConfigError
from paxosd.core.types import LOG, MachineName
from paxosd.machine.base import StateMachine
from paxosd.machine.kv.kv import Kv
from paxosd.machine.log import Log

BUILT_IN: Mapping[str, Callable[[], StateMachine]] = {LOG: Log, "kv": Kv}
CONTRACT = ("apply", "query", "due_ms", "expire", "digest", "changed_rows", "changes", "restore")
WRONG = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError,
         SyntaxError, TypeError, ValueError)  # fmt: skip
"""What an import, or the making of a machine, raises where a program is wrong."""


class NoMachine(Exception):
    """There is no such class, or it is no machine; the text says why, and what to do."""


def machines_of(config: Config) -> dict[MachineName, StateMachine]:
    """A new machine under each name; raises `ConfigError` with the place of each that cannot be made."""
    made: dict[MachineName, StateMachine] = {}
    problems: list[str] = []
    for machine in config.machines.values():
        try:
            made[machine.name] = machine_of(machine.kind)
        except NoMachine as error:
            problems.append(f"{machine.place}: machines.{machine.name}: {error}")
    if problems:
        raise ConfigError(tuple(problems))
    return made


def machine_of(kind: str) -> StateMachine:
    """A new machine: a built-in one by its name, or one of the class "package.module:Class"; raises `NoMachine`."""
    if kind in BUILT_IN:
        return BUILT_IN[kind]()
    module, _, name = kind.partition(":")
    try:
        made: Any = getattr(importlib.import_module(module), name)()
        missing = [attribute for attribute in CONTRACT if not hasattr(made, attribute)]
    except WRONG as error:
        raise NoMachine(
            f"{kind} cannot be made: {type(error).__name__}: {error}; it must be importable where the node runs "
            "(installed, or on PYTHONPATH)"
        ) from error
    if missing:
        raise NoMachine(
            f"{kind} is no machine: it has no {', '.join(missing)}; keep paxosd/machine/base.py, or use @replicated"
        )
    machine: StateMachine = made
    return machine
