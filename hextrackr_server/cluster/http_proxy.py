"""An ASGI application that forwards HTTP requests to the process of the application.

A gateway mounts it for all paths except those of the sockets. Bodies are streamed in both
directions. The gateway has resolved the address of the client, so this module replaces the
forwarding headers of the request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson

from hextrackr_server.cluster.upstream import Headers, Upstream, UpstreamError, UpstreamResponse
from hextrackr_server.errors import ErrorCode, ServiceError

logger = logging.getLogger(__name__)

#: Seconds to connect; responses have the time limits of the application.
CONNECT_SECONDS = 5.0
MAXIMUM_REQUESTS = 512
#: Headers of one connection (RFC 9110, section 7.6.1), and those that this module writes.
_OWN_HEADERS = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade",
        b"transfer-encoding", b"expect", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto",
    }
)  # fmt: skip
_UNAVAILABLE = ServiceError(
    ErrorCode.UNAVAILABLE, "The server is starting or restarting: try again in a moment"
)


class ClientLeftError(Exception):
    """The client left before its request or the response was complete."""


class HttpProxy:
    """The client of the Unix socket on which the application serves HTTP."""

    def __init__(self, path: Path) -> None:
        self._upstream = Upstream(path, MAXIMUM_REQUESTS, CONNECT_SECONDS)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one connection of the ASGI host."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await _Exchange(self._upstream, scope, receive, send).run()

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._upstream.close()
        await send({"type": "lifespan.shutdown.complete"})


class _Exchange:
    """One request that this process forwards, and its response."""

    def __init__(self, upstream: Upstream, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self._upstream = upstream
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_started = False
        self._body_ended = asyncio.Event()

    async def run(self) -> None:
        """Forward the request; give up when the client leaves."""
        forwarding = asyncio.ensure_future(self._forward())
        leaving = asyncio.ensure_future(self._wait_until_client_left())
        try:
            await asyncio.wait({forwarding, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not forwarding.done():
                forwarding.cancel()
        try:
            await forwarding
        except (asyncio.CancelledError, ClientLeftError):
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            logger.info("the client left during %s %s", self._scope["method"], self._scope["path"])
        except UpstreamError as error:
            logger.warning("a request could not be forwarded: %s", error)
            if self._has_started:
                raise  # the host closes the connection: the response is incomplete
            await self._respond_unavailable()

    async def _wait_until_client_left(self) -> None:
        await self._body_ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _forward(self) -> None:
        scope = self._scope
        names = {name for name, _ in scope["headers"]}
        has_body = b"content-length" in names or b"transfer-encoding" in names
        if not has_body:
            self._body_ended.set()
        target = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        headers = self._headers()
        if b"host" not in names:
            headers.append((b"host", b"application"))
        if has_body and b"content-length" not in names:
            headers.append((b"transfer-encoding", b"chunked"))
        body = self._body() if has_body else None
        async with self._upstream.request(scope["method"], target, headers, body) as response:
            await self._relay(response)

    def _headers(self) -> Headers:
        scope = self._scope
        headers = [each for each in scope["headers"] if each[0].lower() not in _OWN_HEADERS]
        client = scope.get("client")
        if client is not None:
            headers.append((b"x-forwarded-for", client[0].encode()))
        headers.append((b"x-forwarded-proto", scope["scheme"].encode()))
        return headers

    async def _body(self) -> AsyncIterator[bytes]:
        try:
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeftError
                yield message.get("body", b"")
                if not message.get("more_body", False):
                    return
        finally:
            self._body_ended.set()

    async def _relay(self, response: UpstreamResponse) -> None:
        headers = [
            (name, value)
            for name, value in response.headers
            if name not in _OWN_HEADERS and name != b"date"
        ]
        self._has_started = True
        await self._send(
            {"type": "http.response.start", "status": response.status, "headers": headers}
        )
        async for chunk in response.chunks():
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _respond_unavailable(self) -> None:
        body = orjson.dumps(_UNAVAILABLE.body())
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", b"1"),
        ]
        await self._send({"type": "http.response.start", "status": 503, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
