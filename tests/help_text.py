"""What a `--help` of ours has to have."""

from __future__ import annotations

import re


def unexplained(told: str) -> list[str]:
    """The arguments and flags in this output of argparse that say nothing of what they mean, or only a default."""
    start = min(told.find(heading) for heading in ("positional arguments:\n", "options:\n") if heading in told)
    entries = re.findall(r"^  (\S.*(?:\n {4,}.*)*)", told[start:], re.MULTILINE)
    return [entry for entry in entries if not re.search(r"(?:\S {2,}|\n +)(?!\(default)\S", entry)]
