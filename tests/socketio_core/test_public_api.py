"""Public names of the public classes and of the package."""

from __future__ import annotations

import inspect
import pydoc
import re
from typing import Any

import pytest

import socketio_core
from engineio_core.errors import CloseReason
from socketio_core import (
    Broadcast,
    DisconnectReason,
    Handshake,
    Namespace,
    ParentNamespace,
    RemoteSocket,
    Socket,
    SocketOperator,
    SocketServer,
)
from socketio_core.client import (
    AsyncClient,
    BlockingOperator,
    BlockingSocket,
    Client,
    ClientOperator,
    ClientSocket,
    EventStream,
    Manager,
)
from socketio_core.testing import TestClient, TestConnection, TestServer

LISTENING = {"off", "off_any", "on", "on_any", "once", "prepend", "register"}
REGISTERING = LISTENING | {"declare", "on_server_event", "on_unhandled", "use", "use_event"}
BROADCASTING = {
    "compress", "disconnect_sockets", "emit", "emit_with_ack", "except_", "fetch_sockets", "in_",
    "local", "send", "server_count", "server_side_emit", "server_side_emit_with_ack",
    "sockets_join", "sockets_leave", "timeout", "to", "volatile",
}  # fmt: skip
CLIENT = LISTENING | {
    "call", "connect", "connected", "drain", "emit", "emit_with_ack", "id", "on_unhandled",
    "recovered", "send", "start", "timeout", "volatile",
}  # fmt: skip
STREAMING = {"events", "off_any_outgoing", "on_any_outgoing"}
NAMESPACE_OF_CLIENT = CLIENT | {"active", "buffered", "disconnect"}
PUBLIC: dict[type[Any], set[str]] = {
    AsyncClient: CLIENT | STREAMING | {"close", "of", "transport", "wait"},
    BlockingOperator: {"emit", "emit_with_ack", "timeout", "volatile"},
    BlockingSocket: NAMESPACE_OF_CLIENT | {"namespace"},
    Client: NAMESPACE_OF_CLIENT | {"close", "manager", "namespace", "of", "transport", "wait"},
    ClientOperator: {"emit", "emit_with_ack", "timeout", "volatile"},
    ClientSocket: NAMESPACE_OF_CLIENT | STREAMING,
    EventStream: {"close", "receive"},
    Manager: {"amount", "is_open", "is_writable", "off", "on", "once", "transport", "url"},
    Broadcast: BROADCASTING,
    Handshake: {
        "address", "auth", "headers", "issued", "query", "secure", "time", "url", "xdomain",
    },
    Namespace: REGISTERING | BROADCASTING | {
        "adapter", "clock", "event_names", "name", "on_room_event", "rooms", "sockets",
    },
    ParentNamespace: REGISTERING | {"children", "emit", "except_", "fetch_sockets", "in_", "to"},
    Socket: LISTENING | {
        "broadcast", "compress", "connected", "data", "disconnect", "drain", "emit",
        "emit_with_ack", "except_", "handshake", "id", "in_", "join", "leave", "leave_all",
        "local", "namespace",
        "off_any_outgoing", "on_any_outgoing", "pid", "recovered", "rooms", "send", "session",
        "timeout", "to", "use", "use_event", "volatile",
    },
    SocketOperator: {
        "broadcast", "compress", "emit", "emit_with_ack", "except_", "in_", "local", "timeout",
        "to", "volatile",
    },
    SocketServer: REGISTERING | BROADCASTING | {
        "adapter_status", "asgi_app", "asyncapi", "begin_drain", "clock", "is_draining", "listen",
        "listen_webtransport", "mount", "namespaces", "of",
        "on_error",
        "on_new_namespace", "on_room_event", "run", "shutdown", "sockets", "typescript",
        "use_clock",
    },
    RemoteSocket: {
        "data", "disconnect", "emit", "emit_with_ack", "handshake", "id", "join", "leave", "rooms",
        "timeout",
    },
    TestClient: {
        "answer", "disconnect", "emit", "emit_with_ack", "events", "join", "receive_event",
    },
    TestConnection: {"cut", "pause", "resume", "send_packet", "send_text"},
    TestServer: {"advance", "connect", "open_connection"},
}  # fmt: skip
SERVER_ATTRIBUTES = {"engine", "main", "options"}


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: str(kind.__name__))
def test_class_has_only_the_documented_public_names(kind: type[Any]) -> None:
    assert {name for name in dir(kind) if not name.startswith("_")} == PUBLIC[kind]


def test_server_has_only_the_documented_public_attributes() -> None:
    public = {name for name in vars(SocketServer()) if not name.startswith("_")}
    assert public == SERVER_ATTRIBUTES


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: str(kind.__name__))
def test_help_shows_no_internal_method(kind: type[Any]) -> None:
    internal = {name for name in dir(kind) if re.match(r"_[a-z]", name)}
    # A compiled class lists its fields in an attribute of its own.
    text = re.sub(r".*__mypyc_attrs__.*", "", pydoc.plain(pydoc.render_doc(kind)))
    assert {name for name in internal if re.search(rf"\b{name}\b", text)} == set()


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: str(kind.__name__))
def test_public_methods_have_docstrings(kind: type[Any]) -> None:
    missing = [
        name
        for name in PUBLIC[kind]
        if (inspect.isfunction(member := getattr(kind, name)) or isinstance(member, property))
        and len((inspect.getdoc(member) or "").split()) < 4
    ]
    assert missing == []


def test_package_exports_the_arguments_of_callbacks() -> None:
    exported = set(socketio_core.__all__)
    assert {"HttpRequest", "HttpResponse", "Session", "DisconnectReason", "Clock"} <= exported
    assert all(hasattr(socketio_core, name) for name in exported)
    in_order = sorted(socketio_core.__all__, key=lambda name: (not name.isupper(), name))
    assert in_order == socketio_core.__all__


def test_client_package_exports_its_public_classes() -> None:
    exported = socketio_core.client.__all__
    assert sorted(exported) == exported
    assert all(hasattr(socketio_core.client, name) for name in exported)
    assert {
        kind.__name__ for kind in PUBLIC if kind.__module__.startswith("socketio_core.client")
    } <= (set(exported))


def test_disconnect_reasons_include_the_reasons_of_sessions() -> None:
    assert {str(reason) for reason in CloseReason} <= {str(reason) for reason in DisconnectReason}
