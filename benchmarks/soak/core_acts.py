"""Clients of the Socket.IO server, most of them hostile: each function is one client."""

from __future__ import annotations

import asyncio
import json
import random
import re

from benchmarks.soak.raw_client import connect, open_polling, random_text, websocket
from benchmarks.wire import BINARY, frame, polling_get, polling_post, websocket_handshake

_PATIENCE = 8.0


async def half_a_request_head(port: int) -> None:
    async with connect(port) as raw:
        raw.send(polling_get()[: random.randrange(5, 60)])
        await asyncio.sleep(0.05)


async def aborted_upload(port: int) -> None:
    async with connect(port) as raw:
        sid = await open_polling(raw)
        body = b'42["echo","' + b"x" * 50_000 + b'"]'
        raw.send(polling_post(sid, body)[: random.randrange(200, 40_000)])
        await asyncio.sleep(0.02)


async def aborted_poll(port: int) -> None:
    async with connect(port) as raw:
        sid = await open_polling(raw)
        raw.send(polling_get(sid))
        await raw.until(b"40")
        raw.send(polling_get(sid))
        await asyncio.sleep(0.02)


async def second_poll(port: int) -> None:
    async with connect(port) as raw, connect(port) as other:
        sid = await open_polling(raw)
        for each in (raw, other, raw):
            each.send(polling_get(sid))
        await asyncio.sleep(0.02)


async def aborted_upgrade(port: int) -> None:
    async with connect(port) as raw:
        sid = await open_polling(raw)
        async with websocket(port, sid) as candidate:
            if random.random() < 0.7:
                candidate.packet(b"2probe")
                await candidate.until(b"3probe")
            if random.random() < 0.5:
                candidate.packet(b"5", b'42["join","red"]')
        raw.send(polling_get(sid))
        await asyncio.sleep(0.02)


async def half_a_message(port: int) -> None:
    async with websocket(port) as raw:
        raw.send(frame(b'42["echo","' + b"x" * 100_000 + b'"]')[: random.randrange(3, 90_000)])
        await asyncio.sleep(0.05)


async def acks_never_sent(port: int) -> None:
    async with websocket(port) as raw:
        raw.packet(b'42["join","%b"]' % random_text(8), b'42["join","red"]', b'42["ask",50]')
        await raw.until(b"question")


async def rooms_joined_and_left(port: int) -> None:
    async with websocket(port) as raw:
        rooms = [random_text(12) for _ in range(30)]
        raw.packet(*(b'42["join","%b"]' % room for room in rooms))
        raw.packet(*(b'42["leave","%b"]' % room for room in rooms[:15]))
        raw.packet(b'42["say","red","%b"]' % random_text(200), b'421["echo",1]')
        await raw.until(b"431")
        if random.random() < 0.5:
            raw.packet(b"41")


async def dynamic_namespace(port: int) -> None:
    name = b"/dynamic-%d" % random.randrange(10**9)
    async with websocket(port) as raw:
        raw.packet(b"40" + name + b",", b"42" + name + b',["join","red"]')
        await raw.until(b"40" + name)
        if random.random() < 0.5:
            raw.packet(b"41" + name + b",")
            await asyncio.sleep(0.01)


async def unknown_namespaces(port: int) -> None:
    async with websocket(port) as raw:
        raw.packet(*(b"40/none-%b," % random_text(8) for _ in range(20)))
        await raw.until(b"44/none")


async def invalid_packet(port: int) -> None:
    async with websocket(port) as raw:
        raw.packet(random.choice((b"49", b"42[", b'43999["x"]', b"47", b"42" + random_text(50))))
        await asyncio.sleep(0.02)


async def attachments_never_sent(port: int) -> None:
    async with websocket(port) as raw:
        raw.packet(b'452-["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
        raw.send(frame(b"x" * 10_000, BINARY))
        await asyncio.sleep(0.02)


async def running_handlers(port: int) -> None:
    async with websocket(port) as raw:
        raw.packet(*[b'42["wait"]'] * 10)
        await asyncio.sleep(0.02)


async def no_namespace(port: int) -> None:
    async with websocket(port, connect_packet=b"") as raw:
        await asyncio.sleep(random.choice((0.0, 0.1)))
        raw.packet(b"3")


async def recovered(port: int) -> None:
    async with websocket(port, connect_packet=b"") as raw:
        raw.packet(b"40")
        data = await raw.until(b'"pid"')
        found = re.search(rb'"pid":"([^"]+)"', data)
        assert found is not None, data
        raw.packet(b'42["join","red"]', b'42["say","red","x"]')
        said = re.search(rb'"said","x","([^"]+)"', await raw.until(b'"said","x"'))
        offset = said[1] if said else b""
    auth = json.dumps({"pid": found[1].decode(), "offset": offset.decode()}).encode()
    if random.random() < 0.7:  # the others do not return
        async with websocket(port, connect_packet=b"40" + auth):
            pass


async def old_client(port: int) -> None:
    async with connect(port) as raw:
        raw.send(polling_get().replace(b"EIO=4", b"EIO=3"))
        await raw.until(b'"sid"')
    async with connect(port) as raw:
        raw.send(websocket_handshake().replace(b"EIO=4", b"EIO=3"))
        await raw.reader.readuntil(b"\r\n\r\n")
        raw.packet(b'42["join","red"]', b'421["echo",1]')
        await raw.until(b"431")


async def admin(port: int) -> None:
    async with websocket(port) as raw:
        raw.packet(b"40/admin,")
        await raw.until(b"all_sockets")
        await asyncio.sleep(random.random())


async def scrape(port: int) -> None:
    async with connect(port) as raw:
        raw.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        await raw.reader.read()


ACTS = (
    half_a_request_head, aborted_upload, aborted_poll, second_poll, aborted_upgrade,
    half_a_message, acks_never_sent, rooms_joined_and_left, dynamic_namespace,
    unknown_namespaces, invalid_packet, attachments_never_sent, running_handlers, no_namespace,
    recovered, old_client, admin, scrape,
)  # fmt: skip
