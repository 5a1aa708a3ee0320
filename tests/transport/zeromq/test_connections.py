from __future__ import annotations

import fcntl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from paxosd.transport.zeromq.connections import Handle

TRY = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("held")
"""


def test_looking_at_a_file_that_is_no_connection_gives_up_no_lock_on_it(tmp_path: Path) -> None:
    path = tmp_path / "database"
    with path.open("w+b") as file, closing(Handle()) as handle:
        fcntl.lockf(file, fcntl.LOCK_EX)

        assert handle.port_and_far_end(file.fileno()) is None
        assert subprocess.run([sys.executable, "-c", TRY, path], capture_output=True, text=True).stdout == "held\n"
