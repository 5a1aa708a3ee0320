"""`paxosd rescue`: what is left of a cluster that lost disks, what may be lost, and what to do."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from paxosd.backup.disks import ReadDisk, ReadDisks, open_disks
from paxosd.backup.errors import BackupError
from paxosd.backup.rescue import RescuedLog, RescuePlan, plan
from paxosd.backup.restoring import restore
from paxosd.backup.until import Ended
from paxosd.commands.flags import Parser, add_write_out, command_parser, data_dir, fail
from paxosd.commands.progress import bar
from paxosd.commands.restore import print_targets, targets_of
from paxosd.commands.tables import Cell, print_table
from paxosd.config import Config, ConfigError, load
from paxosd.process.exits import Exit
from paxosd.server.machines import machines_of
from paxosd.storage.base import StorageError

HELP = """\
Look at the data directories of nodes that do not run, and say what is there, what is provably chosen, what may be lost,
and what to do. Nothing in them is changed; they are copied aside (to TMPDIR) and read there.

examples:
  paxosd rescue --plan --config config/cluster.yaml /var/lib/paxosd/*
  paxosd rescue --plan --config config/cluster.yaml data/a1 data/l1 data/l2 -w json
  paxosd rescue --make-history 3fa91c22 --config config/cluster.yaml --data-dir new data/a1 data/l1

The last one makes new directories of the most advanced state that is left, for a new history. What was on missing disks
alone is lost with that. It is confirmed by the first 8 digits of the old history, as the plan shows them.

Exit codes: 0 the disks that are here go on by themselves, 2 usage, 5 they do not, 7 configuration,
8 a directory cannot be used.
"""
CONFIRMED_DIGITS = 8


def main(arguments: Sequence[str]) -> int:
    """Print the plan, or make a new history; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        config = load(chosen.config, os.environ)
        with open_disks([Path(path) for path in chosen.directories]) as disks:
            found = plan(disks)
            if chosen.make_history is None:
                return _print(found, disks, chosen.write_out == "json")
            return _make(config, found, chosen)
    except ConfigError as error:
        return fail(Exit.CONFIGURATION, error)
    except (BackupError, StorageError) as error:
        return fail(Exit.STORAGE, error)


def _make(config: Config, found: RescuePlan, chosen: argparse.Namespace) -> int:
    digits = found.history.hex()[:CONFIRMED_DIGITS]
    if chosen.make_history != digits:
        return fail(
            Exit.USAGE,
            f"nothing was made: --make-history needs the first {CONFIRMED_DIGITS} digits of the history that shall "
            f"end, which is {digits}; look at the plan first",
        )
    log, machines = RescuedLog(found, tuple(config.machines)), partial(machines_of, config)
    source = Ended(log, None, None, None, config.limits.sessions_max, machines)
    targets = targets_of(config, None, chosen.data_dir)
    with bar("slots") as progress:
        restore(source, config, targets, progress)
    print_targets(config, source, targets, chosen.write_out == "json")
    return Exit.OK


# ---- the plan --------------------------------------------------------------------------------


def _print(found: RescuePlan, disks: ReadDisks, as_json: bool) -> int:
    if as_json:
        print(json.dumps(_fields(found, disks)))
    else:
        columns = ("NODE", "ROLE", "DIRECTORY", "PROMISED", "TOLD", "LEARNED", "COUNTS")
        print_table(columns, [_row(found, disk) for disk in disks.read], sys.stdout)
        for path, why in disks.refused:
            print(f"not read: {path}: {why}")
        print("\n".join(sentences(found)))
    return Exit.OK if found.can_go_on else Exit.UNHEALTHY


def _row(found: RescuePlan, disk: ReadDisk) -> tuple[Cell, ...]:
    promised = str(disk.promised) if disk.is_acceptor else "-"
    told: Cell = disk.told if disk.is_acceptor else "-"
    learned: Cell = disk.store.learned_stop() if disk.is_learner else "-"
    return disk.node, disk.identity.role, str(disk.path), promised, told, learned, _counts(found, disk)


def _counts(found: RescuePlan, disk: ReadDisk) -> str:
    why = next((why for other, why in found.not_counted if other is disk), None)
    if why is not None:
        return f"no: {why}"
    return "yes" if disk.is_acceptor else "its log"


def _fields(found: RescuePlan, disks: ReadDisks) -> dict[str, object]:
    return {
        "cluster": found.cluster,
        "history": found.history.hex(),
        "goes_on": found.can_go_on,
        "counted": list(found.counted),
        "missing": list(found.missing),
        "not_counted": [{"directory": str(disk.path), "why": why} for disk, why in found.not_counted],
        "not_read": [{"directory": str(path), "why": why} for path, why in disks.refused],
        "chosen_below": found.chosen_stop,
        "held_below": found.held_stop,
        "rescued_below": found.end,
        "may_be_lost": found.may_be_lost,
        "lacks_log": found.lacks_log,
        "waits_for": [list(nodes) for nodes in found.waits_for],
        "advice": sentences(found),
    }


def sentences(found: RescuePlan) -> list[str]:
    """What is known and what to do, one sentence or two each."""
    voters = ", ".join(f"{voter.node} ({voter.weight})" for voter in found.voters.named)
    said = [
        f"history {found.history.hex()} of cluster {found.cluster}: acceptors {voters}, prepare "
        f"{found.voters.prepare}, accept {found.voters.accept}",
        f"chosen: every slot below {found.chosen_stop}, provably; of these the values below {found.held_stop} are "
        f"provably here",
    ]
    if found.missing:
        said.append(f"missing: the disks of {', '.join(found.missing)}")
    if found.lacks_log:
        said.append(
            f"lost: the values of slots {found.end} to {found.chosen_stop - 1}: they are chosen, acceptors let go of "
            "them, and no directory here has all of them"
        )
    if found.may_be_lost:
        said.append(
            "may be lost: whatever was chosen by the missing disks alone, from slot "
            f"{found.held_stop} on; nobody here can say how much that is"
        )
    elif not found.lacks_log:
        said.append("lost: nothing; every chosen value has a vote or a log here")
    return said + _advice(found)


def _advice(found: RescuePlan) -> list[str]:
    if found.can_go_on:
        others = f"; {', '.join(found.missing)} may start with an empty directory" if found.missing else ""
        return [f"do: start the nodes: {', '.join(found.counted)} go on by themselves{others}"]
    back = [f"the disk of {sets}"] if (sets := " or ".join(" and ".join(nodes) for nodes in found.waits_for)) else []
    if found.lacks_log:
        back.append(f"the directory of a learner that has slot {found.end} and those above")
    digits = found.history.hex()[:CONFIRMED_DIGITS]
    loses = "with the loss that is named above" if found.may_be_lost or found.lacks_log else "with nothing lost"
    return [
        f"do: bring back {' and '.join(back)}: then the cluster goes on, and nothing is lost",
        "or: restore the latest backup, with the archive if there is one (paxosd restore): what came later is lost",
        f"or: make a new history of what is here, every slot below {found.end}, {loses}: the same command with "
        f"--make-history {digits} --data-dir NEW instead of --plan",
    ]


def _parser() -> Parser:
    parser = command_parser("rescue", HELP)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--plan", action="store_true", help="say what is there and what to do; change nothing")
    digits = f"end the history that begins with these {CONFIRMED_DIGITS} digits, and make a new one of what is left"
    what.add_argument("--make-history", metavar="DIGITS", help=digits)
    parser.add_argument("--config", required=True, metavar="FILE", help="the membership file")
    where = "where the new directories are made, DIR/ID (default: storage.dir/ID, beside the membership file)"
    parser.add_argument("--data-dir", metavar="DIR", type=data_dir, help=where)
    parser.add_argument("directories", metavar="DIR", nargs="+", help="the data directories that are left")
    add_write_out(parser, "table")
    return parser
