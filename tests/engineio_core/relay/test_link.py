"""Links: proof of the secret, version, liveness."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engineio_core import read_turn
from engineio_core.noop import noop
from engineio_core.relay import link as link_module
from engineio_core.relay import origin as origin_module
from engineio_core.relay.frames import NUMBER, VERSION, Hello, Kind, encode, encode_frame
from engineio_core.relay.origin import Origin
from socketio_core import Socket, SocketServer
from tests.engineio_core.relay.support import SECRET, Client, Relayed, relayed, until
from tests.helpers.waiting import settle


async def test_gateway_with_another_secret_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Relayed(SocketServer(), tmp_path)
    await server.start_origin()
    await server.start_gateway(b"another secret")
    with caplog.at_level(logging.WARNING):
        await until(lambda: "the peer has another secret" in caplog.text)
    assert server.origin.gateways == 0
    assert not server.gateways[0].is_linked
    await server.stop()


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (encode_frame(Kind.ALIVE), "the first frame must be HELLO"),
        (encode_frame(Kind.HELLO, encode(Hello(VERSION + 1, b"n", b""))), "run the same version"),
        (encode_frame(Kind.HELLO, b"\xc1"), "a Hello frame is not valid"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "a frame must have"),
    ],
)
async def test_connection_ends_when_the_peer_is_not_a_gateway(
    first: bytes, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    io = SocketServer()
    origin = Origin(io.engine, SECRET)
    path = str(tmp_path / "link")
    server = await asyncio.get_running_loop().create_unix_server(origin.make_link, path)
    reader, writer = await asyncio.open_unix_connection(path)
    with caplog.at_level(logging.WARNING):
        writer.write(first)
        async with asyncio.timeout(300):
            await reader.read()
    assert reason in caplog.text
    assert origin.gateways == 0
    writer.close()
    server.close()
    await io.shutdown()


async def test_link_ends_when_the_peer_sends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "ALIVE_INTERVAL", 0.02)
    server = Relayed(SocketServer(), tmp_path)
    await server.start_origin()
    await server.start_gateway()
    await server.linked(1)
    end = server.gateways[0]._link
    assert end is not None
    end._watch = lambda: None  # type: ignore[method-assign]
    assert end._timer is not None
    end._timer.cancel()
    monkeypatch.setattr(link_module, "SILENCE_LIMIT", 0.1)
    with caplog.at_level(logging.WARNING):
        await until(lambda: "the peer has sent nothing for 0.1 seconds" in caplog.text)
    await server.stop()


async def test_gateway_that_writes_before_it_reads_receives_the_last_frames_of_the_origin(
    tmp_path: Path,
) -> None:
    io = SocketServer()
    async with relayed(io, tmp_path, gateways=1) as server:
        client = await Client.connect(server.ports[0])
        link = server.gateways[0]._link
        assert link is not None
        assert link._tcp is not None
        link._tcp.pause_reading()
        io.emit("last")
        stopping = asyncio.create_task(server.origin.stop())
        await settle()
        link.send(Kind.ALIVE)
        await settle()
        link._tcp.resume_reading()
        assert await client.event() == ["last"]
        await stopping


async def test_origin_stops_when_a_gateway_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin_module, "STOP_LIMIT", 0.02)
    async with relayed(SocketServer(), tmp_path, gateways=1) as server:
        link = server.gateways[0]._link
        assert link is not None
        assert link._tcp is not None
        link._tcp.pause_reading()
        await server.origin.stop()
        await server.linked(0)


async def test_link_without_hello_ends_after_a_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "HELLO_LIMIT", 0.05)
    server = Relayed(SocketServer(), tmp_path)
    await server.start_origin()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "link"))
    async with asyncio.timeout(300):
        await reader.read()
    writer.close()
    await server.stop()


class Burst:
    """An origin that receives very many events of a client in one piece, one event in a turn."""

    COUNT = 1000

    def __init__(self, server: Relayed) -> None:
        self.server = server
        self.received: list[Any] = []
        self.on_first: Callable[[], None] = noop
        server.io.on("x", self._receive)

    def _receive(self, socket: Socket, value: Any) -> None:
        self.received.append(value)
        if len(self.received) == 1:
            self.on_first()

    def send(self) -> None:
        """Send the events over the first gateway."""
        for number in range(self.COUNT):
            self.send_one(0, number)

    def send_one(self, gateway: int, value: Any) -> None:
        """Send an event of the only client of a gateway."""
        own = self.server.gateways[gateway]
        assert own._link is not None
        (number,) = own._held
        own._link.send(Kind.TEXT, NUMBER.pack(number), b"42" + json.dumps(["x", value]).encode())

    async def all_received(self) -> None:
        """Wait until the origin has received all events of the burst, and check their order."""
        await until(lambda: len(self.received) >= self.COUNT)
        numbers = [each for each in self.received if isinstance(each, int)]
        assert numbers == list(range(self.COUNT))


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each check of a turn be late."""
    seconds = itertools.count(0.0, 1.0)
    monkeypatch.setattr(read_turn, "perf_counter", lambda: next(seconds))


@pytest.mark.usefixtures("short_turns")
async def test_burst_of_one_gateway_does_not_delay_another_gateway(tmp_path: Path) -> None:
    async with relayed(SocketServer(), tmp_path) as server:
        for port in server.ports:
            await Client.connect(port)
        burst = Burst(server)
        burst.on_first = lambda: burst.send_one(1, "other")
        burst.send()
        await burst.all_received()
        assert "other" in burst.received[:-1]


@pytest.mark.usefixtures("short_turns")
async def test_frames_that_wait_for_their_turn_are_received_when_the_link_is_lost(
    tmp_path: Path,
) -> None:
    async with relayed(SocketServer(), tmp_path, gateways=1) as server:
        await Client.connect(server.ports[0])
        burst = Burst(server)
        (link,) = server.origin._gateways
        assert link._tcp is not None
        burst.on_first = link._tcp.abort
        burst.send()
        await burst.all_received()
        await until(lambda: link not in server.origin._gateways)
        assert len(burst.received) == burst.COUNT


@pytest.mark.usefixtures("short_turns")
async def test_origin_stops_while_frames_wait_for_their_turn(tmp_path: Path) -> None:
    async with relayed(SocketServer(), tmp_path, gateways=1) as server:
        await Client.connect(server.ports[0])
        burst = Burst(server)
        has_begun = asyncio.Event()
        burst.on_first = has_begun.set
        burst.send()
        await has_begun.wait()
        await server.stop_origin()
        assert len(burst.received) < burst.COUNT


async def test_end_of_a_link_is_a_warning_unless_one_of_both_stops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with relayed(SocketServer(), tmp_path, gateways=2) as server:
        await server.stop_origin()
        await until(lambda: not any(gateway.is_linked for gateway in server.gateways))
        assert caplog.text.count("the link to the origin has ended") == 2
        await server.start_origin()
        await until(lambda: all(gateway.is_linked for gateway in server.gateways))
        first, second = server.gateways
        server.links[0].cancel()
        await until(lambda: not first.is_linked)
        assert "the link to the origin is lost" not in caplog.text
        assert second._link is not None
        assert second._link._tcp is not None
        second._link._tcp.abort()
        await until(lambda: "the link to the origin is lost: the connection closed" in caplog.text)
