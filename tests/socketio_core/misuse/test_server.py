"""The server, its options and the test server reject wrong arguments."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import Recovery, SocketServer
from socketio_core.testing import TestServer
from tests.socketio_core.misuse.support import connect_with


@pytest.mark.parametrize(("options", "text"), [
    ({"disconnect": "close"}, "disconnect must be True or False"),
    ({"drain": 5000}, "drain must be at most 3600 seconds, got 5000: did you mean 5?"),
    ({"drain": -1}, "drain must be a number of seconds"), ({"grace": "2"}, "grace must be"),
])  # fmt: skip
async def test_shutdown_refuses_a_wrong_value_and_keeps_serving(options: Any, text: str) -> None:
    io = SocketServer()
    server, client, _ = await connect_with(io)
    async with server:
        with pytest.raises((TypeError, ValueError), match=text):
            await io.shutdown(**options)
        io.emit("still there")
        assert await client.receive_event("still there") == []


@pytest.mark.parametrize("wrap", [
    lambda io: io.mount(SocketServer()), lambda io: io.asgi_app(SocketServer()),
    lambda io: asyncio.run(io({"type": "http"}, None, None)),
])  # fmt: skip
def test_server_in_place_of_an_asgi_application_is_refused(wrap: Any) -> None:
    with pytest.raises(TypeError, match=r"not an ASGI application: use .*io\.asgi_app\(\)"):
        wrap(SocketServer())


def test_off_refuses_a_value_that_is_not_a_function() -> None:
    with pytest.raises(TypeError, match="must receive the registered function, got 5"):
        SocketServer().off("x", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("clock", [None, 5, asyncio])
def test_clock_without_timers_is_refused(clock: Any) -> None:
    with pytest.raises(TypeError, match="clock must be an object with the methods"):
        SocketServer().use_clock(clock)


@pytest.mark.parametrize("io", [None, 5, SocketServer])
def test_test_server_refuses_another_object(io: Any) -> None:
    with pytest.raises(TypeError, match="TestServer must receive a SocketServer, got"):
        TestServer(io)


@pytest.mark.parametrize(("arguments", "text"), [
    ({"namespace": "board"}, 'must start with "/", got .board.'),
    ({"auth": "token"}, "auth must be a dict, got .token."),
    ({"query": {"a": "b"}}, "query must be a string, got .*urlencode"),
])  # fmt: skip
async def test_test_client_refuses_wrong_arguments(arguments: Any, text: str) -> None:
    async with TestServer(SocketServer()) as server:
        with pytest.raises((TypeError, ValueError), match=text):
            await server.connect(**arguments)


@pytest.mark.parametrize(("options", "text"), [
    ({"connect_timeout": 45_000}, "connect_timeout must be at most 3600 .* did you mean 45?"),
    ({"refused_timeout": 10_000}, "did you mean 10?"),
    ({"handler_timeout": 5_000_000}, "did you mean 5000?"),
    ({"serialize_handlers": "yes"}, "serialize_handlers must be True or False"),
])  # fmt: skip
def test_option_with_a_wrong_value_is_refused(options: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        SocketServer(**options)


def test_recovery_duration_in_milliseconds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at most 86400 seconds, got 120000: did you mean 120\?"):
        Recovery(max_disconnection_duration=2 * 60 * 1000)
