"""`paxosd --role ...`: one node of a cluster. Arguments and exit codes only; the work is in `server/`.

What is slow to import is imported when the arguments are known to be right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paxosd.commands.flags import Parser, add_version, data_dir, fail
from paxosd.process.exits import Exit

if TYPE_CHECKING:
    from paxosd.process.signals import Stop

HELP = """\
examples:
  paxosd --role acceptor --id a1 --config config/cluster.yaml      run one node of a cluster
  paxosd --role replica --id r1 --config config/replicas.yaml --data-dir /var/lib/paxosd/r1
  paxosd check-config config/cluster.yaml                          find all errors of a membership file
  paxosd local --requests 5000 --kill-leader                       a whole cluster on this machine, no network
  paxosd local --serve                                             the same, and clients may come
  paxosd sim --seeds 100                                           whole clusters in simulated time, with every fault
  paxosd restore /backups/monday --config config/cluster.yaml      new data directories, made of a backup
  paxosd rescue --plan --config config/cluster.yaml data/*         what is left of lost disks, and what to do
  paxosd health --data-dir /var/lib/paxosd/r1                      does the loop of that daemon turn?
  paxosd upgrade --id r1 --config config/replicas.yaml             records of an earlier version, while no node runs

exit codes: 0 ok, 1 other error, 2 usage, 3 the answer could not be written, 4 no node leads (paxosd local), 5 not
healthy, 7 configuration, 8 storage, 9 network address, 10 broken invariant, 130 SIGINT, 143 SIGTERM. A daemon that is
ended by SIGTERM, SIGINT or SIGHUP exits 0; the second signal ends it at once.
Environment: PAXOSD_LOG_LEVEL (DEBUG, INFO, WARNING, ERROR), PAXOSD_STORAGE_ENGINE, _DIR, _QUOTA and _RESERVE,
PAXOSD_TIMING_HEARTBEAT, _ELECTION, _RETRY and _PING; they win over the membership file.
"""


def main(arguments: Sequence[str], stop: Stop) -> int:
    """Run a node until its end; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    from paxosd.config import ConfigError
    from paxosd.core.agent import InvariantBroken
    from paxosd.server.daemon import (
        LOG_WAITS_S_MAX,
        birth_without,
        configure,
        configure_logging,
        data_directory,
        run_daemon,
    )
    from paxosd.storage.base import StorageError
    from paxosd.transport.base import TransportError

    try:
        outlet = configure_logging(chosen.id, stop)
    except ConfigError as error:
        return fail(Exit.CONFIGURATION, error)
    try:
        config = configure(chosen.config, chosen.id, chosen.role)
        without = birth_without(config, chosen.birth_without)
        run_daemon(config, chosen.id, data_directory(config, chosen.id, chosen.data_dir), stop, without)
    except ConfigError as error:
        return fail(Exit.CONFIGURATION, error)
    except StorageError as error:
        return fail(Exit.STORAGE, error)
    except TransportError as error:
        return fail(Exit.NETWORK, error)
    except InvariantBroken as error:
        return fail(Exit.BROKEN, f"broken invariant, stopped before anything was sent: {error}")
    finally:
        outlet.close(LOG_WAITS_S_MAX)
    return Exit.OK


def _parser() -> Parser:
    parser = Parser(
        prog="paxosd",
        usage="paxosd --role ROLE --id ID --config FILE [--data-dir DIR]\n"
        "       paxosd check-config | local | sim | health | upgrade | restore | rescue",
        description=HELP,
    )
    add_version(parser)
    roles = ["proposer", "acceptor", "learner", "replica"]
    parser.add_argument("--role", required=True, choices=roles, help="what the membership file says that the node is")
    parser.add_argument("--id", required=True, help="the node's id in the membership file")
    parser.add_argument("--config", required=True, metavar="FILE", help="the membership file, the same on every node")
    records = "where this node keeps its records (default: storage.dir/ID, beside the membership file)"
    parser.add_argument("--data-dir", metavar="DIR", type=data_dir, help=records)
    without = (
        "let the cluster be born without this acceptor, which has never run; admitted when it comes (may be repeated)"
    )
    parser.add_argument("--birth-without", metavar="ID", action="append", default=[], help=without)
    return parser
