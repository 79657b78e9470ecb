"""Attacks of many connections that stay open, or that come and go."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Final

from benchmarks.hostile.attack import Attack, Report, Target
from benchmarks.hostile.sending import HOLDERS, SECONDS, Streams, holding, open_tcp, request
from benchmarks.hostile.victim import open_websocket
from benchmarks.wire import (
    CONNECT,
    HOST,
    MASK,
    PROBE,
    UPGRADE,
    frame,
    polling_get,
    polling_post,
    websocket_handshake,
)

_HALF: Final = 960_000
_HALF_MESSAGE: Final = b"\x81\xff" + (_HALF + 1000).to_bytes(8, "big") + MASK + b"4" * _HALF
_HEAD: Final = b"GET / HTTP/1.1\r\n" + HOST
_BODY: Final = b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 900000\r\n\r\n4"
_POLLERS: Final = 40
#: Echoed packets of each poller that never polls: together more than the limit of an address.
_ECHOES: Final = 18
_CHURN_PER_SECOND: Final = 500
_CHURN_SECONDS: Final = 6


async def open_polling(streams: Streams) -> str:
    """Open a polling session on a connection and return its ID."""
    status, body = await request(streams, polling_get())
    if status != 200:
        raise ConnectionRefusedError(f"the handshake was answered with {status}")
    return str(json.loads(body[1:])["sid"])


async def _pollers(target: Target) -> Report:
    """Let the server queue acks of almost 1 MB for polling clients that never poll."""
    payload = b'421["echo","' + b"x" * 960_000 + b'"]'
    streams = [await open_tcp(target.port) for _ in range(_POLLERS)]
    sids = [await open_polling(each) for each in streams]
    refused = 0
    for index in range(1 + _ECHOES):
        for each, sid in zip(streams, sids, strict=True):
            body = payload if index else b"40"
            status, _ = await request(each, polling_post(sid, body))
            refused += status != 200
    for _, writer in streams:
        writer.close()
    return Report(f"{refused} of {_POLLERS * _ECHOES} refused", refused > 0 or target.is_node)


async def _payloads(target: Target) -> Report:
    """Send POSTs with as many events as fit into one."""
    streams = await open_tcp(target.port)
    sid = await open_polling(streams)
    await request(streams, polling_post(sid, b"40"))
    body = b"\x1e".join([b'42["msg",1]'] * 80_000)
    statuses = [(await request(streams, polling_post(sid, body)))[0] for _ in range(3)]
    streams[1].close()
    return Report(f"status {', '.join(map(str, statuses))}")


async def _begin_payload(target: Target) -> tuple[Streams, str]:
    """Send a POST with very many events, without its response; return the session ID as well."""
    streams = await open_tcp(target.port)
    sid = await open_polling(streams)
    await request(streams, polling_post(sid, b"40"))
    streams[1].write(polling_post(sid, b"\x1e".join([b'42["msg",1]'] * 80_000)))
    await streams[1].drain()
    return streams, sid


async def _upgrade_behind_payload(target: Target) -> Report:
    """Upgrade while the server reads a POST with very many events."""
    streams, sid = await _begin_payload(target)
    reader, writer = await open_tcp(target.port)
    writer.write(websocket_handshake(sid) + PROBE + UPGRADE + frame(b'421["echo",1]'))
    answer = "closed"
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(SECONDS):
            await reader.readuntil(b"431[1]")
            answer = "upgraded"
    streams[1].close()
    writer.close()
    return Report(answer)


async def _leave_behind_payload(target: Target) -> Report:
    """Leave while the server reads a POST with very many events."""
    for _ in range(3):
        streams, _ = await _begin_payload(target)
        streams[1].transport.abort()
        await asyncio.sleep(1.0)
    return Report("left")


async def _compressed(target: Target) -> Report:
    """Poll for long texts, which the server compresses."""
    words = " ".join(f"{number * 7919:x}" for number in range(130_000)).encode()[:900_000]
    polls = []
    for _ in range(10):
        streams = await open_tcp(target.port)
        sid = await open_polling(streams)
        await request(streams, polling_post(sid, b"40"))
        await request(streams, polling_get(sid))
        await request(streams, polling_post(sid, b'421["echo","' + words + b'"]'))
        polls.append((streams, sid))
    for (_, writer), sid in polls:
        writer.write(polling_get(sid, headers=HOST + b"Accept-Encoding: gzip\r\n"))
    for (reader, writer), _ in polls:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
    return Report(f"{len(polls)} answered")


async def _churn(target: Target) -> Report:
    """Open and leave WebSocket sessions at a steady rate."""
    loop = asyncio.get_running_loop()
    began, opened = loop.time(), 0

    async def come_and_go() -> None:
        nonlocal opened
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            _, writer = await open_websocket(target.port)
            writer.write(CONNECT)
            opened += 1
            writer.close()

    tasks = set()
    for number in range(_CHURN_PER_SECOND * _CHURN_SECONDS):
        await asyncio.sleep(began + number / _CHURN_PER_SECOND - loop.time())
        task = asyncio.create_task(come_and_go())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return Report(f"{opened} served in {loop.time() - began:.0f} s")


ATTACKS: Final = (
    Attack("half messages", "messages of 0.96 MB without their end", f"{HOLDERS}",
           holding(_HALF_MESSAGE, over=open_websocket)),
    Attack("slow heads", "requests whose head does not end", f"{HOLDERS}", holding(_HEAD)),
    Attack("slow bodies", "requests whose body does not end", f"{HOLDERS}", holding(_BODY)),
    Attack("payloads", "POSTs of 80,000 events", "3", _payloads, is_single=True),
    # The limit of an address, `max_buffered_size_per_address`, is 268 MB.
    Attack("pollers", "clients that never fetch 17 MB each", f"{_POLLERS}", _pollers, memory=400),
    Attack("upgrades", "upgrades during a POST of 80,000 events", "1", _upgrade_behind_payload,
           is_single=True),
    Attack("aborts", "aborted POSTs of 80,000 events", "3", _leave_behind_payload, is_single=True),
    Attack("compressed", "polls for texts of 0.9 MB to compress", "10", _compressed,
           is_compared=False),
    Attack("churn", "sessions that come and go, per second", f"{_CHURN_PER_SECOND}", _churn),
)  # fmt: skip
