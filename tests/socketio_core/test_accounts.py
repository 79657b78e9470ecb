"""The accounts of addresses and users: suspended handlers over all connections."""

from __future__ import annotations

import asyncio

import pytest

from engineio_core.accounts import Account, Ledger
from socketio_core import Socket, SocketServer
from socketio_core.testing import settle
from tests.socketio_core.support import TcpServer

pytestmark = pytest.mark.eager_start


class Waiting:
    """A server whose handlers wait, and its clients."""

    def __init__(self, **options: int) -> None:
        self.io = SocketServer(**options)
        self.seen: list[str] = []
        self.gate = asyncio.Event()
        self.io.on("x", self._handle)
        self.tcp = TcpServer(self.io)
        self.clients = [self.tcp.join("websocket") for _ in range(2)]

    async def _handle(self, socket: Socket, name: str) -> None:
        self.seen.append(name)
        await self.gate.wait()

    @property
    def account(self) -> Account:
        (account,) = self.io.engine._addresses.accounts.values()
        return account

    async def open_gate(self) -> None:
        self.gate.set()
        for _ in range(20):
            await settle()
            self.tcp.clock.run()

    def send(self, client: int, *names: str) -> None:
        for name in names:
            self.clients[client].send(f'2["x","{name}"]')


async def test_clients_above_the_limit_of_their_address_get_one_handler_at_a_time() -> None:
    server = Waiting(max_handlers_per_address=3)
    server.send(0, "a", "b", "c")
    server.send(1, "d", "e")
    assert server.seen == ["a", "b", "c", "d"]
    assert (server.account.sessions, server.account.handlers) == (2, 4)
    assert server.io.engine._addresses.limited["handlers"] == 1
    server.send(0, "f", "g")
    assert server.seen == ["a", "b", "c", "d", "f"]
    await server.open_gate()
    assert sorted(server.seen) == ["a", "b", "c", "d", "e", "f", "g"]
    assert server.account.handlers == 0
    await server.io.shutdown(grace=0)


async def test_handlers_of_a_client_that_has_left_count_until_they_end() -> None:
    server = Waiting()
    server.send(0, "a", "b")
    for session in server.tcp.sessions:
        session.close(discard=True)
    account = server.account
    assert (account.sessions, account.handlers) == (0, 2)
    await server.open_gate()
    assert account.handlers == 0
    assert server.io.engine._addresses.accounts == {}
    await server.io.shutdown(grace=0)


async def test_account_of_a_user_contains_the_running_handlers() -> None:
    server, users = Waiting(), Ledger(10, 1 << 20, 10)
    server.send(0, "a")
    for socket in server.io.sockets.values():
        socket._charge_to(users.get("7"))
        socket._charge_to(users.get("7"))
    server.send(1, "b")
    user = users.get("7")
    assert (user.sessions, user.handlers) == (2, 2)
    await server.open_gate()
    assert (user.sessions, user.handlers) == (2, 0)
    await server.io.shutdown(grace=0)
    assert users.accounts == {}
