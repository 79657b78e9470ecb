"""Messages captured from the official adapters: decoded, encoded, and published by operations."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from socketio_core import RedisClassic, RedisSharded, SocketServer
from socketio_core.adapters.cluster.message import (
    Message,
    MessageType,
    decode_message,
    decode_value,
    encode_message,
    from_dict,
    to_dict,
)
from socketio_core.adapters.redis.classic_format import (
    OldRequest,
    encode_answer,
    encode_broadcast,
    encode_request,
    read_broadcast,
    read_request,
    read_response,
)
from socketio_core.adapters.redis.factory import RedisFactory
from socketio_core.testing import TestServer, settle
from tests.socketio_core.adapters.redis_support import (
    Captured,
    FakeLink,
    load,
    load_uid,
    use_fake_link,
)

SHARDED = ("sharded-dynamic", "sharded-dynamic-private", "sharded-static")
CLASSIC = ("classic", "classic-specific")


def same(first: Any, second: Any) -> bool:
    """Return whether two values are equal in JavaScript, where all numbers are doubles."""
    return repr(to_doubles(first)) == repr(to_doubles(second))


def to_doubles(value: Any) -> Any:
    if isinstance(value, list):
        return [to_doubles(item) for item in value]
    if isinstance(value, dict):
        return {key: to_doubles(item) for key, item in value.items()}
    return float(value) if type(value) is int else value


def name(case: tuple[str, Captured]) -> str:
    return f"{case[0]}: {case[1].name} {case[1].channel}"


def cases(*files: str) -> list[tuple[str, Captured]]:
    return [(file, each) for file in files for each in load(file)]


@pytest.mark.parametrize("case", cases(*SHARDED), ids=name)
def test_sharded_message_is_decoded_and_encoded(case: tuple[str, Captured]) -> None:
    _, captured = case
    value = captured.value if captured.value is not None else json.loads(captured.payload)
    message = decode_message(captured.payload)
    assert same(to_dict(message), value)
    encoded = encode_message(message)
    if captured.name == "value-kinds":  # JavaScript writes 1e+21, and orjson 1e21
        assert json.loads(encoded) == value
    else:
        assert encoded == captured.payload


@pytest.mark.parametrize("case", cases(*CLASSIC, "emitter"), ids=name)
def test_classic_message_is_decoded_and_encoded(case: tuple[str, Captured]) -> None:
    file, captured = case
    value = captured.value if captured.value is not None else json.loads(captured.payload)
    assert same(decode_value(captured.payload), value)
    prefix, namespace = captured.channel.split("#")[:2]
    read, encode = {
        "socket.io": (read_broadcast, encode_broadcast),
        "socket.io-request": (read_request, encode_request),
        "socket.io-response": (read_response, encode_answer),
    }[prefix]
    message = read(captured.payload, namespace)
    if isinstance(message, OldRequest):
        assert captured.name.startswith("old-") or captured.name == "all-rooms"
    elif message is None:
        assert re.match("old-|all-rooms|request-unknown-type", captured.name)
    elif captured.name.startswith("old-request-0"):
        assert message.type == MessageType.FETCH_SOCKETS_RESPONSE
    else:
        assert message.nsp == namespace
        # The official emitter writes whole numbers above 64 bits, and 2**64 as 0.
        if captured.name != "emit-integral-double-above-2-pow-64":
            assert encode(message) == captured.payload, file


@pytest.mark.parametrize("captured", [
    json.loads((load.__globals__["VECTORS"] / "cluster.json").read_text("utf-8"))
], ids=["cluster"])  # fmt: skip
def test_cluster_messages_have_the_official_keys(captured: dict[str, Any]) -> None:
    for each in captured["messages"]:
        value = each["value"]
        message = from_dict(value)
        assert message.type in set(MessageType)
        official = {key: value[key] for key in value if key in {"type", "data", "uid", "nsp"}}
        assert to_dict(message) == official
        assert list(to_dict(message)) == list(official)
        assert decode_message(encode_message(message)) == message


def test_namespace_of_another_name_is_ignored_on_the_pattern_channel() -> None:
    (captured,) = [each for each in load("classic") if each.name == "broadcast-namespace"]
    assert read_broadcast(captured.payload, "/") is None


# -- operations of a server

Operation = Callable[[SocketServer], Any]
MOMENT = datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
OPERATIONS: dict[str, Operation] = {
    "broadcast": lambda io: io.emit("hello", 1, "x", {"a": [1, None, True]}),
    "broadcast-namespace": lambda io: io.of("/chat").emit("hello", "chat"),
    "broadcast-one-room": lambda io: io.to("room1").emit("r1", "v"),
    "broadcast-two-rooms": lambda io: io.to("room1", "room2").emit("r12", "v"),
    "broadcast-one-room-20-characters": lambda io: io.to("a-20-characters-room").emit("r20", "v"),
    "broadcast-unknown-room": lambda io: io.to("nobody-here").emit("rx", "v"),
    "broadcast-except-room": lambda io: io.except_("room3").emit("ex", "v"),
    "volatile": lambda io: io.volatile.emit("vol", "v"),
    "compress-false": lambda io: io.compress(False).emit("comp", "v"),
    "binary": lambda io: io.emit("bin", b"\x00\x01\x02\xff", {"b": b"\x05\x06"}),
    "date-value": lambda io: io.emit("date", MOMENT),
    "broadcast-with-ack": lambda io: io.timeout(0.8).emit_with_ack("ask", "q"),
    "broadcast-with-ack-binary-question": lambda io: io.timeout(0.5).emit_with_ack("ask", b"\x04"),
    "broadcast-with-ack-room": lambda io: io.in_("room2").timeout(0.8).emit_with_ack("ask", "q2"),
    "sockets-join": lambda io: io.in_("room2").sockets_join("j1", "j2"),
    "sockets-join-one": lambda io: io.sockets_join("j3"),
    "sockets-leave": lambda io: io.in_("room2").except_("zzz").sockets_leave("j1"),
    "fetch-sockets": lambda io: io.fetch_sockets(),
    "fetch-sockets-in-room": lambda io: io.in_("room2").fetch_sockets(),
    "server-side-emit": lambda io: io.server_side_emit("ping-nodes", 1, "x"),
    "server-side-emit-with-ack": lambda io: io.server_side_emit_with_ack("ping-nodes", "q"),
    "server-side-emit-binary": lambda io: io.server_side_emit("ping-nodes", b"\x01\x02"),
    "disconnect-sockets": lambda io: io.in_("room2").disconnect_sockets(),
    "disconnect-sockets-close": lambda io: io.of("/chat").disconnect_sockets(True),
}
FACTORIES: dict[str, Callable[[], RedisFactory]] = {
    "classic": RedisClassic,
    "sharded-dynamic": RedisSharded,
    "sharded-dynamic-private": lambda: RedisSharded(subscription_mode="dynamic-private"),
    "sharded-static": lambda: RedisSharded(subscription_mode="static"),
}


def request_id_of(payload: bytes) -> bytes | None:
    found = re.search(rb"requestId(?:\":\"|\xb0|\xa6)([\w-]{16}|[\w-]{6})", payload)
    return found[1] if found is not None else None


def normalize(payload: bytes, uid: bytes) -> Any:
    """Return the decoded payload with constant ids, and the order of its keys."""
    value = decode_value(payload)
    text = repr(value).replace(repr(uid.decode()), "UID")
    request_id = request_id_of(payload)
    return text if request_id is None else text.replace(request_id.decode(), "REQUEST")


@pytest.mark.parametrize("file", FACTORIES)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_operation_publishes_the_captured_message(file: str, operation: str) -> None:
    factory = FACTORIES[file]()
    uid = load_uid(file)
    link = use_fake_link(factory, uid, servers=3)
    io = SocketServer(adapter=factory)
    io.of("/chat")
    async with TestServer(io) as server:
        pending = OPERATIONS[operation](io)
        task = asyncio.ensure_future(pending) if inspect.iscoroutine(pending) else None
        await settle()
        captured = next(each for each in load(file) if each.name == operation)
        (published,) = link.sent
        assert published[0] == captured.channel
        # The captured server had another uid in each namespace.
        captured_uid = find_uid(captured.payload)
        assert normalize(published[1], uid.encode()) == normalize(captured.payload, captured_uid)
        assert (published[1][:1] == b"{") == (captured.payload[:1] == b"{")
        if task is not None:
            await server.advance(10)
            await task


def find_uid(payload: bytes) -> bytes:
    value = decode_value(payload)
    uid: str = value[0] if isinstance(value, list) else value["uid"]
    return uid.encode()


# -- old requests of the classic adapter


async def test_old_requests_are_answered_as_by_the_official_adapter() -> None:
    factory = RedisClassic()
    link = use_fake_link(factory, "abcdef")
    io = SocketServer(adapter=factory)
    async with TestServer(io) as server:
        client = await server.connect()
        io.sockets[client.id].join("room1")
        answers = {}
        for each in load("classic"):
            is_request = each.channel == "socket.io-request#/#"
            if is_request and re.match("old-|request-unknown-type|all-rooms", each.name):
                link.sent.clear()
                payload = each.payload.replace(b"bXOyywL4DT940L9FAAAB", client.id.encode())
                link.deliver(each.channel, payload)
                await settle()
                answers[each.name] = [json.loads(payload) for _, payload in link.sent]
                rooms = io.sockets[client.id].rooms
                assert ("oldjoin" in rooms) == (each.name == "old-request-2-remote-join")
        all_rooms = answers.pop("all-rooms")
        assert sorted(all_rooms[0]["rooms"]) == sorted([client.id, "room1"])
        assert answers == {
            "old-request-0-sockets": [{"requestId": "req000", "sockets": [client.id]}],
            "old-request-0-sockets-no-rooms": [{"requestId": "req0a0", "sockets": [client.id]}],
            "old-request-2-remote-join": [{"requestId": "req002"}],
            "old-request-3-remote-leave": [{"requestId": "req003"}],
            "old-request-4-remote-disconnect-unknown-sid": [],
            "request-unknown-type": [],
        }


@pytest.mark.parametrize("file", [*SHARDED, *CLASSIC])
async def test_captured_broadcasts_reach_the_clients(file: str) -> None:
    factory = FACTORIES[file.replace("classic-specific", "classic")]()
    link = use_fake_link(factory, "0123456789abcdef")
    io = SocketServer(adapter=factory)
    async with TestServer(io) as server:
        client = await server.connect()
        io.sockets[client.id].join("room1", "room2", "7", "a-20-characters-room")
        for each in load(file):
            link.deliver(each.channel, each.payload)
            await settle()  # a volatile event is sent only if no other packet precedes it
        assert [name for name, _ in client.received if name not in {"ask", "askbin", "asknil"}] == [
            "hello", "r1", "r12", "r20", "ex", "ex2", "bc", "vol", "comp", "comp", "tm", "bin",
            "num", "vals", "date", "nan",
        ]  # fmt: skip
        received = dict(client.received)
        assert received["bin"] == [b"\x00\x01\x02\xff", {"b": b"\x05\x06"}]
        assert received["date"] == ["2023-11-14T22:13:20.123Z"]
        assert received["nan"] == [None, None]
        # As on Node: a whole number above 64 bits is broken by the official classic adapter.
        assert received["vals"][15] == (1e21 if file in SHARDED else 3875820019684212736)
        status = io.adapter_status()
        assert status is not None
        assert status.invalid == 0


async def test_status_follows_the_number_of_servers() -> None:
    factory = RedisSharded()
    link = use_fake_link(factory, "0123456789abcdef", servers=3)
    io = SocketServer(adapter=factory)
    async with TestServer(io) as server:
        factory._connected()
        assert factory.status().peers == 2
        link.servers = 2
        factory._connected()  # connects again
        await server.advance(11)
        assert factory.status().peers == 1


async def test_unknown_number_of_servers_ends_a_request_at_once() -> None:
    factory = RedisSharded()
    link = use_fake_link(factory, "0123456789abcdef")
    link.servers = None
    io = SocketServer(adapter=factory)
    async with TestServer(io) as server:
        client = await server.connect()
        sockets = await io.fetch_sockets()
        assert [socket.id for socket in sockets] == [client.id]
        assert sockets.missing_servers == 1


def test_room_channels_are_subscribed_as_by_the_official_adapter() -> None:
    found: dict[str, FakeLink] = {}

    async def run(mode: str) -> None:
        factory = FACTORIES[f"sharded-{mode}"]()
        link = found[mode] = use_fake_link(factory, "0123456789abcdef")
        io = SocketServer(adapter=factory)
        async with TestServer(io) as server:
            client = await server.connect()
            socket = io.sockets[client.id]
            own = ("SSUBSCRIBE", f"socket.io#/#{client.id}#")
            room = ("SSUBSCRIBE", "socket.io#/#a#")
            await socket.join("a")
            assert (own in link.handlers) == (mode == "dynamic-private")
            assert (room in link.handlers) == (mode != "static")
            await socket.leave("a")
            assert room not in link.handlers
            await socket.join("a")
            client.disconnect()
            assert set(link.handlers) == {
                ("SSUBSCRIBE", "socket.io#/#"), ("SSUBSCRIBE", "socket.io#/#0123456789abcdef#"),
            }  # fmt: skip

    for mode in ("dynamic", "dynamic-private", "static"):
        asyncio.run(run(mode))


@pytest.mark.parametrize("mode", ["dynamic", "dynamic-private", "static"])
async def test_event_follows_a_request_to_join_its_room_on_one_channel(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("socketio_core.adapters.redis.sharded.monotonic", lambda: now)
    factory = FACTORIES[f"sharded-{mode}"]()
    link = use_fake_link(factory, "0123456789abcdef")
    io = SocketServer(adapter=factory)
    namespace = "socket.io#/#"
    own = dict.fromkeys("ab", namespace) if mode == "static" else {
        room: f"{namespace}{room}#" for room in "ab"
    }  # fmt: skip

    def channel_of(room: str) -> str:
        link.sent.clear()
        io.to(room).emit("news")
        ((channel, _),) = link.sent
        return channel

    async with TestServer(io):
        io.in_("remote").sockets_join("a", "b")
        assert [channel_of("a"), channel_of("b")] == [namespace, namespace]
        now += 20
        io.in_("remote").sockets_join("a")
        now += 20  # more than 30 seconds after the first request
        assert [channel_of("a"), channel_of("b")] == [namespace, own["b"]]
        io.in_("remote").sockets_join("c")
        now += 20
        assert channel_of("a") == own["a"]


def test_message_is_a_value() -> None:
    message = Message(2, None, "x", "/")
    assert encode_message(message) == b'{"type":2,"uid":"x","nsp":"/"}'
