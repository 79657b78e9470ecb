"""AsyncClient across lost connections: reconnection, buffers, retries, recovery."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import (
    AckTimeoutError,
    DisconnectedError,
    Recovery,
    Socket,
)
from socketio_core.client import BufferFullError
from socketio_core.client.states import ConnectionState

from .support import settle, world

FAST: dict[str, Any] = {"reconnection_delay": 1, "randomization_factor": 0}


# -- disconnections


async def test_disconnect_of_the_server_is_final_until_connect() -> None:
    async with world() as w:
        client = await w.connect(**FAST)
        reasons: list[Any] = []
        client.on("disconnect", lambda reason, error: reasons.append((reason, error)))
        next(iter(w.io.sockets.values())).disconnect()
        await w.advance(30)
        assert reasons == [("io server disconnect", None)]
        assert not client.main.active
        await client.connect()
        assert client.connected


async def test_client_reconnects_after_a_lost_connection() -> None:
    async with world(ping_interval=2, ping_timeout=1) as w:
        client = w.client(transports=["websocket"], reconnection_delay=1,
                          reconnection_delay_max=4, randomization_factor=0)  # fmt: skip
        log: list[Any] = []
        client.on("connect", lambda: log.append("connect"))
        client.on("disconnect", log.append)
        client.on("connect_error", lambda error: log.append("connect_error"))
        for name in ("reconnect_attempt", "reconnect"):
            client.manager.on(name, lambda number, name=name: log.append((name, number)))
        client.manager.on("reconnect_error", lambda error: log.append("reconnect_error"))
        await client.connect()
        first = client.id
        w.network.is_refusing = True
        w.network.cut()
        await settle()
        assert client.id is None
        assert log == ["connect", "transport close"]
        await w.advance(0.9)
        assert len(log) == 2
        await w.advance(0.2)
        assert log[2:] == [("reconnect_attempt", 1), "reconnect_error", "connect_error"]
        await w.advance(1.8)
        assert len(log) == 5
        w.network.is_refusing = False
        await w.advance(0.2)
        assert log[5:] == [("reconnect_attempt", 2), ("reconnect", 2), "connect"]
        assert client.id not in {None, first}
        w.network.silence()
        await w.advance(3.1)
        assert log[-1] == "ping timeout"
        w.network._is_silent = False
        await w.advance(1.1)
        assert log[-1] == "connect"


async def test_reconnection_ends_after_the_allowed_attempts() -> None:
    async with world() as w:
        client = await w.connect(reconnection_attempts=3, **FAST)
        log: list[str] = []
        client.manager.on("reconnect_failed", lambda: log.append("failed"))
        client.manager.on("reconnect_attempt", lambda number: log.append(str(number)))
        w.network.is_refusing = True
        w.network.cut()
        await w.run(client.wait())
        assert log == ["1", "2", "3", "failed"]
        assert not client.main.active
        w.network.is_refusing = False
        await client.connect()
        assert client.connected


async def test_client_without_reconnection_stays_disconnected() -> None:
    async with world() as w:
        client = await w.connect(reconnection=False)
        w.network.cut()
        await w.run(client.wait())
        await w.advance(60)
        assert not client.main.active


async def test_close_during_the_delay_ends_the_reconnection() -> None:
    async with world() as w:
        client = await w.connect(**FAST)
        w.network.cut()
        await settle()
        assert client.manager.state is ConnectionState.WAITING
        await client.close()
        await w.advance(30)
        assert not w.io.sockets


async def test_handler_of_disconnect_may_connect_again() -> None:
    async with world() as w:
        client = await w.connect(reconnection=False)
        client.on("disconnect", client.start)
        w.network.cut()
        await settle()
        assert client.connected
        client.off("disconnect")


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]])
async def test_client_connects_at_once_after_it_has_disconnected(transports: list[str]) -> None:
    async with world() as w:
        received: list[Any] = []
        w.io.on("x", lambda socket, value: received.append(value))
        client = await w.connect(transports=transports, reconnection=False)
        closes: list[str] = []
        client.manager.on("close", closes.append)
        for number in range(3):
            client.emit("x", number)
            client.main.disconnect()
            await client.connect()
        client.main.disconnect()
        client.start()
        client.main.disconnect()
        await w.run(client.wait())
        assert received == [0, 1, 2]
        assert closes == ["forced close"] * 4
        assert client.manager.state is ConnectionState.CLOSED


async def test_invalid_packet_ends_the_session_and_the_client_reconnects() -> None:
    async with world() as w:
        client = await w.connect(**FAST)
        reasons: list[Any] = []
        client.on("disconnect", reasons.append)
        next(iter(w.io.engine.sessions.values())).send_text("9invalid")
        await settle()
        assert reasons == ["parse error"]
        await w.advance(1.1)
        assert client.connected


# -- buffers


async def test_events_of_a_disconnected_client_are_sent_later_in_order() -> None:
    async with world() as w:
        received: list[Any] = []

        @w.io.on("x")
        def handle(socket: Socket, number: int) -> int:
            received.append(number)
            return number

        client = w.client(**FAST)
        client.emit("x", 1)
        asking = asyncio.ensure_future(client.call("x", 2))
        client.volatile.emit("x", 99)
        await asyncio.sleep(0)
        assert client.main.buffered == 2
        client.start()
        await settle()
        assert received == [1, 2]
        assert await asking == 2
        w.network.cut()
        await settle()
        for number in range(3, 6):
            client.emit("x", number)
        timed = asyncio.ensure_future(client.call("x", 98, timeout=0.5))
        await w.advance(1.1)
        assert received == [1, 2, 3, 4, 5]
        with pytest.raises(AckTimeoutError):
            await timed


async def test_buffer_is_bounded() -> None:
    async with world() as w:
        client = w.client(max_buffer_size=100)
        client.emit("x", "a" * 60)
        with pytest.raises(BufferFullError, match="max_buffer_size, 100 bytes"):
            client.emit("x", "b" * 60)
        with pytest.raises(BufferFullError):
            await client.call("x", "b" * 60)
        client.start()
        await settle()
        await client.drain()
        client.emit("x", "b" * 60)


async def test_volatile_event_behind_another_one_is_dropped() -> None:
    async with world() as w:
        received: list[Any] = []
        w.io.on("x", lambda socket, text: received.append(text))
        client = await w.connect(transports=["websocket"])
        client.volatile.emit("x", "first")
        client.volatile.emit("x", "second")
        await settle()
        client.emit("x", "regular")
        client.volatile.emit("x", "third")
        with pytest.raises(DisconnectedError):
            await client.volatile.emit_with_ack("x", "fourth")
        await settle()
        assert received == ["first", "regular"]


async def test_waiting_acks_fail_when_the_client_is_closed() -> None:
    async with world() as w:
        client = w.client(retries=2, ack_timeout=5)
        client.emit("x", "kept")
        asking = asyncio.ensure_future(client.call("x"))
        await settle()
        client.start()
        await client.close()
        with pytest.raises(DisconnectedError):
            await asking
        assert client.main.buffered == 1


# -- retries


async def test_retries_send_an_event_until_it_is_acknowledged() -> None:
    async with world() as w:
        received: list[Any] = []

        @w.io.on("x")
        async def handle(socket: Socket, number: int) -> Any:
            received.append(number)
            if number == 1 and received.count(1) < 3:
                await asyncio.get_running_loop().create_future()
            return number

        client = await w.connect(retries=3, ack_timeout=2)
        results: list[Any] = []
        client.emit("x", 1, ack=lambda *args: results.append(args))
        client.emit("x", 2)
        await settle()
        assert received == [1]
        assert await w.run(client.call("x", 3)) == 3
        assert received == [1, 1, 1, 2, 3]
        assert results == [(None, 1)]


async def test_retries_give_an_event_up_and_continue_with_the_next() -> None:
    async with world() as w:
        received: list[Any] = []

        @w.io.on("x")
        async def handle(socket: Socket, number: int) -> Any:
            received.append(number)
            if number < 3:
                await asyncio.get_running_loop().create_future()
            return number

        client = await w.connect(retries=1, ack_timeout=2)
        results: list[Any] = []
        client.emit("x", 1, ack=lambda *args: results.append(args))
        with pytest.raises(AckTimeoutError):
            await w.run(client.emit_with_ack("x", 2))
        assert await client.call("x", 3) == 3
        assert received == [1, 1, 2, 2, 3]
        ((error,),) = results
        assert isinstance(error, AckTimeoutError)


async def test_retried_events_wait_for_the_connection() -> None:
    async with world() as w:
        received: list[Any] = []
        w.io.on("x", lambda socket, number: received.append(number))
        client = await w.connect(retries=5, ack_timeout=2, **FAST)
        w.network.cut()
        await settle()
        client.emit("x", 1)
        client.emit("x", 2)
        client.volatile.emit("x", 99)
        await w.advance(1.1)
        assert received == [1, 2]
        w.network.is_refusing = True
        w.network.cut()
        with pytest.raises(AckTimeoutError):
            await w.run(client.call("x", 3, timeout=4))
        w.network.is_refusing = False
        await w.advance(8)
        assert received == [1, 2]


async def test_drain_waits_for_the_acks_of_retried_events() -> None:
    async with world() as w:
        received: list[Any] = []
        w.io.on("x", lambda socket, number: received.append(number))
        client = await w.connect(retries=5, ack_timeout=2, **FAST)
        for number in range(3):
            client.emit("x", number)
        await client.drain()
        assert received == [0, 1, 2]
        assert client.main.buffered == 0


async def test_drain_ends_when_a_retried_event_is_given_up() -> None:
    async with world() as w:
        w.io.on("x", _never)
        client = await w.connect(retries=1, ack_timeout=2, **FAST)
        client.emit("x", 1)
        drained = asyncio.ensure_future(client.drain())
        await w.advance(3)
        assert not drained.done()
        await w.advance(2)
        await drained


async def test_drain_fails_when_the_connection_is_lost_before_the_ack() -> None:
    async with world() as w:
        w.io.on("x", _never)
        client = await w.connect(retries=5, ack_timeout=20, **FAST)
        client.emit("x", 1)
        drained = asyncio.ensure_future(client.drain())
        await settle()
        w.network.cut()
        with pytest.raises(DisconnectedError):
            await drained


async def test_drain_waits_for_events_before_the_socket_is_accepted() -> None:
    async with world() as w:
        received: list[Any] = []
        w.io.of("/later").on("x", lambda socket, number: received.append(number))
        client = await w.connect()
        later = client.of("/later")
        later.emit("x", 1)
        with pytest.raises(DisconnectedError):
            await later.drain()
        later.start()
        await later.drain()
        await settle()
        assert received == [1]


async def _never(socket: Socket, number: int) -> None:
    await asyncio.get_running_loop().create_future()


# -- recovery


async def test_client_recovers_missed_events_and_its_id() -> None:
    async with world(recovery=Recovery()) as w:
        client = await w.connect(**FAST)
        received: list[Any] = []
        log: list[Any] = []
        client.on("x", lambda number, offset: received.append(number))
        client.on("connect", lambda: log.append(client.recovered))
        first = client.id
        w.io.emit("x", 1)
        await settle()
        w.network.cut()
        await settle()
        w.io.emit("x", 2)
        w.io.emit("x", 3)
        await w.advance(1.1)
        w.io.emit("x", 4)
        await settle()
        assert received == [1, 2, 3, 4]
        assert client.id == first
        assert log == [True]


async def test_strip_offset_removes_the_offset_of_events() -> None:
    async with world(recovery=Recovery()) as w:
        client = await w.connect(strip_offset=True)
        received: list[Any] = []
        client.on_any(lambda *event: received.append(event))
        client.on("q", lambda *args: args)
        w.io.emit("x", 1)
        await settle()
        w.io.volatile.emit("x", "text")
        await settle()
        (socket,) = w.io.sockets.values()
        assert await socket.emit_with_ack("q", "text") == "text"
        assert received == [("x", 1), ("x", "text"), ("q", "text")]


async def test_events_before_a_lost_connect_packet_arrive_once() -> None:
    async with world(recovery=Recovery()) as w:
        client = await w.connect(transports=["websocket"], **FAST)
        received: list[Any] = []
        client.on("x", received.append)
        w.io.emit("x", 1)
        await settle()
        w.network.cut()
        await settle()
        w.io.emit("x", 2)
        # The missed event arrives, its CONNECT does not.
        manager = client.manager
        original = client.main._connect_received
        client.main._connect_received = lambda data: w.network.cut()  # type: ignore[method-assign]
        await w.advance(1.1)
        client.main._connect_received = original  # type: ignore[method-assign]
        assert received == [1]
        await w.advance(1.1)
        assert received == [1, 2]
        assert manager.is_open
        assert client.recovered


async def test_too_many_events_before_the_connect_packet_end_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socketio_core.client.socket.MAX_EARLY_EVENTS", 2)
    async with world(recovery=Recovery()) as w:
        client = await w.connect(**FAST)
        reasons: list[Any] = []
        client.manager.on("close", reasons.append)
        w.io.emit("x", 0)
        await settle()
        w.network.cut()
        await settle()
        for number in range(4):
            w.io.emit("x", number)
        await w.advance(1.1)
        assert reasons == ["transport close", "parse error"]
        await client.close()


async def test_large_events_before_the_connect_packet_end_the_session() -> None:
    async with world(recovery=Recovery()) as w:
        client = await w.connect(transports=["websocket"], max_message_size=10_000, **FAST)
        reasons: list[Any] = []
        client.manager.on("close", reasons.append)
        w.io.emit("x", 0)
        await settle()
        for count in (3, 12):
            w.network.cut()
            await settle()
            for _ in range(count):
                w.io.emit("x", "x" * 1000)
            await w.advance(1.1)
        assert reasons == ["transport close", "transport close", "parse error"]
        await client.close()


# -- acks of earlier sessions


async def test_ack_of_an_earlier_session_is_not_sent() -> None:
    async with world() as w:
        client = await w.connect(**FAST)
        release = asyncio.Event()
        acks: list[Any] = []

        @client.on("q")
        async def handle() -> str:
            await release.wait()
            return "late"

        w.io.on("connection", lambda socket: socket.emit("q", ack=acks.append))
        w.network.cut()
        await w.advance(1.1)
        assert client.connected
        w.network.cut()
        await w.advance(1.1)
        release.set()
        await settle()
        assert acks == ["late"]
