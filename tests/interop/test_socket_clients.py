"""The official clients against the server, over every transport and with both parsers.

`socket_clients.js` contains the cases; each case is one test for each client that supports it.
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

from .support import CaseResults, find_cases, run_node, serving

pytestmark = pytest.mark.interop

SCRIPT = "socket_clients.js"


class ClientSetup(NamedTuple):
    """A client package, its transports and its parser."""

    client: str
    transports: str
    parser: str = "json"

    @property
    def version(self) -> int:
        digit = self.client.removeprefix("socket.io-client").strip("-")[:1]
        return int(digit or 4)

    def __str__(self) -> str:
        name = self.client.removeprefix("socket.io-")
        transport = "upgrade" if "," in self.transports else self.transports
        return f"{name} {transport}" + ("" if self.parser == "json" else f" {self.parser}")


UPGRADE = "polling,websocket"
SETUPS = (
    ClientSetup("socket.io-client", "websocket"),
    ClientSetup("socket.io-client", "polling"),
    ClientSetup("socket.io-client", UPGRADE),
    ClientSetup("socket.io-client-481", UPGRADE),
    ClientSetup("socket.io-client-3", "websocket"),
    ClientSetup("socket.io-client-3", "polling"),
    ClientSetup("socket.io-client-3", UPGRADE),
    ClientSetup("socket.io-client", "websocket", "msgpack"),
    ClientSetup("socket.io-client", "polling", "msgpack"),
    ClientSetup("socket.io-client", UPGRADE, "msgpack"),
    ClientSetup("socket.io-client-2", "websocket"),
    ClientSetup("socket.io-client-2", "polling"),
    ClientSetup("socket.io-client-2", UPGRADE),
    ClientSetup("socket.io-client-2", UPGRADE, "msgpack"),
    ClientSetup("socket.io-client-20", "websocket"),
    ClientSetup("socket.io-client-20", "polling"),
    ClientSetup("socket.io-client-20", UPGRADE),
    ClientSetup("socket.io-client-1", "websocket"),
    ClientSetup("socket.io-client-1", "polling"),
    ClientSetup("socket.io-client-1", UPGRADE),
)


def make_server(parser: JsonParser | MsgpackParser) -> SocketServer:
    """Return a server with the handlers of the cases."""
    io = SocketServer(
        parser=parser, ping_interval=0.4, ping_timeout=60.0, upgrade_timeout=240, allow_eio3=True
    )
    reasons: dict[str, str] = {}
    failures: dict[str, str] = {}

    def is_requested(name: str, auth: dict[str, Any]) -> bool:
        return auth.get("namespace") == name

    for namespace in (
        io.of("/"),
        io.of("/static"),
        io.of(re.compile(r"/dynamic-\d+")),
        io.of(is_requested),
    ):
        _add_event_handlers(namespace)
        _add_room_handlers(namespace, reasons, failures)
    _add_private_handlers(io.of("/private"))
    return io


def _add_event_handlers(namespace: Namespace | ParentNamespace) -> None:
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
        data = socket.handshake
        header = data.headers.get("x-custom")
        return {"query": data.query, "header": header, "address": data.address}

    @on("identity")
    def identity(socket: Socket) -> Any:
        name = socket.namespace.name
        return {"id": socket.id, "namespace": name, "rooms": sorted(socket.rooms)}

    @on("hex")
    def hex_(socket: Socket, *binaries: bytes) -> list[str]:
        return [bytes(binary).hex() for binary in binaries]

    @on("fail")
    def fail(socket: Socket, kind: str) -> None:
        if kind == "AckError":
            raise AckError("FULL", "no room left", {"free": 0})
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
        # A polling client that has not sent its next poll receives no volatile event.
        while not socket.session.writable:  # noqa: ASYNC110 - a session has no event for it
            await asyncio.sleep(0.005)
        socket.volatile.emit("volatile", value)

    @on("volatile-burst")
    def volatile_burst(socket: Socket, until: int) -> str:
        for number in range(until):
            socket.emit("reliable", number)
            socket.volatile.emit("volatile", number, bytes([number, number]))
        return "done"


def _add_room_handlers(
    namespace: Namespace | ParentNamespace, reasons: dict[str, str], failures: dict[str, str]
) -> None:
    on = namespace.on

    @on("request-ack")
    async def request_ack(socket: Socket, *args: Any) -> Any:
        timeout = 0.05 if args == ("no answer",) else 120.0
        try:
            return await socket.timeout(timeout).emit_with_ack("request", *args)
        except AckTimeoutError:
            return "AckTimeoutError"

    @on("request-ack-without-timeout")
    async def request_ack_without_timeout(socket: Socket) -> None:
        try:
            await socket.emit_with_ack("request")
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

    @on("broadcast")
    def broadcast(
        socket: Socket, target: str | list[str], value: Any, except_: list[str] | None = None
    ) -> None:
        operator = socket.namespace.except_(except_ or [])
        if target == "others":
            socket.broadcast.emit("notice", value)
        elif target == "all":
            operator.emit("notice", value)
        else:
            operator.to(target).emit("notice", value)

    @on("broadcast-with-ack")
    async def broadcast_with_ack(socket: Socket, value: int, missing: int) -> Any:
        seconds = 0.1 if missing else 120.0
        while True:
            answers = await socket.namespace.timeout(seconds).emit_with_ack("request", value)
            if len(answers.missing) <= missing:
                return {"responses": answers.responses, "missing": answers.missing}
            seconds *= 2  # the machine is busy

    @on("disconnect")
    def disconnected(socket: Socket, reason: str) -> None:
        reasons[socket.id] = reason

    @on("reason-of")
    def reason_of(socket: Socket, socket_id: str) -> str | None:
        return reasons.get(socket_id)

    @on("disconnect-me")
    def disconnect_me(socket: Socket, last_words: str) -> None:
        socket.emit("echo", last_words)
        socket.disconnect()

    @on("close-connection")
    def close_connection(socket: Socket) -> None:
        socket.disconnect(close=True)

    @on("discard-connection")
    def discard_connection(socket: Socket) -> None:
        socket.session.close(discard=True)


def _add_private_handlers(namespace: Namespace) -> None:
    @namespace.use
    async def check_token(socket: Socket) -> None:
        await asyncio.sleep(0)
        token = socket.handshake.auth.get("token")
        if token == "broken":
            raise ValueError("a secret")
        if token != "right":
            raise ConnectError("not allowed", {"code": "E_TOKEN", "attempts": [1, 2], "hint": None})
        socket.data["name"] = f"user of {token}"

    @namespace.on("name")
    def name(socket: Socket) -> Any:
        return socket.data["name"]


@pytest.fixture(scope="module")
def run_cases() -> Callable[[ClientSetup], CaseResults]:
    """Return a function that runs all cases of a client once and returns the results."""

    @cache
    def run_cases(setup: ClientSetup) -> CaseResults:
        parser = MsgpackParser() if setup.parser == "msgpack" else JsonParser()
        with serving(make_server(parser)) as (url, _):
            return CaseResults(run_node(SCRIPT, url, *setup))

    return run_cases


@pytest.mark.parametrize(
    ("setup", "case"),
    [
        pytest.param(setup, case, id=f"{setup}: {case}")
        for setup in SETUPS
        for case in find_cases(SCRIPT, setup.version)
    ],
)
def test_case_passes_with_an_official_client(
    run_cases: Callable[[ClientSetup], CaseResults], setup: ClientSetup, case: str
) -> None:
    run_cases(setup).check(case)
