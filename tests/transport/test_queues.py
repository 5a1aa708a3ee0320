"""Queues keep the transport's contract; `tests/test_local.py` kills the processes that use them."""

from __future__ import annotations

from paxosd.transport.base import ClientLink
from paxosd.transport.queues import URL_SCHEME, QueueTransport, Switchboard
from tests.transport.contract import FRAME_BYTES_MAX, Net, TransportContract, gather


class QueueNet:
    def __init__(self, loss: float = 0.0) -> None:
        self._switchboard = Switchboard(FRAME_BYTES_MAX, loss, seed=7)
        self.gateway = f"{URL_SCHEME}b"
        self.a = QueueTransport(self._switchboard.replace("a"))
        self.b = QueueTransport(self._switchboard.replace("b"))

    def link(self) -> ClientLink:
        return self._switchboard.link()

    def restart_b(self) -> None:
        self.b.close()
        self.b = QueueTransport(self._switchboard.replace("b"))

    def close(self) -> None:
        self.a.close()
        self.b.close()
        self._switchboard.close()


class TestQueueTransport(TransportContract):
    def open(self) -> Net:
        return QueueNet()


def test_a_simulated_loss_is_drawn_from_its_seed_and_counted() -> None:
    lost = []
    for _ in range(2):
        net = QueueNet(loss=0.5)
        for _ in range(100):
            net.a.send("b", b"x")
        lost.append(net.a.dropped["simulated loss"])
        arrived = gather(net.b, 100 - lost[-1])
        net.close()

        assert len(arrived) == 100 - lost[-1]
    assert lost[0] == lost[1]
    assert 30 < lost[0] < 70


def test_a_frame_to_a_client_that_is_gone_is_dropped_and_its_gateway_is_told() -> None:
    net = QueueNet()
    link = net.link()
    link.send(net.gateway, b"hello")
    client = gather(net.b, 1)[0].client
    assert client is not None
    link.close()
    net.b.reply(client, b"too late")
    while not net.b.dropped["client gone"]:
        net.b.wait(0.05)
        net.b.drain(10)
    net.close()
