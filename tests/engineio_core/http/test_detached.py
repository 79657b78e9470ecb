"""Connections that move from one engine to another: descriptors, relays, and the bytes read."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engineio_core import Engine, Tls
from engineio_core.http.detached import Detached, detach, take_socket
from engineio_core.http.exchange import Exchange
from engineio_core.http.tls_bridge import open_bridge
from engineio_core.ids import generate_id
from tests.engineio_core.http.support import POLLING, TLS_FILES, Client, connect, echo_engine
from tests.helpers.wire import (
    BINARY,
    WEBSOCKET_HEADERS,
    Response,
    chunked,
    client_frame,
    http_request,
    parse_responses,
    text_frame,
)


class Mover:
    """The owners of an engine's sessions: requests with a sid move to a second engine."""

    def __init__(self, target: Engine) -> None:
        self._target = target
        self.moved = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def generate_sid(self) -> str:
        return generate_id()

    def forward(self, exchange: Exchange) -> bool:
        if exchange.request.query.get("sid") not in self._target.sessions:
            return False
        detach(exchange, self._take)
        return True

    def _take(self, detached: Detached) -> None:
        self.moved += 1
        task = asyncio.get_running_loop().create_task(self._move(detached))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _move(self, detached: Detached) -> None:
        tcp, data, origin = detached
        if origin.secure and tcp.get_extra_info("sslcontext") is not None:
            connection = await open_bridge(tcp, set())
        else:
            connection = take_socket(tcp)
        await self._target._adopt(connection, data, origin)


@asynccontextmanager
async def two_engines(
    tls: Tls | None = None, **options: Any
) -> AsyncIterator[tuple[int, Mover, Engine, str]]:
    """Run an engine whose requests with a sid move to another engine.

    Yields the port of the first engine, and the second with the sid of a session.
    """
    first, second = Engine(**options), echo_engine(**options)
    mover = Mover(second)
    first._share_port(mover)
    own = await second.listen()
    opening = await connect(own.port)
    response = await opening.get(POLLING)
    await opening.close()
    (sid,) = second.sessions
    assert sid in response.text
    listener = await first.listen(ssl=tls)
    yield listener.port, mover, second, sid
    await first.shutdown()
    await second.shutdown()
    assert not first._connections
    assert not second._connections


async def responses(client: Client, number: int) -> list[Response]:
    """Read several responses, which may arrive in one segment."""
    data = b""
    async with asyncio.timeout(300):
        while True:
            found, _ = parse_responses(data)
            if len(found) >= number:
                return found
            received = await client.reader.read(1_000_000)
            assert received, "the server closed the connection"
            data += received


def test_polling_continues_at_the_owner(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        async with two_engines() as (port, mover, owner, sid):
            client = await connect(port)
            target = f"{POLLING}&sid={sid}"
            for number in range(3):
                client.writer.write(http_request("POST", target, body=b"4hello %d" % number))
                assert (await client.response()).text == "ok"
                assert (await client.get(target)).text == f"4hello {number}"
            assert mover.moved == 1, "the connection stays at the owner"
            (connection,) = owner._connections
            assert connection.peer == "127.0.0.1"
            assert connection.peer_port == client.writer.get_extra_info("sockname")[1]
            await client.close()

    run(case())


@pytest.mark.parametrize("cut", [10, 40, 300, 100_000])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
def test_body_arrives_complete_when_its_parts_are_read_by_both(
    run: Callable[[Any], None], cut: int, is_chunked: bool
) -> None:
    async def case() -> None:
        async with two_engines() as (port, _, _, sid):
            client = await connect(port)
            target = f"{POLLING}&sid={sid}"
            text = "4" + os.urandom(100_000).hex()
            body = text.encode()
            headers = {"Transfer-Encoding": "chunked"} if is_chunked else {}
            request = http_request(
                "POST", target, headers, chunked(body, 1000) if is_chunked else body
            )
            cut_at = request.index(b"\r\n\r\n") + cut if cut > 100 else cut
            client.writer.write(request[:cut_at])
            await asyncio.sleep(0.02)
            client.writer.write(request[cut_at:])
            assert (await client.response()).text == "ok"
            assert (await client.get(target)).text == text
            await client.close()

    run(case())


def test_expect_100_continue_is_answered_by_the_owner(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        async with two_engines() as (port, _, _, sid):
            client = await connect(port)
            target = f"{POLLING}&sid={sid}"
            headers = {"Expect": "100-continue", "Content-Length": "6"}
            client.writer.write(http_request("POST", target, headers))
            assert (await client.response()).status == 100
            client.writer.write(b"4hello")
            assert (await client.response()).text == "ok"
            await client.close()

    run(case())


def test_upgrade_moves_with_the_frames_behind_it(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        async with two_engines() as (port, mover, owner, sid):
            client = await connect(port)
            target = f"/engine.io/?EIO=4&transport=websocket&sid={sid}"
            await client.upgrade(target, tail=text_frame("2probe"))
            assert (await client.frame()).payload == b"3probe"
            client.writer.write(text_frame("5") + text_frame("4hello"))
            assert (await client.frame()).payload == b"4hello"
            data = os.urandom(300_000)
            client.writer.write(client_frame(BINARY, data))
            assert (await client.frame()).payload == data
            assert mover.moved == 1
            assert owner.sessions[sid].transport.name == "websocket"
            await client.close()

    run(case())


def test_pipelined_requests_are_answered_in_order_by_both(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        async with two_engines() as (port, mover, _, sid):
            client = await connect(port)
            target = f"{POLLING}&sid={sid}"
            client.writer.write(
                http_request("GET", "/missing")
                + http_request("POST", target, body=b"4one")
                + http_request("GET", target)
                + http_request("GET", "/missing")
            )
            statuses = [(each.status, each.text) for each in await responses(client, 4)]
            assert statuses == [(404, ""), (200, "ok"), (200, "4one"), (404, "")]
            assert mover.moved == 1
            await client.close()

    run(case())


def test_large_response_is_sent_before_the_connection_moves(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        async with two_engines() as (port, mover, _, sid):
            large = os.urandom(4_000_000)

            async def app(scope: Any, receive: Any, send: Any) -> None:
                if scope["type"] == "lifespan":
                    return
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": large})

            other = Engine()
            other.mount(app)
            other._share_port(mover)
            listener = await other.listen()
            assert port
            client = await connect(listener.port)
            target = f"{POLLING}&sid={sid}"
            client.writer.write(
                http_request("GET", "/large") + http_request("POST", target, body=b"4one")
            )
            first, second = await responses(client, 2)
            assert (first.body, second.text) == (large, "ok")
            assert mover.moved == 1
            await client.close()
            await other.shutdown()

    run(case())


def test_connection_ends_when_a_pipelining_client_does_not_read(
    run: Callable[[Any], None],
) -> None:
    async def case() -> None:
        async with two_engines() as (port, mover, _, sid):

            async def app(scope: Any, receive: Any, send: Any) -> None:
                if scope["type"] == "lifespan":
                    return
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": bytes(60_000)})

            other = Engine(header_timeout=0.2)
            other.mount(app)
            other._share_port(mover)
            listener = await other.listen()
            assert port
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1024)
            requests = http_request("GET", "/large") * 400
            writer.write(requests + http_request("GET", f"{POLLING}&sid={sid}"))
            async with asyncio.timeout(300):
                while other._connections:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert mover.moved == 0
            assert reader is not None
            writer.close()
            await other.shutdown()

    run(case())


def test_client_that_leaves_before_the_move_is_dropped(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        async with two_engines() as (port, _, owner, sid):
            for _ in range(20):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(http_request("GET", f"{POLLING}&sid={sid}", WEBSOCKET_HEADERS))
                await writer.drain()
                writer.transport.abort()
            async with asyncio.timeout(300):
                while owner._connections:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert sid in owner.sessions

    run(case())


def test_tls_connection_is_relayed(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        tls = Tls(certificate=TLS_FILES / "first.pem", key=TLS_FILES / "first.key.pem")
        context = ssl.create_default_context(cafile=TLS_FILES / "first.pem")
        async with two_engines(tls) as (port, mover, owner, sid):
            polling = await connect(port, ssl=context, server_hostname="localhost")
            target = f"{POLLING}&sid={sid}"
            polling.writer.write(http_request("POST", target, body=b"4" + b"x" * 200_000))
            got = await polling.response()
            assert got.text == "ok", got
            assert len((await polling.get(target)).text) == 200_001
            (connection,) = owner._connections
            assert (connection.peer, connection.secure) == ("127.0.0.1", True)
            await check_upgrade(await connect(port, ssl=context, server_hostname="localhost"), sid)
            assert mover.moved == 2
            await polling.close()
            async with asyncio.timeout(300):
                while owner._connections or sid in owner.sessions:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    run(case())


async def check_upgrade(client: Client, sid: str) -> None:
    target = f"/engine.io/?EIO=4&transport=websocket&sid={sid}"
    await client.upgrade(target, tail=text_frame("2probe"))
    assert (await client.frame()).payload == b"3probe"
    client.writer.write(text_frame("5"))
    for size in (10, 1_000_000):
        data = os.urandom(size)
        client.writer.write(client_frame(BINARY, data))
        assert (await client.frame()).payload == data
    await client.close()


def test_generate_id_is_refused_with_several_workers() -> None:
    engine = Engine(generate_id=lambda request: "own")
    with pytest.raises(RuntimeError, match="generate_id must not be set"):
        engine._share_port(Mover(Engine()))
