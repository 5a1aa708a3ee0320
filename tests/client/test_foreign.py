"""A client in a process whose threads are not what they seem: patched by gevent, before and after it was imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.daemons import REPLICAS, DaemonCluster

PROGRAM = """
import sys, time
PATCH
import gevent
from paxosd import PaxosError
ticks = 0
def tick():
    global ticks
    while True:
        gevent.sleep(0.001)
        ticks += 1
ticker = gevent.spawn(tick)
with Client(sys.argv[1:], timeout=20) as client:
    first = client.propose(b"first")
    calls = [gevent.spawn(client.propose, bytes(100_000)) for _ in range(20)]
    revisions = sorted(call.get().revision for call in calls)
    print(revisions == list(range(first.revision + 1, first.revision + 21)))
    print(len(list(client.log(start=first.revision))), client.status().cluster)
print(ticks > 5)
client = Client(["127.0.0.1:1", "no-such-host.invalid:1"])
begin, ticks = time.monotonic(), 0
try:
    client.propose(b"nobody is there", timeout=0.5)
except PaxosError as error:
    print(type(error).__name__, 0.5 <= time.monotonic() - begin < 2.0, ticks > 5)
"""

PATCHES = {
    "before the import": "from gevent import monkey; monkey.patch_all(); from paxosd import Client",
    "after the import": "from paxosd import Client; Client; from gevent import monkey; monkey.patch_all()",
    "all but threads": "from gevent import monkey; monkey.patch_all(thread=False); from paxosd import Client",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonCluster]:
    with DaemonCluster(tmp_path_factory.mktemp("cluster"), REPLICAS) as running:
        running.leader()
        yield running


@pytest.mark.parametrize("when", PATCHES)
def test_a_client_works_and_its_timeouts_hold_in_a_process_that_gevent_patched(
    when: str, cluster: DaemonCluster, tmp_path: Path
) -> None:
    program = tmp_path / "patched.py"
    program.write_text(PROGRAM.replace("PATCH", PATCHES[when]))
    addresses = [url.removeprefix("tcp://").replace("127.0.0.1", "localhost") for url in cluster.gateways.values()]
    told = subprocess.run([sys.executable, program, *addresses], capture_output=True, text=True, timeout=60)

    assert told.stderr == ""
    assert told.stdout.splitlines() == ["True", "21 test", "True", "Unavailable True True"]
