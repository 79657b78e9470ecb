"""A small SOCKS server on the loopback interface: versions 4, 4a and 5 (RFC 1928, RFC 1929)."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address

from tests.helpers.stream_server import stream_server

GRANTED_4 = b"\x00\x5a" + bytes(6)
GRANTED_5 = b"\x05\x00\x00\x01" + bytes(6)


class SocksServer:
    """Connects to the requested addresses, and records them as "version type host:port".

    `login` is the required "user:password". `reply` is sent instead of connecting. A silent server
    sends nothing until the client ends the connection.
    """

    def __init__(
        self, *, login: str | None = None, reply: bytes | None = None, is_silent: bool = False
    ) -> None:
        self.requests: list[str] = []
        self._login = login
        self._reply = reply
        self._is_silent = is_silent

    def run(self) -> AbstractAsyncContextManager[int]:
        """Serve during the block, which receives the port."""
        return stream_server(self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_silent:
            await reader.read()
        elif await reader.readexactly(1) == b"\x05":
            await self._serve_5(reader, writer)
        else:
            await self._serve_4(reader, writer)

    async def _serve_5(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await self._sized(reader)
        method = 0 if self._login is None else 2
        if method not in methods:
            writer.write(b"\x05\xff")
            return
        writer.write(bytes([5, method]))
        if self._login is not None:
            await reader.readexactly(1)
            user, password = await self._sized(reader), await self._sized(reader)
            is_right = f"{user.decode()}:{password.decode()}" == self._login
            writer.write(b"\x01\x00" if is_right else b"\x01\x01")
            if not is_right:
                return
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await self._sized(reader)).decode()
        else:
            host = str(ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        port = int.from_bytes(await reader.readexactly(2))
        self.requests.append(f"5 {'name' if kind == 3 else 'address'} {host}:{port}")
        await self._relay(reader, writer, host, port, GRANTED_5)

    async def _serve_4(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(7)
        await reader.readuntil(b"\0")
        port, host = int.from_bytes(head[1:3]), socket.inet_ntoa(head[3:])
        is_name = head[3:6] == b"\0\0\0"
        if is_name:
            host = (await reader.readuntil(b"\0"))[:-1].decode()
        self.requests.append(f"4 {'name' if is_name else 'address'} {host}:{port}")
        await self._relay(reader, writer, host, port, GRANTED_4)

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: str,
        port: int,
        granted: bytes,
    ) -> None:
        if self._reply is not None:
            writer.write(self._reply)
            await writer.drain()
            return
        up_reader, up_writer = await asyncio.open_connection(host, port)
        writer.write(granted)
        try:
            await asyncio.gather(self._pipe(reader, up_writer), self._pipe(up_reader, writer))
        finally:
            up_writer.close()

    async def _sized(self, reader: asyncio.StreamReader) -> bytes:
        return await reader.readexactly((await reader.readexactly(1))[0])

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
