"""Without threads or descriptors there is an error, where libzmq would end the process; in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paxosd.process.native import NativeThread
from paxosd.transport import shortage
from paxosd.transport.shortage import Shortage, require_descriptors, require_threads, room_for

LIMITS = """
import os, resource, threading
from paxosd.transport.shortage import Shortage, open_context
from paxosd.transport.zeromq.node import ZeroMQTransport
from paxosd.transport.zeromq.link import ZeroMQLink

def descriptors(count):
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, 1024))

def more_memory(count):
    with open("/proc/self/status") as status:
        used = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))
    resource.setrlimit(resource.RLIMIT_AS, (used + count, -1))

def attempt(make):
    before = len(os.listdir("/proc/self/fd"))
    try:
        make().close()
        return "made"
    except Shortage as error:
        assert len(os.listdir("/proc/self/fd")) == before
        return str(error)

def link():
    return ZeroMQLink(1 << 20)

def node():
    return ZeroMQTransport("a", {"b": "tcp://127.0.0.1:9"}, "tcp://127.0.0.1:*", None, 1 << 20, 1 << 20)
"""


def run(program: str) -> list[str]:
    told = subprocess.run([sys.executable, "-c", LIMITS + program], capture_output=True, text=True, timeout=60)
    assert (told.returncode, told.stderr) == (0, "")
    return told.stdout.splitlines()


@pytest.mark.parametrize("make", ["link", "node"])
def test_with_any_number_of_descriptors_left_a_transport_is_made_or_refused(make: str) -> None:
    told = run(f"""
for count in range(5, 61):
    descriptors(count)
    print(attempt({make}))
""")

    assert set(told) >= {"made"}
    refused = set(told) - {"made"}
    assert refused
    assert all("Too many open files" in why and "ulimit -n" in why for why in refused)


def test_without_memory_for_a_thread_a_transport_is_refused_and_nothing_is_left() -> None:
    told = run("""
more_memory(64 << 20)
stop = threading.Event()
try:
    while True:
        threading.Thread(target=stop.wait, daemon=True).start()
except RuntimeError:
    pass
print(attempt(link), attempt(node), sep="\\n")
more_memory(1 << 30)
print(attempt(link), attempt(node), sep="\\n")
""")

    assert told[2:] == ["made", "made"]
    assert all("no thread: can't start new thread; end others" in why for why in told[:2])


def test_what_was_tried_out_is_given_back() -> None:
    def opened() -> list[str]:
        return sorted(file.name for file in Path("/proc/self/fd").iterdir())

    before = opened()
    require_descriptors(100)
    require_threads(3)

    assert opened() == before


def test_threads_of_a_trial_count_no_more_when_it_is_over() -> None:
    """The system counts a thread until it has forgotten it, which is a moment after its work ended."""
    before = set(Path("/proc/self/task").iterdir())
    for _ in range(200):
        require_threads(4)

        assert set(Path("/proc/self/task").iterdir()) <= before


def test_threads_that_were_started_end_when_one_more_could_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[NativeThread] = []

    class Second(NativeThread):
        def __init__(self, *arguments: object) -> None:
            if started:
                raise RuntimeError("can't start new thread")
            super().__init__(*arguments)  # type: ignore[arg-type]
            started.append(self)

    monkeypatch.setattr(shortage, "NativeThread", Second)
    with pytest.raises(Shortage, match="no thread: can't start new thread"):
        require_threads(2)

    assert started[0].join(10)


def test_room_is_counted_on_by_one_thread_at_a_time() -> None:
    entered: list[str] = []

    def enter() -> None:
        with room_for(1):
            entered.append("the second")

    with room_for(1), room_for(1):  # its own thread may come in again
        second = NativeThread(enter, "second")
        assert not second.join(0.1)
        entered.append("the first")

    assert second.join(10)
    assert entered == ["the first", "the second"]


def test_many_threads_that_make_clients_at_once_are_served_or_refused_and_so_is_a_child_that_forks_meanwhile() -> None:
    told = run("""
descriptors(60)
told = []
def make():
    for _ in range(10):
        told.append(attempt_one())
def attempt_one():
    try:
        link().close()
        return True
    except Shortage:
        return False
threads = [threading.Thread(target=make) for _ in range(8)]
for thread in threads:
    thread.start()
children = []
for _ in range(5):
    child = os.fork()
    if not child:
        descriptors(200)
        os._exit(not attempt_one())
    children.append(child)
for thread in threads:
    thread.join()
print(len(told), any(told), [os.waitpid(child, 0)[1] for child in children])
""")

    assert told == ["80 True [0, 0, 0, 0, 0]"]


def test_a_large_frame_that_cannot_be_tracked_is_dropped_and_the_next_one_is_tried() -> None:
    told = run("""
peer, sender = ZeroMQTransport("b", {}, "tcp://127.0.0.1:*", None, 1 << 20, 1 << 20), None
sender = ZeroMQTransport("a", {"b": peer.listen_url}, "tcp://127.0.0.1:*", None, 1 << 20, 1 << 20)
def reaches(frame):
    for _ in range(20):
        sender.send("b", frame)
        sender.wait(0.02)
        peer.wait(0.02)
        if frame in [inbound.frame for inbound in peer.drain(100)]:
            return True
    return False
while not reaches(b"small"):
    pass
descriptors(len(os.listdir("/proc/self/fd")) + 5)
print(reaches(bytes(100_000)), reaches(b"small"))
descriptors(1024)
start, threading.Thread.start = threading.Thread.start, lambda self: (_ for _ in ()).throw(RuntimeError("no thread"))
print(reaches(bytes(100_000)), reaches(b"small"))
threading.Thread.start = start
print(reaches(bytes(100_000)))
""")

    assert told == ["False True", "False True", "True"]
