"""The proxy of a gateway: HTTP requests reach the application on a Unix socket unchanged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from engineio_core import Engine
from hextrackr_server.cluster.http_proxy import HttpProxy


class Application:
    """An ASGI application that records its requests and reports them in its responses."""

    def __init__(self) -> None:
        self.has_left = asyncio.Event()
        self.started = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.started.set()
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.has_left.set()
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["path"] == "/wait":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.has_left.set()
            return
        seen = {
            "method": scope["method"],
            "path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "client": scope["client"][0],
            "scheme": scope["scheme"],
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "body": body.decode(),
        }
        headers = [
            (b"content-type", b"application/json"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
        ]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        encoded = orjson.dumps(seen)
        await send({"type": "http.response.body", "body": encoded[:10], "more_body": True})
        if scope["path"] == "/broken":
            raise RuntimeError("the application fails after the start of its response")
        await send({"type": "http.response.body", "body": encoded[10:]})


@contextlib.asynccontextmanager
async def proxied(
    folder: Path, application: Application | None
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the application behind a gateway's proxy."""
    path = folder / "http.sock"
    async with contextlib.AsyncExitStack() as stack:
        if application is not None:
            inner = await stack.enter_async_context(Engine(trusted_proxies=["unix"]))
            inner.mount(application)
            await inner.listen(path=path)
        outer = await stack.enter_async_context(Engine())
        outer.mount(HttpProxy(path))
        listener = await outer.listen()
        yield await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", timeout=300)
        )


async def test_request_and_response_are_forwarded_unchanged(tmp_path: Path) -> None:
    async with proxied(tmp_path, Application()) as client:
        response = await client.put(
            "/a%2Fb/c?x=1&y=%20", content=b"body", headers={"Cookie": "s=1", "X-Own": "é".encode()}
        )
    seen = response.json()
    assert response.status_code == 201
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert (seen["method"], seen["path"], seen["query"]) == ("PUT", "/a%2Fb/c", "x=1&y=%20")
    assert seen["body"] == "body"
    assert ["cookie", "s=1"] in seen["headers"]
    assert [value for name, value in seen["headers"] if name == "content-length"] == ["4"]


async def test_address_of_the_client_cannot_be_forged(tmp_path: Path) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9;proto=https"}
    async with proxied(tmp_path, Application()) as client:
        seen = (await client.get("/", headers=forged)).json()
    assert (seen["client"], seen["scheme"]) == ("127.0.0.1", "http")


async def test_body_of_unknown_length_is_streamed(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(5):
            yield str(number).encode() * 3

    async with proxied(tmp_path, Application()) as client:
        assert (await client.post("/", content=chunks())).json()["body"] == "000111222333444"


async def test_request_receives_503_when_the_application_is_down(tmp_path: Path) -> None:
    async with proxied(tmp_path, None) as client:
        response = await client.get("/")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json()["code"] == "UNAVAILABLE"


async def test_application_is_informed_when_the_client_leaves(tmp_path: Path) -> None:
    application = Application()
    async with proxied(tmp_path, application) as client:
        request = asyncio.ensure_future(client.get("/wait"))
        async with asyncio.timeout(300):
            await application.started.wait()
            request.cancel()
            await application.has_left.wait()


async def test_application_is_informed_when_the_client_leaves_during_its_request(
    tmp_path: Path,
) -> None:
    application = Application()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100
            await asyncio.sleep(0.01)

    async with proxied(tmp_path, application) as client:
        request = asyncio.ensure_future(client.post("/", content=endless()))
        async with asyncio.timeout(300):
            await application.started.wait()
            request.cancel()
            await application.has_left.wait()


async def test_connection_closes_when_the_response_is_incomplete(tmp_path: Path) -> None:
    async with proxied(tmp_path, Application()) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="complete"):
            await client.get("/broken")
