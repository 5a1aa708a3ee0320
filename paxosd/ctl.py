"""`paxosctl`: a cluster from a shell.

Laws:
1. Data goes to stdout, everything else to stderr; JSON is one object per line.
2. Nothing waits longer than `--timeout`, except for `log --follow` while the cluster is well.
3. An error says what became of the command and what to do next, and its exit code says which kind it is.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from paxosd.exits import Exit
from paxosd.flags import add_version, add_write_out

if TYPE_CHECKING:
    from paxosd.client import Client
    from paxosd.core.messages import NodeStatus, StatusReport
    from paxosd.core.types import Ballot, Entry
    from paxosd.tables import Cell

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
  paxosctl status -w json                             the same for programs, and so for every command

The flags may stand before or after the command. Environment: PAXOSCTL_CONFIG, PAXOSCTL_ENDPOINTS,
PAXOSCTL_TIMEOUT; flags win. Exit codes: 0 ok, 1 other error, 2 usage, 4 no quorum or no answer in time (the
message says what became of the command), 5 no node leads, 7 configuration, 130 interrupted.
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

Options: TypeAlias = argparse.Namespace
Connect: TypeAlias = Callable[[Options], "Client"]


def main(arguments: Sequence[str] | None = None, connect: Connect | None = None) -> int:
    """Run `paxosctl` with these arguments; returns the exit code. `connect` makes the client from the options."""
    from paxosd.client.errors import PaxosError

    options = _options(arguments)
    try:
        value = _value(options)
    except OSError as error:
        return _fail(Exit.USAGE, f"the value could not be read from stdin: {error.strerror}; nothing was proposed")
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    try:
        with (connect or _connect)(options) as client:
            code = _run(client, options, value)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except PaxosError as error:
        return _fail(_exit_code(error), error)
    except BrokenPipeError:  # whoever read our output has enough of it
        _abandon_stdout()
        return Exit.OK
    except OSError as error:  # of stdout: what the client raises is a PaxosError
        _abandon_stdout()
        return _fail(Exit.ERROR, f"the answer came, but could not be written to stdout: {error.strerror}")


def _abandon_stdout() -> None:
    """What is still buffered goes nowhere, instead of failing again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(code: Exit, reason: object) -> int:
    print(f"paxosctl: {reason}", file=sys.stderr)
    return code


def _exit_code(error: Exception) -> Exit:
    from paxosd.client.errors import ConfigurationError, OutOfResources, TooLarge, WrongCluster

    if isinstance(error, ConfigurationError | WrongCluster):
        return Exit.CONFIGURATION
    return Exit.ERROR if isinstance(error, TooLarge | OutOfResources) else Exit.UNKNOWN


# ---- what is asked ---------------------------------------------------------------------------


def _options(arguments: Sequence[str] | None) -> Options:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.config and options.endpoints:
        parser.error("--config and --endpoints both name a cluster: give one of them")
    if not options.config and not options.endpoints:
        _take_cluster_from_environment(options, parser)
    if options.timeout is None:
        options.timeout = _timeout_from_environment(parser)
    return options


def _parser() -> argparse.ArgumentParser:
    flags = _flags(argparse.ArgumentParser(add_help=False), default=None)
    # Without defaults of its own, a command does not overwrite what stood before it.
    same_flags = _flags(argparse.ArgumentParser(add_help=False), default=argparse.SUPPRESS)
    parser = argparse.ArgumentParser(
        prog="paxosctl",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[flags],
    )
    add_version(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="propose | log | status")

    def add(command: str, short: str, told: str) -> argparse.ArgumentParser:
        raw = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(command, parents=[same_flags], help=short, description=told, formatter_class=raw)

    propose = add("propose", "put a value into the log", PROPOSE_HELP)
    propose.add_argument("value", metavar="VALUE", help="the value, or - to read it from stdin")
    log = add("log", "print the log, with all that was acknowledged", LOG_HELP)
    log.add_argument("--start", metavar="N", type=_revision, default=1, help="from revision N on (default: 1)")
    log.add_argument("--follow", action="store_true", help="go on with what is chosen later, until Ctrl-C")
    log.add_argument(
        "--stale",
        action="store_true",
        help="what the node at hand has: needs no quorum, and may lack the latest that was acknowledged",
    )
    add("status", "who leads, and how is every node", STATUS_HELP)
    return parser


def _flags(parser: argparse.ArgumentParser, default: str | None) -> argparse.ArgumentParser:
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help=f"the membership file of the cluster (default: {DEFAULT_CONFIG})",
    )
    parser.add_argument(
        "--endpoints", metavar="HOST:PORT,…", default=default, help="where its gateways listen, instead of --config"
    )
    parser.add_argument(
        "--timeout", metavar="S", type=_seconds, default=default, help="how many seconds to wait (default: 5)"
    )
    add_write_out(parser, default or "table")
    return parser


def _seconds(text: str) -> float:
    from paxosd.client.arguments import seconds

    try:
        return seconds(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0, such as 2.5") from None


def _revision(text: str) -> int:
    from paxosd.client.arguments import revision

    try:
        return revision(int(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a revision: they count 1, 2, 3 …") from None


def _take_cluster_from_environment(options: Options, parser: argparse.ArgumentParser) -> None:
    options.config = os.environ.get("PAXOSCTL_CONFIG")
    options.endpoints = os.environ.get("PAXOSCTL_ENDPOINTS")
    if options.config and options.endpoints:
        parser.error("PAXOSCTL_CONFIG and PAXOSCTL_ENDPOINTS both name a cluster: unset one, or give a flag")
    if options.config or options.endpoints:
        return
    if not Path(DEFAULT_CONFIG).exists():
        parser.error(
            f"which cluster? There is no {DEFAULT_CONFIG} here: give --config FILE or --endpoints HOST:PORT,… "
            "(or set PAXOSCTL_CONFIG or PAXOSCTL_ENDPOINTS)"
        )
    options.config = DEFAULT_CONFIG


def _timeout_from_environment(parser: argparse.ArgumentParser) -> float:
    text = os.environ.get("PAXOSCTL_TIMEOUT")
    if not text:
        return DEFAULT_TIMEOUT_S
    try:
        return _seconds(text)
    except argparse.ArgumentTypeError as error:
        parser.error(f"PAXOSCTL_TIMEOUT: {error}")


def _value(options: Options) -> bytes | None:
    """What shall be proposed, read before anything is connected; None for other commands."""
    if options.command != "propose":
        return None
    return sys.stdin.buffer.read() if options.value == "-" else os.fsencode(options.value)


def _connect(options: Options) -> Client:
    from paxosd.client import Client

    if options.config:
        return Client.from_config(options.config, timeout=options.timeout)
    endpoints = [endpoint.strip() for endpoint in options.endpoints.split(",") if endpoint.strip()]
    return Client(endpoints, timeout=options.timeout)


# ---- what is answered ------------------------------------------------------------------------


def _run(client: Client, options: Options, value: bytes | None) -> int:
    as_json = options.write_out == "json"
    if value is not None:
        return _propose(client, value, options.timeout, as_json)
    if options.command == "log":
        return _log(client, options, as_json)
    return _status(client.status(timeout=options.timeout), as_json)


def _propose(client: Client, value: bytes, timeout_s: float, as_json: bool) -> int:
    receipt = client.propose(value, timeout=timeout_s)
    if as_json:
        _print_json({"revision": receipt.revision, "slot": receipt.slot})
    else:
        print(f"revision {receipt.revision}, slot {receipt.slot}")
    return Exit.OK


def _log(client: Client, options: Options, as_json: bool) -> int:
    from paxosd.tables import shown

    if not as_json:
        print("REVISION      SLOT  VALUE", flush=options.follow)
    entries = client.log(options.start, options.follow, options.timeout, linearizable=not options.stale)
    for entry in entries:
        if as_json:
            _print_json(_entry(entry), flush=options.follow)
        else:
            print(f"{entry.revision:8}  {entry.slot:8}  {shown(entry.value)}", flush=options.follow)
    return Exit.OK


def _entry(entry: Entry) -> dict[str, object]:
    where: dict[str, object] = {"revision": entry.revision, "slot": entry.slot}
    try:
        return where | {"value": entry.value.decode("utf-8")}
    except UnicodeDecodeError:
        return where | {"value_b64": base64.b64encode(entry.value).decode("ascii")}


def _status(report: StatusReport, as_json: bool) -> int:
    if as_json:
        _print_json(_report(report))
    else:
        _print_status(report)
    if report.leader:
        return Exit.OK
    print(
        f"paxosctl: {report.gateway} hears no leader: commands fail until a proposer reaches a quorum of acceptors; "
        "look at the nodes that are not reachable",
        file=sys.stderr,
    )
    return Exit.UNHEALTHY


def _print_status(report: StatusReport) -> None:
    from paxosd.tables import escaped, print_table

    facts = {
        "cluster": report.cluster,
        "leader": report.leader or "none",
        "ballot": _ballot(report.ballot) or "none",
        "watermark": report.watermark,
        "revision": report.revision,
        "seen from": report.gateway,
    }
    print(escaped(", ".join(f"{name} {fact}" for name, fact in facts.items())))
    columns = ("NODE", "ROLE", "STATE", "LEADS", "BALLOT", "APPLIED", "LAG", "REVISION")
    print_table(columns, [_row(node, report.watermark) for node in report.nodes], sys.stdout)


def _row(node: NodeStatus, watermark: int) -> tuple[Cell, ...]:
    state = "reachable" if node.reachable else _silence(node.silent_ms)
    ballot = _ballot(node.ballot) or "-"
    leads = "yes" if node.leading else "-"
    if not _applies(node):
        return node.node, node.role, state, leads, ballot, "-", "-", "-"
    return node.node, node.role, state, leads, ballot, node.applied, _lag(node, watermark), node.revision


def _ballot(ballot: Ballot) -> str | None:
    return str(ballot) if ballot.round else None


def _silence(silent_ms: int) -> str:
    if silent_ms < 0:
        return "never heard"
    seconds = silent_ms / 1000
    return f"silent for {seconds:.1f} s" if seconds < 60 else f"silent for {seconds / 60:.0f} min"


def _applies(node: NodeStatus) -> bool:
    return node.role in ("learner", "replica") and node.silent_ms >= 0


def _lag(node: NodeStatus, watermark: int) -> int:
    """How many chosen slots the node had not applied when it was last heard."""
    return max(0, watermark - node.applied)


def _report(report: StatusReport) -> dict[str, object]:
    return {
        "cluster": report.cluster,
        "gateway": report.gateway,
        "leader": report.leader or None,
        "ballot": _ballot(report.ballot),
        "watermark": report.watermark,
        "applied": report.applied,
        "revision": report.revision,
        "nodes": [_node(node, report.watermark) for node in report.nodes],
    }


def _node(node: NodeStatus, watermark: int) -> dict[str, object]:
    applies = _applies(node)
    return {
        "node": node.node,
        "role": node.role,
        "reachable": node.reachable,
        "silent_ms": node.silent_ms if node.silent_ms >= 0 else None,
        "leading": node.leading,
        "ballot": _ballot(node.ballot),
        "watermark": node.watermark,
        "applied": node.applied if applies else None,
        "lag": _lag(node, watermark) if applies else None,
        "revision": node.revision if applies else None,
    }


def _print_json(fields: dict[str, object], flush: bool = False) -> None:
    print(json.dumps(fields), flush=flush)


if __name__ == "__main__":
    sys.exit(main())
