"""Handlers that answer before they end, with a parameter for the ack."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from socketio_core import Ack, AckError, Socket, SocketServer
from socketio_core.testing import TestClient, TestServer, settle


class Work:
    """A server whose handlers wait for `go_on`, and the record of their steps."""

    def __init__(self) -> None:
        self.io = SocketServer()
        self.go_on = asyncio.Event()
        self.done: list[Any] = []
        self.errors: list[str] = []
        self.io.on_error(lambda error, socket, event: self.errors.append(repr(error)))


async def test_ack_is_sent_before_the_handler_ends() -> None:
    work = Work()

    @work.io.on("import")
    async def start(socket: Socket, path: str, ack: Ack[str]) -> None:
        ack("accepted", path)
        await work.go_on.wait()
        ack("too late")
        work.done.append(ack.is_answered)

    async with TestServer(work.io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("import", "a.csv") == "accepted"
        assert work.done == []
        work.go_on.set()
        await settle()
        assert work.done == [True]
        assert await client.emit_with_ack("import", "b.csv") == "accepted"


async def test_result_is_the_ack_of_a_handler_that_did_not_answer() -> None:
    work = Work()

    @work.io.on("x")
    def handler(socket: Socket, *, ack: Ack[int]) -> int:
        return 7

    @work.io.on("y")
    def other(socket: Socket, ack: Ack) -> int:
        ack(1)
        return 2

    async with TestServer(work.io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("x") == 7
        assert await client.emit_with_ack("y") == 1


async def test_event_without_a_request_for_an_ack_passes_an_ack_without_effect() -> None:
    work = Work()

    @work.io.on("x")
    def handler(socket: Socket, number: int, ack: Ack) -> None:
        work.done.append((number, ack.requested))
        ack("nothing")

    async with TestServer(work.io) as server:
        client = await server.connect()
        client.emit("x", 1, "surplus")
        await settle()
        await client.emit_with_ack("x", 2)
        assert work.done == [(1, False), (2, True)]


async def test_arguments_are_checked_and_missing_ones_are_named() -> None:
    work = Work()

    @work.io.on("x")
    def handler(socket: Socket, number: int, ack: Ack) -> None:
        ack(number)

    async with TestServer(work.io) as server:
        client = await server.connect()
        assert (await client.emit_with_ack("x", "a"))["fields"][0]["path"] == "number"
        assert (await client.emit_with_ack("x"))["error"] == "missing argument: 'number'"
        assert await client.emit_with_ack("x", 3) == 3


async def test_error_after_the_ack_is_reported_and_not_sent() -> None:
    work = Work()

    @work.io.on("x")
    async def handler(socket: Socket, ack: Ack) -> None:
        ack("accepted")
        await asyncio.sleep(0)
        raise AckError("FAILED", "too late for the client")

    @work.io.on("y")
    def early(socket: Socket, ack: Ack) -> None:
        raise AckError("FAILED", "in time")

    async with TestServer(work.io) as server:
        client = await server.connect()
        acks = count_acks(client)
        assert await client.emit_with_ack("x") == "accepted"
        await settle()
        assert work.errors == ["AckError('too late for the client')"]
        assert (await client.emit_with_ack("y"))["code"] == "FAILED"
        assert len(acks) == 2
        assert len(work.errors) == 1


async def test_value_that_cannot_be_sent_raises_at_the_call() -> None:
    work = Work()

    @work.io.on("x")
    def handler(socket: Socket, ack: Ack) -> None:
        try:
            ack(object())
        except TypeError as error:
            work.done.append(str(error))
        ack("second")

    async with TestServer(work.io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("x") == "second"
        assert "a value of type object cannot be sent" in work.done[0]


async def test_several_handlers_share_the_ack() -> None:
    work = Work()
    work.io.on("x", lambda socket: "plain")

    @work.io.on("x")
    def handler(socket: Socket, ack: Ack) -> None:
        work.done.append(ack.is_answered)
        ack("early")

    async with TestServer(work.io) as server:
        client = await server.connect()
        acks = count_acks(client)
        assert await client.emit_with_ack("x") == "plain"
        await settle()
        assert (work.done, len(acks)) == ([True], 1)


async def test_handler_of_a_socket_takes_the_ack() -> None:
    io = SocketServer()

    @io.on("connection")
    def connected(socket: Socket) -> None:
        def handler(text: str, ack: Ack) -> None:
            ack(text.upper())

        socket.on("x", handler)

    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("x", "a") == "A"


async def test_ack_in_another_thread_is_refused() -> None:
    work = Work()

    @work.io.on("x")
    async def handler(socket: Socket, ack: Ack) -> str:
        thread = threading.Thread(target=call, args=(ack,))
        thread.start()
        await asyncio.to_thread(thread.join)
        return "from the loop"

    def call(ack: Ack) -> None:
        try:
            ack("from a thread")
        except RuntimeError as error:
            work.done.append(str(error))

    async with TestServer(work.io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("x") == "from the loop"
        assert "thread" in work.done[0]


async def test_ack_after_the_client_has_left_has_no_effect() -> None:
    work = Work()

    @work.io.on("x")
    async def handler(socket: Socket, ack: Ack) -> None:
        await work.go_on.wait()
        ack("gone")
        work.done.append("ended")

    async with TestServer(work.io) as server:
        client = await server.connect()
        waiting = asyncio.ensure_future(client.emit_with_ack("x"))
        await settle()
        client.connection.cut()
        work.go_on.set()
        await settle()
        assert work.done == ["ended"]
        assert isinstance(waiting.exception(), Exception)
    assert work.errors == []


def count_acks(client: TestClient) -> list[int]:
    """Return a list that grows with each ack of the server."""
    found: list[int] = []
    pop = client._acks.pop

    class Acks(dict[int, Any]):
        def pop(self, key: int, *default: Any) -> Any:  # type: ignore[override]
            found.append(key)
            return super().pop(key, *default)

    assert pop is not None
    client._acks = Acks()
    return found


# -- registration


def test_untyped_callback_is_refused_with_both_remedies() -> None:
    with pytest.raises(TypeError, match=r"return the value of the ack, or write ack: Ack to"):
        SocketServer().on("x", lambda socket, ack: None)


def first(socket: Socket, ack: Ack, number: int) -> None: ...
def twice(socket: Socket, ack: Ack, second: Ack) -> None: ...
def positional(socket: Socket, ack: Ack, /) -> None: ...


@pytest.mark.parametrize("handler", [first, twice, positional])
def test_ack_in_another_place_is_refused(handler: Any) -> None:
    with pytest.raises(TypeError, match="must take one ack, as its last parameter"):
        SocketServer().on("x", handler)


def takes_ack(socket: Socket, ack: Ack) -> None: ...


@pytest.mark.parametrize(
    "register",
    [
        lambda io: io.on_any(takes_ack),
        lambda io: io.on_unhandled(takes_ack),
        lambda io: io.on("connection", takes_ack),
        lambda io: io.on("disconnect", takes_ack),
    ],
)
def test_ack_is_refused_where_no_event_is_answered(register: Any) -> None:
    with pytest.raises(TypeError, match="only handlers of events can answer before they end"):
        register(SocketServer())


def test_server_event_handler_must_not_take_an_ack() -> None:
    def handler(ack: Ack) -> None: ...

    with pytest.raises(TypeError, match="must not take the ack 'ack' as a server event handler"):
        SocketServer().on_server_event("x", handler)


def test_type_of_the_ack_is_documented() -> None:
    io = SocketServer()

    @io.on("import")
    async def start(socket: Socket, path: str, ack: Ack[list[int]]) -> None: ...

    expected = "import: (path: string, ack: (answer: number[] | Refusal) => void) => void;"
    assert expected in io.typescript()
