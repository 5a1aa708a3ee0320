"""The command line of `paxosctl`, with what the environment says instead of it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from paxosd.commands.ctl import answers, backup, completion, holding, keys, leases, outcome, queues, watching
from paxosd.commands.ctl.numbers import a_revision, a_timeout
from paxosd.commands.flags import Parser, add_version, add_write_out

DEFAULT_CONFIG = "config/cluster.yaml"
DEFAULT_TIMEOUT_S = 5.0

HELP = f"""\
examples:
  paxosctl propose hello                              to the cluster of {DEFAULT_CONFIG}
  printf 'hello' | paxosctl propose -                 the value from stdin, every byte of it
  paxosctl --config config/replicas.yaml log          the whole log
  paxosctl --endpoints l1:7100,l2:7100 log --start 100 --follow
  paxosctl log --stale                                what one node has, also while there is no quorum
  paxosctl status                                     who leads, and how is every node
  paxosctl backup /backups/monday                     all that the cluster holds, while it runs
  paxosctl archive /archive                           the log, as it grows, until Ctrl-C
  paxosctl status -w json                             the same for programs, and so for every command
  paxosctl outcome SESSION N                          what became of a command of which an error says "unknown"

  paxosctl put flags/dark on                          keys: put, get, del, txn, compact
  paxosctl get --prefix flags/
  paxosctl watch --prefix flags/                      what happens to keys, as it happens
  paxosctl lease grant 30                             keys that go by themselves
  paxosctl lock nightly -- ./backup.sh                one at a time in the whole fleet: lock, sem, elect
  paxosctl queue put mail "to: you"                   entries that somebody takes: queue
  source <(paxosctl completion bash)                  or zsh; fish: paxosctl completion fish | source

The flags may stand before or after the command. Environment: PAXOSCTL_CONFIG, PAXOSCTL_ENDPOINTS,
PAXOSCTL_TIMEOUT; flags win. Exit codes: 0 ok (also if whoever reads the answer has enough of it, as head has),
1 other error, 2 usage, 3 the answer came but could not be written (the message says what had been done), 4 no quorum or
no answer in time (the message says what became of the command), 5 no node leads, or commands are refused, 6 no space:
disks are nearly full and nothing was applied, 7 configuration, 8 a backup cannot be made or read, 11 the cluster was
wiped or restored meanwhile (the message says what became of the command), 130 SIGINT, 143 SIGTERM.
"""

PROPOSE_HELP = """\
Put a value into the log, and print where it stands.

examples:
  paxosctl propose hello
  printf 'hello' | paxosctl propose -
  paxosctl propose -- -5                              a value that looks like a flag
"""

LOG_HELP = """\
Print the log, with all that was acknowledged.

examples:
  paxosctl log --start 100
  paxosctl log --follow -w json                       one object a line, as values come
  paxosctl log --stale                                what one node has, also while there is no quorum
"""

STATUS_HELP = """\
Print who leads, and how every node is.

examples:
  paxosctl status
  paxosctl status -w json
"""

BACKUP_HELP = """\
Write a backup of the whole cluster into one file, while it runs; or read one to its end, and print what it holds.

examples:
  paxosctl backup /backups/monday                     with all that was acknowledged; interrupted, it goes on
  paxosctl backup --stale /backups/monday             what one node has, also while there is no quorum
  paxosctl backup status /backups/monday              is it whole, and of what? Needs no cluster
  paxosctl backup status /backups/monday -w json
  paxosd restore /backups/monday --config FILE        new data directories, made of it

The file is written as FILE.part and gets its name once it is whole; nothing is ever written over.
"""

ARCHIVE_HELP = """\
Follow the log into a directory of files that never change again, until Ctrl-C. Run again, it goes on where it stopped.

examples:
  paxosctl archive /archive
  paxosctl archive --once /archive                    until all that is acknowledged by now is there
  paxosd restore /backups/monday --config FILE --archive /archive --to-revision 4711

Together with a backup that was made while it ran, or before, it restores the cluster as it was at any revision or time
since then. A segment that ends below a backup is not needed with that one. Every line of stdout says how far it is.
"""

Options: TypeAlias = argparse.Namespace
RUN_A_COMMAND = ("watch", "lock", "sem", "elect", "queue")
"""The commands that run another one, which stands behind `--`."""


def options_of(arguments: Sequence[str]) -> Options:
    """What these arguments ask for; ends the process with a message if they make no sense."""
    parser = _parser()
    ours, behind = _split(arguments)
    options = parser.parse_args(ours)
    options.behind = behind
    options.local = options.command == "completion"
    changes = getattr(options, "changes", False)
    options.changes = changes(options) if callable(changes) else changes
    options.takes = getattr(options, "takes", "")
    options.in_order = getattr(options, "in_order", False)
    if options.command == "backup":
        _take_file(options, parser)
    if options.local:
        return options
    if options.config and options.endpoints:
        parser.error("--config and --endpoints both name a cluster: give one of them")
    if not options.config and not options.endpoints:
        _take_cluster_from_environment(options, parser)
    if options.timeout is None:
        options.timeout = _timeout_from_environment(parser)
    return options


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments of ours, and behind `--` the command that one of them is to run."""
    words = list(arguments)
    if "--" in words and any(word in RUN_A_COMMAND for word in words[: words.index("--")]):
        place = words.index("--")
        return words[:place], words[place + 1 :]
    return words, []


def _parser() -> Parser:
    flags = _flags(Parser(add_help=False), default=None)
    # Without defaults of its own, a command does not overwrite what stood before it.
    same_flags = _flags(Parser(add_help=False), default=argparse.SUPPRESS)
    parser = Parser(prog="paxosctl", description=HELP, parents=[flags])
    add_version(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(command: str, short: str, told: str) -> Parser:
        return commands.add_parser(command, parents=[same_flags], help=short, description=told)

    propose = add("propose", "put a value into the log", PROPOSE_HELP)
    propose.add_argument("value", metavar="VALUE", help="the value, or - to read it from stdin")
    propose.set_defaults(run=answers.propose, takes="value")
    log = add("log", "print the log, with all that was acknowledged", LOG_HELP)
    log.add_argument("--start", metavar="N", type=a_revision, help="from revision N on (default: all that is kept)")
    log.add_argument("--follow", action="store_true", help="go on with what is chosen later, until Ctrl-C")
    log.add_argument(
        "--stale",
        action="store_true",
        help="what the node at hand has: needs no quorum, and may lack the latest that was acknowledged",
    )
    log.set_defaults(run=answers.log)
    status = add("status", "who leads, and how is every node", STATUS_HELP)
    status.set_defaults(run=answers.status)
    back_up = add("backup", "write a backup of the cluster, or say what one holds", BACKUP_HELP)
    back_up.add_argument("words", metavar="FILE", nargs="+", help="the file to write; or `status` and the file to read")
    back_up.add_argument("--stale", action="store_true", help="what the node at hand has: needs no quorum")
    back_up.set_defaults(run=backup.back_up)
    archive = add("archive", "follow the log into a directory", ARCHIVE_HELP)
    archive.add_argument("folder", metavar="DIR", help="the directory; it is made if it is not there")
    archive.add_argument("--once", action="store_true", help="end when all that is acknowledged by now is there")
    archive.set_defaults(run=backup.archive)
    for module in (outcome, keys, watching, leases, holding, queues):
        module.add_to(add)
    completion.add_to(add, lambda: parser)
    return parser


def _take_file(options: Options, parser: Parser) -> None:
    """Which file is meant, and whether it is only to be read."""
    match options.words:
        case ["status"]:
            parser.error("which file? paxosctl backup status FILE (a backup that shall be named status: ./status)")
        case [file]:
            options.file = file
        case ["status", file]:
            options.file, options.local = file, True
        case _:
            parser.error(f"one file at a time: {' '.join(options.words)!r} is neither FILE nor status FILE")


def _flags(parser: Parser, default: str | None) -> Parser:
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help=f"the membership file of the cluster (default: {DEFAULT_CONFIG})",
    )
    parser.add_argument(
        "--endpoints", metavar="HOST:PORT,...", default=default, help="where its gateways listen, instead of --config"
    )
    parser.add_argument(
        "--timeout", metavar="S", type=a_timeout, default=default, help="how many seconds to wait (default: 5)"
    )
    add_write_out(parser, default or "table")
    return parser


def _take_cluster_from_environment(options: Options, parser: Parser) -> None:
    options.config = os.environ.get("PAXOSCTL_CONFIG")
    options.endpoints = os.environ.get("PAXOSCTL_ENDPOINTS")
    if options.config and options.endpoints:
        parser.error("PAXOSCTL_CONFIG and PAXOSCTL_ENDPOINTS both name a cluster: unset one, or give a flag")
    if options.config or options.endpoints:
        return
    if not Path(DEFAULT_CONFIG).exists():
        parser.error(
            f"which cluster? There is no {DEFAULT_CONFIG} here: give --config FILE or --endpoints HOST:PORT,... "
            "(or set PAXOSCTL_CONFIG or PAXOSCTL_ENDPOINTS)"
        )
    options.config = DEFAULT_CONFIG


def _timeout_from_environment(parser: Parser) -> float:
    text = os.environ.get("PAXOSCTL_TIMEOUT")
    if not text:
        return DEFAULT_TIMEOUT_S
    try:
        return a_timeout(text)
    except argparse.ArgumentTypeError as error:
        parser.error(f"PAXOSCTL_TIMEOUT: {error}")
