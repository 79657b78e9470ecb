"""Handler errors: the server reports them with event and socket, and closes no connection."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from typing import Any

import pytest

from socketio_core import AckError, Socket, SocketServer
from socketio_core.testing import TestServer, settle


@pytest.mark.parametrize("waits", [None, False, True])
async def test_handler_error_is_reported_and_keeps_the_client(waits: bool | None) -> None:
    io = SocketServer()
    errors: list[tuple[str, str, str]] = []

    @io.on_error
    def record(error: BaseException, socket: Socket, event: str) -> None:
        errors.append((str(error), socket.id, event))

    if waits is None:

        @io.on("x")
        def fail(socket: Socket) -> None:
            raise ValueError("handler error")
    else:

        @io.on("x")
        async def fail_later(socket: Socket) -> None:
            if waits:
                await asyncio.sleep(0)
            raise ValueError("handler error")

    async with TestServer(io) as server:
        client = await server.connect()
        response = await client.emit_with_ack("x")
        assert response == {"success": False, "error": "internal error", "code": "HANDLER_ERROR"}
        client.emit("x")
        await settle()
        assert client.connected
        assert errors == [("handler error", client.id, "x")] * 2
        assert io._dispatch.reporter.count == 2


async def test_error_is_logged_with_its_traceback_when_no_listener_exists(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()
    io.on("x", lambda socket: 1 / 0)
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        text = f"the handler of 'x' failed for socket {client.id} (127.0.0.1)"
        (line,) = [each for each in caplog.records if each.getMessage() == text]
        # The limit of log lines counts per client.
        assert vars(line)["client"] == "127.0.0.1"
        assert "ZeroDivisionError" in caplog.text


async def test_error_in_an_error_listener_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    io = SocketServer()
    seen: list[str] = []

    @io.on_error
    def fail(error: BaseException, socket: Any, event: str) -> None:
        raise RuntimeError("listener error")

    io.on_error(lambda error, socket, event: seen.append(event))
    io.on("x", lambda socket: 1 / 0)
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        assert client.connected
    assert "a listener of on_error failed" in caplog.text
    assert seen == ["x"]


@pytest.mark.parametrize("event", ["connection", "disconnecting", "disconnect"])
async def test_error_in_a_lifecycle_handler_disconnects_no_client(event: str) -> None:
    io = SocketServer()
    seen: list[str] = []
    errors: list[str] = []
    io.on_error(lambda error, socket, name: errors.append(name))
    io.on(event, lambda socket, *args: 1 / 0)
    io.on(event, lambda socket, *args: seen.append("second"))
    async with TestServer(io) as server:
        client = await server.connect()
        assert client.connected
        client.disconnect()
        assert not io.sockets
        assert io.main.rooms == {}
    assert errors == [event]
    assert seen == ["second"]


async def test_ack_error_is_reported_when_no_ack_is_requested() -> None:
    io = SocketServer()
    errors: list[BaseException] = []
    io.on_error(lambda error, socket, event: errors.append(error))

    @io.on("x")
    def fail(socket: Socket) -> None:
        raise AckError("NO", "no")

    async with TestServer(io) as server:
        client = await server.connect()
        await client.emit_with_ack("x")
        assert errors == []
        client.emit("x")
        assert [str(error) for error in errors] == ["no"]


async def test_result_that_cannot_be_sent_becomes_an_error_ack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()

    @io.on("now")
    def now(socket: Socket) -> object:
        return object()

    @io.on("later")
    async def later(socket: Socket) -> object:
        await asyncio.sleep(0)
        return object()

    async with TestServer(io) as server:
        client = await server.connect()
        for name in ("now", "later"):
            assert (await client.emit_with_ack(name))["code"] == "HANDLER_ERROR"
    assert caplog.text.count("cannot be sent") >= 2


async def test_error_ack_that_cannot_be_sent_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer(error_ack=lambda error: object())
    io.on("x", lambda socket: 1 / 0)
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.send_text('20["x"]')
        assert client.connected
    assert "an error ack could not be sent" in caplog.text


@pytest.mark.parametrize("moment", ["plain", "first step", "later"])
async def test_cancelled_handler_is_reported_as_an_error(moment: str) -> None:
    io = SocketServer()
    errors: list[BaseException] = []
    io.on_error(lambda error, socket, event: errors.append(error))
    if moment == "plain":

        @io.on("x")
        def plain(socket: Socket) -> None:
            raise asyncio.CancelledError
    else:

        @io.on("x")
        async def handler(socket: Socket) -> None:
            if moment == "later":
                await asyncio.sleep(0)
            raise asyncio.CancelledError

    async with TestServer(io) as server:
        client = await server.connect()
        assert (await client.emit_with_ack("x"))["code"] == "HANDLER_ERROR"
        assert client.connected
    assert [type(error) for error in errors] == [asyncio.CancelledError]


@pytest.mark.parametrize("serializes", [False, True])
async def test_handler_cleans_up_when_it_cancels_itself_in_its_first_step(
    serializes: bool,
) -> None:
    io = SocketServer(serialize_handlers=serializes)

    @io.on("x")
    async def cancel_and_clean_up(socket: Socket) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # the cleanup may await
        return f"cleaned up, {task.cancelling()} request"

    async with TestServer(io) as server:
        client = await server.connect()
        # Tasks that have not run yet start the handlers of events that arrive together.
        pending = [asyncio.ensure_future(client.emit_with_ack("x")) for _ in range(3)]
        await settle()
        assert [each.result() for each in pending] == ["cleaned up, 1 request"] * 3
        assert not io._dispatch.runner.tasks


async def test_expired_timeout_raises_in_the_first_step() -> None:
    io = SocketServer()

    @io.on("x")
    async def too_late(socket: Socket) -> str:
        try:
            async with asyncio.timeout(-1):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timeout"
        return "no timeout"

    async with TestServer(io) as server:
        client = await server.connect()
        for _ in range(2):
            await settle()  # let the spare task suspend
            assert await client.emit_with_ack("x") == "timeout"


@pytest.mark.parametrize("action", ["sets a variable", "waits", "waits and fails"])
async def test_handlers_leave_no_reference_cycles(action: str) -> None:
    io = SocketServer()
    io.on_error(lambda error, socket, event: None)
    variable = contextvars.ContextVar[object]("variable")

    @io.on("x")
    async def handler(socket: Socket) -> None:
        if action == "sets a variable":
            variable.set(object())
            return
        await asyncio.sleep(0)
        if action == "waits and fails":
            raise ValueError("handler error")

    async with TestServer(io) as server:
        client = await server.connect()
        await settle()
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                client.emit("x")
                await settle()
            assert gc.collect() < 10
        finally:
            gc.enable()


async def test_handler_errors_of_one_client_do_not_affect_other_clients() -> None:
    io = SocketServer()
    io.on_error(lambda error, socket, event: None)
    io.on("x", lambda socket, value: 1 // value)
    async with TestServer(io) as server:
        bad, good = await server.connect(), await server.connect()
        for _ in range(100):
            bad.emit("x", 0)
        assert await good.emit_with_ack("x", 1) == 1


async def test_result_of_a_handler_is_freed_after_the_ack() -> None:
    class Result(list[int]):
        """List that supports weak references."""

    references: list[weakref.ref[Result]] = []
    io = SocketServer()

    @io.on("x")
    async def respond(socket: Socket) -> Result:
        result = Result([1])
        references.append(weakref.ref(result))
        return result

    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("x") == [1]
        assert references[0]() is None
