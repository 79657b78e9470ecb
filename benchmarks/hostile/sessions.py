"""Attacks on sessions of other clients: guessed and stolen IDs, and pages of other sites."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from benchmarks.hostile.attack import Attack, Report, Target
from benchmarks.hostile.crowds import open_polling
from benchmarks.hostile.sending import Streams, open_tcp, request
from benchmarks.wire import (
    PROBE,
    UPGRADE,
    frame,
    polling_get,
    polling_post,
    websocket_handshake,
)

_GUESSES: Final = 3000
_ELSEWHERE: Final = "127.0.0.3"
_PAGE: Final = b"Origin: https://other-site.example\r\n"


async def _guess(target: Target) -> Report:
    """Poll with invented session IDs of the right form."""
    streams = await open_tcp(target.port, _ELSEWHERE)
    found = 0
    for _ in range(_GUESSES):
        status, _ = await request(streams, polling_get(secrets.token_urlsafe(15)))
        if status == 0:
            streams = await open_tcp(target.port, _ELSEWHERE)
        found += status == 200
    return Report(f"{found} found", found == 0)


async def _open_websocket(target: Target, sid: str) -> tuple[Streams, bytes]:
    """Send a WebSocket handshake for a session, and return the status line."""
    streams = await open_tcp(target.port, _ELSEWHERE)
    streams[1].write(websocket_handshake(sid))
    return streams, await streams[0].readline()


async def _steal(target: Target) -> Report:
    """Upgrade the session of another client twice, from another address.

    The session ID is the secret of a session, for this server as for Node's; it is not enough for a
    second WebSocket, which would see the packets of the first one.
    """
    owner = await open_tcp(target.port)
    sid = await open_polling(owner)
    await request(owner, polling_post(sid, b"40"))
    first, _ = await _open_websocket(target, sid)
    first[1].write(PROBE)
    await first[0].readuntil(b"3probe")
    first[1].write(UPGRADE + frame(b'421["echo",1]'))
    await first[0].readuntil(b"431[1]")
    second, line = await _open_websocket(target, sid)
    second[1].write(PROBE + UPGRADE + frame(b'422["echo",2]'))
    try:
        async with asyncio.timeout(5.0):
            more = await second[0].read()
    except (TimeoutError, OSError):
        more = b""
    is_second_served = b"432[2]" in more
    status, _ = await request(await open_tcp(target.port, _ELSEWHERE), polling_get(sid))
    first[1].write(frame(b'423["echo",3]'))
    async with asyncio.timeout(5.0):
        await first[0].readuntil(b"433[3]")
    for _, writer in (owner, first, second):
        writer.close()
    is_bounded = not is_second_served and status == 400
    answer = line.decode().split(" ")[1]
    return Report(f"second WebSocket closed after {answer}, poll refused with {status}", is_bounded)


async def _foreign_page(target: Target) -> Report:
    """Open a WebSocket as the browser of a user does for a page of another site."""
    statuses = []
    for headers in (_PAGE, b"Origin: null\r\n", _PAGE + b"Cookie: hextrackr.sid=x\r\n"):
        streams = await open_tcp(target.port)
        streams[1].write(websocket_handshake(headers=headers))
        statuses.append((await streams[0].readline()).split(b" ")[1].decode())
        streams[1].close()
    text = f"status {', '.join(dict.fromkeys(statuses))}"
    return Report(text, target.is_node or "101" not in statuses)


ATTACKS: Final = (
    Attack("guessed IDs", "polls with invented session IDs", f"{_GUESSES:,}", _guess),
    Attack("stolen ID", "WebSockets for one session, from another address", "2", _steal),
    Attack("foreign page", "WebSockets of pages of other sites", "3", _foreign_page, place="hub"),
)  # fmt: skip
