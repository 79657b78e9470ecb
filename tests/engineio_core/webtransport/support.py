"""A stream without QUIC, and an engine whose WebTransport sessions use it."""

from __future__ import annotations

import asyncio
from typing import Any

from engineio_core import Engine, EngineOptions, HttpRequest, Session
from engineio_core.webtransport.frames import PacketReader, encode_header
from engineio_core.webtransport.opening import Opening
from engineio_core.webtransport.transport import WebTransportTransport
from tests.helpers.fake_clock import FakeClock

OPEN = b"\x010"


def frame(payload: bytes, *, is_binary: bool = False) -> bytes:
    """Return a packet with its header."""
    return encode_header(len(payload), is_binary) + payload


def split(data: bytes) -> list[tuple[bool, bytes]]:
    """Return the packets of a stream of the server."""
    reader = PacketReader(2**40)
    reader.feed(data)
    packets = []
    while (packet := reader.next_packet()) is not None:
        packets.append(packet)
    assert not reader.buffered_amount
    return packets


class FakeStream:
    """A client stream that records what the transport does; `unsent` bytes wait for the network."""

    def __init__(self) -> None:
        self.written = b""
        self.unsent = 0
        self.is_stuck = False  # the network takes no bytes
        self.is_held = False
        self.end: tuple[Any, ...] | None = None
        self.is_unread = False  # the session waits until the client has read everything

    def write(self, data: bytes) -> None:
        assert self.end is None, "a stream that has ended accepts no bytes"
        self.written += data
        if self.is_stuck:
            self.unsent += len(data)

    def unsent_amount(self) -> int:
        return self.unsent

    def unacknowledged_amount(self) -> int:
        return self.unsent

    def hold(self, is_held: bool) -> None:
        self.is_held = is_held

    def finish(self, code: int, reason: str, *, is_unread: bool) -> None:
        self.end = ("finished", code, reason)
        self.is_unread = is_unread

    def confirm(self) -> None:
        assert self.end is not None, "a session that continues waits for nothing"
        self.is_unread = False

    def abort(self) -> None:
        self.end = ("aborted",)


class Client:
    """One WebTransport session of an engine, and its fake stream."""

    def __init__(self, engine: Engine, query: str = "") -> None:
        self.request = HttpRequest(
            "GET", f"/engine.io/{query}", {}, remote_address="127.0.0.1", secure=True
        )
        self.request.is_upgrade = True
        self.stream = FakeStream()
        context = engine._session_context()
        self._clock = context.clock
        self.transport = WebTransportTransport(self.stream, context)
        self.opening = Opening(engine, self.request, self.transport)
        self.transport.listener = self.opening

    async def send(self, *chunks: bytes) -> None:
        """Deliver chunks, and let the checks of the server run."""
        for chunk in chunks:
            self.transport.data_received(chunk)
            while self.transport._is_interrupted() and isinstance(self._clock, FakeClock):
                self._clock.run()  # the next turn
            for _ in range(5):
                await asyncio.sleep(0)

    @property
    def packets(self) -> list[tuple[bool, bytes]]:
        """The packets of the server."""
        return split(self.stream.written)


class EchoEngine(Engine):
    """An engine that echoes messages and records its sessions and their ends."""

    def __init__(self, **options: Any) -> None:
        self.fake_clock = FakeClock()
        self.opened: list[Session] = []
        self.ends: list[tuple[str, str]] = []
        options.setdefault("transports", ("polling", "websocket", "webtransport"))
        super().__init__(EngineOptions(**options), clock=self.fake_clock)
        self.on("connection", self._connected)

    def _connected(self, session: Session) -> None:
        self.opened.append(session)
        session.on_text = session.send_text
        session.on_binary = session.send_binary
        session.on_close = lambda reason, description: self.ends.append((str(reason), description))
