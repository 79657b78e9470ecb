"""Emit rejects wrong rooms, durations, keywords, values and threads, and names the remedy."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from socketio_core import JsonParser, MsgpackParser, Socket, SocketServer
from socketio_core.testing import TestServer
from tests.socketio_core.misuse.support import async_generator, connect_with

# -- rooms, durations, keywords


@pytest.mark.parametrize("room", [5, None, 1.5, b"room", {"room": 1}, [5], ("a", None)])
async def test_room_that_is_not_a_string_is_refused(room: Any) -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    async with server:
        for method in (
            io.to, io.in_, io.except_, io.sockets_join, io.sockets_leave, io.to("a").to,
            socket.to, socket.in_, socket.except_, socket.join, socket.leave,
            io.of(lambda name, auth: True).to, io.of(lambda name, auth: True).except_,
        ):  # fmt: skip
            with pytest.raises(TypeError, match=r"a room name must be a string, got .* write"):
                method(room)


async def test_error_of_a_room_names_a_remedy_that_works() -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    async with server:
        for room, remedy in (
            (socket, "pass its id"), (b"orders", "write 'orders'"), (7, "write '7'"),
            (None, "write the name of a room"), ({"a": 1}, "write the name of a room"),
        ):  # fmt: skip
            with pytest.raises(TypeError, match=f": {remedy}$"):
                io.to(room)  # type: ignore[arg-type]


async def test_function_among_the_arguments_is_refused_with_the_name_of_ack() -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    async with server:
        for emit in (io.emit, socket.emit, socket.timeout(5).emit, io.to("a").emit):
            for callback in (lambda *_: None, print, socket.join):
                with pytest.raises(TypeError, match="cannot be sent: pass a callback as ack="):
                    emit("x", 1, callback)


def test_of_refuses_a_value_of_another_type_than_name_pattern_or_function() -> None:
    for name in (None, 5, b"/orders"):
        with pytest.raises(TypeError, match="not a name or a compiled pattern, so it"):
            SocketServer().of(name)  # type: ignore[call-overload]


async def test_several_rooms_are_accepted_by_position_or_as_a_list() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b, c = [await server.connect() for _ in range(3)]
        io.sockets[a.id].join("a", "both")
        io.sockets[b.id].join(["b"], "both")
        io.to("a", "b").emit("1")
        io.in_(["a", "b"]).emit("2")
        io.except_("a", "b").emit("3")
        io.sockets[c.id].to("a", ["b"]).emit("4")
        assert [name for name, _ in a.received] == ["1", "2", "4"]
        assert [name for name, _ in b.received] == ["1", "2", "4"]
        assert [name for name, _ in c.received] == ["3"]
        io.sockets_join("x", "y")
        assert io.main.rooms["x"] == io.main.rooms["y"] == {a.id, b.id, c.id}
        io.sockets_leave("x", "y")
        io.sockets[a.id].leave("a", "both")
        assert set(io.main.rooms) == {"b", "both", a.id, b.id, c.id}


@pytest.mark.parametrize("rooms", [(), ([],), (set(),), ((), [])])
async def test_to_without_a_room_does_not_reach_all_sockets(rooms: Any) -> None:
    io = SocketServer()
    server, client, socket = await connect_with(io)
    async with server:
        for target in (io, io.main, socket, io.of(lambda name, auth: True), io.to("a")):
            with pytest.raises(ValueError, match="to reach all sockets, leave to"):
                target.to(*rooms)
        assert client.received == []


@pytest.mark.parametrize("seconds", [5000, 10_000, -1, float("nan"), "5", None, True])
async def test_timeout_in_milliseconds_is_refused(seconds: Any) -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    text = "did you mean 5|did you mean 10|must be a number of seconds"
    async with server:
        for target in (io, io.to("a"), socket, socket.volatile):
            with pytest.raises(ValueError, match=text):
                target.timeout(seconds)


@pytest.mark.parametrize(("keyword", "remedy"), [
    ("to", r"\.to\(room\)\.emit"), ("room", r"\.to\(room\)\.emit"), ("skip_sid", "except_"),
    ("namespace", r"io\.of\(namespace\)\.emit"), ("callback", "emit_with_ack"),
    ("include_self", "broadcast"), ("ignore_queue", "local"), ("volatile", r"\.volatile\.emit"),
    ("data", "by position"),
])  # fmt: skip
async def test_emit_refuses_keywords_of_other_libraries(keyword: str, remedy: str) -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    async with server:
        for target in (io, io.main, io.to("a"), socket, socket.volatile, socket.broadcast,
                       io.of(lambda name, auth: True)):  # fmt: skip
            with pytest.raises(TypeError, match=f"emit.. has no keyword '{keyword}': .*{remedy}"):
                target.emit("x", **{keyword: "value"})  # type: ignore[attr-defined]
        for sender in (io, socket, io.to("a")):
            with pytest.raises(TypeError, match=f"has no keyword '{keyword}': .*{remedy}"):
                sender.send("text", **{keyword: "value"})


async def test_callback_keyword_names_ack_and_a_parent_namespace_refuses_it() -> None:
    io = SocketServer()
    with pytest.raises(TypeError, match=r"use emit\(\.\.\., ack=f\)"):
        io.emit("x", callback=print)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="use the emit of each namespace in `children`"):
        io.of(lambda name, auth: True).emit("x", ack=print)  # type: ignore[arg-type]


async def test_awaiting_emit_names_the_remedy() -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    async with server:
        calls: list[Callable[[], Any]] = [
            lambda: io.emit("x"), lambda: io.send("x"), lambda: io.to("a").emit("x"),
            lambda: socket.emit("x"), lambda: socket.send("x"), lambda: socket.volatile.emit("x"),
            lambda: io.of(lambda name, auth: True).emit("x"), lambda: socket.emit("x", ack=print),
            socket.disconnect,
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(TypeError, match=r"must not be awaited: remove 'await', or use"):
                await call()


@pytest.mark.parametrize("handlers", [1, 2])
async def test_handler_that_returns_the_result_of_emit_acks_without_arguments(
    handlers: int,
) -> None:
    io = SocketServer()
    for _ in range(handlers):
        io.on("x", lambda socket: socket.emit("y"))
    server, client, _ = await connect_with(io)
    async with server:
        assert await client.emit_with_ack("x") is None


# -- values that cannot be sent


@pytest.mark.parametrize("parser", [JsonParser(), MsgpackParser()], ids=["json", "msgpack"])
@pytest.mark.parametrize("value", [object(), print, 2**64, {("a",): 1}, async_generator()])
async def test_value_that_cannot_be_sent_raises_with_and_without_clients(
    parser: Any, value: Any
) -> None:
    io = SocketServer(parser=parser)
    raised: list[str] = []
    calls: list[Callable[[], Any]] = [
        lambda: io.emit("x", value), lambda: io.to("a").emit("x", value),
        lambda: io.volatile.emit("x", value), lambda: io.of("/a").emit("x", value),
        lambda: io.server_side_emit("x", value),
    ]  # fmt: skip

    def attempt() -> None:
        for call in calls:
            with pytest.raises((TypeError, ValueError)) as error:
                call()
            raised.append(str(error.value))

    attempt()
    server, _, socket = await connect_with(io)
    async with server:
        attempt()
        calls = [lambda: socket.emit("x", value), lambda: socket.volatile.emit("x", value)]
        attempt()
        with pytest.raises((TypeError, ValueError)):
            await io.to("a").emit_with_ack("x", value)
    assert len(set(raised)) == 1


@pytest.mark.parametrize("is_async", [False, True])
async def test_result_that_cannot_be_sent_is_logged_in_one_line(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    io = SocketServer()

    async def later(socket: Socket) -> Any:
        await asyncio.sleep(0)
        return object()

    io.on("x", later if is_async else lambda socket: object())
    server, client, _ = await connect_with(io)
    async with server:
        assert (await client.emit_with_ack("x"))["code"] == "HANDLER_ERROR"
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.exc_info is None
    assert "\n" not in record.getMessage()
    assert "the handler returned a value that cannot be sent: a value of type" in caplog.text


async def test_result_that_is_an_awaitable_names_the_remedy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()
    io.on("x", lambda socket: asyncio.ensure_future(asyncio.sleep(0)))
    server, client, _ = await connect_with(io)
    async with server:
        await client.emit_with_ack("x")
    assert "await it first" in caplog.text


# -- threads


async def run_in_thread(call: Callable[[], Any]) -> BaseException | None:
    """Return the exception of a call in another thread."""
    caught: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return caught[0] if caught else None


async def test_emit_from_another_thread_is_refused() -> None:
    io = SocketServer()
    server, client, socket = await connect_with(io)
    async with server:
        calls: list[Callable[[], Any]] = [
            lambda: io.emit("x"), lambda: io.to("a").emit("x"), lambda: socket.emit("x"),
            lambda: socket.broadcast.emit("x"), lambda: socket.emit("x", ack=print),
            lambda: socket.volatile.emit("x"), socket.disconnect, io.disconnect_sockets,
            lambda: asyncio.run(socket.emit_with_ack("x")),
            lambda: asyncio.run(socket.timeout(1).emit_with_ack("x")),
            lambda: asyncio.run(io.timeout(1).emit_with_ack("x")),
        ]  # fmt: skip
        for call in calls:
            error = await run_in_thread(call)
            assert isinstance(error, RuntimeError)
            assert "loop.call_soon_threadsafe(io.emit, event, *args)" in str(error)
        assert client.received == []
        assert client.connected


async def test_emit_from_another_thread_works_with_call_soon_threadsafe() -> None:
    io = SocketServer()
    server, client, _ = await connect_with(io)
    loop = asyncio.get_running_loop()
    async with server:
        await run_in_thread(lambda: loop.call_soon_threadsafe(io.emit, "x", 1))
        assert await client.receive_event("x") == [1]


async def test_ack_from_another_thread_works_with_run_coroutine_threadsafe() -> None:
    server, client, socket = await connect_with(SocketServer())
    client.auto_ack = lambda name, args: "answer"
    loop = asyncio.get_running_loop()
    answers: list[Any] = []

    def request_ack() -> None:
        future = asyncio.run_coroutine_threadsafe(socket.emit_with_ack("x"), loop)
        answers.append(future.result(300))

    async with server:
        await asyncio.to_thread(request_ack)
    assert answers == ["answer"]


@pytest.mark.parametrize("value", [object(), {"at": datetime(2024, 1, 1)}])
def test_parent_namespace_without_children_refuses_an_unserializable_value(value: Any) -> None:
    io = SocketServer()
    parent = io.of(re.compile("/org-.*"))
    for target in (parent, parent.to("room"), parent.except_("room")):
        with pytest.raises((TypeError, ValueError), match=r"to be sent|cannot be sent"):
            target.emit("x", value)


@pytest.mark.parametrize("value", ["close", 1, 0, None])
async def test_flag_that_is_not_a_bool_is_refused(value: Any) -> None:
    io = SocketServer()
    server, client, socket = await connect_with(io)
    async with server:
        calls: list[Callable[[Any], Any]] = [
            socket.disconnect, socket.compress, socket.volatile.compress, io.compress,
            io.to("a").compress, io.disconnect_sockets, io.to("a").disconnect_sockets,
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(TypeError, match=f"must be True or False, got {value!r}"):
                call(value)
        assert client.connected
