"""`paxosctl backup` and `archive`: a backup of a live cluster, what a file holds, and the log as it grows."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from paxosd.backup.file import FORMAT, BackupSummary, draft_exists, require_absent, summary
from paxosd.backup.following import follow
from paxosd.backup.taking import take
from paxosd.commands.progress import bar
from paxosd.commands.tables import print_table
from paxosd.process import signals
from paxosd.process.exits import Exit
from paxosd.process.streams import Unwritten, tell

if TYPE_CHECKING:
    from paxosd.client import Client

TOLD_EVERY_S = 1.0
"""How often it is said how far an archive is, at most."""


def back_up(client: Client, options: argparse.Namespace) -> int:
    """Write a backup of the client's cluster, and print what it is; raises `BackupError` or `PaxosError`."""
    file = Path(options.file)
    require_absent(file)
    if draft_exists(file):
        print(f"paxosctl: going on with what {file}.part holds", file=sys.stderr)
    signals.last_words = b"paxosctl: ended before the backup was whole: run the same command again, and it goes on\n"
    with bar("backup") as progress:
        header, position = take(client, file, options.timeout, options.stale, progress)
    signals.last_words = b""
    try:
        if options.write_out == "json":
            print(json.dumps({"file": str(file), "bytes": file.stat().st_size, **asdict(header), **asdict(position)}))
        else:
            print(f"{file}: revision {position.revision}, every slot below {position.watermark}")
        sys.stdout.flush()
    except Unwritten as error:
        error.became = f"the backup {file} is whole"
        raise
    return Exit.OK


def archive(client: Client, options: argparse.Namespace) -> int:
    """Follow the log of the client's cluster into a directory; raises `BackupError` or `PaxosError`."""
    folder, as_json = Path(options.folder), options.write_out == "json"
    told_at = -TOLD_EVERY_S
    stop = 0

    def told(done: int, total: int) -> None:
        nonlocal told_at, stop
        if done > stop and time.monotonic() >= told_at + TOLD_EVERY_S:
            told_at, stop = time.monotonic(), done
            _print_archived(folder, done, as_json)

    end = follow(client, folder, options.timeout, options.once, told, lambda text: tell("paxosctl", text))
    if end > stop:
        _print_archived(folder, end, as_json)
    return Exit.OK


def _print_archived(folder: Path, stop: int, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"archive": str(folder), "watermark": stop}), flush=True)
    else:
        print(f"{folder}: every slot below {stop}", flush=True)


def show(file: Path, as_json: bool) -> int:
    """Read a backup to its end, and print what it holds; raises `BackupError`."""
    found = summary(file)
    if as_json:
        print(json.dumps(_fields(file, found)))
    else:
        print_table(("BACKUP", str(file)), _rows(found), sys.stdout)
    return Exit.OK


def _fields(file: Path, found: BackupSummary) -> dict[str, object]:
    counts = {"bytes": found.size, "values": found.values, "kept": found.kept, "revisions": found.revisions}
    about = asdict(found.header) | asdict(found.position)
    return {"file": str(file), "format": FORMAT, "whole": True, **counts, **about}


def _rows(found: BackupSummary) -> list[tuple[str, str]]:
    header, position = found.header, found.position
    weights = ", ".join(f"{node} ({weight})" for node, weight in header.weights.items())
    facts = {
        "whole": f"yes, {found.size} bytes, format {FORMAT}",
        "cluster": header.cluster,
        "history": header.history or "not known",
        "revision": str(position.revision),
        "slots": f"{header.first} to {position.watermark - 1}, every one below {position.watermark}",
        "log time": f"{position.log_time_ms} ms",
        "digest of the state": position.digest or "none",
        "rows of the state": f"{found.kept}, at slot {header.kept}" if found.kept else "none: the log is whole",
        "acceptors (weights)": weights or "not known",
        "quorums": f"prepare {header.prepare}, accept {header.accept}" if header.prepare else "not known",
        "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(position.made_at)) + f", by paxosd {header.version}",
    }
    return list(facts.items())
