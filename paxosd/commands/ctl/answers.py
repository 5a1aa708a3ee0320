"""What `paxosctl` prints: for people, or as JSON for programs.

Laws:
1. JSON is one object a line, and ASCII; bytes that are no text are in base64.
2. What was done before an answer could not be written is said.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from typing import TYPE_CHECKING

from paxosd.commands.tables import Cell, print_table
from paxosd.core.options import BEHIND_SLOTS
from paxosd.core.space import Space, space_of
from paxosd.core.standing import GUEST, is_copying
from paxosd.core.types import Lag, disk_text
from paxosd.excerpts import escaped, shown
from paxosd.process import signals
from paxosd.process.exits import Exit
from paxosd.process.streams import Unwritten, tell

if TYPE_CHECKING:
    from paxosd.client import Client
    from paxosd.core.messages import NodeStatus, StatusReport
    from paxosd.core.types import Ballot, Entry


def propose(client: Client, options: argparse.Namespace) -> int:
    """Put what was given into the log, and print where it stands; returns the exit code, as all of these do."""
    signals.last_words = b"paxosctl: ended while the value was on its way: read the log before you propose it again\n"
    receipt = client.propose(options.given, timeout=options.timeout)
    signals.last_words = b""
    try:
        if options.write_out == "json":
            _print_json({"revision": receipt.revision, "slot": receipt.slot})
        else:
            print(f"revision {receipt.revision}, slot {receipt.slot}")
        sys.stdout.flush()
    except Unwritten as error:
        error.became = f"the value was applied, at revision {receipt.revision} (do not propose it again)"
        raise
    return Exit.OK


def log(client: Client, options: argparse.Namespace) -> int:
    """Print entries of the log."""
    as_json = options.write_out == "json"
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


def status(client: Client, options: argparse.Namespace) -> int:
    """Print how the cluster is."""
    report = client.status(timeout=options.timeout)
    if options.write_out == "json":
        _print_json(_report(report))
    else:
        _print_status(report)
    alarms = {node.alarm: node.node for node in reversed(report.nodes) if node.alarm}
    for alarm, node_id in alarms.items():
        tell("paxosctl", f"ALARM: {node_id}: {alarm}")
    short = [node for node in report.nodes if space_of(node.space).is_short]
    if short:
        tell("paxosctl", _alarm(short, report))
    if report.leader and (new := _new_disks(report)):
        tell("paxosctl", f"{new} new, and will vote by and by: until VOTES says yes, replace no other disk")
    behind = [node for node in report.nodes if _is_behind(node, report.watermark)]
    if report.leader and behind and all(node in behind for node in report.nodes if node.reachable and _applies(node)):
        tell("paxosctl", f"no gateway serves commands yet: {'; '.join(_progress(node, report) for node in behind)}")
        return Exit.UNHEALTHY
    if report.leader:
        return Exit.UNHEALTHY if alarms or _refuses(report) else Exit.OK
    if report.why not in alarms and (report.why or not alarms):
        tell("paxosctl", f"{report.gateway} hears no leader: {report.why or _PATIENCE}")
    return Exit.UNHEALTHY


def _new_disks(report: StatusReport) -> str:
    """Which disks do not vote yet; empty: all do that are heard."""
    heard = [node for node in report.nodes if node.reachable]
    new = [node.node for node in heard if node.standing == GUEST or is_copying(node.standing)]
    if not new:
        return ""
    return f"the disks of {', '.join(new)} are" if len(new) > 1 else f"the disk of {new[0]} is"


_PATIENCE = "commands fail until a proposer reaches a quorum of acceptors; look at the nodes that are not reachable"


def _awaited(report: StatusReport) -> str:
    """The acceptors for which a birth waits, as a proposer said last."""
    return "" if report.history else next((node.waits_for for node in report.nodes if node.waits_for), "")


def _alarm(short: list[NodeStatus], report: StatusReport) -> str:
    disks = ", ".join(f"{node.node} ({_disk(node)})" for node in short)
    became = "the leader refuses commands (NoSpace)" if _refuses(report) else "commands are taken, for others have room"
    if not report.leader:
        became = "nobody leads, so no commands are taken"
    return f"ALARM: disks are nearly full: {disks}; {became}; make room there, or raise storage.quota"


def _refuses(report: StatusReport) -> bool:
    return any(node.refuses for node in report.nodes)


def _disk(node: NodeStatus) -> str:
    """How the disk is, and what the node takes of it."""
    space = space_of(node.space)
    return "-" if space is Space.UNKNOWN else f"{_SPACES[space]}, {node.data_bytes / (1 << 20):.1f} MiB"


_SPACES = {Space.ENOUGH: "ok", Space.LOW: "nearly full", Space.FULL: "FULL"}


def _print_status(report: StatusReport) -> None:
    facts = {
        "cluster": report.cluster,
        "leader": report.leader or "none",
        "ballot": _ballot(report.ballot) or "none",
        "watermark": report.watermark,
        "revision": report.revision,
        "history": report.history.hex()[:8] or "not born yet",
        "seen from": report.gateway,
    }
    print(escaped(", ".join(f"{name} {fact}" for name, fact in facts.items())))
    columns = ("NODE", "ROLE", "STATE", "LEADS", "BALLOT", "APPLIED", "LAG", "REVISION", "DISK", "VOTES")
    print_table(columns, [_row(node, report) for node in report.nodes], sys.stdout)


def _is_behind(node: NodeStatus, watermark: int) -> bool:
    return node.reachable and _applies(node) and _lag(node, watermark) >= BEHIND_SLOTS


def _progress(node: NodeStatus, report: StatusReport) -> str:
    return f"{node.node} catches up, {Lag(node.applied, report.watermark, node.per_s)}"


def _row(node: NodeStatus, report: StatusReport) -> tuple[Cell, ...]:
    watermark = report.watermark
    state = "reachable" if node.reachable else _silence(node.silent_ms)
    if report.history and node.history not in (b"", report.history):
        state = f"of history {node.history.hex()[:8]}"
    if _is_behind(node, watermark):
        state = f"catches up, {node.per_s} slots/s"
    ballot = _ballot(node.ballot) or "-"
    leads = "yes" if node.leading else "-"
    if not _applies(node):
        return node.node, node.role, state, leads, ballot, "-", "-", "-", _disk(node), _votes(node)
    return (
        node.node,
        node.role,
        state,
        leads,
        ballot,
        node.applied,
        _lag(node, watermark),
        node.revision,
        _disk(node),
        _votes(node),
    )


def _votes(node: NodeStatus) -> str:
    """Whether the disk of an acceptor votes, as it said last."""
    return "yes" if node.standing == "voter" else node.standing or "-"


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
        "refuses_commands": _refuses(report),
        "history": report.history.hex() or None,
        "birth_waits_for": _awaited(report) or None,
        "why_nobody_leads": report.why or None,
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
        "catches_up": _is_behind(node, watermark),
        "slots_per_s": node.per_s if applies else None,
        "revision": node.revision if applies else None,
        "space": space_of(node.space).name.lower(),
        "data_bytes": node.data_bytes if node.space else None,
        "room_bytes": node.room_bytes if node.space else None,
        "history": node.history.hex() or None,
        "disk": disk_text(node.disk) if node.disk else None,
        "votes": node.standing or None,
        "alarm": node.alarm or None,
    }


def _print_json(fields: dict[str, object], flush: bool = False) -> None:
    print(json.dumps(fields), flush=flush)
