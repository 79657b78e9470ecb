"""Values that clients and the application choose, as admins see them: bounded, without secrets."""

from __future__ import annotations

import dataclasses
import enum
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socketio_core import JsonParser, SocketServer
from socketio_core.adapters.interface import RemoteState
from socketio_core.admin.presentation import (
    HIDDEN,
    MAX_ARGUMENTS,
    MAX_ATTACHMENTS,
    MAX_DATA,
    MAX_ENTRIES,
    MAX_TEXT,
    client_id,
    describe_remote,
    present,
    show_arguments,
)
from socketio_core.testing import TestServer
from tests.socketio_core.admin.support import connect, development, last


async def describe(**client: Any) -> dict[str, Any]:
    """Return a client as an admin sees it."""
    async with TestServer(development(SocketServer())) as server:
        admin = await connect(server)
        await server.connect(**client)
        described: dict[str, Any] = last(admin, "socket_connected")[0]
        return described


async def test_credentials_of_clients_are_hidden() -> None:
    handshake = (
        await describe(
            headers={"Cookie": "sid=s3cret", "Authorization": "Bearer s3cret",
                     "X-Api-Key": "s3cret", "User-Agent": "browser", "Sec-WebSocket-Key": "dGhl"},
            query="token=s3cret&room=7",
            auth={"token": "s3cret"},
        )
    )["handshake"]  # fmt: skip
    assert "s3cret" not in str(handshake)
    assert handshake["headers"] == {
        "cookie": HIDDEN, "authorization": HIDDEN, "x-api-key": HIDDEN, "user-agent": "browser",
        "sec-websocket-key": "dGhl",
    }  # fmt: skip
    assert handshake["query"]["room"] == "7"
    assert handshake["url"] == f"/socket.io/?{HIDDEN}"
    assert "auth" not in handshake


async def test_long_values_of_the_handshake_are_cut() -> None:
    headers = {f"x-{number}": "v" * 2000 for number in range(MAX_ENTRIES + 5)}
    handshake = (await describe(headers=headers, query="a=" + "b" * 5000))["handshake"]
    assert len(handshake["headers"]) == MAX_ENTRIES
    assert {len(each) for each in handshake["headers"].values()} == {MAX_TEXT + 3}
    assert len(handshake["query"]["a"]) == MAX_TEXT + 3
    assert len(handshake["url"]) == MAX_TEXT + 3


async def test_client_id_is_not_a_part_of_the_secret_sid() -> None:
    async with TestServer(development(SocketServer())) as server:
        admin = await connect(server)
        client = await server.connect()
        sid = client.connection.session.sid
        assert last(admin, "socket_connected")[0]["clientId"] == client_id(sid)
        assert sid[:6] not in str(admin.received)


@pytest.mark.parametrize(
    "handshake",
    [{}, {"headers": None, "query": 7, "issued": "x", "secure": 1, "url": None, "time": ["a"]},
     {"headers": {"a": {"b": 1}}, "address": 5}],
)  # fmt: skip
@pytest.mark.parametrize("data", [None, 7, {"_admin": 1}, {"_admin": {"clientId": {"a": 1}}}])
def test_socket_of_another_server_may_have_any_values(handshake: dict[str, Any], data: Any) -> None:
    state = RemoteState("id", handshake, frozenset({"id"}), data)
    shown = describe_remote(state, "/")
    assert isinstance(shown["handshake"]["headers"], dict)
    assert isinstance(shown.get("clientId", ""), str)
    assert JsonParser().encode_event("/admin", ["x", shown])


# -- arguments of events


def test_small_events_are_shown_unchanged() -> None:
    event = ["ev", 1, {"a": [b"\x00", None]}, "x" * 1000]
    assert show_arguments(event) is event


@pytest.mark.parametrize(
    "argument",
    ["x" * MAX_ARGUMENTS, b"x" * MAX_ARGUMENTS, [0] * MAX_ARGUMENTS, {"k" * MAX_ARGUMENTS: 1},
     dict.fromkeys(range(MAX_ARGUMENTS)), [b""] * (MAX_ATTACHMENTS + 1)],
    ids=["text", "bytes", "items", "key", "keys", "attachments"],
)  # fmt: skip
def test_large_events_are_cut(argument: Any) -> None:
    shown = show_arguments(["ev", argument])
    assert shown[0] == "ev"
    packets = JsonParser().encode_event("/admin", ["event_received", shown])
    assert len(packets) == 1, "binary data is shown as its size"
    assert len(packets[0].payload) < 2 * MAX_DATA


def test_circular_value_is_cut() -> None:
    circular: list[Any] = []
    circular.append(circular)
    assert JsonParser().encode_event("/admin", show_arguments(["ev", circular]))


# -- data of sockets


class Role(enum.Enum):
    ADMIN = "admin"


@dataclasses.dataclass
class User:
    name: str
    role: Role


class Session(msgspec.Struct):
    user: User


class Opaque:
    def __repr__(self) -> str:
        return "s3cret"


def test_values_of_the_application_are_readable() -> None:
    assert present(
        {
            "session": Session(User("ann", Role.ADMIN)),
            "opaque": Opaque(),
            "bytes": b"\x00\x01",
            "at": datetime(2026, 11, 28, tzinfo=UTC),
            "large": 2**64,
            "set": {1},
            7: None,
        }
    ) == {
        "session": {"user": {"name": "ann", "role": "admin"}},
        "opaque": "<Opaque>",
        "bytes": "(2 bytes)",
        "at": "2026-11-28T00:00:00+00:00",
        "large": "0x10000000000000000",
        "set": [1],
        "7": None,
    }
    assert present(list(range(MAX_ENTRIES + 2)))[-1] == "(2 more)"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=50,
)


@settings(max_examples=40)
@given(VALUES)
def test_any_value_can_be_shown(value: Any) -> None:
    packets = JsonParser().encode_event("/admin", ["x", present(value)])
    assert len(packets) == 1
    assert len(packets[0].payload) < 12 * MAX_DATA, "escapes take up to six bytes"


async def test_any_object_may_be_the_data_of_a_socket() -> None:
    io = development(SocketServer())

    @io.on("connection")
    def set_data(socket: Any) -> None:
        socket.data = SimpleNamespace(token="s3cret")

    async with TestServer(io) as server:
        admin = await connect(server)
        await server.connect()
        await server.advance(1)
        assert last(admin, "socket_updated")[0]["data"] == "<SimpleNamespace>"
