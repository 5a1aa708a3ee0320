"""`paxosd restore`: new data directories, made of a backup."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from paxosd.backup.archive import Archive
from paxosd.backup.errors import BackupError
from paxosd.backup.restoring import BackupSource, Source, Target, restore
from paxosd.backup.until import Ended
from paxosd.commands.flags import Parser, add_write_out, command_parser, data_dir, fail
from paxosd.commands.progress import bar
from paxosd.commands.tables import print_table
from paxosd.config import Config, ConfigError, load
from paxosd.process.exits import Exit
from paxosd.server.daemon import data_directory
from paxosd.server.machines import machines_of
from paxosd.storage.base import StorageError

HELP = """\
Make new data directories of a backup, for all nodes of a membership file or for one.

examples:
  paxosd restore /backups/monday --config config/loopback.yaml --data-dir data      all nodes: data/a1, data/a2, ...
  paxosd restore /backups/monday --config config/cluster.yaml --id a1               on each machine, for its node
  paxosd restore /backups/monday --config config/cluster.yaml --id a1 --data-dir /var/lib/paxosd/a1

  paxosd restore /backups/monday --config FILE --archive /archive                   and all that came after it
  paxosd restore /backups/monday --config FILE --archive /archive --to-revision 4711
  paxosd restore /backups/monday --config FILE --archive /archive --to-time 2026-11-27T09:30:00Z

The archive is what `paxosctl archive` writes; a time is one of the clock of the machine where that ran.
A directory that holds anything is refused. Restore every node from the same backup, and only then start them: together
they go on where the backup ends. The nodes of the cluster that the backup is of must not run at the same addresses.
Exit codes: 0 ok, 2 usage, 7 configuration, 8 the backup or a directory cannot be used.
"""


def main(arguments: Sequence[str]) -> int:
    """Make the directories, and print which; returns the exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.to_time is not None and chosen.archive is None:
        parser.error("--to-time needs --archive: a backup by itself does not say when its values came")
    try:
        config = load(chosen.config, os.environ)
        targets = targets_of(config, chosen.id, chosen.data_dir)
        source = _source(config, chosen)
        with bar("slots") as progress:
            restore(source, config, targets, progress)
    except ConfigError as error:
        return fail(Exit.CONFIGURATION, error)
    except (BackupError, StorageError) as error:
        return fail(Exit.STORAGE, error)
    print_targets(config, source, targets, chosen.write_out == "json")
    if isinstance(source, Ended) and chosen.to_revision is None and chosen.to_time is not None:
        _tell_how_far(source.reaches_ms, chosen.to_time)
    return Exit.OK


def _tell_how_far(reaches_ms: int, asked_ms: int) -> None:
    """Say so if the archive is not known to go as far as was asked for."""
    if reaches_ms < asked_ms:
        told = f"the archive reaches {_utc(reaches_ms)}; what was chosen from then to {_utc(asked_ms)} is not in it"
        print(told, file=sys.stderr)


def _source(config: Config, chosen: argparse.Namespace) -> Source:
    source = BackupSource(Path(chosen.file))
    if chosen.archive is None and chosen.to_revision is None:
        return source
    archive = None if chosen.archive is None else Archive(Path(chosen.archive))
    sessions_max, machines = config.limits.sessions_max, partial(machines_of, config)
    return Ended(source, archive, chosen.to_revision, chosen.to_time, sessions_max, machines)


def targets_of(config: Config, node: str | None, place: Path | None) -> list[Target]:
    """Which directories are to be made; `node` None: those of all nodes, below `place`. Raises `ConfigError`."""
    if config.storage.engine == "memory":
        raise ConfigError((f"{config.path}: storage.engine is memory: there is nothing to restore into",))
    if node is None:
        nodes = config.membership.nodes
        return [Target(each, data_directory(config, each, place and place / each)) for each in nodes]
    if node not in config.nodes:
        known = ", ".join(config.nodes)
        raise ConfigError((f"{config.path}: nodes: there is no node {node!r}; the file has {known}",))
    return [Target(node, data_directory(config, node, place))]


def print_targets(config: Config, source: Source, targets: Sequence[Target], as_json: bool) -> None:
    """Say what was made, and how far it goes."""
    position, history = source.position, source.header.history
    if as_json:
        made = {target.node: str(target.path) for target in targets}
        facts = {"continues": history or None, "watermark": position.watermark, "revision": position.revision}
        print(json.dumps(facts | {"directories": made}))
        return
    rows = [(target.node, config.nodes[target.node].role.value, str(target.path)) for target in targets]
    print_table(("NODE", "ROLE", "DIRECTORY"), rows, sys.stdout)
    print(f"revision {position.revision}, every slot below {position.watermark}; start the nodes when all are restored")


def _parser() -> Parser:
    parser = command_parser("restore", HELP)
    parser.add_argument("file", metavar="FILE", help="the backup")
    parser.add_argument("--config", required=True, metavar="FILE", help="the membership file of the new cluster")
    parser.add_argument("--id", metavar="ID", help="the node whose directory is to be made (default: all nodes)")
    where = "the directory; for all nodes, where theirs are (default: storage.dir/ID, beside the membership file)"
    parser.add_argument("--data-dir", metavar="DIR", type=data_dir, help=where)
    parser.add_argument("--archive", metavar="DIR", help="what came after the backup, as `paxosctl archive` wrote it")
    parser.add_argument("--to-revision", metavar="N", type=_revision, help="the last revision that is restored")
    parser.add_argument("--to-time", metavar="TIME", type=_time_ms, help="leave out what was archived after this time")
    add_write_out(parser, "table")
    return parser


def _revision(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a revision: they count 1, 2, 3 ...")
    return int(text)


def _utc(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time_ms(text: str) -> int:
    """Milliseconds since 1970."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-11-27T09:30:00Z") from None
    return int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp() * 1000)
