"""The listening sockets of the gateways."""

from __future__ import annotations

import contextlib
import socket

import pytest

from hextrackr_server.cluster.processes import _open_sockets
from socketio_core.workers import sockets as worker_sockets

GATEWAYS, CLIENTS = 4, 80


def test_connections_are_spread_over_the_gateways() -> None:
    """With one common socket, a gateway may receive no connection at all."""
    with contextlib.ExitStack() as stack:
        listening = _open_sockets("127.0.0.1", 0, GATEWAYS)
        for gateway in listening:
            for each in gateway:
                stack.enter_context(each)
        address = listening[0][0].getsockname()
        for _ in range(CLIENTS):
            stack.enter_context(socket.create_connection(address))
        accepted = []
        for (each,) in listening if worker_sockets.BALANCES else listening[:1]:
            count = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    each.accept()[0].close()
                    count += 1
            accepted.append(count)
    assert sum(accepted) == CLIENTS
    assert min(accepted) > 0, accepted


def test_gateways_share_one_socket_when_the_system_does_not_balance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_sockets, "BALANCES", False)
    listening = _open_sockets("localhost", 0, GATEWAYS)
    try:
        assert len({each.fileno() for gateway in listening for each in gateway}) == len(
            listening[0]
        )
        ports = {each.getsockname()[1] for gateway in listening for each in gateway}
        assert len(ports) == 1, "all addresses of a host have the same port"
    finally:
        for each in listening[0]:
            each.close()


def test_second_server_on_the_port_is_refused() -> None:
    listening = _open_sockets("127.0.0.1", 0, 2)
    try:
        port = listening[0][0].getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            _open_sockets("127.0.0.1", port, 2)
    finally:
        for (each,) in listening:
            each.close()
