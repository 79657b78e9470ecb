"""Attacks on a TLS port: handshakes that do not end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Final

from benchmarks.hostile.attack import Attack, Report, Target
from benchmarks.hostile.sending import Streams, open_tcp

_STALLED: Final = 900
#: Above `header_timeout` of the server, 10 s, which limits a handshake.
_SECONDS: Final = 30.0


def _client_hello() -> bytes:
    """Return the first message of a TLS client."""
    context = ssl.create_default_context()
    sent = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return sent.read()


async def _stall(target: Target) -> Report:
    """Begin handshakes: send nothing, half of the first message, or the whole message."""
    hello = _client_hello()
    streams: list[Streams] = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(_STALLED):
        opened = await open_tcp(target.port)
        streams.append(opened)
        opened[1].write((b"", hello[: len(hello) // 2], hello)[number % 3])
    waiting = [asyncio.create_task(_read_to_end(reader)) for reader, _ in streams]
    done, pending = await asyncio.wait(waiting, timeout=_SECONDS)
    for each in pending:
        each.cancel()
    for _, writer in streams:
        writer.close()
    text = f"{len(done)} of {_STALLED} closed after {loop.time() - began:.0f} s"
    return Report(text, not pending)


async def _read_to_end(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        await reader.read()


ATTACKS: Final = (
    Attack("TLS handshakes", "handshakes that do not end", f"{_STALLED}", _stall, place="tls",
           is_compared=False),
)  # fmt: skip
