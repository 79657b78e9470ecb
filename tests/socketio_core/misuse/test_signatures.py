"""Handlers and namespaces are rejected when their parameters, event names or names are wrong."""

from __future__ import annotations

import functools
import re
from typing import Any, TypedDict, TypeVar

import msgspec
import pytest

from socketio_core import Namespace, Socket, SocketServer, event
from tests.socketio_core.misuse.support import (
    REGISTRATIONS,
    AsyncCallable,
    async_callback,
    connect_with,
)


class Order(msgspec.Struct):
    item: str


class OrderDict(TypedDict):
    """Payload as a dictionary."""

    item: str


# -- parameters of handlers


def first_sid(sid: str, environ: dict[str, Any], auth: Any) -> None:
    """Accept the parameters of a connect handler of python-socketio."""


def first_dict(data: dict[str, Any]) -> None:
    pass


def first_struct(order: Order) -> None:
    pass


def first_typed_dict(order: OrderDict) -> None:
    pass


def first_union(order: str | None) -> None:
    pass


def first_list(orders: list[int]) -> None:
    pass


def first_bare(data) -> None:  # type: ignore[no-untyped-def]
    pass


@pytest.mark.parametrize("function", [
    first_sid, first_dict, first_struct, first_typed_dict, first_union, first_list, first_bare,
    lambda environ: None, lambda payload, other=1: None, lambda message: None,
    functools.partial(first_dict), lambda: None, lambda **options: None,
])  # fmt: skip
def test_handler_without_the_socket_is_refused(function: Any) -> None:
    for register in ("on", "on connection", "on_any", "on_unhandled"):
        with pytest.raises(TypeError, match="must take the socket as its first parameter"):
            REGISTRATIONS[register](SocketServer(), function)


def test_refusal_of_a_handler_without_the_socket_names_the_signature() -> None:
    with pytest.raises(TypeError, match=r"write def first_sid\(socket: Socket, .*socket.handshake"):
        SocketServer().on("connect", first_sid)


AnySocket = TypeVar("AnySocket", bound=Socket)
Unbound = TypeVar("Unbound")


class Data(msgspec.Struct):
    """Data of a socket."""

    user: str = ""


def takes_socket(socket: Socket) -> None:
    pass


def takes_generic(socket: Socket[Data]) -> None:
    """Accept a socket with typed data."""


def takes_any(data: Any) -> None:
    pass


def takes_object(data: object) -> None:
    pass


def takes_union(socket: Socket | Namespace) -> None:
    pass


def takes_variable(socket: AnySocket) -> AnySocket:
    return socket


def takes_unbound(socket: Unbound) -> Unbound:
    return socket


def takes_unknown(socket: NotDefinedAtRunTime) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Accept a type that only the type checker resolves."""


@pytest.mark.parametrize("function", [
    takes_socket, takes_generic, takes_any, takes_object, takes_union, takes_variable,
    takes_unbound, takes_unknown, lambda s: None, lambda *args: None, lambda client: None, print,
])  # fmt: skip
def test_handler_with_the_socket_is_accepted(function: Any) -> None:
    SocketServer().on("x", function)


@pytest.mark.parametrize("function", [takes_socket, takes_generic, lambda socket: None])
async def test_handler_of_a_socket_must_not_take_the_socket(function: Any) -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    async with server:
        for register in (
            lambda function: socket.on("x", function), socket.on_any, socket.on_any_outgoing,
            lambda function: io.on_server_event("x", function),
        ):  # fmt: skip
            with pytest.raises(TypeError, match=r"must not take the socket: .* remove the param"):
                register(function)


@pytest.mark.parametrize(("name", "function"), [
    ("connect", lambda socket, environ: None),
    ("connection", lambda socket, auth, more: None),
    ("disconnect", lambda socket, reason, description, more: None),
    ("disconnecting", lambda socket, reason, description, more: None),
])  # fmt: skip
def test_lifecycle_handler_with_more_parameters_is_refused(name: str, function: Any) -> None:
    with pytest.raises(
        TypeError, match=r"called with the socket.* requires more .*socket\.handshake"
    ):
        SocketServer().on(name, function)


@pytest.mark.parametrize("name", ["disconnect", "disconnecting"])
async def test_lifecycle_handler_of_a_socket_with_more_parameters_is_refused(name: str) -> None:
    server, _, socket = await connect_with(SocketServer())
    async with server:
        with pytest.raises(TypeError, match="called with the reason and the description, but"):
            socket.on(name, lambda reason, description, more: None)


# -- event names


@pytest.mark.parametrize(("register", "error", "text"), [
    (lambda io: io.on(takes_socket), TypeError, r"write @on\('takes_socket'\) above"),
    (lambda io: io.once(takes_socket), TypeError, r"write @once\('takes_socket'\)"),
    (lambda io: io.on("x", None), TypeError, "a handler must be a function, got None"),
    (lambda io: io.on(""), ValueError, "needs the name of an event"),
    (lambda io: io.on("*", takes_socket), ValueError, "use on_any"),
    (lambda io: io.on(5), TypeError, "needs the name of the event as a string"),
    (lambda io: io.on("connect_error"), ValueError, "use another name"),
    (lambda io: io.on("x", namespace="/a"), TypeError, r"use io\.of\(namespace\)"),
    (lambda io: io.once("x", handler=takes_socket), TypeError, "the function by position"),
    (lambda io: io.of("/a").prepend("x", order=1), TypeError, "no keyword 'order': pass the name"),
    (lambda io: io.on_server_event(takes_socket), TypeError, "needs the name of the event"),
    (lambda io: event(takes_socket), TypeError, r"write @event\('takes_socket'\)"),
    (lambda io: io.register(AsyncCallable), TypeError, r"write register\(AsyncCallable\(\)\)"),
    (lambda io: io.register(AsyncCallable()), TypeError, "mark its methods with @event"),
    (lambda io: io.emit(5), TypeError, "must be a string, got 5"),
    (lambda io: io.emit(None), TypeError, "must be a string, got None"),
    (lambda io: io.emit(b"x"), TypeError, "must be a string"),
    (lambda io: io.emit("disconnect"), ValueError, "reserved event name: use another name"),
    (lambda io: io.to("a").emit(5), TypeError, "must be a string, got 5"),
    (lambda io: io.server_side_emit(5), TypeError, "must be a string, got 5"),
    (lambda io: io.server_side_emit("connection"), ValueError, "use another name"),
    (lambda io: io.of(lambda name, auth: True).emit(5), TypeError, "must be a string, got 5"),
])  # fmt: skip
def test_wrong_event_name_is_refused(register: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        register(SocketServer())


@pytest.mark.parametrize(("name", "error"), [
    (5, TypeError), (1.5, TypeError), (None, ValueError), ("connect", ValueError),
])  # fmt: skip
async def test_socket_refuses_a_wrong_event_name(name: Any, error: Any) -> None:
    server, _, socket = await connect_with(SocketServer())
    async with server:
        with pytest.raises(error, match="event name"):
            socket.emit(name)
        with pytest.raises((TypeError, ValueError), match="event name"):
            socket.volatile.emit(name)
        with pytest.raises((TypeError, ValueError), match="event name"):
            socket.emit(name, ack=async_callback)
        with pytest.raises((TypeError, ValueError), match="event name"):
            await socket.emit_with_ack(name)


def test_unbound_method_is_refused_as_a_handler() -> None:
    class Orders:
        def place(self, socket: Socket) -> None:
            pass

    with pytest.raises(TypeError, match=r"first parameter is .self.: mark the method with @event"):
        SocketServer().on("place", Orders.place)


@pytest.mark.parametrize(("name", "remedy"), [
    ("*", "re.compile"), ("/*", "re.compile"), (r"^/org-\d+$", "re.compile"),
    ("/chat?token=1", "socket.handshake.query"),
])  # fmt: skip
def test_namespace_name_that_is_a_pattern_or_has_a_query_is_refused(name: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=f"must not contain .*{remedy}"):
        SocketServer().of(name)


def test_namespace_pattern_of_bytes_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must be text, got .*: remove the b"):
        SocketServer().of(re.compile(b"/x"))  # type: ignore[call-overload]
