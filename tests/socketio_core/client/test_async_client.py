"""AsyncClient against the server, over a network in memory and a virtual clock."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from socketio_core import (
    Ack,
    AckError,
    AckTimeoutError,
    ConnectError,
    DisconnectedError,
    MsgpackParser,
    Recovery,
    Socket,
)
from socketio_core.client import BufferFullError, ConnectionFailedError
from socketio_core.client.states import ConnectionState

from .support import World, settle, world

FAST: dict[str, Any] = {"reconnection_delay": 1, "randomization_factor": 0}


class Move(msgspec.Struct):
    task: int
    column: str


async def never(socket: Socket) -> None:
    await asyncio.get_running_loop().create_future()


# -- events and acks


@pytest.mark.parametrize("parser", ["json", "msgpack"])
@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]])
async def test_events_and_acks_in_both_directions(transports: list[str], parser: str) -> None:
    codec = {"parser": MsgpackParser()} if parser == "msgpack" else {}
    async with world(**codec) as w:
        w.io.on("echo", lambda socket, *args: args)

        @w.io.on("ask")
        async def ask(socket: Socket) -> Any:
            return await socket.timeout(5).emit_with_ack("question", 1, b"\x00")

        client = await w.connect(transports=transports, **codec)

        @client.on("question")
        async def question(number: int, data: bytes) -> Any:
            await asyncio.sleep(0)
            return {"number": number, "data": data}

        assert await client.call("echo", "text") == "text"
        assert await client.call("echo", 1, {"a": [None, True]}, b"\x01") == (
            1, {"a": [None, True]}, b"\x01",
        )  # fmt: skip
        assert await client.call("echo") is None
        assert await client.emit_with_ack("echo", 1, 2) == 1
        assert await client.call("ask") == {"number": 1, "data": b"\x00"}
        answers: list[Any] = []
        client.emit("echo", 1, "é", ack=lambda *args: answers.append(args))
        await settle()
        assert answers == [(1, "é")]
        assert client.id in w.io.sockets


async def test_handlers_are_typed_and_report_invalid_payloads() -> None:
    async with world() as w:
        client = await w.connect()
        moves: list[Move] = []

        @client.on("move")
        def move(change: Move) -> int:
            moves.append(change)
            return change.task

        @client.on("fail")
        def fail() -> None:
            raise AckError("NO", "not now")

        (socket,) = w.io.sockets.values()
        assert await socket.emit_with_ack("move", {"task": 1, "column": "done"}) == 1
        refused = await socket.emit_with_ack("move", {"task": "x", "column": "done"})
        assert refused["code"] == "VALIDATION_ERROR"
        assert (await socket.emit_with_ack("fail"))["code"] == "NO"
        assert moves == [Move(1, "done")]


async def test_handler_may_acknowledge_before_it_ends() -> None:
    async with world() as w:
        client = await w.connect()
        ended = asyncio.Event()

        @client.on("work")
        async def work(ack: Ack) -> None:
            ack("started")
            await ended.wait()

        (socket,) = w.io.sockets.values()
        assert await socket.emit_with_ack("work") == "started"
        ended.set()


async def test_failed_handler_does_not_affect_later_events(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with world() as w:
        client = await w.connect()
        received: list[int] = []

        @client.on("x")
        def handle(number: int) -> None:
            if number == 1:
                raise RuntimeError("a bug")
            received.append(number)

        w.io.emit("x", 1)
        w.io.emit("x", 2)
        await settle()
        assert received == [2]
    assert "a bug" in caplog.text


async def test_listeners_once_off_catch_all_and_unhandled() -> None:
    async with world() as w:
        client = await w.connect()
        calls: list[Any] = []

        def listen(*args: Any) -> None:
            calls.append(args)

        client.once("a", lambda: calls.append("once"))
        client.on("a", listen)
        client.prepend("a", lambda: calls.append("first"))
        client.on_any(lambda event, *args: calls.append(("any", event, *args)))
        client.on_unhandled(lambda event, *args: calls.append(("unhandled", event)))
        w.io.emit("a")
        w.io.emit("b", 1)
        await settle()
        assert calls == [
            ("any", "a"), "first", "once", (), ("any", "b", 1), ("unhandled", "b"),
        ]  # fmt: skip
        calls.clear()
        client.off("a", listen)
        client.off_any()
        w.io.emit("a")
        await settle()
        assert calls == ["first"]
        sent: list[Any] = []
        client.on_any_outgoing(lambda *event: sent.append(event))
        client.emit("x", 1)
        client.off_any_outgoing()
        client.emit("y", 1)
        assert sent == [("x", 1)]


async def test_reserved_names_and_unsendable_values_raise() -> None:
    async with world() as w:
        client = await w.connect()
        with pytest.raises(ValueError, match="reserved"):
            client.emit("connect")
        with pytest.raises(TypeError, match="cannot be sent"):
            client.emit("x", object())
        with pytest.raises(ValueError, match="no server can send"):
            client.on("newListener", lambda: None)
        with pytest.raises(TypeError, match="is called with 0 arguments"):
            client.on("connect", lambda a: None)
        with pytest.raises(TypeError, match="must not be awaited"):
            await client.emit("x")  # type: ignore[func-returns-value]  # the mistake


async def test_ack_timeout_raises_and_a_late_ack_is_ignored() -> None:
    async with world() as w:
        acked = asyncio.Event()

        @w.io.on("slow")
        async def slow(socket: Socket) -> str:
            await acked.wait()
            return "late"

        client = await w.connect()
        with pytest.raises(AckTimeoutError):
            await w.run(client.call("slow", timeout=2))
        with pytest.raises(AckTimeoutError):
            await w.run(client.timeout(2).emit_with_ack("slow"))
        results: list[Any] = []
        client.timeout(2).emit("slow", ack=lambda *args: results.append(args))
        await w.advance(2.1)
        ((error,),) = results
        assert isinstance(error, AckTimeoutError)
        acked.set()
        await settle()
        assert len(results) == 1


async def test_ack_timeout_option_applies_to_all_events() -> None:
    async with world() as w:
        w.io.on("echo", lambda socket, *args: args)
        w.io.on("never", never)
        client = await w.connect(ack_timeout=3)
        results: list[Any] = []
        client.emit("echo", 1, ack=lambda *args: results.append(args))
        await settle()
        assert results == [(None, 1)]
        with pytest.raises(AckTimeoutError):
            await w.run(client.emit_with_ack("never"))


async def test_pending_acks_fail_when_the_connection_is_lost() -> None:
    async with world() as w:
        w.io.on("never", never)
        client = await w.connect(**FAST)
        asking = asyncio.ensure_future(client.call("never"))
        await settle()
        w.network.cut()
        with pytest.raises(DisconnectedError):
            await asking


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]])
async def test_client_stops_reading_while_too_many_handlers_run(transports: list[str]) -> None:
    async with world(ping_interval=2, ping_timeout=1) as w:
        client = await w.connect(transports=transports, max_pending_handlers=4, **FAST)
        started: list[int] = []
        release = asyncio.Event()

        @client.on("x")
        async def handle(number: int) -> None:
            started.append(number)
            await release.wait()

        for number in range(12):
            w.io.emit("x", number)
            await settle()
        assert 4 <= len(started) < 12
        await w.advance(2.5)
        assert client.connected
        release.set()
        await settle()
        assert started == list(range(12))
        await w.advance(10)
        assert client.connected
        release.clear()
        for number in range(12):
            w.io.emit("x", number)
            await settle()
        await w.advance(5)  # the server ends the session, whose heartbeats are not read
        release.set()
        await w.advance(5)
        assert client.connected


# -- streams


async def test_events_are_received_by_iteration_until_the_client_leaves() -> None:
    async with world() as w:
        client = w.client(**FAST)
        stream = client.events()
        await client.connect()
        w.io.emit("a", 1)
        w.io.emit("b", "x", b"y")
        assert await stream.receive(5) == ("a", 1)
        assert await stream.receive(5) == ("b", "x", b"y")
        with pytest.raises(TimeoutError):
            await w.run(stream.receive(2))
        w.network.cut()
        await w.advance(1.1)
        w.io.emit("c")
        await settle()
        client.main.disconnect()
        assert [event async for event in stream] == [("c",)]
        with pytest.raises(DisconnectedError):
            await stream.receive()


async def test_stream_ends_at_its_limit_and_by_its_context() -> None:
    async with world() as w:
        client = await w.connect()
        stream = client.events(limit=2)
        async with client.events() as other:
            for number in range(4):
                w.io.emit("x", number)
            await settle()
            assert await other.receive() == ("x", 0)
        assert client.main._listeners.any == []
        assert await stream.receive() == ("x", 0)
        assert await stream.receive() == ("x", 1)
        with pytest.raises(BufferFullError, match="at most 2 events"):
            await stream.receive()
        reading = asyncio.ensure_future(client.events().receive())
        await settle()
        client.main.disconnect()
        with pytest.raises(DisconnectedError):
            await reading


async def test_second_reader_of_a_stream_raises() -> None:
    async with world() as w:
        client = await w.connect()
        stream = client.events()
        first = asyncio.ensure_future(stream.receive())
        await settle()
        with pytest.raises(RuntimeError, match="one reader only"):
            await stream.receive()
        first.cancel()


# -- connecting


@pytest.mark.parametrize("kind", ["dict", "function", "async"])
async def test_auth_reaches_the_server_at_each_connection(kind: str) -> None:
    async with world() as w:
        seen: list[Any] = []
        w.io.on("connection", lambda socket: seen.append(socket.handshake.auth))
        count = 0

        def plain() -> dict[str, int]:
            nonlocal count
            count += 1
            return {"count": count}

        async def slow() -> dict[str, int]:
            await asyncio.sleep(0)
            return plain()

        auth: Any = {"dict": {"count": 7}, "function": plain, "async": slow}[kind]
        await w.connect(auth=auth, **FAST)
        w.network.cut()
        await w.advance(1.5)
        expected = [{"count": 7}] * 2 if kind == "dict" else [{"count": 1}, {"count": 2}]
        assert seen == expected


async def test_failing_auth_is_a_connect_error() -> None:
    async with world() as w:

        def fail() -> dict[str, Any]:
            raise LookupError("no token")

        client = w.client(auth=fail)
        with pytest.raises(ConnectError, match="auth failed: no token"):
            await client.connect()
        client = w.client(auth=lambda: "text")
        with pytest.raises(ConnectError, match="auth must return a dict"):
            await client.connect()
        with pytest.raises(TypeError, match="auth must be a dict or a function"):
            w.client(auth="token")


async def test_refusal_has_message_and_data_and_is_not_repeated() -> None:
    async with world() as w:

        @w.io.use
        def check(socket: Socket) -> None:
            if socket.handshake.auth.get("token") != "t":
                raise ConnectError("not authorized", data={"code": "E1"})

        client = w.client()
        errors: list[Any] = []
        client.on("connect_error", errors.append)
        with pytest.raises(ConnectError, match="not authorized") as caught:
            await client.connect()
        assert caught.value.data == {"code": "E1"}
        assert errors == [caught.value]
        assert not client.main.active
        await w.advance(60)
        assert len(errors) == 1
        assert client.manager.state is ConnectionState.CLOSED
        client.main.auth = {"token": "t"}
        await client.connect()
        assert client.connected


async def test_first_failure_ends_connect_unless_it_retries() -> None:
    async with world() as w:
        w.network.is_refusing = True
        client = w.client(**FAST)
        with pytest.raises(ConnectionFailedError, match="connection refused"):
            await client.connect()
        assert client.manager.state is ConnectionState.CLOSED
        connecting = asyncio.ensure_future(client.connect(retry=True))
        await w.advance(2)
        assert not connecting.done()
        w.network.is_refusing = False
        await w.run(connecting)
        assert client.connected
        w.network.is_refusing = True
        other = w.client(**FAST)
        with pytest.raises(
            TimeoutError, match=r"within 10 seconds: the .* connection refused"
        ) as e:
            await w.run(other.connect(retry=True, timeout=10))
        assert isinstance(e.value.__cause__, ConnectionFailedError)
        assert not other.main.active
        w.network.is_refusing = False


@pytest.mark.parametrize("options", [{"reconnection": False}, {"reconnection_attempts": 1}])
async def test_last_failure_is_in_the_error_when_no_attempt_follows(
    options: dict[str, Any],
) -> None:
    async with world() as w:
        w.network.is_refusing = True
        client = w.client(**FAST, **options)
        with pytest.raises(
            ConnectionFailedError, match=r"last attempt: .* connection refused"
        ) as e:
            await w.run(client.connect(retry=True))
        assert isinstance(e.value.__cause__, ConnectionFailedError)
        assert e.value.status is None


async def test_context_manager_closes_a_client_that_cannot_connect() -> None:
    async with world() as w:
        w.network.is_refusing = True
        with pytest.raises(ConnectionFailedError):
            async with w.client():
                raise AssertionError("not reached")
        w.network.is_refusing = False
        async with w.client() as client:
            assert client.connected
        assert not client.connected
        assert client.id is None
        assert client.transport is None


async def test_server_of_version_2_is_refused_with_the_reason() -> None:
    async with world() as w:
        client = w.client()
        connecting = asyncio.ensure_future(client.connect())
        await asyncio.sleep(0)
        packet = client.manager._decoder.receive_text(b"40")
        for _ in range(60):
            await asyncio.sleep(0)
            if client.main._state.name == "CONNECTING":
                break
        client.manager._packet_received(packet)
        with pytest.raises(ConnectError, match="version 2"):
            await connecting


# -- namespaces


async def test_namespaces_share_one_connection() -> None:
    async with world() as w:
        admin_name, chat_name = w.io.of("/admin"), w.io.of("/chat")
        for namespace in (admin_name, chat_name):
            namespace.on("where", lambda socket: socket.namespace.name)
        client = await w.connect()
        admin, chat = client.of("/admin"), client.of("chat", auth={"x": 1})
        assert client.of("/admin") is admin
        await admin.connect()
        await chat.connect()
        assert len(w.io.engine.sessions) == 1
        assert await admin.call("where") == "/admin"
        assert await chat.call("where") == "/chat"
        assert next(iter(chat_name.sockets.values())).handshake.auth == {"x": 1}
        reasons: list[Any] = []
        admin.on("disconnect", reasons.append)
        admin.disconnect()
        await settle()
        assert reasons == ["io client disconnect"]
        assert client.connected
        assert not admin_name.sockets
        await admin.connect()
        assert admin.connected
        client.main.disconnect()
        admin.disconnect()
        await settle()
        assert len(w.io.engine.sessions) == 1
        chat.disconnect()
        await w.run(client.wait())
        assert not w.io.engine.sessions


async def test_path_of_the_url_is_the_main_namespace() -> None:
    async with world() as w:
        w.io.of("/admin")
        client = await w.connect("/admin")
        assert client.main.namespace == "/admin"
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await client.of("/missing").connect()
        assert client.connected


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


async def test_unhandled_failure_of_a_lifecycle_handler_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with world() as w:
        client = w.client()

        @client.on("connect")
        async def fail() -> None:
            await asyncio.sleep(0)
            raise RuntimeError("a bug")

        client.on("connect", lambda: 1 / 0)
        with caplog.at_level(logging.ERROR):
            await client.connect()
            await settle()
        assert "a bug" in caplog.text
        assert "division by zero" in caplog.text
        client.off()


async def test_world_without_a_client_leaves_no_task() -> None:
    created = World()
    created.client()
    await created.end()
