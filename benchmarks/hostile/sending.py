"""Ways to send the bytes of an attack: over one connection, or over many that stay open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeAlias

from benchmarks.hostile.attack import Report, Target
from benchmarks.hostile.victim import open_websocket

Streams: TypeAlias = "tuple[asyncio.StreamReader, asyncio.StreamWriter]"
Run: TypeAlias = Callable[[Target], Awaitable[Report]]

#: Bytes that an attack of one connection sends.
FLOOD: Final = 3_000_000
#: Seconds that an attack takes at most.
SECONDS: Final = 15.0
#: Connections of an attack that holds them.
HOLDERS: Final = 300
_PIECE: Final = 1 << 16


def repeated(unit: bytes, size: int = FLOOD) -> bytes:
    """Return as many copies of a unit as fit into a number of bytes."""
    return unit * (size // len(unit))


def over_websocket(data: bytes, *, deflate: bool = False) -> Run:
    """Return an attack that sends bytes over one WebSocket."""

    async def run(target: Target) -> Report:
        return await send(await open_websocket(target.port, deflate=deflate), data)

    return run


def over_http(data: bytes) -> Run:
    """Return an attack that sends bytes over one TCP connection."""

    async def run(target: Target) -> Report:
        return await send(await open_tcp(target.port), data)

    return run


async def open_tcp(port: int, source: str | None = None) -> Streams:
    """Connect to the server, from an address of the loopback interface."""
    local = None if source is None else (source, 0)
    return await asyncio.open_connection("127.0.0.1", port, local_addr=local)


async def send(streams: Streams, data: bytes) -> Report:
    """Send bytes until their end, or until the server closes."""
    reader, writer = streams
    sent, ended = 0, "kept"
    draining = asyncio.create_task(_read_all(reader))
    try:
        async with asyncio.timeout(SECONDS):
            for piece in _pieces(data):
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
                if draining.done():
                    ended = "closed"
                    break
            else:
                await asyncio.wait([draining], timeout=1.0)
                ended = "closed" if draining.done() else "kept"
    except TimeoutError:
        ended = "slowed down"
    except OSError:
        ended = "closed"
    draining.cancel()
    writer.close()
    return Report(f"{ended} after {sent / 1e6:.1f} MB")


async def _read_all(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(_PIECE):
            pass


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


def holding(data: bytes, *, over: Callable[[int], Awaitable[Streams]] = open_tcp) -> Run:
    """Return an attack that sends bytes on many connections and keeps them open."""

    async def run(target: Target) -> Report:
        held: list[Streams] = []
        try:
            async with asyncio.timeout(SECONDS):
                for _ in range(HOLDERS):
                    opened = await over(target.port)
                    held.append(opened)
                    opened[1].write(data)
                    with contextlib.suppress(OSError):
                        await opened[1].drain()
                await asyncio.sleep(1.0)
        except TimeoutError:
            pass
        closed = sum(reader.at_eof() or writer.is_closing() for reader, writer in held)
        for _, writer in held:
            writer.close()
        return Report(f"{len(held) - closed} of {len(held)} held")

    return run


async def request(streams: Streams, data: bytes) -> tuple[int, bytes]:
    """Send a request and return status and body of its response; 0 if the server closes."""
    reader, writer = streams
    if writer.is_closing() or reader.at_eof():
        return 0, b""
    writer.write(data)
    try:
        async with asyncio.timeout(SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if b"transfer-encoding: chunked" in head.lower():
                return status, await reader.readuntil(b"0\r\n\r\n")
            _, _, rest = head.lower().partition(b"content-length:")
            length = int(rest.split(b"\r\n", 1)[0] or b"0")
            return status, await reader.readexactly(length)
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        return 0, b""
