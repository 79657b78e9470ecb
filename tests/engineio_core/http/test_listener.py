"""The engine over real sockets: where it can listen, TLS, and what the loops do differently."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from engineio_core import Engine, EngineOptions, Session, Tls
from engineio_core.transports.websocket import WebSocketTransport
from tests.helpers.wire import (
    BINARY,
    CLOSE,
    TEXT,
    WEBSOCKET_HEADERS,
    Frame,
    Response,
    client_frame,
    http_request,
    parse_frames,
    parse_responses,
    text_frame,
)

TLS_FILES = Path(__file__).parents[2] / "helpers" / "tls"
POLLING = "/engine.io/?EIO=4&transport=polling"
WEBSOCKET = "/engine.io/?EIO=4&transport=websocket"


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Run a coroutine on each of the loops."""
    return request.param  # type: ignore[no-any-return]


class Client:
    """One real connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._rest = b""

    async def response(self) -> Response:
        async with asyncio.timeout(60):
            while True:
                responses, rest = parse_responses(self._rest)
                if responses:
                    self._rest = rest
                    return responses[0]
                data = await self.reader.read(65536)
                assert data, "the server closed before it answered"
                self._rest += data

    async def get(self, target: str, **headers: str) -> Response:
        self.writer.write(http_request("GET", target, headers))
        return await self.response()

    async def upgrade(self, target: str = WEBSOCKET, tail: bytes = b"") -> Response:
        self.writer.write(http_request("GET", target, WEBSOCKET_HEADERS) + tail)
        return await self.response()

    async def frame(self) -> Frame:
        async with asyncio.timeout(60):
            while True:
                frames, rest = parse_frames(self._rest)
                if frames:
                    self._rest = self._rest[-len(rest) :] if rest else b""
                    for later in reversed(frames[1:]):
                        head = bytes((0x80 | later.opcode,))
                        length = len(later.payload)
                        size = (
                            bytes((length,))
                            if length < 126
                            else b"\x7e" + length.to_bytes(2, "big")
                            if length < 65536
                            else b"\x7f" + length.to_bytes(8, "big")
                        )
                        self._rest = head + size + later.payload + self._rest
                    return frames[0]
                data = await self.reader.read(65536)
                assert data, "the server closed"
                self._rest += data

    async def end(self) -> bytes:
        """Read until the server ends the connection; return what came."""
        async with asyncio.timeout(60):
            data, self._rest = self._rest + await self.reader.read(), b""
            return data

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


async def connect(port: int, host: str = "127.0.0.1", **given: Any) -> Client:
    return Client(*await asyncio.open_connection(host, port, **given))


def echo_engine(**options: Any) -> Engine:
    engine = Engine(EngineOptions(**options))

    @engine.on("connection")
    def connected(session: Session) -> None:
        session.on_text = session.send_text
        session.on_binary = session.send_binary

    return engine


async def check_echo(client: Client) -> None:
    assert (await client.upgrade(tail=text_frame("4early"))).status == 101
    assert (await client.frame()).payload.startswith(b"0{")
    assert (await client.frame()).payload == b"4early"
    data = os.urandom(200_000)
    client.writer.write(client_frame(BINARY, data))
    assert (await client.frame()).payload == data
    await client.close()


# -- where it listens


def test_it_listens_on_tcp(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen("127.0.0.1", 0)
        assert listener.port > 0
        await check_echo(await connect(listener.port))
        await engine.shutdown()

    run(case())


def test_it_listens_on_ipv6(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen("::1", 0)
        client = await connect(listener.port, "::1")
        await client.get(POLLING)
        (session,) = engine.sessions.values()
        assert session.request.remote_address == "::1"
        await client.close()
        await engine.shutdown()

    run(case())


def test_it_listens_on_a_unix_socket_and_replaces_a_stale_one(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    path = tmp_path / "engine.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()

    async def case() -> None:
        engine = echo_engine(trusted_proxies=["unix"])
        listener = await engine.listen(path=path)
        assert listener.port == 0
        client = Client(*await asyncio.open_unix_connection(str(path)))
        await client.get(POLLING, **{"X-Forwarded-For": "198.51.100.9"})
        (session,) = engine.sessions.values()
        assert session.request.remote_address == "198.51.100.9"
        await client.close()
        await engine.shutdown()

    run(case())


def test_a_unix_socket_that_somebody_serves_is_not_taken(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    path = tmp_path / "engine.sock"

    async def case() -> None:
        first, second = echo_engine(), echo_engine()
        await first.listen(path=path)
        with pytest.raises(OSError, match="address already in use: stop the other server"):
            await second.listen(path=path)
        await check_echo(Client(*await asyncio.open_unix_connection(str(path))))
        await first.shutdown()

    run(case())


def test_it_listens_on_an_inherited_descriptor(run: Callable[[Any], None]) -> None:
    inherited = socket.create_server(("127.0.0.1", 0))
    port = inherited.getsockname()[1]

    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen(fd=inherited.detach())
        assert listener.port == port
        await check_echo(await connect(port))
        await engine.shutdown()

    run(case())


def test_an_address_that_is_taken_is_an_error(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        first, second = echo_engine(), echo_engine()
        listener = await first.listen(port=0)
        with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
            await second.listen(port=listener.port)
        await first.shutdown()

    run(case())


# -- TLS


def trusting(name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=TLS_FILES / f"{name}.pem")
    context.check_hostname = True
    return context


def own_files(tmp_path: Path) -> Tls:
    for suffix in ("pem", "key.pem"):
        shutil.copy(TLS_FILES / f"first.{suffix}", tmp_path / f"own.{suffix}")
    return Tls(certificate=tmp_path / "own.pem", key=tmp_path / "own.key.pem")


def test_it_speaks_tls_and_reloads_its_certificate(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen(ssl=own_files(tmp_path))
        old = await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        await old.get(POLLING)
        assert next(iter(engine.sessions.values())).request.secure
        await check_echo(
            await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        )
        for suffix in ("pem", "key.pem"):
            shutil.copy(TLS_FILES / f"second.{suffix}", tmp_path / f"own.{suffix}")
        engine.reload_tls()
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        await check_echo(
            await connect(listener.port, ssl=trusting("second"), server_hostname="localhost")
        )
        assert (await old.get(POLLING)).status == 200, "connections that exist go on"
        await old.close()
        await engine.shutdown()

    run(case())


def test_listen_uses_an_ssl_context_and_reload_leaves_it_unchanged(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    async def case() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS_FILES / "first.pem", TLS_FILES / "first.key.pem")
        async with echo_engine() as engine:
            listener = await engine.listen(ssl=context)
            assert listener.addresses == (f"https://127.0.0.1:{listener.port}",)
            engine.reload_tls()
            await check_echo(
                await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
            )

    run(case())


def test_a_certificate_that_is_no_good_is_not_loaded(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen(ssl=own_files(tmp_path))
        (tmp_path / "own.pem").write_text("nonsense")
        engine.reload_tls()
        await check_echo(
            await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        )
        await engine.shutdown()

    run(case())


def test_a_certificate_that_is_not_there_is_refused_at_construction(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a readable PEM file"):
        Tls(certificate=tmp_path / "missing.pem")


def test_a_websocket_over_tls_closes_in_good_order(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen(ssl=own_files(tmp_path))
        client = await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        await client.upgrade()
        await client.frame()
        client.writer.write(client_frame(CLOSE, b"\x03\xe8"))
        assert (await client.frame()).payload == b"\x03\xe8"
        assert await client.end() == b""
        assert engine.sessions == {}
        await client.close()
        await engine.shutdown()

    run(case())


def test_a_tls_handshake_that_does_not_come_is_given_up(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    async def case() -> None:
        engine = echo_engine(header_timeout=0.03)
        listener = await engine.listen(ssl=own_files(tmp_path))
        client = await connect(listener.port)
        assert await client.end() == b""
        await client.close()
        await engine.shutdown()

    run(case())


def test_an_upload_that_is_refused_over_tls_can_read_why(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    async def case() -> None:
        engine = echo_engine(max_http_buffer_size=1000)
        listener = await engine.listen(ssl=own_files(tmp_path))
        client = await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        sid = (await client.get(POLLING)).text.split('"')[3]
        client.writer.write(
            http_request("POST", f"{POLLING}&sid={sid}", {"Content-Length": "300000"})
            + b"x" * 300_000
        )
        assert (await client.response()).status == 413
        await client.close()
        await engine.shutdown()

    run(case())


# -- what the loops do differently from each other, and from a fake


def test_an_upload_that_is_refused_can_read_why(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine(max_http_buffer_size=1000)
        listener = await engine.listen()
        client = await connect(listener.port)
        sid = (await client.get(POLLING)).text.split('"')[3]
        client.writer.write(
            http_request("POST", f"{POLLING}&sid={sid}", {"Content-Length": "3000000"})
            + b"x" * 3_000_000
        )
        assert (await client.response()).status == 413
        await client.close()
        await engine.shutdown()

    run(case())


def test_a_polling_session_lives_over_several_connections(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        polls, posts = await connect(listener.port), await connect(listener.port)
        sid = (await polls.get(POLLING)).text.split('"')[3]
        polls.writer.write(http_request("GET", f"{POLLING}&sid={sid}"))
        posts.writer.write(http_request("POST", f"{POLLING}&sid={sid}", {}, b"4hi\x1ebAQI="))
        assert (await posts.response()).text == "ok"
        assert (await polls.response()).text == "4hi\x1ebAQI="
        reasons: list[str] = []
        engine.sessions[sid].on_close = lambda reason, why: reasons.append(why)
        polls.writer.write(http_request("GET", f"{POLLING}&sid={sid}"))
        await asyncio.sleep(0.01)
        await polls.close()
        await asyncio.sleep(0.02)
        assert reasons == ["poll connection closed prematurely"]
        await posts.close()
        await engine.shutdown()

    run(case())


def test_pausing_resuming_and_closing_may_come_in_any_order(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        client = await connect(listener.port)
        await client.upgrade()
        (session,) = engine.sessions.values()
        for step in (
            session.pause_reading,
            session.pause_reading,
            session.resume_reading,
            session.resume_reading,
        ):
            step()
        client.writer.write(text_frame("4heard"))
        await client.frame()
        assert (await client.frame()).payload == b"4heard"
        session.pause_reading()
        transport = session.transport
        session.close()
        transport.pause_reading()
        transport.resume_reading()
        assert (await client.frame()).opcode == CLOSE
        client.writer.write(client_frame(CLOSE))
        assert await client.end() == b""
        await client.close()
        await engine.shutdown()

    run(case())


def test_sessions_take_everything_while_their_tcp_is_going(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        client = await connect(listener.port)
        await client.upgrade()
        (session,) = engine.sessions.values()
        session.transport._tcp.abort()
        session.send_text("into the void")
        session.pause_reading()
        session.resume_reading()
        session.close()
        await asyncio.sleep(0.01)
        assert engine.sessions == {}
        await client.close()
        await engine.shutdown()

    run(case())


def test_a_client_that_stalls_gets_everything_in_order_when_it_reads(
    run: Callable[[Any], None],
) -> None:
    async def case() -> None:
        engine = echo_engine(max_outbox_size=64_000_000)
        listener = await engine.listen()
        client = await connect(listener.port, limit=2**16)
        await client.upgrade()
        await client.frame()
        (session,) = engine.sessions.values()
        for number in range(200):
            session.send_text(f"{number:06}" + "x" * 100_000)
            if number % 20 == 0:
                await asyncio.sleep(0)
        assert not session.writable
        assert session.buffered_amount > 1_000_000
        waiting = asyncio.ensure_future(session.drain())
        for number in range(200):
            assert (await client.frame()).payload[:7] == b"4%06d" % number
        await waiting
        await client.close()
        await engine.shutdown()

    run(case())


def test_a_shutdown_tells_every_client(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        websocket, poll, idle = [await connect(listener.port) for _ in range(3)]
        await websocket.upgrade()
        await websocket.frame()
        sid = (await poll.get(POLLING)).text.split('"')[3]
        poll.writer.write(http_request("GET", f"{POLLING}&sid={sid}"))
        await asyncio.sleep(0.01)
        await engine.shutdown()
        assert (await websocket.frame()).opcode == CLOSE
        assert (await poll.response()).text == "1"
        assert await poll.end() == await idle.end() == b""
        with pytest.raises(ConnectionError):
            await connect(listener.port)
        for client in (websocket, poll, idle):
            await client.close()

    run(case())


def test_the_tcp_of_a_websocket_forgets_http(run: Callable[[Any], None]) -> None:
    from engineio_core.http.connection import HttpConnection

    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        client = await connect(listener.port)
        await client.upgrade()
        await client.frame()
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, HttpConnection)]
        await client.close()
        await engine.shutdown()

    run(case())


def test_a_websocket_that_has_ended_is_freed_without_a_search_for_cycles(
    run: Callable[[Any], None],
) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        gc.collect()
        gc.disable()
        try:
            client = await connect(listener.port)
            await client.upgrade()
            await client.frame()
            await client.close()
            await engine.shutdown()
            kinds = (Session, WebSocketTransport)
            assert not [each for each in gc.get_objects() if isinstance(each, kinds)]
        finally:
            gc.enable()

    run(case())


def test_text_frames_are_text(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        client = await connect(listener.port)
        await client.upgrade()
        assert (await client.frame()).opcode == TEXT
        await client.close()
        await engine.shutdown()

    run(case())
