"""Links: proof of the secret, version, liveness."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from engineio_core.relay import link as link_module
from engineio_core.relay import origin as origin_module
from engineio_core.relay.frames import VERSION, Hello, Kind, encode, encode_frame
from engineio_core.relay.origin import Origin
from socketio_core import SocketServer
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
