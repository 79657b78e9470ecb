"""The listening sockets of the gateways."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.cluster import gateway as gateway_module
from hextrackr_server.cluster.gateway import GatewayServer
from hextrackr_server.cluster.processes import _open_sockets
from hextrackr_server.cluster.rendezvous import Rendezvous
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import SettingsError
from socketio_core.workers import sockets as worker_sockets
from tests.helpers.waiting import LIMIT, until

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


@pytest.mark.parametrize("is_linked", [True, False])
async def test_gateway_accepts_connections_after_its_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_linked: bool
) -> None:
    """Connections wait in the listening socket; without a link, they do not wait long."""
    settings = Settings(port=0, database=tmp_path / "hub.db", jwt_secret=b"s" * 32)
    rendezvous = Rendezvous.create(settings)
    server = GatewayServer(settings, rendezvous, 1)
    steps: list[str] = []
    listening = asyncio.Event()

    async def link(*_: Any) -> None:
        await asyncio.Event().wait()

    async def linked() -> None:
        steps.append("waits for the link")
        if not is_linked:
            await asyncio.Event().wait()
        steps.append("linked")

    async def listen(**_: Any) -> None:
        steps.append("listens")
        listening.set()

    monkeypatch.setattr(server._gateway, "run", link)
    monkeypatch.setattr(server._gateway, "linked", linked)
    monkeypatch.setattr(server.engine, "listen", listen)
    if not is_linked:
        monkeypatch.setattr(gateway_module, "LINK_SECONDS", 0.0)
    serving = asyncio.create_task(server.serve([3], lambda: None))
    try:
        await listening.wait()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        rendezvous.remove()
    before = steps[: steps.index("listens")]
    assert before == ["waits for the link", *(["linked"] if is_linked else [])]


async def test_gateway_that_was_never_linked_ends_after_a_signal(tmp_path: Path) -> None:
    """The application may not have started, for example because its database is missing."""
    settings = Settings(port=0, database=tmp_path / "hub.db", jwt_secret=b"s" * 32, workers=2)
    rendezvous = Rendezvous.create(settings)
    try:
        former = signal.getsignal(signal.SIGTERM)
        server = GatewayServer(settings, rendezvous, 0)
        serving = asyncio.create_task(server.serve([], lambda: None))
        await until(lambda: signal.getsignal(signal.SIGTERM) != former)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(LIMIT):
            await serving
    finally:
        rendezvous.remove()
    assert signal.getsignal(signal.SIGTERM) == former


def test_missing_folder_of_temporary_files_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match="No such file or directory; set TMPDIR"):
        Rendezvous.create(Settings(jwt_secret=b"s" * 32))
