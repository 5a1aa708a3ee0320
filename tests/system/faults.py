"""What is done to real daemons and to the network between them; afterwards every node runs and every link is whole."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Sequence

from tests.system.daemons import DaemonCluster
from tests.system.relay import CLIENTS, Link, both_ways

DRAIN_S_MAX = 5.0
"""How long a daemon may take to exit after SIGTERM."""

SILENCES_S = (2.0, 7.0)
"""How long there is no quorum: shorter and longer than the timeout of patient clients."""

Fault = Callable[[DaemonCluster, random.Random], None]
"""Breaks something for a while; afterwards every node runs again."""


def kill_one(cluster: DaemonCluster, chance: random.Random) -> None:
    """SIGKILL to any node; it is back at once, or a little later."""
    node = chance.choice(sorted(cluster.roles))
    cluster.kill(node)
    time.sleep(chance.uniform(0.0, 1.5))
    cluster.start(node)


def pause_one(cluster: DaemonCluster, chance: random.Random) -> None:
    """SIGSTOP to any node, for less or for much more than an election timeout."""
    node = chance.choice(sorted(cluster.roles))
    cluster.pause(node)
    time.sleep(chance.choice([0.2, 0.6, 1.5, 4.0]))
    cluster.resume(node)


def pause_leader(cluster: DaemonCluster, chance: random.Random) -> None:
    """SIGSTOP to whoever leads, for more than an election timeout."""
    leader = cluster.leader()
    cluster.pause(leader)
    time.sleep(chance.uniform(0.8, 4.0))
    cluster.resume(leader)


def kill_all(cluster: DaemonCluster, chance: random.Random) -> None:
    """SIGKILL to all nodes at once; they come back in any order, and learners sometimes without their files.

    What the acceptors have on disk is all that there is then; else learners would hide it if that were too little.
    """
    nodes = sorted(cluster.roles)
    cluster.kill(*nodes)
    if chance.random() < 0.5:
        for learner in cluster.having("learner"):
            shutil.rmtree(cluster.folder / learner)
    chance.shuffle(nodes)
    cluster.start(*nodes)


def restart_all_in_turn(cluster: DaemonCluster, chance: random.Random) -> None:
    """SIGTERM to one node after the other, each awaited, checked and started again before the next."""
    nodes = sorted(cluster.roles)
    chance.shuffle(nodes)
    for node in nodes:
        started_s = time.monotonic()
        code = cluster.daemons[node].end(signal.SIGTERM)
        took_s = time.monotonic() - started_s
        assert code == 0, f"{node} exited with {code} after SIGTERM:\n{cluster.daemons[node].written()[-2000:]}"
        assert took_s <= DRAIN_S_MAX, f"{node} took {took_s:.1f} s to exit after SIGTERM"
        cluster.start(node)


def minority_alive(cluster: DaemonCluster, chance: random.Random) -> None:
    """SIGKILL or SIGSTOP to so many voters that the others are no quorum, for less or for more than a call lasts."""
    voters = cluster.having("acceptor", "replica")
    gone = chance.sample(voters, len(voters) // 2 + 1)
    killed = chance.random() < 0.5
    cluster.kill(*gone) if killed else cluster.pause(*gone)
    started_s = time.monotonic()
    time.sleep(chance.choice(SILENCES_S))
    cluster.silences.append((started_s, time.monotonic()))
    cluster.start(*gone) if killed else cluster.resume(*gone)


# ---- faults of the network, for clusters that are relayed ------------------------------------


def cut_one(cluster: DaemonCluster, chance: random.Random) -> None:
    """Any node hears and is heard by no other node."""
    links = cluster.network.around(chance.choice(sorted(cluster.roles)))
    _cut(cluster, links, chance.choice([0.2, 0.6, 1.5, 4.0]), chance)


def cut_leader(cluster: DaemonCluster, chance: random.Random) -> None:
    """Whoever leads is not heard, hears nothing, or both."""
    leader = cluster.leader()
    ways = [{link for link in cluster.network.around(leader) if link[end] == leader} for end in (0, 1)]
    _cut(cluster, chance.choice([*ways, ways[0] | ways[1]]), chance.uniform(0.8, 4.0), chance)


def stop_and_cut_leader(cluster: DaemonCluster, chance: random.Random) -> None:
    """SIGSTOP to whoever leads; when it goes on nobody tells it that others have led since, but clients reach it."""
    leader = cluster.leader()
    cluster.pause(leader)
    links = cluster.network.around(leader)
    cluster.network.cut(links)
    time.sleep(chance.uniform(1.5, 3.0))
    cluster.resume(leader)
    _cut(cluster, links, chance.uniform(0.2, 1.5), chance)


def cut_some(cluster: DaemonCluster, chance: random.Random) -> None:
    """Any links, each way by itself; whether somebody still reaches a quorum is left to chance."""
    links = sorted(cluster.network.among())
    _cut(cluster, chance.sample(links, chance.randint(1, len(links) * 2 // 3)), chance.uniform(0.5, 4.0), chance)


def cut_clients(cluster: DaemonCluster, chance: random.Random) -> None:
    """A gateway gets no requests, or its replies get lost, or both."""
    links = both_ways([CLIENTS], [chance.choice(sorted(cluster.gateways))])
    _cut(cluster, chance.sample(sorted(links), chance.choice([1, 2])), chance.uniform(0.5, 4.0), chance)


def slow_some(cluster: DaemonCluster, chance: random.Random) -> None:
    """Half of all links are slow, up to more than half an election timeout."""
    links = sorted(cluster.network.among())
    links = chance.sample(links, len(links) // 2)
    cluster.network.slow(links, chance.choice([0.02, 0.1, 0.3]))
    time.sleep(chance.uniform(0.5, 3.0))
    cluster.network.heal(links)


def reset_some(cluster: DaemonCluster, chance: random.Random) -> None:
    """Connections of nodes and of clients are reset, again and again."""
    links = sorted(cluster.network.among() | both_ways([CLIENTS], cluster.gateways))
    for _ in range(chance.randint(1, 10)):
        cluster.network.reset(chance.sample(links, 3))
        time.sleep(chance.uniform(0.0, 0.3))


def _cut(cluster: DaemonCluster, links: Iterable[Link], duration_s: float, chance: random.Random) -> None:
    """What was said in the meantime arrives late, or is lost with its connections."""
    links = sorted(links)
    cluster.network.cut(links)
    time.sleep(duration_s)
    if chance.random() < 0.5:
        cluster.network.reset(links)
    cluster.network.heal(links)


NETWORK: Sequence[Fault] = [cut_one, cut_leader, stop_and_cut_leader, cut_some, cut_clients, slow_some, reset_some]
