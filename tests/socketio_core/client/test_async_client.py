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
