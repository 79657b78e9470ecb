"""Functions, registrations and a connected server for the tests of misuse."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from socketio_core import Socket, SocketServer
from socketio_core.testing import TestClient, TestServer

Register = Callable[[SocketServer, Any], Any]


async def connect_with(io: SocketServer) -> tuple[TestServer, TestClient, Socket]:
    """Return a server with one client and the socket of the client."""
    server = TestServer(io)
    client = await server.connect()
    return server, client, io.sockets[client.id]


async def async_callback(*args: Any) -> None:
    pass


def generator(*args: Any) -> Any:
    yield args


async def async_generator(*args: Any) -> Any:
    yield args


class AsyncCallable:
    """Object whose call returns a coroutine."""

    async def __call__(self, *args: Any) -> None:
        pass


class GeneratorCallable:
    """Object whose call returns a generator."""

    def __call__(self, *args: Any) -> Any:
        yield args

    def method(self, *args: Any) -> Any:
        yield args


GENERATORS = [
    generator, async_generator, functools.partial(generator, 1), GeneratorCallable(),
    GeneratorCallable().method, functools.partial(GeneratorCallable(), 1),
]  # fmt: skip
ASYNC_FUNCTIONS = [async_callback, functools.partial(async_callback), AsyncCallable(),
                   functools.partial(AsyncCallable()), AsyncCallable().__call__]  # fmt: skip
REGISTRATIONS: dict[str, Register] = {
    "on": lambda io, function: io.on("x", function),
    "on as decorator": lambda io, function: io.on("x")(function),
    "once": lambda io, function: io.once("x", function),
    "prepend": lambda io, function: io.prepend("x", function),
    "on connection": lambda io, function: io.on("connection", function),
    "on_any": lambda io, function: io.on_any(function),
    "on_unhandled": lambda io, function: io.on_unhandled(function),
    "on_server_event": lambda io, function: io.on_server_event("x", function),
    "use": lambda io, function: io.use(function),
    "use_event": lambda io, function: io.use_event(function),
    "on_error": lambda io, function: io.on_error(function),
    "on_room_event": lambda io, function: io.on_room_event(function),
    "on_new_namespace": lambda io, function: io.on_new_namespace(function),
    "of": lambda io, function: io.of(function),
    "namespace": lambda io, function: io.of("/a").on("x", function),
    "parent": lambda io, function: io.of(lambda name, auth: True).on("x", function),
}
