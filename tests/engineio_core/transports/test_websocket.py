"""WebSocketTransport: failures, backpressure and the end of TCP."""

from __future__ import annotations

import logging

import pytest

from engineio_core import EncodedPacket, ProtocolError
from engineio_core.transports.interface import NULL_LISTENER
from engineio_core.transports.websocket import MAX_BATCH, WebSocketTransport
from tests.helpers.client import Server
from tests.helpers.wire import CLOSE, PING, TEXT, client_frame


def transport_of(server: Server) -> WebSocketTransport:
    transport = server.session.transport
    assert isinstance(transport, WebSocketTransport)
    return transport


def test_unexpected_error_of_the_slow_path_closes_with_1011(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    client = server.open_websocket()
    transport = transport_of(server)

    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(transport._get_slow_path()._protocol, "receive_data", fail)
    with caplog.at_level(logging.ERROR):
        client.frame(PING)
    assert client.close_code == 1011
    assert server.closed == [("transport error", "internal error")]
    assert "reading from a WebSocket failed" in caplog.text


def test_lost_connection_releases_the_session_and_the_reader() -> None:
    server = Server()
    client = server.open_websocket()
    transport = transport_of(server)
    assert transport.listener is server.session
    client.tcp.lose()
    assert transport.listener is NULL_LISTENER
    assert transport._slow_path is None
    transport.data_received(client_frame(TEXT, b"4late"))
    assert server.received == []
    assert server.reasons == ["transport close"]


def test_closed_transport_ignores_backpressure_and_pauses() -> None:
    server = Server()
    client = server.open_websocket()
    transport = transport_of(server)
    server.session.close()
    transport.pause_writing()
    transport.resume_writing()
    transport.pause_reading()
    transport.resume_reading()
    transport._fail(ProtocolError("invalid opcode", websocket_code=1002))
    assert not transport.writable
    assert transport.close() is True
    assert client.close_code == 1005, "one close frame, without a code"
    assert server.reasons == ["forced close"]


def test_large_batch_is_written_before_the_chunk_ends() -> None:
    server = Server()
    client = server.open_websocket()
    packet = b"4" + b"x" * 99
    count = MAX_BATCH // 100 + 10

    def send_many(text: str) -> None:
        for _ in range(count):
            server.session.send_bare(packet)
        server.session.send(EncodedPacket(b"4" + b"y" * MAX_BATCH))

    server.session.on_text = send_many
    client.tcp.writes.clear()
    client.send("go")
    assert len(client.tcp.writes) > 1
    assert all(len(data) <= 2 * MAX_BATCH for data in client.tcp.writes)
    assert len(client.frames()) == count + 1


def test_tls_connection_is_closed_after_the_close_handshake() -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp._extra["sslcontext"] = object()
    client.frame(CLOSE, b"\x0f\xa0")
    assert client.tcp.is_closed
    assert not client.tcp.has_written_eof
    assert client.close_code == 4000
