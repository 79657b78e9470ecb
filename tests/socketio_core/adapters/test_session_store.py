"""Recovery from a session store outside of the process: waiting, claims, failures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core import ConnectError, Recovery, Socket, SocketServer
from socketio_core.adapters.interface import RestoredSession, SavedSession
from socketio_core.adapters.memory import MemoryAdapter
from socketio_core.testing import TestClient, TestServer, settle
from tests.socketio_core.adapters.support import events


class FakeStore:
    """A store that answers when its gate is open, and lists the calls."""

    def __init__(self) -> None:
        self.sessions: dict[str, SavedSession] = {}
        self.missed: list[tuple[EncodedPacket, ...]] = []
        self.newer: list[tuple[EncodedPacket, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_first = True
        self.calls: list[str] = []

    async def find(self, pid: str, offset: str | None) -> RestoredSession | None:
        self.calls.append("find")
        await self.gate.wait()
        saved = self.sessions.get(pid)
        return None if saved is None else RestoredSession(saved, self.missed)

    async def claim(self, restored: RestoredSession) -> RestoredSession | None:
        self.calls.append("claim")
        await asyncio.sleep(0)
        if not self.is_first or self.sessions.pop(restored.saved.pid, None) is None:
            return None
        return RestoredSession(restored.saved, [*restored.missed, *self.newer])


class StoringAdapter:
    """A memory adapter whose sessions are in a store."""

    keeps_events = False

    def __init__(self, local: MemoryAdapter, store: FakeStore) -> None:
        self.local = local
        self.session_store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.local, name)

    def save_session(self, saved: SavedSession) -> None:
        self.session_store.sessions[saved.pid] = saved


def make_server(**options: Any) -> tuple[SocketServer, FakeStore]:
    io = SocketServer(**{"recovery": Recovery(), **options})
    store = FakeStore()
    io.main.adapter = StoringAdapter(io.main.adapter, store)  # type: ignore[assignment, arg-type]
    return io, store


async def leave(server: TestServer, store: FakeStore) -> TestClient:
    """Return a client whose session is in the store, with one missed event."""
    client = await server.connect()
    await server.io.sockets[client.id].join("room")
    client.connection.cut()
    assert list(store.sessions) == [client.pid]
    store.missed = [(EncodedPacket(b'42["missed","7-1"]'),)]
    return client


async def test_session_is_restored_from_the_store() -> None:
    io, store = make_server()
    async with TestServer(io) as server:
        client = await leave(server, store)
        again = await server.connect(recovering=client)
        assert (again.id, again.pid) == (client.id, client.pid)
        assert events(again) == [("missed", [])]
        assert io.sockets[again.id].rooms == {client.id, "room"}
        assert io.sockets[again.id].recovered
        assert store.calls == ["find", "claim"]
        assert not store.sessions


async def test_client_without_a_pid_does_not_wait_for_the_store() -> None:
    io, store = make_server()
    async with TestServer(io) as server:
        store.gate.clear()
        client = await server.connect()
        assert client.connected
        assert store.calls == []


@pytest.mark.parametrize("auth", [{"pid": 7}, {"pid": "x", "offset": 1}])
async def test_store_is_not_read_for_an_invalid_request(auth: dict[str, Any]) -> None:
    io, store = make_server()
    async with TestServer(io) as server:
        client = await server.connect(auth=auth)
        assert not io.sockets[client.id].recovered
        assert store.calls == []


async def test_other_clients_connect_while_one_waits_for_the_store() -> None:
    io, store = make_server()
    async with TestServer(io) as server:
        client = await leave(server, store)
        store.gate.clear()
        attempt = asyncio.ensure_future(server.connect(recovering=client))
        await settle()
        assert (await server.connect()).connected
        assert not attempt.done()
        store.gate.set()
        assert (await attempt).id == client.id


async def test_client_receives_a_new_session_when_another_server_was_first() -> None:
    io, store = make_server()
    async with TestServer(io) as server:
        client = await leave(server, store)
        store.is_first = False
        again = await server.connect(recovering=client)
        assert again.id != client.id
        assert again.received == []
        assert io.main._returning == {}


async def test_session_stays_in_the_store_when_its_events_do_not_fit() -> None:
    io, store = make_server(max_outbox_size=1_000_000)
    async with TestServer(io) as server:
        client = await leave(server, store)
        store.missed = [(EncodedPacket(b"4" + b"x" * 1_100_000),)]
        again = await server.connect(recovering=client)
        assert again.id != client.id
        assert store.calls == ["find"]
        assert list(store.sessions) == [client.pid]


async def test_session_is_saved_again_when_newer_events_do_not_fit() -> None:
    io, store = make_server(max_outbox_size=1_000_000)
    async with TestServer(io) as server:
        client = await leave(server, store)
        store.newer = [(EncodedPacket(b"4" + b"x" * 1_100_000),)]
        again = await server.connect(recovering=client)
        assert again.id != client.id
        assert list(store.sessions) == [client.pid]
        assert again.connection.session._has_room(900_000)


async def test_session_is_saved_again_when_the_client_leaves_during_the_claim() -> None:
    io, store = make_server()
    async with TestServer(io) as server:
        client = await leave(server, store)
        store.gate.clear()
        connection = server.open_connection()
        attempt = asyncio.ensure_future(server.connect(recovering=client, on_connection=connection))
        await settle()
        connection.cut()
        store.gate.set()
        await asyncio.gather(attempt, return_exceptions=True)
        await settle()
        assert list(store.sessions) == [client.pid]
        assert (await server.connect(recovering=client)).id == client.id


async def test_session_is_saved_again_when_a_middleware_refuses_its_client() -> None:
    io, store = make_server(recovery=Recovery(skip_middlewares=False))
    refusing = True

    @io.use
    async def refuse(socket: Socket) -> None:
        await asyncio.sleep(0)
        if socket.recovered and refusing:
            raise ConnectError("revoked")

    async with TestServer(io) as server:
        client = await leave(server, store)
        saved = store.sessions[str(client.pid)]
        with pytest.raises(ConnectError, match="revoked"):
            await server.connect(recovering=client)
        assert store.sessions == {client.pid: saved}
        refusing = False
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("missed", [])]


async def test_room_of_a_returning_socket_has_no_other_members() -> None:
    io, store = make_server()
    async with TestServer(io) as server:
        client = await leave(server, store)
        other = await server.connect()
        await io.sockets[other.id].join(client.id)
        again = await server.connect(recovering=client)
        io.to(client.id).emit("private")
        assert events(again) == [("missed", []), ("private", [])]
        assert events(other) == []


async def test_newer_attempt_replaces_one_that_waits_for_the_store() -> None:
    io, store = make_server()
    async with TestServer(io) as server:
        client = await leave(server, store)
        store.gate.clear()
        first = asyncio.ensure_future(server.connect(recovering=client))
        await settle()
        second = asyncio.ensure_future(server.connect(recovering=client))
        await settle()
        store.gate.set()
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert isinstance(results[0], Exception)
        assert isinstance(results[1], TestClient)
        assert results[1].id == client.id
        assert store.calls == ["find", "find", "claim"]
        assert io.main._returning == {}


async def test_connect_timeout_ends_an_attempt_that_waits_for_the_store() -> None:
    io, store = make_server(connect_timeout=5)
    async with TestServer(io) as server:
        client = await leave(server, store)
        store.gate.clear()
        attempt = asyncio.ensure_future(server.connect(recovering=client))
        await settle()
        await server.advance(6)
        assert attempt.done()
        assert attempt.exception() is not None
        assert list(store.sessions) == [client.pid]
        assert io.main._returning == {}
        assert io.main._attempts == 0
