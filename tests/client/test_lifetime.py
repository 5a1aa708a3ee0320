"""What a client leaves behind: forgotten, forked, or open when its interpreter ends; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HEAD = """
import atexit, gc, multiprocessing, os, signal, socket, sys, threading, time
from paxosd import Client, ClientClosed, OutOfResources, PaxosError

server = socket.create_server(("127.0.0.1", 0))  # accepts connections, and never says anything
SILENT = "127.0.0.1:%d" % server.getsockname()[1]

def tell(*words):
    print(*words, flush=True)

def outcome(call):
    try:
        return call()
    except PaxosError as error:
        return f"{type(error).__name__} {error.outcome}"

def held():
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

def held_by_none():
    Client([SILENT]).close()  # what is made once for all clients is made now
    while len(os.listdir("/proc/self/task")) > 1:
        time.sleep(0.005)
    return held()

def await_held(wanted):
    deadline = time.monotonic() + 10
    while held() != wanted and time.monotonic() < deadline:
        time.sleep(0.005)
    return held() == wanted
"""
WITHIN_S = 5.0
"""How long a program may take to end, with the start of an interpreter on a machine that is busy."""


def run(program: str, code: int = 0) -> list[str]:
    started = time.monotonic()
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HEAD + program], capture_output=True, text=True, timeout=30
    )
    assert (told.returncode, told.stderr) == (code, "")
    assert time.monotonic() - started < WITHIN_S
    return told.stdout.splitlines()


# ---- forgotten -----------------------------------------------------------------------------------


def test_clients_that_are_forgotten_give_everything_back() -> None:
    told = run("""
before = held_by_none()
for _ in range(10):
    client = Client([SILENT, SILENT.replace("127.0.0.1", "localhost")], timeout=0.1)
    client.propose_async(b"v", timeout=60)
    outcome(lambda: client.propose(b"raised an error"))
tell(held()[0] - before[0] > 5)
del client
tell(await_held(before))
""")

    assert told == ["True", "True"]


def test_clients_in_a_cycle_of_garbage_go_with_it_also_if_the_collector_runs_in_their_own_threads() -> None:
    told = run("""
class Owner:
    pass
before = held_by_none()
gc.set_threshold(1)  # anywhere, any time
for _ in range(10):
    owner = Owner()
    owner.client, owner.self = Client([SILENT]), owner
    owner.client.propose_async(b"v", timeout=60)
del owner
gc.collect()
tell(await_held(before))
""")

    assert told == ["True"]


def test_a_client_lives_as_long_as_somebody_waits_for_a_result_of_it() -> None:
    told = run("""
future = Client([SILENT]).propose_async(b"v", timeout=0.3)
entries = Client([SILENT]).log(timeout=0.3)
gc.collect()
tell(outcome(future.result), outcome(lambda: next(entries)), outcome(lambda: Client([SILENT]).propose(b"v", 0.1)))
""")

    assert told == ["Unavailable not_applied ReadTimeout not_applied Unavailable not_applied"]


def test_a_client_that_a_finalizer_closes_or_uses_in_its_own_thread_does_not_wait_for_itself() -> None:
    told = run("""
class Closing:
    def __init__(self, client):
        self.client = client
    def __del__(self):
        tell(outcome(lambda: self.client.propose(b"from a finalizer")))
        self.client.close()
client = Client([SILENT])
owned = [Closing(client)]
worker = client._worker
turn = worker._turn
def turn_and_drop():
    turn()
    owned.clear()
worker._turn = turn_and_drop
tell(outcome(lambda: client.propose(b"v")))
""")

    assert told == ["ClientClosed not_applied", "ClientClosed not_applied"]


# ---- the end of the interpreter ------------------------------------------------------------------

ENDS = {
    "an open client": "client = Client([SILENT]); client.propose_async(b'v', timeout=60)",
    "many open clients": "clients = [Client([SILENT]) for _ in range(8)]",
    "calls in daemon threads": """
clients = [Client([SILENT]) for _ in range(3)]
def call(client):
    while True:
        outcome(lambda: client.propose(b"v", timeout=60))
for client in clients * 3:
    threading.Thread(target=call, args=(client,), daemon=True).start()
time.sleep(0.1)
""",
    "a reader that follows": """
client = Client([SILENT])
entries = client.log(follow=True, timeout=60)
threading.Thread(target=lambda: outcome(lambda: next(entries)), daemon=True).start()
time.sleep(0.1)
""",
    "a look-up": "client = Client(['no-such-host.invalid:7100']); client.propose_async(b'v', timeout=60)",
    "a thread that leaves": """
client = Client([SILENT])
def leave():
    client.propose_async(b"v", timeout=60)
    sys.exit(3)
threading.Thread(target=leave).start()
""",
    "a client that was closed": "client = Client([SILENT]); client.close()",
}


@pytest.mark.parametrize("what", ENDS)
def test_an_interpreter_ends_at_once_and_in_silence_with(what: str) -> None:
    run(
        ENDS[what]
        + """
def took(begin=time.monotonic()):
    tell(time.monotonic() - begin < 1.5)
atexit._run_exitfuncs()
took()
"""
    )


def test_at_the_exit_everything_is_given_back_and_callers_are_told() -> None:
    told = run("""
before = held_by_none()
clients = [Client([SILENT]) for _ in range(3)]
future = clients[0].propose_async(b"v", timeout=60)
atexit._run_exitfuncs()
tell(outcome(future.result), await_held(before))
""")

    assert told == ["ClientClosed not_applied True"]


def test_a_hook_at_the_exit_can_still_use_a_client() -> None:
    told = run("client = Client([SILENT])\natexit.register(lambda: tell(outcome(lambda: client.propose(b'v', 0.1))))")

    assert told == ["Unavailable not_applied"]


def test_a_thread_that_goes_on_after_the_main_one_has_its_result_first() -> None:
    told = run("""
client = Client([SILENT])
threading.Thread(target=lambda: tell(outcome(lambda: client.propose(b"v", timeout=0.5)))).start()
""")

    assert told == ["Unavailable not_applied"]


def test_a_process_that_leaves_from_another_thread_leaves() -> None:
    run("threading.Timer(0.2, os._exit, (7,)).start()\nClient([SILENT]).propose(b'v', timeout=60)", code=7)


def test_a_ctrl_c_in_any_wait_returns_at_once_and_the_client_goes_on() -> None:
    told = run("""
def interrupted(call):
    begin = time.monotonic()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        call()
    except KeyboardInterrupt:
        return time.monotonic() - begin < 1.0
client = Client([SILENT], timeout=60)
future = client.propose_async(b"v")
tell(interrupted(lambda: client.propose(b"v")), interrupted(future.result), interrupted(client.status))
tell(interrupted(lambda: next(client.log())), outcome(lambda: client.propose(b"v", timeout=0.1)))
""")

    assert told == ["True True True", "True Unavailable not_applied"]


# ---- forks ---------------------------------------------------------------------------------------

CHILD = """
client = Client([SILENT])
future = client.propose_async(b"v", timeout=1.0)

def child():
    tell(*(outcome(call) for call in (lambda: client.propose(b"v"), future.result, client.status, client.log)))
    with Client([SILENT], timeout=0.1) as own:
        tell(outcome(lambda: own.propose(b"v")))

def parent():
    tell(outcome(future.result), outcome(lambda: client.propose(b"v", timeout=0.1)))
"""
CHILD_TELLS = [
    "ClientClosed not_applied ClientClosed unknown ClientClosed not_applied ClientClosed not_applied",
    "Unavailable not_applied",
]
PARENT_TELLS = ["Unavailable not_applied Unavailable not_applied"]

FORKS = {
    "exits": "if not os.fork():\n    child()\n    sys.exit()\n",
    "exits at once": "if not os.fork():\n    child()\n    os._exit(0)\n",
    "closes": "if not os.fork():\n    child()\n    client.close()\n    sys.exit()\n",
    "forgets": "if not os.fork():\n    child()\n    del client, future\n    gc.collect()\n    sys.exit()\n",
    "leaves a client of its own open": "if not os.fork():\n    child()\n    own = Client([SILENT])\n    sys.exit()\n",
    "is forked in a thread": """
def fork():
    if not os.fork():
        child()
        os._exit(0)
thread = threading.Thread(target=fork)
thread.start()
thread.join()
""",
    "is a process of multiprocessing": """
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
""",
}


@pytest.mark.parametrize("what", FORKS)
def test_a_child_has_a_clear_answer_and_its_parent_goes_on_when_it(what: str) -> None:
    wait = "" if "multiprocessing" in what else "tell(os.wait()[1])\n"
    told = run(CHILD + FORKS[what] + wait + "parent()\n")

    assert told == CHILD_TELLS + (["0"] if wait else []) + PARENT_TELLS


def test_a_client_that_a_fork_server_s_child_makes_works() -> None:
    told = run("""
context = multiprocessing.get_context("forkserver")
client = Client([SILENT])
process = context.Process(target=print, args=("the child",))
process.start()
process.join()
tell(process.exitcode, outcome(lambda: client.propose(b"v", timeout=0.1)))
""")

    assert told[-1] == "0 Unavailable not_applied"


# ---- shortage ------------------------------------------------------------------------------------


def test_with_any_number_of_descriptors_a_client_works_or_is_refused_and_a_shortage_in_between_is_survived() -> None:
    told = run("""
import resource
def limit(count):
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, 1024))
made = []
for count in range(5, 60, 2):
    limit(count)
    made.append(outcome(lambda: Client([SILENT]).close()))
tell(*sorted(set(map(str, made))))
limit(1024)
servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
client = Client(["localhost:%d" % listening.getsockname()[1] for listening in servers])
limit(held()[0])
tell(outcome(lambda: client.propose(bytes(900_000), timeout=1.5)))
limit(1024)
tell(outcome(lambda: client.propose(bytes(900_000), timeout=0.5)))
servers[0].settimeout(10)
tell(servers[0].accept() is not None)
""")

    assert told == [
        "None OutOfResources not_applied",
        "Unavailable not_applied",
        "Unavailable not_applied",
        "True",
    ]


def test_a_thread_that_cannot_be_started_is_an_error_and_nothing_is_left() -> None:
    told = run("""
def refuse(self):
    raise RuntimeError("can't start new thread")
before = held_by_none()
start, threading.Thread.start = threading.Thread.start, refuse
for _ in range(3):
    tell(outcome(lambda: Client([SILENT])))
threading.Thread.start = start
tell(await_held(before), outcome(lambda: Client([SILENT]).propose(b"v", timeout=0.1)))
""")

    assert told == ["OutOfResources not_applied"] * 3 + ["True Unavailable not_applied"]


def test_a_client_whose_thread_hangs_is_given_up_by_its_callers() -> None:
    told = run("""
import paxosd.client.worker
paxosd.client.worker.GRACE_S = 0.2
client = Client([SILENT], timeout=0.2)
hang = threading.Event()
client._worker._take_submitted = hang.wait
tell(outcome(lambda: client.propose(b"v")), outcome(client.status))
hang.set()
""")

    assert told == ["ProposeTimeout unknown ReadTimeout not_applied"]


def test_o02_what_waits_for_a_thread_that_hangs_is_bounded_in_bytes() -> None:
    told = run("""
client = Client([SILENT])
hang = threading.Event()
take = client._worker._take_submitted
client._worker._take_submitted = lambda: (hang.wait(), take())
client._worker._link.wake()
taken = 0
try:
    while taken < 40:
        client.propose_async(bytes(1 << 20), timeout=0.1)
        taken += 1
except PaxosError as error:
    tell(taken, type(error).__name__, error.outcome)
hang.set()
tell(outcome(lambda: client.propose(b"v", timeout=0.5)))
""")

    assert told == ["16 Overloaded not_applied", "Unavailable not_applied"]


def test_memory_that_is_short_for_a_frame_loses_the_frame_and_in_the_session_it_ends_the_client() -> None:
    told = run("""
def short(*_):
    raise MemoryError
client = Client([SILENT])
receive, client._worker._link.receive = client._worker._link.receive, short
tell(outcome(lambda: client.propose(b"v", timeout=0.3)))
client._worker._link.receive = receive
tell(outcome(lambda: client.propose(b"v", timeout=0.3)))
client._worker.session.propose = short
tell(outcome(lambda: client.propose(b"v")), outcome(lambda: client.propose(b"v")))
""")

    assert told == [
        "Unavailable not_applied",
        "Unavailable not_applied",
        "OutOfResources not_applied OutOfResources not_applied",
    ]
