"""The first packet of a WebTransport stream: new sessions, upgrades, refusals and deadlines."""

from __future__ import annotations

import asyncio
import logging

import pytest

from engineio_core import ConnectionRefusal, Cors, HttpRequest, HttpResponse, Session
from engineio_core.transports.polling import PollingTransport
from engineio_core.webtransport.opening import screen

from .support import OPEN, Client, EchoEngine, frame


def open_polling(engine: EchoEngine, sid: str = "polling-sid", *, revision: int = 4) -> Session:
    """Open a polling session without HTTP."""
    request = HttpRequest("GET", f"/engine.io/?EIO={revision}&transport=polling", {})
    context = engine._session_context(revision)
    transport = PollingTransport(context, engine._decorate)
    session = transport.session = Session(sid, request, transport, context)
    engine._register(session)
    return session


def upgrade_packet(sid: str) -> bytes:
    return frame(b'0{"sid":"' + sid.encode() + b'"}')


async def test_open_packet_opens_a_session() -> None:
    engine = EchoEngine(initial_packet="welcome")
    client = Client(engine)
    await client.send(OPEN)
    (_, handshake), initial = client.packets
    assert handshake.startswith(b'0{"sid":"')
    assert b'"upgrades":[]' in handshake
    assert initial == (False, b"4welcome")
    assert engine.opened[0].request.secure
    engine.fake_clock.advance(11)  # the deadline of the first packet is over
    assert not engine.ends


async def test_packets_behind_the_open_packet_wait_for_the_session() -> None:
    async def allow(request: HttpRequest) -> bool:
        await asyncio.sleep(0)
        return True

    engine = EchoEngine(allow_request=allow)
    client = Client(engine)
    await client.send(OPEN + frame(b"4early"))
    await client.send()
    for _ in range(10):
        await asyncio.sleep(0)
    assert client.packets[-1] == (False, b"4early")


async def test_polling_session_upgrades() -> None:
    engine = EchoEngine()
    session = open_polling(engine)
    client = Client(engine)
    await client.send(upgrade_packet(session.sid), frame(b"2probe"))
    assert client.packets == [(False, b"3probe")]
    await client.send(frame(b"5"), frame(b"4after"))
    assert client.packets[-1] == (False, b"4after")
    assert session.transport is client.transport
    assert engine.opened == [session]


async def test_polling_session_of_revision_3_upgrades_with_frames_of_revision_4() -> None:
    engine = EchoEngine(allow_eio3=True)
    session = open_polling(engine, revision=3)
    client = Client(engine)
    await client.send(upgrade_packet(session.sid), frame(b"2probe"), frame(b"5"))
    await client.send(frame(b"4after"), frame(b"\x01", is_binary=True), frame(b"2"))
    assert session.protocol == 3
    assert client.packets[1:] == [(False, b"4after"), (True, b"\x01"), (False, b"3")]


async def test_incomplete_upgrade_leaves_the_polling_session_open() -> None:
    engine = EchoEngine()
    session = open_polling(engine)
    client = Client(engine)
    await client.send(upgrade_packet(session.sid), frame(b"2probe"))
    engine.fake_clock.advance(11)
    assert client.stream.end == ("finished", 0, "")
    assert session.transport.name == "polling"
    assert not engine.ends
    again = Client(engine)
    await again.send(upgrade_packet(session.sid), frame(b"2probe"))
    assert again.packets == [(False, b"3probe")]


@pytest.mark.parametrize(
    "packet",
    [
        b"4hello", b"0oops", b"0{oops", b"0[]", b"0null", b'0{"sid":1}', b'0{"sid":""}', b"0{}",
        b'0{"sid":"__proto__"}', b'0{"sid":"unknown"}', b"2probe", b"\xff",
    ],
)  # fmt: skip
async def test_other_first_packet_closes_the_stream(packet: bytes) -> None:
    engine = EchoEngine()
    open_polling(engine)
    client = Client(engine)
    await client.send(frame(packet))
    assert client.stream.end == ("finished", 0, "")
    assert client.stream.written == b""
    assert len(engine.sessions) == 1


async def test_query_with_a_sid_permits_the_upgrade_of_that_session_only() -> None:
    # The checks of a new session did not run for a request with a sid.
    engine = EchoEngine()
    first = open_polling(engine, "first")
    second = open_polling(engine, "second")
    for packet in (OPEN, upgrade_packet("second")):
        client = Client(engine, "?EIO=4&transport=webtransport&sid=first")
        await client.send(packet)
        assert client.stream.end == ("finished", 0, "")
        assert client.stream.written == b""
    client = Client(engine, "?EIO=4&transport=webtransport&sid=first")
    await client.send(upgrade_packet("first"), frame(b"2probe"), frame(b"5"))
    assert first.transport.name == "webtransport"
    assert second.transport.name == "polling"
    assert len(engine.sessions) == 2


@pytest.mark.parametrize("chunks", [[], [b"\x05"], [b"\x7f\x00"]])
async def test_stream_without_a_first_packet_closes_after_upgrade_timeout(
    chunks: list[bytes],
) -> None:
    engine = EchoEngine(upgrade_timeout=2)
    client = Client(engine)
    await client.send(*chunks)
    engine.fake_clock.advance(1.9)
    assert client.stream.end is None
    engine.fake_clock.advance(0.2)
    assert client.stream.end == ("finished", 0, "")


async def test_allow_request_refuses_with_its_text() -> None:
    refusals: list[ConnectionRefusal] = []
    engine = EchoEngine(allow_request=lambda request: "not today")
    engine.on("connection_error", refusals.append)
    client = Client(engine)
    await client.send(OPEN)
    assert client.stream.end == ("finished", 4, "not today")
    assert [each.code for each in refusals] == [4]
    assert engine._counts.handshakes == {("webtransport", "forbidden"): 1}
    assert not engine.sessions


async def test_client_that_leaves_during_the_checks_opens_no_session() -> None:
    async def allow(request: HttpRequest) -> bool:
        await asyncio.Event().wait()
        return True

    engine = EchoEngine(allow_request=allow)
    client = Client(engine)
    await client.send(OPEN)
    client.transport.stream_ended("the client closed")
    for _ in range(5):
        await asyncio.sleep(0)
    assert not engine.sessions
    assert client.opening._task is not None
    assert client.opening._task.cancelled()


async def test_full_engine_opens_no_session() -> None:
    engine = EchoEngine(max_sessions=1)
    await Client(engine).send(OPEN)
    client = Client(engine)
    await client.send(OPEN)
    assert client.stream.end == ("finished", 0, "")
    assert len(engine.sessions) == 1
    assert engine._counts.handshakes == {
        ("webtransport", "accepted"): 1,
        ("webtransport", "full"): 1,
    }


async def test_disabled_upgrades_close_the_stream() -> None:
    engine = EchoEngine(allow_upgrades=False)
    session = open_polling(engine)
    client = Client(engine)
    await client.send(upgrade_packet(session.sid))
    assert client.stream.end == ("finished", 0, "")


async def check(engine: EchoEngine, query: str = "", origin: str | None = None) -> HttpResponse:
    headers = {"host": "app.example:8443"} | ({} if origin is None else {"origin": origin})
    request = HttpRequest("GET", f"/engine.io/{query}", headers, secure=True)
    request.is_upgrade = True
    return await screen(engine, request)


async def test_request_of_an_allowed_origin_is_accepted() -> None:
    engine = EchoEngine(cors=Cors(origins=["https://page.example"]))
    assert (await check(engine, origin="https://page.example")).status == 200
    assert (await check(engine, origin="https://app.example")).status == 200
    assert (await check(engine)).status == 200


async def test_request_of_another_origin_is_refused() -> None:
    engine = EchoEngine(cors=Cors(origins=["https://page.example"]))
    assert (await check(engine, origin="https://evil.example")).status == 403


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?transport=websocket", b'"code":0'),
        ("?sid=unknown", b'"code":1'),
        ("?EIO=4&transport=webtransport&sid=__proto__", b'"code":1'),
    ],
)
async def test_request_with_an_invalid_query_is_refused(query: str, code: bytes) -> None:
    response = await check(EchoEngine(), query)
    assert response.status == 400
    assert code in response.body


async def test_middleware_ends_the_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    engine = EchoEngine()
    engine.use(lambda request: HttpResponse(401))
    assert (await check(engine)).status == 401
    assert "status 401" in caplog.text
    assert engine._counts.handshakes == {("webtransport", "middleware"): 1}


async def test_middleware_that_answers_with_success_opens_no_session() -> None:
    engine = EchoEngine()
    engine.use(lambda request: HttpResponse(200, b"a page"))
    assert (await check(engine)).status == 403


async def test_failing_middleware_refuses_the_request() -> None:
    engine = EchoEngine()

    async def fail(request: HttpRequest) -> None:
        raise RuntimeError("a fault of the application")

    engine.use(fail)
    assert (await check(engine)).status == 400
