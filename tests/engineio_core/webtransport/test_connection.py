"""WebTransport over QUIC on the loopback interface, with a client of aioquic."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from ssl import Purpose, create_default_context
from typing import Any

import pytest
from aioquic.quic.packet import QuicStreamFrame
from aioquic.quic.stream import QuicStreamSender

from engineio_core import Cors, Engine, HttpResponse, Tls
from engineio_core.webtransport import listener as listener_module
from engineio_core.webtransport.certificate import development_certificate
from engineio_core.webtransport.connection import MAX_REFUSED, MAX_SESSIONS
from engineio_core.webtransport.stream import (
    MAX_GAPS,
    MAX_UNIDIRECTIONAL,
    SESSION_WINDOW,
    unacknowledged,
    unsent,
)

from .quic_client import LIMIT, PONG, QuicClient, connecting, losing
from .support import frame

TRANSPORTS = ("polling", "websocket", "webtransport")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return development_certificate(tmp_path_factory.mktemp("certificate")).tls


class Server:
    """An echo engine that listens, and the ends of its sessions."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.port = 0
        self.ends: list[str] = []
        self._ended = asyncio.Event()
        engine.on("connection", self._connected)

    def _connected(self, session: Any) -> None:
        session.on_text = session.send_text
        session.on_binary = session.send_binary
        session.on_close = self._closed

    def _closed(self, reason: Any, description: str) -> None:
        self.ends.append(str(reason))
        self._ended.set()

    async def end(self) -> str:
        """Wait for the end of a session and return its reason."""
        async with asyncio.timeout(LIMIT):
            await self._ended.wait()
        return self.ends[-1]


@pytest.fixture
async def serve(tls: Tls) -> AsyncIterator[Callable[..., Any]]:
    engines: list[Engine] = []

    async def start(**options: Any) -> Server:
        server = Server(Engine(transports=TRANSPORTS, **options))
        engines.append(server.engine)
        server.port = (await server.engine.listen_webtransport(ssl=tls)).port
        return server

    yield start
    for engine in engines:
        await engine.shutdown()


async def test_long_messages_pass_in_both_directions(serve: Any) -> None:
    server = await serve(max_http_buffer_size=4_000_000)
    async with connecting(server.port) as client:
        await client.open()
        # More than the windows of the stream
        data = bytes(range(250)) * 10_000
        client.send(frame(data, is_binary=True) + frame(b"4end"))
        await client.until(lambda: len(client.packets) == 2)
        assert client.packets == [(True, data), (False, b"4end")]


async def test_request_has_the_address_and_headers_of_the_client(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        assert await client.request("/engine.io/?EIO=4&transport=webtransport&a=b") == 200
        client.stream_id = client.open_stream(b"\x010")
        await client.until(lambda: client.packets)
        (session,) = server.engine.sessions.values()
        request = session.request
        assert (request.remote_address, request.secure, request.host) == (
            "127.0.0.1", True, "localhost",
        )  # fmt: skip
        assert request.query["a"] == "b"
        assert not any(name.startswith(":") for name in request.headers)


@pytest.mark.parametrize(
    ("path", "changes", "status"),
    [
        ("/engine.io/", {"pseudo_method": "GET", "pseudo_protocol": ""}, 404),
        ("/engine.io/", {"pseudo_protocol": "websocket"}, 404),
        ("/other/", {}, 404),
        ("/engine.io/?sid=unknown", {}, 400),
        ("/engine.io/?transport=polling", {}, 400),
        ("/engine.io/", {"x-long": "x" * 20_000}, 431),
        ("/engine.io/", {"origin": "https://evil.example"}, 403),
        ("/engine.io/", {"origin": "https://app.example"}, 200),
    ],
)
async def test_request_is_accepted_or_refused(
    serve: Any, path: str, changes: dict[str, str], status: int
) -> None:
    server = await serve(cors=Cors(origins=["https://app.example"]))
    async with connecting(server.port) as client:
        assert await client.request(path, **changes) == status


async def test_head_cannot_refer_to_a_dynamic_table(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        await client.open()
        assert client.http is not None
        settings = client.http.received_settings
        assert settings is not None
        # QPACK_MAX_TABLE_CAPACITY and QPACK_BLOCKED_STREAMS (RFC 9204, section 5)
        assert (settings[0x1], settings[0x7]) == (0, 0)
        (connection,) = server.engine._webtransport[0].connections
        # "Set Dynamic Table Capacity" on the encoder stream (RFC 9204, section 4.3.1)
        client.quic.send_stream_data(client.http._local_encoder_stream_id or 0, b"\x3f\xe1\x1f")
        client.transmit()
        await client.until(lambda: client.is_terminated)
        async with asyncio.timeout(300):
            # The server may end later than the client, and has no event for it.
            while connection.sessions:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_middleware_refuses_a_session(serve: Any) -> None:
    server = await serve()

    async def refuse(request: Any) -> HttpResponse:
        await asyncio.sleep(0)
        return HttpResponse(401, b"sign in")

    server.engine.use(refuse)
    async with connecting(server.port) as client:
        assert await client.request() == 401


async def test_one_connection_has_a_limited_number_of_sessions(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        statuses = [await client.request() for _ in range(MAX_SESSIONS + 1)]
    assert statuses == [200] * MAX_SESSIONS + [503]


def _end_connect_stream(client: QuicClient) -> None:
    assert client.http is not None
    client.http.send_data(client.session_id, b"\x68\x43\x04\x00\x00\x00\x00", end_stream=True)


@pytest.mark.parametrize(
    "leave",
    [
        _end_connect_stream,
        lambda client: client.quic.reset_stream(client.session_id, 0x10C),
        lambda client: client.quic.reset_stream(client.stream_id, 0x10C),
        lambda client: client.quic.stop_stream(client.stream_id, 0x10C),
        lambda client: client.quic.send_stream_data(client.stream_id, b"", end_stream=True),
        lambda client: client.quic.close(),
    ],
    ids=["capsule", "reset session", "reset stream", "stop sending", "end stream", "close"],
)
async def test_client_that_leaves_ends_its_session(serve: Any, leave: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        await client.open()
        leave(client)
        client.transmit()
        assert await server.end() == "transport close"
    assert not server.engine.sessions


async def test_server_closes_after_the_client_has_all_bytes(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        await client.open()
        (session,) = server.engine.sessions.values()
        data = bytes(3_000_000)
        session.send_binary(data)
        session.send_text("last")
        session.close()
        await client.until(lambda: client.is_session_over)
        assert client.packets == [(True, data), (False, b"4last")]
        assert client.is_stream_over
        # CLOSE_WEBTRANSPORT_SESSION with code 0
        assert client.capsules == b"\x68\x43\x04\x00\x00\x00\x00"


async def test_server_closes_when_the_client_has_read_the_acknowledged_bytes(serve: Any) -> None:
    server = await serve(close_timeout=LIMIT)
    async with connecting(server.port) as client:
        await client.open()
        client.is_reading = False
        (session,) = server.engine.sessions.values()
        (connection,) = server.engine._webtransport[0].connections
        session.send_text("last")
        session.close()
        await client.until(lambda: client.is_stream_over)
        sender = connection.quic._streams[client.stream_id].sender
        while not sender.is_finished:
            await asyncio.wait_for(client.ping(), LIMIT)
        # The client has acknowledged everything: no timer and no datagram ends the session now.
        await asyncio.wait_for(client.ping(), LIMIT)
        assert client.packets == [(False, b"4last")]
        assert connection.sessions
        assert not client.is_session_over
        client.send(PONG * client.pings)
        await client.until(lambda: client.is_session_over)


async def test_client_that_answers_no_ping_is_closed_after_close_timeout(serve: Any) -> None:
    server = await serve(close_timeout=0.2)
    async with connecting(server.port) as client:
        await client.open()
        client.is_reading = False
        (session,) = server.engine.sessions.values()
        session.send_text("last")
        session.close()
        await client.until(lambda: client.is_session_over)


async def test_client_with_small_windows_receives_everything_before_the_end(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port, max_data=8192, max_stream_data=2048) as client:
        await client.open()
        (session,) = server.engine.sessions.values()
        data = bytes(200_000)
        session.send_binary(data)
        session.send_text("last")
        session.close()
        await client.until(lambda: client.is_session_over)
        assert client.packets == [(True, data), (False, b"4last")]
        assert client.is_stream_over


async def test_connection_is_settled_when_the_client_has_the_end_of_each_session(
    serve: Any,
) -> None:
    server = await serve()
    async with losing(server.port) as (relay, port), connecting(port) as client:
        await client.open()
        (connection,) = server.engine._webtransport[0].connections
        (stream,) = connection.sessions.values()
        relay.is_silent = True
        stream.abort()
        await asyncio.sleep(0)
        assert not connection.sessions
        assert not connection.is_settled()
        relay.is_silent = False
        await client.until(lambda: client.is_session_over)
        while not connection.is_settled():
            await asyncio.wait_for(client.ping(), LIMIT)


async def test_lost_datagrams_lose_no_message_and_no_end(serve: Any) -> None:
    server = await serve()
    async with losing(server.port) as (relay, port), connecting(port) as client:
        await client.open()
        relay.is_losing = True
        data = bytes(range(250)) * 2_000
        client.send(frame(data, is_binary=True) + frame(b"4end"))
        await client.until(lambda: len(client.packets) == 2)
        (session,) = server.engine.sessions.values()
        session.close()
        await client.until(lambda: client.is_session_over)
        assert client.packets == [(True, data), (False, b"4end")]
        assert relay.dropped > 10


async def test_listener_accepts_no_connection_above_its_limit(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "_SPARE_CONNECTIONS", 0)
    server = await serve(max_sessions=1)
    (listener,) = server.engine._webtransport
    ((_, datagrams),) = listener._endpoints
    initial = b"\xc0\x00\x00\x00\x01\x08" + bytes(8)
    assert datagrams._accepts(initial)
    async with connecting(server.port) as client:
        await client.open()
        assert not datagrams._accepts(initial)
        client.send(frame(b"4still here"))
        await client.until(lambda: client.packets)
    assert client.packets == [(False, b"4still here")]


async def test_response_has_no_headers_of_a_tcp_connection(serve: Any) -> None:
    server = await serve()
    server.engine.use(lambda request: HttpResponse(401, b"", [("Connection", "close")]))
    async with connecting(server.port) as client:
        assert await client.request() == 401
        assert not client.is_terminated


async def test_refused_client_receives_the_text_of_allow_request(serve: Any) -> None:
    server = await serve(allow_request=lambda request: "not today")
    async with connecting(server.port) as client:
        assert await client.request() == 200
        client.open_stream(b"\x010")
        await client.until(lambda: client.is_session_over)
        assert client.capsules == b"\x68\x43\x0d\x00\x00\x00\x04not today"


async def test_connection_without_a_session_closes_after_header_timeout(serve: Any) -> None:
    server = await serve(header_timeout=2)  # longer than the handshake of QUIC on a busy machine
    async with connecting(server.port) as client:
        await client.until(lambda: client.is_terminated)


async def test_further_streams_are_refused_without_harm(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        await client.open()
        extra = client.open_stream(b"\x010")
        client.open_stream(b"data", is_unidirectional=True)
        client.send(frame(b"4still here"))
        await client.until(lambda: client.packets and extra in client.resets)
        assert client.packets == [(False, b"4still here")]


async def test_many_refused_streams_close_the_connection(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        await client.open()
        for _ in range(MAX_REFUSED + 1):
            client.open_stream(b"x")
        await client.until(lambda: client.is_terminated)
        assert await server.end() == "transport close"


async def test_very_many_gaps_in_a_stream_close_the_connection(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        await client.open()
        (connection,) = server.engine._webtransport[0].connections
        receiver = connection.quic._streams[client.stream_id].receiver
        start = receiver.starting_offset() + 1000
        for number in range(MAX_GAPS + 1):
            receiver.handle_frame(QuicStreamFrame(data=b"x", offset=start + 2 * number))
        client.send(frame(b"4more"))
        await client.until(lambda: client.is_terminated)
        assert await server.end() == "transport close"


async def test_streams_outside_of_sessions_have_small_windows(serve: Any) -> None:
    server = await serve(max_header_size=10_000)
    async with connecting(server.port) as client:
        await client.open()
        assert client.quic._remote_max_streams_uni == MAX_UNIDIRECTIONAL
        assert client.quic._remote_max_stream_data_uni == 20_000
        assert client.quic._remote_max_stream_data_bidi_remote == 20_000


async def test_further_unidirectional_streams_are_permitted_after_refused_ones(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        await client.open()
        for _ in range(MAX_UNIDIRECTIONAL):
            client.open_stream(b"x", is_unidirectional=True)
        await client.until(lambda: client.quic._remote_max_streams_uni > MAX_UNIDIRECTIONAL)
        client.send(frame(b"4still here"))
        await client.until(lambda: client.packets)


async def test_paused_session_stops_its_client_at_the_window(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        await client.open()
        (session,) = server.engine.sessions.values()
        received: list[bytes] = []
        session.on_binary = received.append
        session.pause_reading()
        message = frame(bytes(500_000), is_binary=True)
        client.send(message * 10)
        sender = client.quic._streams[client.stream_id].sender
        # A ping that returns shows that the server has read everything it allows.
        highest = -1
        while highest != sender.highest_offset:
            highest = sender.highest_offset
            await asyncio.wait_for(client.ping(), LIMIT)
        assert not received
        assert highest <= SESSION_WINDOW + 64 * 1024
        assert session.buffered_amount == 0
        session.resume_reading()
        async with asyncio.timeout(LIMIT):
            while len(received) < 10:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_garbage_and_datagrams_do_not_disturb_a_session(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for data in (b"", b"\x00", b"\xc0", b"\xff" * 1300, bytes(1300)):
            udp.sendto(data, ("127.0.0.1", server.port))
    async with connecting(server.port) as client:
        await client.open()
        assert client.http is not None
        client.http.send_datagram(client.session_id, b"datagram")
        client.send(frame(b"4hello"))
        await client.until(lambda: client.packets)
    assert "failed" not in caplog.text


async def test_shutdown_closes_sessions_and_the_socket(serve: Any) -> None:
    server = await serve()
    async with connecting(server.port) as client:
        await client.open()
        (session,) = server.engine.sessions.values()
        session.send_text("bye")
        await server.engine.shutdown()
        await client.until(lambda: client.is_session_over or client.is_terminated)
        assert client.packets == [(False, b"4bye")]
        assert server.ends == ["forced close"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", server.port))


async def test_name_with_several_addresses_has_one_port(tls: Tls) -> None:
    async with Engine(transports=TRANSPORTS) as engine:
        listener = await engine.listen_webtransport(None, 0, ssl=tls)
        assert all(f":{listener.port} " in address for address in listener.addresses)
        async with connecting(listener.port) as client:
            await client.open()


async def test_port_in_use_is_explained(serve: Any, tls: Tls) -> None:
    server = await serve()
    with pytest.raises(OSError, match=r"already in use: stop the other server"):
        await server.engine.listen_webtransport(port=server.port, ssl=tls)


def spoil(path: str | Path) -> None:
    Path(path).write_text("not a certificate")


async def test_reload_uses_a_new_certificate_and_keeps_the_previous_one_if_it_is_invalid(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tls = development_certificate(tmp_path).tls
    async with Engine(transports=TRANSPORTS) as engine:
        listener = await engine.listen_webtransport(ssl=tls)
        spoil(tls.certificate)
        engine.reload_tls()
        assert "the previous one stays in use" in caplog.text
        async with connecting(listener.port) as client:
            assert await client.request() == 200
        hash_before = development_certificate(tmp_path).sha256  # creates new files
        engine.reload_tls()
        async with connecting(listener.port) as client:
            certificate = client.quic.tls._peer_certificate
            assert certificate is not None
            assert certificate.fingerprint(certificate.signature_hash_algorithm) == hash_before


async def test_listen_webtransport_explains_missing_prerequisites(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r'transports must contain "webtransport"'):
        await Engine().listen_webtransport(ssl=tls)
    engine = Engine(transports=TRANSPORTS)
    ssl: Any = create_default_context(Purpose.CLIENT_AUTH)
    with pytest.raises(TypeError, match=r"ssl must be Tls\(certificate=..., key=...\)"):
        await engine.listen_webtransport(ssl=ssl)
    with pytest.raises(ValueError, match="port must be an integer from 0 to 65535"):
        await engine.listen_webtransport(port=70_000, ssl=tls)
    for name in [each for each in sys.modules if each.startswith("engineio_core.webtransport.l")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aioquic.asyncio.server", None)
    with pytest.raises(RuntimeError, match=r"pip install 'hextrackr-server\[webtransport\]'"):
        await engine.listen_webtransport(ssl=tls)


async def test_listen_webtransport_is_refused_with_several_workers(tls: Tls) -> None:
    engine = Engine(transports=TRANSPORTS)
    owners: Any = type("Owners", (), {"generate_sid": staticmethod(lambda: "sid")})()
    engine._share_port(owners)
    with pytest.raises(RuntimeError, match="use one worker"):
        await engine.listen_webtransport(ssl=tls)


def test_sender_of_aioquic_has_the_attributes_that_measure_its_bytes() -> None:
    # Fails if a version of aioquic changes the private attributes that `stream` reads.
    sender = QuicStreamSender(stream_id=0, writable=True)
    sender.write(b"x" * 100)
    assert (unsent(sender), unacknowledged(sender)) == (100, 100)
    sent = sender.get_frame(60)
    assert sent is not None
    assert (unsent(sender), unacknowledged(sender)) == (40, 100)
    from aioquic.quic.packet_builder import QuicDeliveryState

    sender.on_data_delivery(QuicDeliveryState.ACKED, 0, 60, False)
    assert (unsent(sender), unacknowledged(sender)) == (40, 40)
