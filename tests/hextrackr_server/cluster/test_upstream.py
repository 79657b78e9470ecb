"""The HTTP client of a gateway, with a server of raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.cluster import upstream as upstream_module
from hextrackr_server.cluster.upstream import Upstream, UpstreamError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HOST = [(b"host", b"application")]
SOON = 300.0

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Server:
    """A server on a Unix socket that counts its connections."""

    def __init__(self, path: Path, serve: Serve) -> None:
        self.path = path
        self.connections = 0
        self._serve = serve

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_unix_server(self._accept, str(self.path))
        self.upstream = Upstream(self.path, 2, SOON)
        return self.upstream

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except asyncio.IncompleteReadError:
            pass  # the client has closed
        finally:
            writer.close()

    async def __aexit__(self, *error: object) -> None:
        self.upstream.close()
        self._server.close()


async def always_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(OK)


async def once_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)


async def refuse_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await reader.read()  # the client stops


async def get(upstream: Upstream) -> tuple[int, bytes]:
    async with upstream.request("GET", b"/", HOST, None) as response:
        return response.status, b"".join([chunk async for chunk in response.chunks()])


async def test_connection_serves_further_requests(tmp_path: Path) -> None:
    server = Server(tmp_path / "s", always_ok)
    async with server as upstream:
        for _ in range(3):
            assert await get(upstream) == (200, b"ok")
        assert server.connections == 1


async def test_connection_is_not_used_after_a_part_of_a_response(tmp_path: Path) -> None:
    server = Server(tmp_path / "s", always_ok)
    async with server as upstream:
        async with upstream.request("GET", b"/", HOST, None):
            pass
        assert await get(upstream) == (200, b"ok")
        assert server.connections == 2


async def test_old_connection_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(tmp_path / "s", always_ok)
    async with server as upstream:
        await get(upstream)
        monkeypatch.setattr(upstream_module, "IDLE_SECONDS", -1.0)
        await get(upstream)
        assert server.connections == 2


async def test_connection_that_the_application_closed_is_not_used(tmp_path: Path) -> None:
    server = Server(tmp_path / "s", once_ok)
    async with server as upstream:
        await get(upstream)
        ((_, connection),) = upstream._idle
        async with asyncio.timeout(SOON):
            while connection.is_usable:  # noqa: ASYNC110 - the end of a stream has no event
                await asyncio.sleep(0.001)
        assert await get(upstream) == (200, b"ok")
        assert server.connections == 2


async def test_response_of_an_application_that_refuses_the_body_is_returned(
    tmp_path: Path,
) -> None:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    headers = [*HOST, (b"transfer-encoding", b"chunked")]
    async with Server(tmp_path / "s", refuse_body) as upstream:
        async with upstream.request("POST", b"/", headers, body()) as response:
            assert response.status == 413
        assert upstream._idle == []


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-", b"no HTTP\r\n\r\n"])
async def test_request_fails_without_a_response(tmp_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with Server(tmp_path / "s", serve) as upstream:
        with pytest.raises(UpstreamError):
            await get(upstream)


async def test_request_fails_without_the_application(tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="FileNotFoundError"):
        await get(Upstream(tmp_path / "s", 2, SOON))


async def test_request_fails_when_too_many_wait(tmp_path: Path) -> None:
    async with Server(tmp_path / "s", always_ok) as upstream:
        upstream._connect_seconds = 0.0
        upstream._slots = asyncio.Semaphore(0)
        with pytest.raises(UpstreamError, match="too many requests"):
            await get(upstream)
