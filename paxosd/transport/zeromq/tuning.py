"""What all sockets have in common: how fast a dead connection is noticed, and how soon one is made again."""

from __future__ import annotations

import zmq

RECONNECT_FIRST_MS = 50
RECONNECT_MAX_MS = 500
CONNECT_TIMEOUT_MS = 2000
HANDSHAKE_TIMEOUT_MS = 5000
KEEPALIVE_IDLE_S = 1
KEEPALIVE_INTERVAL_S = 1
KEEPALIVE_PROBES = 3
UNACKNOWLEDGED_MAX_MS = 3000
"""A kernel acknowledges for a process that is busy or stopped: only a dead connection is silent for so long."""


def tune(socket_: zmq.Socket[bytes]) -> None:
    """Set what all sockets have in common."""
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.IPV6, 1),
        (zmq.RECONNECT_IVL, RECONNECT_FIRST_MS),
        (zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS),
        (zmq.CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS),
        (zmq.HANDSHAKE_IVL, HANDSHAKE_TIMEOUT_MS),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S),
        (zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_S),
        (zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_PROBES),
        (zmq.TCP_MAXRT, UNACKNOWLEDGED_MAX_MS),
    ):
        socket_.set(option, value)
