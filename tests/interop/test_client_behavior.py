"""The behavior of the official client, as AsyncClient has it, against this server and Node's.

The cases are those of the test suites of socket.io-client 4.8 and engine.io-client 6.6.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engineio_core.client.address import parse_url
from engineio_core.client.interface import ClientContext
from engineio_core.client.network import TcpNetwork
from engineio_core.client.options import EngineClientOptions
from engineio_core.client.session import ClientSession
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.packet import PING
from engineio_core.errors import CloseReason
from socketio_core import AckTimeoutError, ConnectError, DisconnectedError
from socketio_core.client import AsyncClient, ConnectionFailedError
from socketio_core.client.states import ConnectionState

TARGETS = Path(__file__).parents[1] / "targets"
LIMIT = 300.0
SOON: dict[str, Any] = {"reconnection_delay": 0.01, "reconnection_delay_max": 0.05}


class Target:
    """A process with the servers of all profiles."""

    def __init__(self, name: str, ports: dict[str, int]) -> None:
        self.name = name
        self.ports = ports

    def url(self, profile: str = "socketio") -> str:
        return f"http://127.0.0.1:{self.ports[profile]}"


@pytest.fixture(scope="module", params=["ours", pytest.param("node", marks=pytest.mark.node)])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "ours":
        command = [sys.executable, str(TARGETS / "ours.py")]
    else:
        node = shutil.which("node")
        if node is None or not (TARGETS / "node_modules" / "socket.io").is_dir():
            pytest.fail("Node or its packages are missing, but this test needs them: make peers")
        command = [node, str(TARGETS / "node_target.js")]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"CONNECT_TIMEOUT": str(LIMIT)},
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield Target(request.param, json.loads(process.stdout.readline())["ports"])
        finally:
            process.stdin.close()
            process.wait(LIMIT)


@pytest.fixture(params=["polling", "websocket", "both"])
def transports(request: pytest.FixtureRequest) -> list[str]:
    return ["polling", "websocket"] if request.param == "both" else [request.param]


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[AsyncClient]:
    """Connect a client; fail if it leaves a task or takes too long."""
    async with asyncio.timeout(LIMIT):
        async with AsyncClient(url, **{**SOON, **options}) as client:
            yield client
        assert_no_task_left()


def assert_no_task_left() -> None:
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, left


def queue_of(client: Any, event: str) -> asyncio.Queue[Any]:
    """Return a queue of the arguments of an event."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    client.on(event, lambda *args: queue.put_nowait(args))
    return queue


def drop(client: AsyncClient) -> None:
    """End the session of a client as the network would."""
    session = client.manager._session
    assert session is not None
    session.abort(CloseReason.TRANSPORT_CLOSE)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.005)


# -- events, acks, values


async def test_events_acks_and_binary_over_each_transport(
    target: Target, transports: list[str]
) -> None:
    async with connected(target.url(), transports=transports) as client:
        back = queue_of(client, "message-back")
        values = ["text", "☺ Ü 😀", 0, "", False, None, [], {"a": [b"\x00\xff", {"b": b"1"}]}, b""]
        client.emit("message", *values)
        assert await back.get() == tuple(values)
        assert await client.call("message-with-ack", *values) == tuple(values)
        assert await client.call("message-with-ack", False) is False
        assert await client.call("message-with-ack") is None
        assert await client.emit_with_ack("message-with-ack", 1, 2) == 1
        moment = datetime(2026, 11, 28, 12, tzinfo=UTC)
        assert await client.call("message-with-ack", moment) == "2026-11-28T12:00:00.000Z"
        client.on("emit-with-ack", lambda *args: args if args != (b"q", 2) else ("ack", b"a"))
        asked = queue_of(client, "emit-with-ack")
        client.emit("emit-with-ack", b"q", 2)
        assert await asked.get() == (b"q", 2)
        assert await asked.get() == ("ack", b"a")


async def test_order_of_text_and_binary_events_is_kept(
    target: Target, transports: list[str]
) -> None:
    async with connected(target.url(), transports=transports) as client:
        back = queue_of(client, "message-back")
        sent = [number if number % 3 else bytes([number]) for number in range(60)]
        for value in sent:
            client.emit("message", value)
        assert [(await back.get())[0] for _ in sent] == sent


async def test_large_messages_arrive_in_both_directions(
    target: Target, transports: list[str]
) -> None:
    async with connected(target.url(), transports=transports) as client:
        text = "ä" * 400_000
        assert await client.call("message-with-ack", text) == text
        data = bytes(range(256)) * 2500
        assert await client.call("message-with-ack", data) == data


async def test_packets_are_merged_up_to_the_accepted_payload(target: Target) -> None:
    async with connected(target.url(), transports=["polling"]) as client:
        text = "x" * 300_000
        assert await asyncio.gather(
            *(client.call("message-with-ack", number, text) for number in range(10))
        ) == [(number, text) for number in range(10)]


async def test_too_large_message_ends_the_connection_and_the_client_returns(
    target: Target, transports: list[str]
) -> None:
    async with connected(target.url(), transports=transports) as client:
        await until(lambda: client.transport == transports[-1])
        reasons = queue_of(client, "disconnect")
        client.emit("message", "x" * 2_000_000)
        reason, error = await reasons.get()
        assert reason in {"transport close", "transport error"}
        assert ("413" if transports == ["polling"] else "1009") in str(error)
        await until(lambda: client.connected)


async def test_ack_timeout_raises(target: Target) -> None:
    async with connected(target.url()) as client:
        with pytest.raises(AckTimeoutError):
            await client.timeout(0.05).emit_with_ack("ack-later", 60_000)
        assert await client.timeout(120).emit_with_ack("message-with-ack", 1) == 1


async def test_pending_ack_fails_when_the_connection_is_lost(target: Target) -> None:
    async with connected(target.url()) as client:
        asking = asyncio.ensure_future(client.call("ack-later", 60_000))
        await client.call("message-with-ack")
        drop(client)
        with pytest.raises(DisconnectedError):
            await asking


async def test_volatile_events_of_the_client(target: Target, transports: list[str]) -> None:
    async with connected(target.url(), transports=transports) as client:
        await until(lambda: client.transport == transports[-1])
        back = queue_of(client, "message-back")
        await client.call("message-with-ack")
        await until(lambda: client.manager.is_writable)
        client.volatile.emit("message", 1)
        client.volatile.emit("message", 2)
        client.emit("message", 3)
        assert await back.get() == (1,)
        assert await back.get() == (3,)
        drop(client)
        client.volatile.emit("message", 4)
        client.emit("message", 5)
        assert await back.get() == (5,)


# -- connecting


async def test_client_connects_when_it_is_started(target: Target) -> None:
    client = AsyncClient(target.url(), **SOON)
    connects = queue_of(client, "connect")
    assert client.manager.state is ConnectionState.CLOSED
    client.start()
    await connects.get()
    assert client.connected
    await client.close()
    assert client.id is None
    assert_no_task_left()


async def test_identifiers_are_equal_on_both_sides(target: Target) -> None:
    async with connected(target.url()) as client:
        custom = client.of("/custom")
        await custom.connect()
        assert client.id != custom.id
        first = client.id
        client.main.disconnect()
        assert client.id is None
        assert custom.connected
        assert await custom.call("reason-of", first) == "client namespace disconnect"


async def test_query_auth_and_headers_reach_the_server(
    target: Target, transports: list[str]
) -> None:
    async with connected(
        target.url(),
        transports=transports,
        query={"probe": "a&b="},
        extra_headers={"X-Probe": "a, b;c"},
        auth={"token": "ü"},
    ) as client:
        seen = await client.call("handshake")
        assert seen["auth"] == {"token": "ü"}
        assert seen["probe"] == "a&b="
        assert seen["header"] == "a, b;c"


async def test_auth_function_is_called_at_each_connection(target: Target) -> None:
    calls: list[int] = []

    async def auth() -> dict[str, int]:
        calls.append(len(calls))
        await asyncio.sleep(0)
        return {"call": calls[-1]}

    async with connected(target.url(), auth=auth) as client:
        assert (await client.call("handshake"))["auth"] == {"call": 0}
        drop(client)
        assert (await client.call("handshake"))["auth"] == {"call": 1}


async def test_refused_namespace_connects_again_only_on_request(target: Target) -> None:
    async with connected(target.url()) as client:
        refused = client.of("/refusing", auth={"verbose": True})
        with pytest.raises(ConnectError, match="not authorized") as caught:
            await refused.connect()
        assert caught.value.data == {"code": "E1", "retry": False}
        assert not refused.active
        assert client.connected
        with pytest.raises(ConnectError, match="not authorized") as caught:
            await client.of("/refusing", auth={"token": "wrong"}).connect()
        assert caught.value.data is None
        refused.auth = {"token": "secret"}
        await refused.connect()
        assert refused.connected
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await client.of("/missing").connect()


async def test_dynamic_and_slow_namespaces_connect(target: Target) -> None:
    async with connected(target.url()) as client:
        slow = client.of("/slow")
        slow.emit("message", "early")
        back = queue_of(slow, "message-back")
        await asyncio.gather(slow.connect(), client.of("/dynamic-7").connect())
        assert await back.get() == ("early",)


async def test_namespaces_share_a_connection_and_end_alone(target: Target) -> None:
    async with connected(target.url()) as client:
        custom = client.of("/custom")
        await custom.connect()
        session = client.manager._session
        reasons = queue_of(custom, "disconnect")
        custom.disconnect()
        assert (await reasons.get())[0] == "io client disconnect"
        assert await client.call("message-with-ack", 1) == 1
        await custom.connect()
        assert await custom.call("message-with-ack", 2) == 2
        assert client.manager._session is session
        client.main.disconnect()
        assert await custom.call("message-with-ack", 3) == 3
        custom.disconnect()
        await client.wait()
        assert client.manager.state is ConnectionState.CLOSED
        await client.connect()
        assert await client.call("message-with-ack", 4) == 4


async def test_events_before_the_connection_keep_their_order(target: Target) -> None:
    client = AsyncClient(target.url(), **SOON)
    back = queue_of(client, "message-back")
    client.emit("message", 1)
    client.on("connect", lambda: client.emit("message", 3))
    client.emit("message", 2)
    await client.connect()
    client.emit("message", 4)
    assert [(await back.get())[0] for _ in range(4)] == [1, 2, 3, 4]
    await client.close()


# -- the end of a connection, and reconnection


async def test_disconnect_of_the_server_is_not_followed_by_a_reconnection(
    target: Target, transports: list[str]
) -> None:
    for close in (False, True):
        async with connected(target.url(), transports=transports) as client:
            reasons = queue_of(client, "disconnect")
            client.emit("disconnect-me", close)
            assert (await reasons.get())[0] == "io server disconnect"
            await client.wait()
            assert not client.main.active
            await client.connect()
            assert await client.call("message-with-ack", 1) == 1


async def test_server_sees_the_reason_of_the_client(target: Target, transports: list[str]) -> None:
    async with connected(target.url(), transports=["websocket"]) as observer:
        async with connected(target.url(), transports=transports) as client:
            first = client.id
            client.main.disconnect()
        async with connected(target.url(), transports=transports) as client:
            await until(lambda: client.transport == transports[-1])
            second = client.id
            session = client.manager._session
            assert session is not None
            client.manager._is_closing = True
            session.close()
            await client.wait()
        for socket_id, expected in ((first, "client namespace disconnect"),
                                    (second, "transport close")):  # fmt: skip
            reason = "none"
            async with asyncio.timeout(LIMIT):
                while reason == "none":
                    reason = await observer.call("reason-of", socket_id)
            assert reason == expected


async def test_client_reconnects_and_reports_the_attempts(target: Target) -> None:
    async with connected(target.url()) as client:
        log: list[Any] = []
        for name in ("reconnect_attempt", "reconnect"):
            client.manager.on(name, lambda number, name=name: log.append((name, number)))
        connects = queue_of(client, "connect")
        for _ in range(3):
            drop(client)
            await connects.get()
        assert log == [("reconnect_attempt", 1), ("reconnect", 1)] * 3


async def test_client_reconnects_when_it_has_reconnected_manually(target: Target) -> None:
    async with connected(target.url()) as client:
        client.main.disconnect()
        await client.wait()
        await client.connect()
        connects = queue_of(client, "connect")
        drop(client)
        await connects.get()
        assert await client.call("message-with-ack", 1) == 1


async def test_namespace_is_opened_after_the_connection_was_closed(target: Target) -> None:
    async with connected(target.url()) as client:
        client.main.disconnect()
        await client.wait()
        custom = client.of("/custom")
        await custom.connect()
        assert await custom.call("message-with-ack", 1) == 1
        assert not client.connected


async def test_disconnected_namespace_does_not_return_with_the_others(target: Target) -> None:
    async with connected(target.url()) as client:
        custom = client.of("/custom")
        await custom.connect()
        custom.disconnect()
        connects = queue_of(client, "connect")
        drop(client)
        await connects.get()
        await client.call("message-with-ack")
        assert not custom.active


async def test_unavailable_server_is_reported_and_attempts_end(unused_tcp_port: int) -> None:
    client = AsyncClient(f"http://127.0.0.1:{unused_tcp_port}", reconnection_attempts=2, **SOON)
    errors = queue_of(client, "connect_error")
    failed = asyncio.Event()
    client.manager.on("reconnect_failed", failed.set)
    client.start()
    for _ in range(3):
        (error,) = await errors.get()
        assert isinstance(error, ConnectionFailedError)
    await failed.wait()
    assert errors.empty()
    with pytest.raises(ConnectionFailedError):
        await client.connect()
    await client.close()
    assert_no_task_left()


async def test_decoding_error_ends_the_session_and_the_client_returns(target: Target) -> None:
    async with connected(target.url()) as client:
        reasons = queue_of(client, "disconnect")
        client.manager._text_received(b"4999")
        assert (await reasons.get())[0] == "parse error"
        await until(lambda: client.connected)
        assert await client.call("message-with-ack", 1) == 1


async def test_heartbeat_keeps_the_connection_open(
    target: Target, transports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(target.url("socketio-many-pings"), transports=transports) as client:
        reasons = queue_of(client, "disconnect")
        session = client.manager._session
        assert session is not None
        receive, kinds = session._control_received, list[str]()

        def count(kind: str, data: bytes) -> None:
            kinds.append(kind)
            receive(kind, data)

        monkeypatch.setattr(session, "_control_received", count)
        await until(lambda: kinds.count(PING) >= 4)
        assert reasons.empty()
        assert await client.call("message-with-ack", 1) == 1


# -- retries and recovery


async def test_retries_keep_the_order_and_give_up(target: Target) -> None:
    async with connected(target.url(), retries=2, ack_timeout=120) as client:
        results: list[Any] = []
        client.timeout(0.1).emit("ack-later", 60_000, ack=lambda *args: results.append(args))
        client.emit("message-with-ack", 1, ack=lambda *args: results.append(args))
        await until(lambda: len(results) == 2)
        assert isinstance(results[0][0], AckTimeoutError)
        assert results[1] == (None, 1)
        drop(client)
        client.emit("message-with-ack", 2, ack=lambda *args: results.append(args))
        assert client.main.buffered == 1
        await until(lambda: len(results) == 3)
        assert results[2] == (None, 2)


@pytest.mark.parametrize("profile", ["recovery", "checked-recovery"])
async def test_recovery_restores_the_session_and_missed_events(
    target: Target, transports: list[str], profile: str
) -> None:
    url = target.url(profile)
    async with (
        connected(url, transports=["websocket"]) as other,
        connected(url, transports=transports) as client,
    ):
        rooms = queue_of(client, "room")
        await client.call("join", "r")
        await client.call("set-data", 7)
        other.emit("to-room", "r", 1)
        assert (await rooms.get())[0] == 1
        first = client.id
        connects = queue_of(client, "connect")
        drop(client)
        for number in (2, 3):
            other.emit("to-room", "r", number)
        await connects.get()
        assert client.recovered
        assert client.id == first
        assert (await rooms.get())[0] == 2
        assert (await rooms.get())[0] == 3
        assert await client.call("get-data") == (7, True)
        other.emit("to-room", "r", 4)
        assert (await rooms.get())[0] == 4


# -- Engine.IO


class Echo:
    """A session to the echo server of Engine.IO."""

    def __init__(self, url: str, **options: Any) -> None:
        address = parse_url(url)
        engine_options = EngineClientOptions(**options)
        self.context = ClientContext(
            address, engine_options, asyncio.get_running_loop(), TcpNetwork(address, engine_options)
        )
        self.session = ClientSession(self.context)
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.closed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.session.on_open = self.opened.set
        self.session.on_text = self.received.put_nowait
        self.session.on_binary = self.received.put_nowait
        self.session.on_close = lambda *reason: self.closed.set_result(reason)
        self.session.open()

    def send(self, data: str | bytes) -> None:
        self.session.send((EncodedPacket.message(data),))

    async def end(self) -> None:
        self.session.close()
        await self.closed
        await self.session.wait_closed()
        assert_no_task_left()


async def test_engine_echoes_over_each_transport(target: Target, transports: list[str]) -> None:
    async with asyncio.timeout(LIMIT):
        echo = Echo(target.url("engineio"), transports=transports)
        await echo.opened.wait()
        sent: list[str | bytes] = ["cash money €€€", "\U0001f600\U0001f1e9", b"\x00\xff", "", b""]
        for data in sent:
            echo.send(data)
        expected = [each if isinstance(each, bytes) else b"4" + each.encode() for each in sent]
        assert [await echo.received.get() for _ in sent] == expected
        echo.send("!burst 100")
        assert [await echo.received.get() for _ in range(100)] == [b"4%d" % n for n in range(100)]
        echo.send("!large 900000")
        assert len(await echo.received.get()) == 900_001
        echo.send("!close")
        assert await echo.received.get() == b"4bye"
        reason, _ = await echo.closed
        assert reason == "transport close"
        await echo.session.wait_closed()


async def test_engine_closes_in_an_orderly_way_at_any_time(
    target: Target, transports: list[str]
) -> None:
    for pause in (0.0, 0.001, 0.003, 0.01, 0.03):
        async with asyncio.timeout(LIMIT):
            echo = Echo(target.url("engineio"), transports=transports)
            await asyncio.sleep(pause)
            echo.send("x")
            await echo.end()


async def test_unknown_session_is_reported_with_status_and_body(target: Target) -> None:
    async with asyncio.timeout(LIMIT):
        echo = Echo(target.url("engineio"), transports=["polling"], query={"sid": "unknown"})
        reason, error = await echo.closed
        assert reason == "transport error"
        assert error.status == 400
        assert json.loads(error.body) == {"code": 1, "message": "Session ID unknown"}
        await echo.session.wait_closed()
