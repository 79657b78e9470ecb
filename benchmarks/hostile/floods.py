"""Attacks of one connection that sends much: frames, packets and requests."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import msgpack

from benchmarks.hostile.attack import Attack, Report, Target
from benchmarks.hostile.sending import SECONDS, over_http, over_websocket, repeated
from benchmarks.hostile.victim import open_websocket
from benchmarks.wire import BINARY, CONNECT, HOST, MSGPACK_CONNECT, frame

_FIN_PING, _FIRST_FRAGMENT, _FRAGMENT = 0x89, 0x01, 0x00
_RSV1_TEXT: Final = 0xC1
_LISTS: Final = 300_000
_RECEIVERS: Final = 200
_BROADCASTS: Final = 400

_FRAGMENTS: Final = frame(b"4", _FIRST_FRAGMENT) + repeated(frame(b"x", _FRAGMENT))
_NAMESPACES: Final = b"".join(frame(b"40/none-%d," % number) for number in range(10_000))
_CHUNKED: Final = b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
_TWICE: Final = b"GET / HTTP/1.1\r\n" + HOST + b"X-Twice: 1\r\nX-Twice: 2\r\n\r\n"
_ACK: Final = frame(b'439007199254740991["x"]')
_DEEP: Final = frame(b'42["echo",' + b"[" * 100_000 + b"]" * 100_000 + b"]")
_EMPTY_LISTS: Final = frame(b'42["msg",[' + b",".join([b"[]"] * _LISTS) + b"]]")
# Only the lenient parser of JSON accepts a lone surrogate.
_LENIENT_TEXT: Final = frame(b'42["echo","\\ud800' + b"x" * 900_000 + b'"]')
_LENIENT_NUMBERS: Final = frame(b'42["msg",["\\ud800",' + b"1," * 450_000 + b"1]]")
_ANNOUNCED: Final = frame(b'4510-["msg",{"_placeholder":true,"num":0}]')
_ATTACHMENTS: Final = (_ANNOUNCED + frame(b"x" * 100_000, BINARY) * 10) * 5
_MSGPACK_LISTS: Final = frame(
    msgpack.encode({"type": 2, "nsp": "/", "data": ["msg", [[]] * _LISTS]}), BINARY
)
# A list with an ArrayBuffer of one byte is decoded value by value.
_MSGPACK_EXACT: Final = frame(
    msgpack.encode(
        {"type": 2, "nsp": "/", "data": ["msg", [msgpack.Ext(0, b"x"), *([0] * 65_000)]]}
    ),
    BINARY,
)
_ECHO_SIZE: Final = 900_000


def _echo(value: Any) -> bytes:
    """Return a MessagePack event of 0.9 MB whose ack contains copies of a value."""
    packed = msgpack.encode(value)
    count = _ECHO_SIZE // len(packed)
    values = msgspec.Raw(b"\xdd" + count.to_bytes(4, "big") + packed * count)
    event = {"type": 2, "nsp": "/", "data": ["echo", values], "id": 1}
    return frame(msgpack.encode(event), BINARY)


def _inflating() -> bytes:
    """Return a compressed frame of about 1 kB that inflates to almost 1 MB."""
    compressor = zlib.compressobj(9, wbits=-15)
    text = b'421["echo","' + b"x" * 980_000 + b'"]'
    data = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return frame(data[:-4], _RSV1_TEXT)


async def _flood_with_broadcasts(target: Target) -> Report:
    """Send short events in one piece, each of which the server broadcasts to many clients."""
    async with asyncio.timeout(SECONDS):
        clients = [await open_websocket(target.port) for _ in range(_RECEIVERS + 1)]
        for reader, writer in clients:
            writer.write(CONNECT)
            await reader.readuntil(b'40{"sid"')
    reading = [asyncio.create_task(_count(reader, b'["update",')) for reader, _ in clients]
    clients[0][1].write(frame(b'421["bcast",1]') * _BROADCASTS)
    await asyncio.wait(reading, timeout=SECONDS)
    arrived = sum(each.result() for each in reading if each.done())
    for each in reading:
        each.cancel()
    for _, writer in clients:
        writer.close()
    expected = _BROADCASTS * len(clients)
    return Report(f"{arrived:,} of {expected:,} packets arrived", target.is_node or arrived > 0)


async def _count(reader: asyncio.StreamReader, part: bytes) -> int:
    """Read until the packets of all broadcasts have arrived; return their number."""
    count, rest = 0, b""
    with contextlib.suppress(OSError):
        while count < _BROADCASTS and (data := await reader.read(1 << 16)):
            data = rest + data
            count += data.count(part)
            rest = data[1 - len(part) :]
    return count


_ATTACKS: Final = (
    Attack("pings", "empty ping frames", "3 MB",
           over_websocket(repeated(frame(b"", _FIN_PING)))),
    Attack("fragments", "one-byte fragments", "3 MB", over_websocket(_FRAGMENTS)),
    Attack("events", "events with acks", "3 MB",
           over_websocket(CONNECT + repeated(frame(b'421["echo",1]')))),
    Attack("broadcasts", f"events in one piece, each broadcast to {_RECEIVERS} clients",
           f"{_BROADCASTS}", _flood_with_broadcasts),
    Attack("acks", "acks of unknown events", "3 MB", over_websocket(CONNECT + repeated(_ACK))),
    Attack("namespaces", "CONNECT packets to unknown namespaces", "10,000",
           over_websocket(_NAMESPACES)),
    Attack("attachments", "events with ten attachments of 0.1 MB", "5",
           over_websocket(CONNECT + _ATTACHMENTS)),
    Attack("announced", "events whose attachments never come", "2",
           over_websocket(CONNECT + _ANNOUNCED * 2)),
    Attack("nested JSON", "100,000 nested arrays", "1",
           over_websocket(CONNECT + _DEEP), is_compared=False),
    Attack("lists", f"messages of {_LISTS:,} empty lists", "5",
           over_websocket(CONNECT + _EMPTY_LISTS * 5)),
    Attack("odd text", "messages of 0.9 MB with half an emoji", "10",
           over_websocket(CONNECT + _LENIENT_TEXT * 10), is_compared=False),
    Attack("odd numbers", "messages of 450,000 numbers with half an emoji", "10",
           over_websocket(CONNECT + _LENIENT_NUMBERS * 10), is_compared=False),
    Attack("MessagePack lists", f"messages of {_LISTS:,} empty lists", "5",
           over_websocket(MSGPACK_CONNECT + _MSGPACK_LISTS * 5), place="msgpack"),
    Attack("MessagePack values", "messages of 65,000 values to decode one by one", "5",
           over_websocket(MSGPACK_CONNECT + _MSGPACK_EXACT * 5), place="msgpack",
           is_compared=False),
    Attack("MessagePack echoes, lists", "echoed messages of 900,000 empty lists", "2",
           over_websocket(MSGPACK_CONNECT + _echo([]) * 2), place="msgpack"),
    Attack("MessagePack echoes, timestamps", "echoed messages of 150,000 timestamps", "2",
           over_websocket(MSGPACK_CONNECT + _echo(datetime(2024, 1, 1, tzinfo=UTC)) * 2),
           place="msgpack"),
    Attack("MessagePack echoes, keys", "echoed messages of 300,000 maps with an integer as key",
           "2", over_websocket(MSGPACK_CONNECT + _echo({1: 1}) * 2), place="msgpack",
           memory=200),
    Attack("bombs", "echoed frames of 1 kB that inflate to 1 MB", "20",
           over_websocket(CONNECT + _inflating() * 20, deflate=True), place="deflate",
           is_compared=False),
    Attack("requests", "pipelined GET requests", "3 MB",
           over_http(repeated(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"))),
    Attack("odd requests", "pipelined GET requests with a header twice", "3 MB",
           over_http(repeated(_TWICE))),
    Attack("empty lines", "empty lines before a request", "3 MB", over_http(repeated(b"\r\n"))),
    Attack("chunks", "one-byte chunks of a body to an unknown path", "3 MB",
           over_http(_CHUNKED + repeated(b"1\r\nx\r\n"))),
)  # fmt: skip
ATTACKS: Final = tuple(each._replace(is_single=True) for each in _ATTACKS)
