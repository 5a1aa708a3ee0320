"""Which machines the membership file mounts. Nothing is imported for it: clients read the file, and need no machine."""

from __future__ import annotations

from dataclasses import dataclass

import paxosd.config.values as values
from paxosd.config.section import Section
from paxosd.core.types import LOG, MachineName

DEFAULT_MACHINES = {LOG: "log", "kv": "kv"}
MACHINES_MAX = 16


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """One machine: the `name` that it is mounted under, and its `kind`, a built-in one or "package.module:Class".

    `place`: where the file says so, as "file:line".
    """

    name: MachineName
    kind: str
    place: str


def machines_of(root: Section) -> dict[MachineName, MachineConfig]:
    """Those that are mounted: `log` always, and `kv` unless the file says which others there are."""
    if "machines" not in root:
        place = root.place("machines")
        return {name: MachineConfig(name, kind, place) for name, kind in DEFAULT_MACHINES.items()}
    section = root.part("machines")
    found = {LOG: MachineConfig(LOG, LOG, root.place("machines"))}
    for name in section.keys:
        try:
            values.machine_name(name)
        except ValueError as error:
            section.wrong(name, str(error))
        kind = section.required(name, values.machine)
        if kind is not None and (name == LOG) != (kind == LOG):
            section.wrong(name, "the log has the name log, and no other machine has it")
        if kind is not None:
            found[name] = MachineConfig(name, kind, section.place(name))
    if len(found) > MACHINES_MAX:
        root.wrong("machines", f"there are {len(found)}; at most {MACHINES_MAX} are allowed")
    return found
