"""Emitters: the commands that they send, compared with those of the official emitter."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from socketio_core import BlockingEmitter, Emitter
from socketio_core.adapters.cluster.message import decode_message
from tests.socketio_core.adapters.redis_support import load
from tests.socketio_core.adapters.test_streams_payloads import ENTRIES


class RecordingClient:
    """A client of redis-py that records commands."""

    def __init__(self) -> None:
        self.commands: list[tuple[bytes, ...]] = []

    def execute_command(self, *args: bytes) -> None:
        self.commands.append(args)


class AsyncRecordingClient(RecordingClient):
    async def execute_command(self, *args: bytes) -> None:  # type: ignore[override]
        self.commands.append(args)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "emit": lambda e: e.emit("ev", 1, "x", {"a": 1}),
    "emit-one-room": lambda e: e.to("room1").emit("ev", 1),
    "emit-two-rooms": lambda e: e.to("room1").to("room2").emit("ev", 1),
    "emit-in-except": lambda e: e.in_("room1").except_("r2", "r3").emit("ev", 1),
    "emit-except-only": lambda e: e.except_("r2").emit("ev", 1),
    "emit-volatile": lambda e: e.volatile.emit("ev", 1),
    "emit-compress-false": lambda e: e.compress(False).emit("ev", 1),
    "emit-binary": lambda e: e.emit("ev", b"\x00\xff", {"b": b"\x01"}),
    "emit-namespace": lambda e: e.of("/chat").to("lobby").emit("ev", 1),
    "emit-namespace-without-slash": lambda e: e.of("chat").emit("ev", 1),
    "sockets-join": lambda e: e.in_("room1").except_("r2").sockets_join("a", "b"),
    "sockets-leave": lambda e: e.sockets_leave(["a"]),
    "disconnect-sockets": lambda e: e.in_("room1").disconnect_sockets(),
    "disconnect-sockets-close": lambda e: e.of("/chat").disconnect_sockets(True),
    "server-side-emit": lambda e: e.server_side_emit("ev", 1, "x"),
    "server-side-emit-namespace": lambda e: e.of("/chat").server_side_emit("ev"),
}
# Rooms are strings here; and the official emitter breaks whole numbers above 64 bits.
OMITTED = {"emit-numeric-room", "emit-integral-double-above-2-pow-64"}


def test_every_captured_operation_is_tested() -> None:
    assert {each.name for each in load("emitter")} == set(OPERATIONS) | OMITTED


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_emitters_send_the_bytes_of_the_official_emitter(operation: str) -> None:
    captured = next(each for each in load("emitter") if each.name == operation)
    blocking, client = RecordingClient(), AsyncRecordingClient()
    OPERATIONS[operation](BlockingEmitter(blocking))
    await OPERATIONS[operation](Emitter(client))
    expected = (b"PUBLISH", captured.channel.encode(), captured.payload)
    assert blocking.commands == client.commands == [expected]


def test_sharded_emitter_publishes_on_the_channel_of_the_namespace() -> None:
    client = RecordingClient()
    emitter = BlockingEmitter(client, adapter="sharded", key="app")
    emitter.of("chat").to("a").emit("x", b"\x01")
    emitter.sockets_join("b")
    (command, channel, payload), (_, other, text) = client.commands
    assert (command, channel, other) == (b"SPUBLISH", b"app#/chat#", b"app#/#")
    message = decode_message(payload)
    assert (message.type, message.uid, message.nsp) == (3, "emitter", "/chat")
    assert json.loads(text)["data"]["rooms"] == ["b"]


STREAMS_OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "emit": lambda e: e.emit("ev", 1, "x"),
    "emit-room": lambda e: e.to("room1").emit("ev", 1),
    "emit-except": lambda e: e.to("a", "b").except_("c").emit("ev"),
    "emit-binary": lambda e: e.emit("ev", b"\x01\x02"),
    "emit-volatile": lambda e: e.volatile.emit("ev"),
    "emit-namespace": lambda e: e.of("chat").emit("ev"),
    "sockets-join": lambda e: e.in_("room1").sockets_join("a", "b"),
    "sockets-leave": lambda e: e.sockets_leave("a"),
    "disconnect-sockets": lambda e: e.disconnect_sockets(True),
    "server-side-emit": lambda e: e.server_side_emit("ev", 1),
}
# The official emitter sends this event to a namespace `chat`, which no server has.
STREAMS_OMITTED = {"emit-namespace-without-slash"}


def test_every_captured_operation_of_the_streams_emitter_is_tested() -> None:
    captured = {name.removeprefix("emitter ") for name in ENTRIES if name.startswith("emitter ")}
    assert captured == set(STREAMS_OPERATIONS) | STREAMS_OMITTED


@pytest.mark.parametrize("operation", STREAMS_OPERATIONS)
async def test_emitters_append_the_entries_of_the_official_streams_emitter(operation: str) -> None:
    fields = ENTRIES[f"emitter {operation}"]["fields"]
    blocking, client = RecordingClient(), AsyncRecordingClient()
    STREAMS_OPERATIONS[operation](BlockingEmitter(blocking, adapter="streams"))
    await STREAMS_OPERATIONS[operation](Emitter(client, adapter="streams"))
    command = ["XADD", "socket.io", "MAXLEN", "~", "10000", "*"]
    for name, value in fields.items():
        command += [name, value]
    expected = tuple(each.encode() for each in command)
    assert blocking.commands == client.commands == [expected]


@pytest.mark.parametrize(("misuse", "error", "text"), [
    (lambda e: e.emit("connect"), ValueError, "reserved event name"),
    (lambda e: e.emit(7), TypeError, "must be a string"),
    (lambda e: e.emit("x", object()), TypeError, "cannot be sent"),
    (lambda e: e.to(), ValueError, "at least one room"),
    (lambda e: e.to(7), TypeError, "must be a string"),
    (lambda e: e.emit("x", 1, room="a"), TypeError, r"no keyword 'room': use \.to\(room\)\.emit"),
    (lambda e: e.emit("x", namespace="/a"), TypeError, r"use \.of\(namespace\)\.emit"),
    (lambda e: e.emit("x", callback=print), TypeError, "an emitter receives no answers"),
    (lambda e: e.server_side_emit("connection"), ValueError, "reserved"),
    (lambda e: BlockingEmitter(adapter="streaming"), ValueError, "classic, sharded, streams"),
])  # fmt: skip
def test_misuse_raises_and_sends_nothing(
    misuse: Callable[[Any], Any], error: type[Exception], text: str
) -> None:
    client = RecordingClient()
    with pytest.raises(error, match=text):
        misuse(BlockingEmitter(client))
    assert client.commands == []


async def test_keyword_of_another_library_is_refused_without_a_command() -> None:
    client = AsyncRecordingClient()
    with pytest.raises(TypeError, match=r"no keyword 'to': use \.to\(room\)\.emit"):
        await Emitter(client).emit("x", 1, to="a")  # type: ignore[call-overload]
    assert client.commands == []


@pytest.mark.parametrize("kind", [Emitter, BlockingEmitter])
def test_missing_package_is_named_with_the_remedy(
    kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'hextrackr-server\[redis\]'"):
        kind("redis://localhost")
