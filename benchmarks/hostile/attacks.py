"""The attacks: bytes that one client sends, or connections that it holds.

Each attack is bounded in bytes, connections and seconds. The bytes go to a server that this
program has started on the loopback interface.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, NamedTuple

from benchmarks.hostile.victim import open_websocket
from benchmarks.wire import CONNECT, HOST, MASK, frame

#: Bytes that an attack of one connection sends.
FLOOD: Final = 3_000_000
_PIECE: Final = 1 << 16
_SECONDS: Final = 20.0
_HOLDERS: Final = 300
_HALF: Final = 960_000
_FIN_PING, _FIRST_FRAGMENT, _FRAGMENT = 0x89, 0x01, 0x00
_RSV1_TEXT: Final = 0xC1


class Attack(NamedTuple):
    """An attack: its name, what it sends, and the function that runs it on a port.

    `is_compared` means that Node's server is attacked as well.
    """

    name: str
    what: str
    run: Callable[[int], Awaitable[str]]
    is_compared: bool = True


def _repeated(unit: bytes, size: int = FLOOD) -> bytes:
    return unit * (size // len(unit))


async def _send(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: Iterator[bytes]
) -> str:
    """Send pieces until their end, or until the server closes; return the outcome."""
    sent, ended = 0, "kept"
    draining = asyncio.create_task(_read_all(reader))
    try:
        async with asyncio.timeout(_SECONDS):
            for piece in pieces:
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
    return f"{ended} after {sent / 1e6:.1f} MB"


async def _read_all(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(_PIECE):
            pass


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


def _over_websocket(data: bytes, *, deflate: bool = False) -> Callable[[int], Awaitable[str]]:
    async def run(port: int) -> str:
        return await _send(*await open_websocket(port, deflate=deflate), _pieces(data))

    return run


def _over_http(data: bytes) -> Callable[[int], Awaitable[str]]:
    async def run(port: int) -> str:
        return await _send(*await asyncio.open_connection("127.0.0.1", port), _pieces(data))

    return run


async def _half_messages(port: int) -> str:
    """Hold many messages whose last byte never comes."""
    message = b"\x81\xff" + (_HALF + 1000).to_bytes(8, "big") + MASK + b"4" * _HALF
    return await _hold(port, message)


async def _slow_heads(port: int) -> str:
    """Hold many requests whose head never ends."""
    return await _hold(port, b"GET / HTTP/1.1\r\n" + HOST, is_websocket=False)


async def _hold(port: int, data: bytes, *, is_websocket: bool = True) -> str:
    held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        async with asyncio.timeout(_SECONDS):
            for _ in range(_HOLDERS):
                opened = (
                    await open_websocket(port)
                    if is_websocket
                    else await asyncio.open_connection("127.0.0.1", port)
                )
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
    return f"{len(held) - closed} of {len(held)} held"


def _inflating() -> bytes:
    """Return a compressed frame of about 1 kB that inflates to almost 1 MB."""
    compressor = zlib.compressobj(9, wbits=-15)
    text = b'42["echo","' + b"x" * 980_000 + b'"]'
    data = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return frame(data[:-4], _RSV1_TEXT)


def _deep_json() -> bytes:
    return frame(b'42["echo",' + b"[" * 100_000 + b"]" * 100_000 + b"]")


def _lenient_json() -> bytes:
    """Return a message that only the lenient parser of JSON accepts."""
    return frame(b'42["echo","\\ud800' + b"x" * 900_000 + b'"]')


_NAMESPACES: Final = b"".join(frame(b"40/none-%d," % number) for number in range(10_000))
_CHUNKED: Final = b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
_TWICE: Final = b"GET / HTTP/1.1\r\n" + HOST + b"X-Twice: 1\r\nX-Twice: 2\r\n\r\n"
_ACK: Final = b'439007199254740991["x"]'

ATTACKS: Final = (
    Attack("pings", "empty ping frames", _over_websocket(_repeated(frame(b"", _FIN_PING)))),
    Attack(
        "fragments",
        "one-byte fragments",
        _over_websocket(
            frame(b"4", _FIRST_FRAGMENT) + _repeated(frame(b"x", _FRAGMENT)),
        ),
    ),
    Attack(
        "events",
        "events with acks",
        _over_websocket(CONNECT + _repeated(frame(b'421["echo",1]'))),
    ),
    Attack("acks", "acks of unknown events", _over_websocket(CONNECT + _repeated(frame(_ACK)))),
    Attack("namespaces", "CONNECT packets to 10,000 namespaces", _over_websocket(_NAMESPACES)),
    Attack("nested JSON", "100,000 nested arrays", _over_websocket(
        CONNECT + _deep_json()
    ), is_compared=False),
    Attack("odd JSON", "10 messages of 0.9 MB for the lenient parser", _over_websocket(
        CONNECT + _lenient_json() * 10
    ), is_compared=False),
    Attack("bombs", "20 frames of 1 kB that inflate to 1 MB", _over_websocket(
        CONNECT + _inflating() * 20, deflate=True
    ), is_compared=False),
    Attack("requests", "pipelined GET requests", _over_http(
        _repeated(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    )),
    Attack("odd requests", "pipelined GET requests with a header twice", _over_http(
        _repeated(_TWICE)
    )),
    Attack("chunks", "a body of one-byte chunks to an unknown path", _over_http(
        _CHUNKED + _repeated(b"1\r\nx\r\n")
    )),
    Attack("half messages", f"{_HOLDERS} messages of 0.96 MB without their end", _half_messages),
    Attack("slow heads", f"{_HOLDERS} requests whose head does not end", _slow_heads),
)  # fmt: skip
