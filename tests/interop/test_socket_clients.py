"""The official clients against the server, over every transport and with both parsers.

The cases are in `socket_clients.js`; each is a test here, for each client that can play it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import pytest

from socketio_core import (
    AckError,
    AckTimeoutError,
    ConnectError,
    DisconnectedError,
    JsonParser,
    MsgpackParser,
    Namespace,
    ParentNamespace,
    Socket,
    SocketServer,
)

from .support import Played, cases_of, run_node, serving

pytestmark = pytest.mark.interop

SCRIPT = "socket_clients.js"


class Setup(NamedTuple):
    """A client, and how it comes."""

    client: str
    transports: str
    parser: str = "json"

    @property
    def version(self) -> int:
        return 3 if self.client.endswith("-3") else 4

    def __str__(self) -> str:
        name = self.client.removeprefix("socket.io-")
        way = "upgrade" if "," in self.transports else self.transports
        return f"{name} {way}" + ("" if self.parser == "json" else f" {self.parser}")


UPGRADE = "polling,websocket"
SETUPS = (
    Setup("socket.io-client", "websocket"),
    Setup("socket.io-client", "polling"),
    Setup("socket.io-client", UPGRADE),
    Setup("socket.io-client-481", UPGRADE),
    Setup("socket.io-client-3", "websocket"),
    Setup("socket.io-client-3", "polling"),
    Setup("socket.io-client-3", UPGRADE),
    Setup("socket.io-client", "websocket", "msgpack"),
    Setup("socket.io-client", "polling", "msgpack"),
    Setup("socket.io-client", UPGRADE, "msgpack"),
)


def make_server(parser: JsonParser | MsgpackParser) -> SocketServer:
    """A server that does what the cases ask for."""
    io = SocketServer(parser=parser, ping_interval=0.4, ping_timeout=5.0)
    reasons: dict[str, str] = {}
    failures: dict[str, str] = {}

    def wants(name: str, auth: dict[str, Any]) -> bool:
        return auth.get("wants") == name

    for namespace in (
        io.of("/"),
        io.of("/static"),
        io.of(re.compile(r"/dynamic-\d+")),
        io.of(wants),
    ):
        _answer_events(namespace)
        _answer_about_others(namespace, reasons, failures)
    _guard(io.of("/private"))
    return io


def _answer_events(namespace: Namespace | ParentNamespace) -> None:
    on = namespace.on

    @on("echo")
    def echo(socket: Socket, *args: Any) -> None:
        socket.emit("echo", *args)

    @on("message")
    def message(socket: Socket, *args: Any) -> None:
        socket.send(*args)

    @on("emit-named")
    def emit_named(socket: Socket, name: str, value: int) -> None:
        socket.emit(name, value)

    @on("ack")
    def ack(socket: Socket, *args: Any) -> tuple[Any, ...]:
        return args

    @on("never")
    async def never(socket: Socket) -> None:
        await asyncio.sleep(1)

    @on("auth")
    def auth(socket: Socket) -> Any:
        return socket.handshake.auth

    @on("handshake")
    def handshake(socket: Socket) -> Any:
        came = socket.handshake
        header = came.headers.get("x-custom")
        return {"query": came.query, "header": header, "address": came.address}

    @on("whoami")
    def whoami(socket: Socket) -> Any:
        name = socket.namespace.name
        return {"id": socket.id, "namespace": name, "rooms": sorted(socket.rooms)}

    @on("hex")
    def hex_(socket: Socket, *binaries: bytes) -> list[str]:
        return [bytes(binary).hex() for binary in binaries]

    @on("fail")
    def fail(socket: Socket, kind: str) -> None:
        if kind == "AckError":
            raise AckError("FULL", "no room left", {"left": 0})
        raise ValueError("a secret")

    @on("large")
    def large(socket: Socket, length: int) -> str:
        return "0123456789" * (length // 10)

    @on("count")
    def count(socket: Socket, until: int) -> None:
        for number in range(until):
            socket.emit("count", number)

    @on("volatile-later")
    async def volatile_later(socket: Socket, value: str) -> None:
        # The client has nothing under way by then, and its next poll waits here.
        await asyncio.sleep(0.1)
        socket.volatile.emit("maybe", value)

    @on("volatile-burst")
    def volatile_burst(socket: Socket, until: int) -> str:
        for number in range(until):
            socket.emit("surely", number)
            socket.volatile.emit("maybe", number, bytes([number, number]))
        return "done"


def _answer_about_others(
    namespace: Namespace | ParentNamespace, reasons: dict[str, str], failures: dict[str, str]
) -> None:
    on = namespace.on

    @on("ask-me")
    async def ask_me(socket: Socket, *args: Any) -> Any:
        patience = 0.05 if args == ("silence",) else 5.0
        try:
            return await socket.timeout(patience).emit_with_ack("question", *args)
        except AckTimeoutError:
            return "AckTimeoutError"

    @on("ask-me-forever")
    async def ask_me_forever(socket: Socket) -> None:
        try:
            await socket.emit_with_ack("question")
        except DisconnectedError:
            failures[socket.id] = "DisconnectedError"

    @on("failure-of")
    def failure_of(socket: Socket, socket_id: str) -> str | None:
        return failures.get(socket_id)

    @on("join")
    async def join(socket: Socket, *rooms: str) -> None:
        await socket.join(rooms)

    @on("leave")
    async def leave(socket: Socket, room: str) -> None:
        await socket.leave(room)

    @on("tell")
    def tell(
        socket: Socket, whom: str | list[str], what: Any, except_: list[str] | None = None
    ) -> None:
        everybody = socket.namespace.except_(except_ or [])
        if whom == "others":
            socket.broadcast.emit("said", what)
        elif whom == "everybody":
            everybody.emit("said", what)
        else:
            everybody.to(whom).emit("said", what)

    @on("ask-everybody")
    async def ask_everybody(socket: Socket, value: int, missing: int) -> Any:
        everybody = socket.namespace.timeout(0.1 if missing else 5.0)
        try:
            answers = await everybody.emit_with_ack("question", value)
        except AckTimeoutError as late:
            return {"responses": late.responses, "missing": late.missing}
        return {"responses": answers.responses, "missing": answers.missing}

    @on("disconnect")
    def disconnected(socket: Socket, reason: str) -> None:
        reasons[socket.id] = reason

    @on("reason-of")
    def reason_of(socket: Socket, socket_id: str) -> str | None:
        return reasons.get(socket_id)

    @on("leave-me")
    def leave_me(socket: Socket, last_words: str) -> None:
        socket.emit("echo", last_words)
        socket.disconnect()

    @on("close-me")
    def close_me(socket: Socket) -> None:
        socket.disconnect(close=True)

    @on("cut-me")
    def cut_me(socket: Socket) -> None:
        socket.session.close(discard=True)


def _guard(namespace: Namespace) -> None:
    @namespace.use
    async def check_token(socket: Socket) -> None:
        await asyncio.sleep(0)
        token = socket.handshake.auth.get("token")
        if token == "broken":
            raise ValueError("a secret")
        if token != "right":
            raise ConnectError("not you", {"code": "E_TOKEN", "attempts": [1, 2], "hint": None})
        socket.data["name"] = f"the one with {token}"

    @namespace.on("name")
    def name(socket: Socket) -> Any:
        return socket.data["name"]


@pytest.fixture(scope="module")
def play() -> Callable[[Setup], Played]:
    """Let a client play all its cases, once: what it reported."""

    @cache
    def play(setup: Setup) -> Played:
        parser = MsgpackParser() if setup.parser == "msgpack" else JsonParser()
        with serving(make_server(parser)) as (url, _):
            return Played(run_node(SCRIPT, url, *setup))

    return play


@pytest.mark.parametrize(
    ("setup", "case"),
    [
        pytest.param(setup, case, id=f"{setup}: {case}")
        for setup in SETUPS
        for case in cases_of(SCRIPT, setup.version)
    ],
)
def test_an_official_client_finds_that(
    play: Callable[[Setup], Played], setup: Setup, case: str
) -> None:
    play(setup).expect(case)
