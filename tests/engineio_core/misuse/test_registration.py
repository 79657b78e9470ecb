"""Hooks, middleware and callbacks are rejected at registration when they cannot be called."""

from __future__ import annotations

from typing import Any

import pytest

from engineio_core import Cors, Engine
from tests.engineio_core.misuse.support import (
    DEFERRED,
    EVENTS,
    CallableObject,
    deny,
    generate,
    generate_async,
)
from tests.helpers.client import Server


@pytest.mark.parametrize("hook", DEFERRED)
@pytest.mark.parametrize("event", EVENTS)
def test_hook_is_rejected_when_it_is_not_a_plain_function(event: Any, hook: Any) -> None:
    with pytest.raises(TypeError, match=f"the '{event}' hook must be a (plain )?function, got"):
        Engine().on(event, hook)
    with pytest.raises(TypeError, match="hook must be"):
        Engine().on(event)(hook)


@pytest.mark.parametrize("event", EVENTS)
def test_hook_is_rejected_when_it_does_not_accept_the_arguments(event: Any) -> None:
    with pytest.raises(TypeError, match=f"the '{event}' hook is called as f.*: declare . posit"):
        Engine().on(event, lambda: None)
    with pytest.raises(TypeError, match="must be a function, got None"):
        Engine().on(event, None)


def test_function_is_rejected_when_it_does_not_accept_the_request() -> None:
    def nothing() -> Any: ...

    with pytest.raises(TypeError, match=r"an engine middleware is called as f\(request\), which"):
        Engine().use(nothing)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"allow_request is called as f\(request\), which"):
        Engine(allow_request=nothing)
    with pytest.raises(TypeError, match=r"generate_id is called as f\(request\), which"):
        Engine(generate_id=nothing)
    with pytest.raises(TypeError, match=r"Cors\(origins=...\) is called as f\(origin\), which"):
        Cors(origins=nothing)  # type: ignore[arg-type]


def test_hook_without_an_event_name_is_rejected() -> None:
    engine = Engine()

    def connected(session: Any) -> None: ...

    with pytest.raises(TypeError, match=r'got the function .*connected: write @engine.on\("conn'):
        engine.on(connected)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="must receive an event name, got None"):
        engine.on(None)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("event", "remedy"),
    [
        ("connect", 'use "connection"'),
        ("disconnect", "assign session.on_close"),
        ("message", "assign session.on_text and session.on_binary"),
        ("conection", "did you mean 'connection'?"),  # codespell:ignore conection
        ("x", "the events are connection, "),
    ],
)
def test_hook_of_an_unknown_event_is_rejected_with_the_remedy(event: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=f"unknown event '{event}': .*") as raised:
        Engine().on(event, print)
    assert remedy in str(raised.value)


@pytest.mark.parametrize("middleware", [generate, generate_async, None, "text"])
def test_middleware_is_rejected_when_it_cannot_be_awaited_or_called(middleware: Any) -> None:
    with pytest.raises(TypeError, match="an engine middleware must be a"):
        Engine().use(middleware)


@pytest.mark.parametrize("name", ["allow_request", "generate_id"])
@pytest.mark.parametrize("function", [generate, generate_async, "text", True])
def test_function_option_is_rejected_when_it_cannot_be_awaited_or_called(
    name: str, function: Any
) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a "):
        Engine(**{name: function})


@pytest.mark.parametrize("function", [deny, generate, generate_async, CallableObject()])
def test_origin_check_is_rejected_when_it_is_not_a_plain_function(function: Any) -> None:
    with pytest.raises(TypeError, match=r"Cors\(origins=...\) must be a plain function, got the"):
        Cors(origins=function)


@pytest.mark.parametrize("callback", [*DEFERRED, None])
@pytest.mark.parametrize("name", ["on_text", "on_binary", "on_close", "on_upgrade", "on_drain"])
def test_session_callback_is_rejected_when_it_is_not_a_plain_function(
    name: str, callback: Any
) -> None:
    server = Server()
    server.open("websocket")
    before = getattr(server.session, name)
    with pytest.raises(TypeError, match=f"session.{name} must be a (plain )?function, got"):
        setattr(server.session, name, callback)
    assert getattr(server.session, name) == before
