"""The spans of `instrument_opentelemetry`, received by the SDK's exporter in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from engineio_core.http.message import HttpResponse
from socketio_core import ConnectError, Socket, SocketServer
from socketio_core.opentelemetry import OTHER_EVENT, instrument_opentelemetry
from socketio_core.testing import TestServer

from .support import TcpServer

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Spans:
    """The ended spans of a server."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan) -> str:
    return "" if span.parent is None else f"{span.parent.span_id:016x}"


def id_of(span: ReadableSpan) -> str:
    return f"{span.context.span_id:016x}"


def trace_of(span: ReadableSpan) -> str:
    return f"{span.context.trace_id:032x}"


def make_server(spans: Spans, **options: Any) -> SocketServer:
    io = SocketServer()
    instrument_opentelemetry(io, tracer_provider=spans.provider, **options)
    return io


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture(params=["private", "public"])
async def server(
    spans: Spans, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[TestServer]:
    monkeypatch.setenv("SOCKETIO_RUNNER", request.param)
    async with TestServer(make_server(spans)) as server:
        yield server


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_handshake_continues_the_trace_of_its_headers(spans: Spans, transport: str) -> None:
    server = TcpServer(make_server(spans))
    open_client = {"polling": server.open_polling, "websocket": server.open_websocket}[transport]
    client = open_client(TRACEPARENT)
    client.send("0")
    client.messages()
    handshake = spans.one("socketio handshake")
    assert (trace_of(handshake), parent_of(handshake)) == (TRACE, PARENT)
    assert handshake.kind is SpanKind.SERVER
    assert attributes(handshake) == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": "/socket.io/",
        "client.address": "192.0.2.7",
        "socketio.transport": transport,
        "socketio.protocol": 4,
    }
    connect = spans.one("socketio connect /")
    assert (trace_of(connect), parent_of(connect)) == (TRACE, id_of(handshake))
    assert attributes(connect)["socketio.outcome"] == "accepted"


def test_handshake_without_headers_begins_a_trace(spans: Spans) -> None:
    TcpServer(make_server(spans)).open("websocket")
    assert spans.one("socketio handshake").parent is None


def test_refused_handshake_is_an_error(spans: Spans) -> None:
    io = make_server(spans)
    io.engine.use(lambda request: HttpResponse(429) if "late" in request.query else None)
    server = TcpServer(io)
    server.connect().request("GET", "/socket.io/?EIO=4&transport=secret-value")
    server.connect().request("GET", "/socket.io/?EIO=4&transport=polling&late=1")
    refused, answered = spans.named("socketio handshake")
    assert refused.status.status_code is StatusCode.ERROR
    assert attributes(refused)["error.type"] == "refused_0"
    assert attributes(refused)["socketio.transport"] == "unknown"
    assert attributes(answered)["http.response.status_code"] == 429
    assert attributes(answered)["error.type"] == "429"


def test_requests_of_a_session_have_no_spans(spans: Spans) -> None:
    server = TcpServer(make_server(spans))
    client = server.join("polling")
    before = len(spans.all())
    client.messages()
    assert len(spans.all()) == before


async def test_middleware_runs_within_the_span_of_the_connection(
    server: TestServer, spans: Spans
) -> None:
    seen = []

    async def check(socket: Socket) -> None:
        await asyncio.sleep(0)
        seen.append(trace.get_current_span().get_span_context().span_id)

    server.io.use(check)
    await server.connect(headers=TRACEPARENT)
    connect = spans.one("socketio connect /")
    assert seen == [connect.context.span_id]
    assert trace_of(connect) == TRACE


async def test_refused_connection_is_an_error_without_the_name_of_the_client(
    server: TestServer, spans: Spans
) -> None:
    def refuse(socket: Socket) -> None:
        raise ConnectError("secret reason")

    server.io.of("/closed").use(refuse)
    for namespace in ("/closed", "/chosen-by-a-client"):
        with pytest.raises(ConnectError):
            await server.connect(namespace)
    assert attributes(spans.one("socketio connect /closed"))["error.type"] == "refused"
    unknown = spans.one("socketio connect")
    assert attributes(unknown)["error.type"] == "invalid_namespace"
    assert "chosen" not in unknown.to_json()
    assert not any("secret" in span.to_json() for span in spans.all())


async def test_event_begins_a_trace_with_a_link_to_its_connection(
    server: TestServer, spans: Spans
) -> None:
    server.io.on("move", lambda socket, x: x)
    client = await server.connect(headers=TRACEPARENT)
    assert await client.emit_with_ack("move", 1) == 1
    event = spans.one("socketio event move")
    assert event.parent is None
    assert trace_of(event) != TRACE
    assert [each.context.span_id for each in event.links] == [
        spans.one("socketio handshake").context.span_id
    ]
    assert event.kind is SpanKind.CONSUMER
    assert attributes(event) == {
        "messaging.system": "socketio",
        "messaging.operation.type": "process",
        "messaging.destination.name": "move",
        "socketio.namespace": "/",
        "socketio.socket.id": next(iter(server.io.sockets)),
        "socketio.ack.requested": True,
    }


async def test_nested_events_belong_to_the_trace_of_the_handshake(spans: Spans) -> None:
    io = make_server(spans, events="nested")
    io.on("move", lambda socket: None)
    async with TestServer(io) as server:
        client = await server.connect(headers=TRACEPARENT)
        await client.emit_with_ack("move")
    event = spans.one("socketio event move")
    assert trace_of(event) == TRACE
    assert parent_of(event) == id_of(spans.one("socketio handshake"))


async def test_async_handlers_keep_their_contexts_apart(server: TestServer, spans: Spans) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    tracer = spans.provider.get_tracer("app")
    seen: dict[int, list[int]] = {0: [], 1: []}

    async def slow(socket: Socket, number: int) -> None:
        seen[number].append(trace.get_current_span().get_span_context().span_id)
        await gates[number].wait()
        with tracer.start_as_current_span(f"query {number}"):
            await asyncio.sleep(0)
        seen[number].append(trace.get_current_span().get_span_context().span_id)

    server.io.on("slow", slow)
    client = await server.connect()
    client.emit("slow", 0)
    client.emit("slow", 1)
    await server.advance(0)
    assert not spans.named("socketio event slow")
    gates[1].set()
    await server.advance(0)
    gates[0].set()
    await server.advance(0)
    second, first = spans.named("socketio event slow")
    for number, span in enumerate((first, second)):
        assert seen[number] == [span.context.span_id] * 2
        assert parent_of(spans.one(f"query {number}")) == id_of(span)
    assert not trace.get_current_span().get_span_context().is_valid


async def test_async_handler_that_does_not_wait_has_a_span(
    server: TestServer, spans: Spans
) -> None:
    async def quick(socket: Socket) -> int:
        return trace.get_current_span().get_span_context().span_id

    server.io.on("quick", quick)
    client = await server.connect()
    for index in range(3):  # the runner uses its task again
        answer = await client.emit_with_ack("quick")
        assert answer == spans.named("socketio event quick")[index].context.span_id


async def test_failed_handler_is_an_error_without_the_text_of_the_exception(
    server: TestServer, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(socket: Socket, value: str) -> None:
        raise ValueError(value)

    async def fail_later(socket: Socket, value: str) -> None:
        await asyncio.sleep(0)
        raise ValueError(value)

    server.io.on("fail", fail)
    server.io.on("fail-later", fail_later)
    server.io.on_error(lambda error, socket, event: None)
    client = await server.connect()
    for name in ("fail", "fail-later"):
        client.emit(name, "secret")
        await server.advance(0)
        span = spans.one(f"socketio event {name}")
        assert span.status.status_code is StatusCode.ERROR
        assert attributes(span)["error.type"] == "ValueError"
        assert not span.events
        assert "secret" not in span.to_json()
    # The SDK warns when a span ends twice.
    assert [each for each in caplog.records if each.name.startswith("opentelemetry")] == []


async def test_event_without_a_handler_of_its_own_has_no_name(
    server: TestServer, spans: Spans
) -> None:
    server.io.on_unhandled(lambda socket, event, *args: None)
    client = await server.connect()
    client.emit("secret-name")
    await server.advance(0)
    span = spans.one(f"socketio event {OTHER_EVENT}")
    assert "secret" not in span.to_json()


async def test_emitted_event_has_a_span_until_its_ack(server: TestServer, spans: Spans) -> None:
    answers = []

    async def ask(socket: Socket) -> None:
        answers.append(await socket.emit_with_ack("sure?", "secret"))

    server.io.on("ask", ask)
    client = await server.connect()
    client.auto_ack = None
    client.emit("ask")
    await server.advance(0)
    assert not spans.named("socketio emit sure?")
    client.answer(client.unanswered.pop()[2], "yes")
    await server.advance(0)
    assert answers == ["yes"]
    span = spans.one("socketio emit sure?")
    assert span.kind is SpanKind.CLIENT
    assert parent_of(span) == id_of(spans.one("socketio event ask"))
    assert attributes(span)["socketio.outcome"] == "acked"
    assert "secret" not in span.to_json()


async def test_missing_ack_is_an_error(server: TestServer, spans: Spans) -> None:
    client = await server.connect()
    client.auto_ack = None
    socket = next(iter(server.io.sockets.values()))
    socket.timeout(1).emit("late", ack=lambda *_: None)
    await server.advance(2)
    socket.emit("gone", ack=lambda *_: None)
    client.disconnect()
    await server.advance(0)
    assert attributes(spans.one("socketio emit late"))["error.type"] == "missed"
    assert attributes(spans.one("socketio emit gone"))["error.type"] == "left"


async def test_broadcast_is_a_child_of_its_handler(server: TestServer, spans: Spans) -> None:
    async def post(socket: Socket, text: str) -> None:
        await asyncio.sleep(0)
        server.io.to("secret-room", "other").emit("posted", text)

    server.io.on("post", post)
    client = await server.connect()
    await client.emit_with_ack("post", "secret")
    span = spans.one("socketio broadcast posted")
    assert parent_of(span) == id_of(spans.one("socketio event post"))
    assert span.kind is SpanKind.PRODUCER
    assert attributes(span)["socketio.rooms"] == 2
    assert "secret" not in span.to_json()


async def test_broadcast_with_acks_and_namespaces_created_later_have_spans(
    server: TestServer, spans: Spans
) -> None:
    chat = server.io.of("/chat")
    client = await server.connect("/chat")
    answers = asyncio.ensure_future(chat.timeout(5).emit_with_ack("vote"))
    await server.advance(0)
    client.answer(client.unanswered.pop()[2], 1)
    assert (await answers).responses == [1]
    span = spans.one("socketio broadcast vote")
    assert attributes(span)["socketio.namespace"] == "/chat"
    assert attributes(span)["socketio.receivers"] == 1
    assert client.connected
    assert chat.rooms


async def test_connection_handlers_have_spans(server: TestServer, spans: Spans) -> None:
    server.io.on("connection", lambda socket: None)
    server.io.on("disconnect", lambda socket, reason: None)
    client = await server.connect()
    client.disconnect()
    await server.advance(0)
    assert attributes(spans.one("socketio event connection"))["socketio.ack.requested"] is False
    assert spans.one("socketio event disconnect")


def test_client_of_revision_3_has_spans(spans: Spans) -> None:
    io = SocketServer(allow_eio3=True)
    instrument_opentelemetry(io, tracer_provider=spans.provider)
    TcpServer(io).connect().request("GET", "/socket.io/?EIO=3&transport=polling", TRACEPARENT)
    handshake = spans.one("socketio handshake")
    assert attributes(handshake)["socketio.protocol"] == 3
    assert parent_of(spans.one("socketio connect /")) == id_of(handshake)


def test_other_servers_are_not_instrumented(spans: Spans) -> None:
    make_server(spans)
    plain = SocketServer()
    assert plain._dispatch.wrap is None
    assert plain._directory.connect_observer is None
    TcpServer(plain).join("websocket")
    assert not spans.all()


def test_instrumentation_refuses_wrong_use(spans: Spans) -> None:
    io = make_server(spans)
    with pytest.raises(RuntimeError, match="instrumented already"):
        instrument_opentelemetry(io)
    with pytest.raises(TypeError, match="must receive a SocketServer"):
        instrument_opentelemetry(object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="linked"):
        instrument_opentelemetry(SocketServer(), events="all")  # type: ignore[arg-type]
    connected = SocketServer()
    TcpServer(connected).open("websocket")
    with pytest.raises(RuntimeError, match="before clients connect"):
        instrument_opentelemetry(connected)


def test_attributes_are_exportable(spans: Spans) -> None:
    io = make_server(spans)
    io.on("x", lambda socket: None)
    TcpServer(io).join("websocket").send('2["x"]')
    for span in spans.all():
        assert json.loads(span.to_json())["name"] == span.name
