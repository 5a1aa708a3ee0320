"""`paxosd upgrade`: data directories of an earlier version, brought to the format of this one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from paxosd.commands.flags import command_parser, data_dir, fail
from paxosd.commands.progress import bar
from paxosd.config import Config, ConfigError, load
from paxosd.local.directory import is_of_local_cluster, upgrade_claim
from paxosd.process.exits import Exit
from paxosd.server.daemon import data_directory, node_of
from paxosd.storage.base import ForeignDirectory, StorageError
from paxosd.storage.upgrade import Upgrade, directories_below

HELP = """\
Bring the records of an earlier version to the format of this one, in place, while no node runs.

examples:
  paxosd upgrade --config config/cluster.yaml --id a1                              one node of a cluster
  paxosd upgrade --config config/cluster.yaml --id a1 --data-dir /var/lib/paxosd/a1
  paxosd upgrade --data-dir data                                                   all nodes of a `paxosd local`

1. Stop every node of the cluster. 2. Copy the data directories away, if you want a way back: there is no other one.
3. Upgrade every node. 4. Start all of them with this version, in any order: they serve once every acceptor was heard.

It needs as much room on the disk as the records take. It may be killed: run it again, and it goes on. What is in use,
damaged or another node's is refused and left as it was; of what is of this format already it says so. Exit codes: 0 it
is of this format now, 2 usage, 7 configuration, 8 storage.
"""


def main(arguments: Sequence[str]) -> int:
    """Upgrade the directory of one node, or those of a local cluster; returns the exit code."""
    parser = command_parser("upgrade", HELP)
    parser.add_argument("--config", metavar="FILE", help="the membership file of the cluster")
    parser.add_argument("--id", help="the node's id in it")
    where = "where its records are (default: storage.dir/ID, beside the membership file), or those of a `paxosd local`"
    parser.add_argument("--data-dir", metavar="DIR", type=data_dir, help=where)
    chosen = parser.parse_args(arguments)
    if (chosen.config is None) != (chosen.id is None):
        parser.error("--config and --id belong together: they say which node it is")
    if chosen.config is None and chosen.data_dir is None:
        parser.error("name a node with --config and --id, or the directory of a `paxosd local` with --data-dir")
    try:
        if chosen.config is None:
            _upgrade_local(chosen.data_dir)
        else:
            config = load(chosen.config, os.environ)
            _upgrade_node(config, chosen.id, chosen.data_dir)
    except ConfigError as error:
        return fail(Exit.CONFIGURATION, error)
    except StorageError as error:
        return fail(Exit.STORAGE, error)
    return Exit.OK


def _upgrade_node(config: Config, node_id: str, named: Path | None) -> None:
    node = node_of(config, node_id)
    with Upgrade(data_directory(config, node_id, named)) as upgrade:
        upgrade.require_node(config.cluster, node_id, node.role.value)
        _run(upgrade)
    print("next: upgrade every other node, then start all of them with this version")


def _upgrade_local(path: Path) -> None:
    """All nodes are held before the first one is touched, so that none of them runs."""
    if not is_of_local_cluster(path):
        raise ForeignDirectory(
            f"{path} is no directory of a `paxosd local`: for the directory of one node, give --config and --id as well"
        )
    with ExitStack() as stack:
        for upgrade in [stack.enter_context(Upgrade(directory)) for directory in directories_below(path)]:
            _run(upgrade)
        upgrade_claim(path)
    print(f"next: start the cluster again: paxosd local --data-dir {path}, and what else was given with it")


def _run(upgrade: Upgrade) -> None:
    identity = upgrade.identity
    whose = f"{upgrade.path} ({identity.role} {identity.node} of cluster {identity.cluster})"
    if upgrade.is_done:
        print(f"{whose}: is of this format already; nothing was done")
        return
    with bar("records") as progress:
        upgrade.run(progress)
    print(f"{whose}: upgraded")
