"""A mounted application and its connection: disconnects, 100 Continue, the scope of the request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from engineio_core import Engine
from tests.helpers.wire import http_request


async def exchange(engine: Engine, wire: bytes) -> tuple[asyncio.StreamReader, Any]:
    listener = await engine.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(wire)
    return reader, writer


async def test_idle_event_stream_ends_when_its_client_leaves() -> None:
    ended = asyncio.Event()
    never = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        try:
            yield b"data: 1\n\n"
            await never.wait()
        finally:
            ended.set()

    async def stream(_: Request) -> Response:
        return StreamingResponse(events(), media_type="text/event-stream")

    engine = Engine()
    engine.mount(Starlette(routes=[Route("/events", stream)]))
    reader, writer = await exchange(engine, http_request("GET", "/events"))
    async with asyncio.timeout(300):
        await reader.readuntil(b"data: 1\n\n")
        writer.close()
        await ended.wait()
    await engine.shutdown()


async def test_continue_is_sent_when_the_application_reads() -> None:
    may_read = asyncio.Event()

    async def read(request: Request) -> Response:
        await may_read.wait()
        return PlainTextResponse(await request.body())

    engine = Engine()
    engine.mount(Starlette(routes=[Route("/upload", read, methods=["POST"])]))
    head = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    reader, writer = await exchange(engine, head)
    waiting = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
    async with asyncio.timeout(300):
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        may_read.set()
        assert await waiting == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await engine.shutdown()


async def test_continue_is_not_sent_when_the_application_refuses_unread() -> None:
    async def refuse(_: Request) -> Response:
        return PlainTextResponse("no", status_code=403)

    engine = Engine()
    engine.mount(Starlette(routes=[Route("/upload", refuse, methods=["POST"])]))
    head = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    reader, writer = await exchange(engine, head)
    async with asyncio.timeout(300):
        assert (await reader.read()).startswith(b"HTTP/1.1 403 ")
    writer.close()
    await engine.shutdown()


async def test_application_may_read_the_body_after_its_response_has_begun() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    engine = Engine()
    engine.mount(app)
    wire = http_request("POST", "/", {"Connection": "close"}, b"x" * 100_000)
    reader, writer = await exchange(engine, wire)
    async with asyncio.timeout(300):
        body = (await reader.read()).partition(b"\r\n\r\n")[2]
    assert body.count(b"x") == 100_000
    writer.close()
    await engine.shutdown()


async def test_scope_has_the_version_the_client_port_and_repeated_headers() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scopes.append(scope)
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    engine = Engine()
    engine.mount(app)
    wire = b"GET /a HTTP/1.0\r\nHost: x\r\nCookie: a=1\r\nX-A: 1\r\nCookie: b=2\r\nX-A: 2\r\n\r\n"
    reader, writer = await exchange(engine, wire)
    async with asyncio.timeout(300):
        await reader.read()
    (scope,) = scopes
    assert scope["http_version"] == "1.0"
    assert scope["client"] == writer.get_extra_info("sockname")
    assert scope["headers"] == [
        (b"host", b"x"), (b"cookie", b"a=1"), (b"x-a", b"1"), (b"cookie", b"b=2"), (b"x-a", b"2"),
    ]  # fmt: skip
    writer.close()
    await engine.shutdown()
