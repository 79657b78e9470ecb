"""A WebTransport client of aioquic, with the packets and the end of its session."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    ProtocolNegotiated,
    QuicEvent,
    StreamDataReceived,
    StreamReset,
)

from engineio_core.webtransport.frames import PacketReader
from tests.engineio_core.webtransport.support import OPEN

LIMIT = 300.0
PING = (False, b"2")
PONG = b"\x013"


class QuicClient(QuicConnectionProtocol):
    """One QUIC connection of a client; `opened` is its last WebTransport session."""

    def __init__(self, quic: QuicConnection, stream_handler: Any = None) -> None:
        super().__init__(quic, stream_handler)
        self.quic = quic
        self.http: H3Connection | None = None
        self.statuses: dict[int, int] = {}
        self.packets: list[tuple[bool, bytes]] = []
        """The packets of the server without its pings."""
        self.is_reading = True
        """Whether the client answers pings."""
        self.pings = 0
        self.capsules = b""
        self.is_session_over = False
        self.is_stream_over = False
        self.is_terminated = False
        self.resets: list[int] = []
        self.session_id = -1
        self.stream_id = -1
        self._own: set[int] = set()
        self._reader = PacketReader(2**40)
        self._changed = asyncio.Event()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self.quic, enable_webtransport=True)
        elif isinstance(event, ConnectionTerminated):
            self.is_terminated = True
        elif isinstance(event, StreamReset):
            self.resets.append(event.stream_id)
        # H3Connection does not recognize the streams that the client itself has opened.
        if isinstance(event, StreamDataReceived) and event.stream_id in self._own:
            self._receive(event)
        elif self.http is not None:
            for each in self.http.handle_event(event):
                self._process(each)
        self._changed.set()

    def _process(self, event: Any) -> None:
        if isinstance(event, HeadersReceived):
            self.statuses[event.stream_id] = int(dict(event.headers)[b":status"])
        elif isinstance(event, DataReceived) and event.stream_id == self.session_id:
            self.capsules += event.data
            self.is_session_over |= event.stream_ended

    def _receive(self, event: StreamDataReceived) -> None:
        self._reader.feed(event.data)
        while (packet := self._reader.next_packet()) is not None:
            if packet != PING:
                self.packets.append(packet)
                continue
            self.pings += 1
            if self.is_reading:
                self.quic.send_stream_data(self.stream_id, PONG)
                self._transmit_soon()
        self.is_stream_over |= event.end_stream

    async def until(self, condition: Any) -> None:
        """Wait until a condition holds after an event."""
        async with asyncio.timeout(LIMIT):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def request(self, path: str = "/engine.io/", **changes: str) -> int:
        """Send a request, by default for a session, and return the status."""
        headers = {
            ":method": "CONNECT", ":scheme": "https", ":authority": "localhost",
            ":path": path, ":protocol": "webtransport",
        }  # fmt: skip
        headers |= {name.replace("pseudo_", ":"): value for name, value in changes.items()}
        await self.until(lambda: self.http is not None and self.http.received_settings is not None)
        assert self.http is not None
        stream_id = self.quic.get_next_available_stream_id()
        fields = [(name.encode(), value.encode()) for name, value in headers.items() if value]
        self.http.send_headers(stream_id, fields)
        self.session_id = stream_id
        self.transmit()
        await self.until(lambda: stream_id in self.statuses)
        return self.statuses[stream_id]

    def open_stream(self, data: bytes, *, is_unidirectional: bool = False) -> int:
        """Open a stream of the session and send bytes."""
        assert self.http is not None
        stream_id = self.http.create_webtransport_stream(self.session_id, is_unidirectional)
        self._own.add(stream_id)
        self.quic.send_stream_data(stream_id, data)
        self.transmit()
        return stream_id

    async def open(self) -> None:
        """Open an Engine.IO session."""
        assert await self.request() == 200
        self.stream_id = self.open_stream(OPEN)
        await self.until(lambda: self.packets)
        assert self.packets.pop(0)[1].startswith(b'0{"sid"')

    def send(self, data: bytes) -> None:
        """Send bytes of packets."""
        self.quic.send_stream_data(self.stream_id, data)
        self.transmit()


@asynccontextmanager
async def connecting(port: int, **options: Any) -> AsyncIterator[QuicClient]:
    """Connect to a server of this machine, with options of `QuicConfiguration`."""
    configuration = QuicConfiguration(
        alpn_protocols=H3_ALPN,
        is_client=True,
        verify_mode=ssl.CERT_NONE,
        max_datagram_frame_size=65536,
        **options,
    )
    async with connect(
        "127.0.0.1", port, configuration=configuration, create_protocol=QuicClient
    ) as client:
        assert isinstance(client, QuicClient)
        yield client


class LossyRelay(asyncio.DatagramProtocol):
    """A relay in front of a server that drops datagrams.

    If `is_losing`, it drops every tenth one in both directions; if `is_silent`, all of the server.
    """

    def __init__(self, port: int) -> None:
        self.server = ("127.0.0.1", port)
        self.client: Any = None
        self.dropped = 0
        self.is_losing = False
        self.is_silent = False
        self._count = 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if addr != self.server:
            self.client = addr
        self._count += 1
        is_lost = self.is_silent and addr == self.server
        if is_lost or (self.is_losing and self._count % 10 == 0):
            self.dropped += 1
        else:
            self._transport.sendto(data, self.client if addr == self.server else self.server)


@asynccontextmanager
async def losing(port: int) -> AsyncIterator[tuple[LossyRelay, int]]:
    """Run a relay to a server; yield it and its port."""
    loop = asyncio.get_running_loop()
    transport, relay = await loop.create_datagram_endpoint(
        lambda: LossyRelay(port), local_addr=("127.0.0.1", 0)
    )
    try:
        yield relay, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
