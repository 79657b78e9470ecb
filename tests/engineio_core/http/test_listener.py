"""Listeners on real sockets: addresses, and the behavior of asyncio and uvloop."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engineio_core import Session, server
from engineio_core.http.listener import ACCEPTS_PER_TURN, BACKLOG
from engineio_core.transports.websocket import WebSocketTransport
from tests.engineio_core.http.support import POLLING, Client, check_echo, connect, echo_engine
from tests.helpers.waiting import until
from tests.helpers.wire import CLOSE, TEXT, client_frame, http_request, text_frame

# -- addresses


def test_engine_listens_on_tcp(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen("127.0.0.1", 0)
        assert listener.port > 0
        await check_echo(await connect(listener.port))
        await engine.shutdown()

    run(case())


def test_engine_listens_on_ipv6(run: Callable[[Any], None]) -> None:
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


def test_engine_listens_on_a_unix_socket_and_replaces_a_stale_one(
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


def test_listen_fails_when_another_server_uses_the_unix_socket(
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


def test_engine_listens_on_an_inherited_descriptor(run: Callable[[Any], None]) -> None:
    inherited = socket.create_server(("127.0.0.1", 0))
    port = inherited.getsockname()[1]

    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen(fd=inherited.detach())
        assert listener.port == port
        await check_echo(await connect(port))
        await engine.shutdown()

    run(case())


def test_listen_fails_when_the_address_is_in_use(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        first, second = echo_engine(), echo_engine()
        listener = await first.listen(port=0)
        with pytest.raises(OSError, match=r"(?i)address already in use"):
            await second.listen(port=listener.port)
        await first.shutdown()

    run(case())


def test_listener_limits_accepts_per_turn_without_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures: list[dict[str, Any]] = []
    accept = socket.socket.accept

    def fail(_: socket.socket) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen("127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        monkeypatch.setattr(socket.socket, "accept", fail)
        client = asyncio.create_task(connect(listener.port))
        while not failures:  # noqa: ASYNC110 - the loop reports the first one
            await asyncio.sleep(0)
        assert 0 < len(failures) <= ACCEPTS_PER_TURN
        monkeypatch.setattr(socket.socket, "accept", accept)
        await check_echo(await client)  # the loop accepts again after a second
        await engine.shutdown()

    asyncio.run(case())


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO has this form on Linux only")
def test_kernel_queues_many_connections_on_any_event_loop(run: Callable[[Any], None]) -> None:
    maximum = int(Path("/proc/sys/net/core/somaxconn").read_text())

    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen("127.0.0.1", 0)
        with socket.socket(fileno=os.dup(listener.sockets[0].fileno())) as listening:
            info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        # tcpi_sacked of a listening socket is its backlog (Linux, net/ipv4/tcp.c, tcp_get_info).
        (backlog,) = struct.unpack_from("I", info, 28)
        assert backlog == min(BACKLOG, maximum)
        await engine.shutdown()

    run(case())


# -- behavior that differs between event loops and from the fake TCP transport


def test_refused_upload_receives_413(run: Callable[[Any], None]) -> None:
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


def test_polling_session_uses_several_connections(run: Callable[[Any], None]) -> None:
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
        await until(lambda: engine.sessions[sid].writable)
        await polls.close()
        await until(lambda: reasons)
        assert reasons == ["poll connection closed prematurely"]
        await posts.close()
        await engine.shutdown()

    run(case())


def test_pause_resume_and_close_work_in_any_order(run: Callable[[Any], None]) -> None:
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
        client.writer.write(text_frame("4received"))
        await client.frame()
        assert (await client.frame()).payload == b"4received"
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


def test_session_accepts_calls_while_its_tcp_connection_is_aborted(
    run: Callable[[Any], None],
) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        client = await connect(listener.port)
        await client.upgrade()
        (session,) = engine.sessions.values()
        session.transport._tcp.abort()
        session.send_text("dropped")
        session.pause_reading()
        session.resume_reading()
        session.close()
        await until(lambda: not engine.sessions)
        await client.close()
        await engine.shutdown()

    run(case())


def test_stalled_client_receives_all_messages_in_order_when_it_reads(
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


def test_shutdown_notifies_all_clients(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        websocket, poll, idle = [await connect(listener.port) for _ in range(3)]
        await websocket.upgrade()
        await websocket.frame()
        sid = (await poll.get(POLLING)).text.split('"')[3]
        poll.writer.write(http_request("GET", f"{POLLING}&sid={sid}"))
        await until(lambda: engine.sessions[sid].writable)
        await engine.shutdown()
        assert (await websocket.frame()).opcode == CLOSE
        assert (await poll.response()).text == "1"
        assert await poll.end() == await idle.end() == b""
        with pytest.raises(ConnectionError):
            await connect(listener.port)
        for client in (websocket, poll, idle):
            await client.close()

    run(case())


def test_shutdown_waits_until_the_clients_have_closed(
    run: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CLOSING_TIME", 60.0)

    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        websocket = await connect(listener.port)
        await websocket.upgrade()
        await websocket.frame()

        async def close() -> None:
            assert (await websocket.frame()).opcode == CLOSE
            assert engine._upgraded
            await websocket.close()

        await asyncio.gather(engine.shutdown(), close())
        assert not engine._upgraded

    run(case())


def test_shutdown_aborts_clients_that_do_not_close(
    run: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CLOSING_TIME", 0.02)

    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        websocket, upload = [await connect(listener.port) for _ in range(2)]
        await websocket.upgrade()
        await websocket.frame()
        sid = (await upload.get(POLLING)).text.split('"')[3]
        head = http_request("POST", f"{POLLING}&sid={sid}", {"Content-Length": "9"})
        upload.writer.write(head + b"4a")
        await asyncio.sleep(0.01)
        await engine.shutdown()
        assert not engine._connections
        assert not engine._upgraded
        for client in (websocket, upload):
            await client.close()

    run(case())


def test_http_connection_is_freed_after_the_websocket_upgrade(run: Callable[[Any], None]) -> None:
    from engineio_core.http.connection import HttpConnection

    async def case() -> None:
        gc.collect()
        # Other tests of this process may have left some.
        known = {id(each) for each in gc.get_objects() if isinstance(each, HttpConnection)}
        engine = echo_engine()
        listener = await engine.listen()
        client = await connect(listener.port)
        await client.upgrade()
        await client.frame()
        gc.collect()
        left = [each for each in gc.get_objects() if isinstance(each, HttpConnection)]
        assert {id(each) for each in left} <= known
        await client.close()
        await engine.shutdown()

    run(case())


def test_closed_websocket_is_freed_without_the_cycle_collector(
    run: Callable[[Any], None],
) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        gc.collect()
        gc.disable()
        kinds = (Session, WebSocketTransport)
        # Other tests of this process may have left some.
        known = [each for each in gc.get_objects() if isinstance(each, kinds)]
        try:
            client = await connect(listener.port)
            await client.upgrade()
            await client.frame()
            await client.close()
            await engine.shutdown()
            left = [each for each in gc.get_objects() if isinstance(each, kinds)]
            assert len(left) <= len(known)
        finally:
            gc.enable()

    run(case())


def test_text_packets_are_sent_as_text_frames(run: Callable[[Any], None]) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen()
        client = await connect(listener.port)
        await client.upgrade()
        assert (await client.frame()).opcode == TEXT
        await client.close()
        await engine.shutdown()

    run(case())
