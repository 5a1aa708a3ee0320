"""The face for threads, made of the one for asyncio; `python -m tests.client.two_faces` writes it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parent.parent.parent / "paxosd" / "client"
FILES = ("holds.py", "keys.py", "locks.py", "meetings.py", "queues.py")

WORDS = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait\s+", ""),
    (r"__a(enter|exit)__", r"__\1__"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"paxosd\.client\.aio\b", "paxosd.client.threads"),
)


def for_threads(text: str) -> str:
    """The same for threads, in the order and the form that our sources have."""
    for pattern, instead in WORDS:
        text = re.sub(pattern, instead, text)
    for arguments in (["check", "--fix-only", "--quiet", "--select", "I"], ["format", "--quiet"]):
        command = [
            sys.executable,
            "-m",
            "ruff",
            *arguments,
            "--stdin-filename",
            str(CLIENT / "threads" / "made.py"),
            "-",
        ]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> None:
    """Write all of it."""
    for name in FILES:
        (CLIENT / "threads" / name).write_text(for_threads((CLIENT / "aio" / name).read_text()))


if __name__ == "__main__":
    main()
