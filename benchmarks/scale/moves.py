"""Load whose requests need a session of one worker: the cost of moving connections."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from benchmarks import wire
from benchmarks.websocket_client import close_clients, open_clients
from engineio_core.ids import worker_of

_SID = re.compile(rb'"sid":"([^"]+)"')
CLIENTS = 16
_BODY = b'42["msg",1]'  # an event without a reply


async def _response(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: (\d+)", head)
    assert head.startswith(b"HTTP/1.1 200"), head
    assert found is not None, head
    return await reader.readexactly(int(found[1]))


async def open_session(port: int) -> str:
    """Open a session over polling and return its sid."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(wire.polling_get())
    found = _SID.search(await _response(reader))
    assert found is not None
    sid = found[1].decode()
    writer.write(wire.polling_post(sid, b"40"))
    await _response(reader)
    writer.close()
    return sid


async def open_pair(port: int) -> tuple[str, str]:
    """Open two sessions of two different workers, if there are two."""
    first = await open_session(port)
    for _ in range(30):
        second = await open_session(port)
        if worker_of(first) != worker_of(second):
            break
    return first, second


async def _at_once(work: Callable[[int], Awaitable[None]], count: int) -> None:
    """Divide `count` operations among several clients, as `open_clients` does."""
    await asyncio.gather(*(work(count // CLIENTS) for _ in range(CLIENTS)))


async def post_on_new_connections(port: int, sid: str, count: int) -> None:
    """Send requests of one session, each on a new connection to any worker."""
    request = wire.polling_post(sid, _BODY)

    async def post(number: int) -> None:
        for _ in range(number):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            await _response(reader)
            writer.close()

    await _at_once(post, count)


async def post_in_turns(port: int, sids: tuple[str, ...], count: int) -> None:
    """Send requests of several sessions in turns on kept connections, as a proxy may."""
    requests = [wire.polling_post(sid, _BODY) for sid in sids]

    async def post(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for turn in range(number):
            writer.write(requests[turn % len(requests)])
            await _response(reader)
        writer.close()

    await _at_once(post, count)


async def connect_websockets(port: int, count: int) -> None:
    """Open WebSockets that connect to `/`, and close them."""
    await close_clients(await open_clients(port, count))
