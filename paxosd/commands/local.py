"""`paxosd local`: a whole cluster on this machine, for one experiment or to serve clients.

Laws:
1. Data goes to stdout, everything else to stderr.
2. It exits 0 only if every request was acknowledged and stands in the log of every learner, once, in the same order.
3. However it ends, no node outlives it. Signals end it from outside (`interruptible.py`): nothing here expects one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from paxosd.client.errors import ClientClosed, PaxosError
from paxosd.commands.flags import Parser, add_write_out, command_parser, data_dir
from paxosd.commands.interruptible import Ending
from paxosd.commands.tables import print_table
from paxosd.config import Config, ConfigError, load
from paxosd.core.types import NodeId
from paxosd.local.bridge import Bridge
from paxosd.local.cluster import LocalCluster, local_config
from paxosd.local.run import ExperimentResult, run
from paxosd.local.start import SystemRefused
from paxosd.process.exits import Exit
from paxosd.server.daemon import log_level
from paxosd.storage.base import StorageError
from paxosd.transport.base import TransportError

HELP = """\
examples:
  paxosd local --requests 5000 --kill-leader                   kill the leader in the middle, and look what is lost
  paxosd local --acceptors 5 --requests 20000 --drop 0.05      one frame in twenty between nodes is lost
  paxosd local --replicas 3 -w json                            three processes that play all roles, for a script
  paxosd local --serve --data-dir data                         stay up, serve paxosctl and clients, keep the log

Every node is a process of its own; they are joined by queues, with no network. Exit codes: 0 all learners agree and
nothing that was acknowledged is missing, 1 they do not, or the system gives no processes, threads or file descriptors,
2 usage, 4 no node leads, 7 configuration, 8 storage, 9 network address, 130 SIGINT, 143 SIGTERM (0 with
--serve).
"""

USUAL_REQUESTS = 1000

BAR_AFTER_S = 1.0
"""How long a run takes until it shows how far it is."""

BAR_EVERY = 100
"""After how many answers the bar moves."""


def main(arguments: Sequence[str] | None = None, ending: Ending | None = None) -> int:
    """Run `paxosd local` with these arguments; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        config = _config(options, parser)
        log_level()  # each node takes it; here its error can be told
        with LocalCluster(config, options.data_dir, options.drop, options.seed) as cluster:
            return _serve(cluster, options, ending or Ending()) if options.serve else _run(cluster, options)
    except ClientClosed:  # a signal ended the cluster
        return Exit.INTERRUPTED
    except ConfigError as error:
        return _fail(Exit.CONFIGURATION, error)
    except StorageError as error:
        return _fail(Exit.STORAGE, error)
    except TransportError as error:
        return _fail(Exit.NETWORK, error)
    except SystemRefused as error:
        return _fail(Exit.ERROR, error)
    except PaxosError as error:
        return _fail(Exit.UNKNOWN, error)


def _note(text: object) -> None:
    if sys.stderr is not None:  # it may have been closed
        print(f"paxosd local: {text}", file=sys.stderr, flush=True)


def _fail(code: Exit, reason: object) -> int:
    _note(reason)
    return code


# ---- what is asked ---------------------------------------------------------------------------


def _parser() -> Parser:
    parser = command_parser("local", HELP)
    add = parser.add_argument
    for role, usual in (("proposers", "2"), ("acceptors", "3"), ("learners", "2")):
        add(f"--{role}", metavar="N", type=_whole(0), help=f"how many {role} (default: {usual}; 0 beside replicas)")
    add("--replicas", metavar="N", type=_whole(0), help="nodes that play all roles (default: 0)")
    add("--config", metavar="FILE", help="a membership file instead, such as config/local.yaml")
    add("--requests", metavar="N", type=_whole(1), help=f"how many values to propose (default: {USUAL_REQUESTS})")
    add("--drop", metavar="P", type=_probability, default=0.0, help="probability that a frame between nodes is lost")
    add("--kill-leader", action="store_true", help="SIGKILL the leader's process in the middle, and start it again")
    add(
        "--seed",
        metavar="N",
        type=_whole(0),
        default=0,
        help="draws which frames are lost (default: 0)",
    )
    add("--data-dir", metavar="DIR", type=data_dir, help="keep records and logs there (default: they are forgotten)")
    add_write_out(parser, "table")
    add("--serve", action="store_true", help="propose nothing; stay up and serve clients until Ctrl-C")
    return parser


def _whole(least: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to 999999999")
        return int(text)

    return convert


def _probability(text: str) -> float:
    if not re.fullmatch(r"0(\.\d*)?|\.\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a probability from 0 to below 1, such as 0.05")
    return float(text)


def _config(options: argparse.Namespace, parser: Parser) -> Config:
    """The cluster that is asked for; ends with a usage error if it cannot do what is asked."""
    counts = (options.proposers, options.acceptors, options.learners, options.replicas)
    if options.config is not None and any(count is not None for count in counts):
        parser.error("--config names the nodes: leave out --proposers, --acceptors, --learners and --replicas")
    if options.serve and (options.requests is not None or options.kill_leader):
        parser.error("--serve proposes nothing and kills nobody: leave out --requests and --kill-leader")
    config = load(options.config, os.environ) if options.config else local_config(*counts[:3], options.replicas or 0)
    for warning in config.warnings:
        _note(f"warning: {warning}")
    if config.storage.engine == "memory" and not options.serve:
        raise ConfigError((f"{config.path}: storage.engine: must be sqlite, for the learners' records are checked",))
    if options.kill_leader and not _survives_its_leader(config):
        parser.error("--kill-leader needs another proposer, and a quorum of acceptors, when the leader is gone")
    return config


def _survives_its_leader(config: Config) -> bool:
    membership = config.membership

    def survives(leader: str) -> bool:
        left = set(membership.acceptors) - {leader}
        return membership.quorum.can_prepare(left) and membership.quorum.can_accept(left)

    return len(membership.proposers) > 1 and all(map(survives, membership.proposers))


# ---- one experiment --------------------------------------------------------------------------


def _run(cluster: LocalCluster, options: argparse.Namespace) -> int:
    requests = options.requests or USUAL_REQUESTS
    with _progress(requests) as progress:
        result = run(cluster, requests, options.kill_leader, _note, progress)
    if options.write_out == "json":
        print(json.dumps(_report(result)), flush=True)
    elif sys.stdout is not None:  # it may have been closed
        _print_result(result)
    for problem in result.problems:
        _note(problem)
    return Exit.ERROR if result.problems else Exit.OK


@contextmanager
def _progress(requests: int) -> Iterator[Callable[[int], None]]:
    """What to tell how many requests have an answer: a bar, if the run is long and stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda answered: None
        return
    from rich import console, progress  # noqa: PLC0415 (slow to import, and only terminals need it)

    bar_after = time.monotonic() + BAR_AFTER_S
    columns = (
        progress.TextColumn("acknowledged"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console.Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=requests, visible=False)

        def show(answered: int) -> None:
            if answered % BAR_EVERY == 0:
                bar.update(task, completed=answered, visible=time.monotonic() > bar_after)

        yield show


def _report(result: ExperimentResult) -> dict[str, object]:
    return {
        "ok": not result.problems,
        "requests": result.requests,
        "acknowledged": result.acknowledged,
        "seconds": round(result.seconds, 3),
        "killed": result.killed or None,
        "took_over": result.took_over or None,
        "learners": [
            {
                "learner": learned.learner,
                "values": learned.values,
                "missing": learned.missing,
                "doubled": learned.doubled,
                "noops": learned.noops,
                "agrees": learned.agrees,
            }
            for learned in result.learned
        ],
        "messages": dict(sorted(result.sent.items())),
        "lives_uncounted": result.lives_uncounted,
        "problems": result.problems,
    }


def _print_result(result: ExperimentResult) -> None:
    columns = ("LEARNER", "VALUES", "MISSING", "DOUBLED", "NO-OPS", "AGREES")
    rows = [
        (each.learner, each.values, each.missing, each.doubled, each.noops, "yes" if each.agrees else "NO")
        for each in result.learned
    ]
    print_table(columns, rows, sys.stdout)
    print()
    print_table(("MESSAGE", "SENT"), sorted(result.sent.items()), sys.stdout)
    if result.lives_uncounted:
        print("(without those of the killed node's first life, which took its count along)")
    answered = f"{result.acknowledged} of {result.requests} requests acknowledged in {result.seconds:.1f} s"
    print(f"\n{answered}, {result.acknowledged / result.seconds:.0f} a second", flush=True)


# ---- serving ---------------------------------------------------------------------------------


def _serve(cluster: LocalCluster, options: argparse.Namespace, ending: Ending) -> int:
    ending.told_to_end = Exit.OK
    with ExitStack() as stack:
        endpoints = {gateway: _open_port(cluster, gateway, stack) for gateway in cluster.gateways}
        leader = cluster.leader()
        if options.write_out == "json":
            print(json.dumps({"endpoints": endpoints, "leader": leader, "data_dir": str(cluster.data_dir)}), flush=True)
        else:
            _print_endpoints(cluster, endpoints, leader)
        ending.came.wait()
    return Exit.OK


def _open_port(cluster: LocalCluster, gateway: NodeId, stack: ExitStack) -> str:
    """Let clients come to this gateway: where its membership file says, or at a free port of this machine alone."""
    node = cluster.config.nodes[gateway]
    url = node.client_listen.url if node.client_listen else "tcp://127.0.0.1:*"
    bridge = Bridge(cluster.switchboard, gateway, url, cluster.config.limits.frame_bytes_max)
    stack.callback(bridge.close)
    return str(node.client or f"127.0.0.1:{bridge.port}")


def _print_endpoints(cluster: LocalCluster, endpoints: dict[str, str], leader: str) -> None:
    print(f"serving with {len(cluster.pids)} nodes, {leader} leads; records and logs in {cluster.data_dir}")
    for gateway, endpoint in endpoints.items():
        print(f"  {gateway}  {endpoint}")
    all_of_them = ",".join(endpoints.values())
    print("from another shell:")
    for command in ("propose hello", "log", "status"):
        print(f"  paxosctl --endpoints {all_of_them} {command}")
    print("Ctrl-C ends it", flush=True)
