"""The metrics of `instrument_prometheus`: each one exists, changes, and has bounded labels."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from engineio_core.counts import OUTCOMES
from engineio_core.http.message import HttpResponse
from engineio_core.logs.limiter import LINE_LIMIT
from socketio_core import AckTimeoutError, ConnectError, Socket, SocketServer
from socketio_core.adapters.cluster.in_process import InProcessCluster
from socketio_core.adapters.interface import AdapterStatus
from socketio_core.counts import CONNECT_OUTCOMES
from socketio_core.prometheus import instrument_prometheus
from socketio_core.server_metrics import ACK_BOUNDS, LAG_INTERVAL, METRICS
from socketio_core.testing import TestServer

from .support import TcpServer

Read = Callable[..., float]


def reader(registry: CollectorRegistry) -> Read:
    """Return a function that reads a sample, 0 if it does not exist."""
    return lambda name, **labels: registry.get_sample_value(name, labels) or 0


class Stage:
    """An instrumented server on fake TCP."""

    def __init__(self, **options: Any) -> None:
        self.io = SocketServer(**options)
        self.registry = CollectorRegistry()
        instrument_prometheus(self.io, self.registry)
        self.read = reader(self.registry)
        self.server = TcpServer(self.io)


def test_every_description_has_help_and_an_unambiguous_name() -> None:
    for name, info in METRICS.items():
        assert info.help
        assert info.help[-1] != "."
        assert re.fullmatch(r"socketio_[a-z_]+", name)
        assert not info.unit or name.endswith(info.unit)
        assert not name.endswith("_total")


def test_every_metric_is_exported_with_help_and_unit() -> None:
    stage = Stage(adapter=InProcessCluster().join())
    stage.server.join("polling")
    text = generate_latest(stage.registry).decode()
    for info in METRICS.values():
        assert f"# HELP {info.exported} {info.help}\n" in text
        assert f"# TYPE {info.exported} {info.kind}\n" in text
    parsed = {
        family.name: family
        for family in text_string_to_metric_families(generate_openmetrics(stage.registry).decode())
    }
    for name, info in METRICS.items():
        assert parsed[name].unit == info.unit
        for sample in parsed[name].samples:
            assert set(sample.labels) - {"le"} == set(info.labels), sample


def test_sessions_and_sockets_are_counted_by_transport_and_namespace() -> None:
    stage = Stage()
    stage.io.of("/chat")
    assert stage.registry.get_sample_value("socketio_sessions", {"transport": "polling"}) == 0
    polling = stage.server.join("polling")
    stage.server.join("websocket", "/chat")
    assert stage.read("socketio_sessions", transport="polling") == 1
    assert stage.read("socketio_sockets", namespace="/", transport="polling") == 1
    assert stage.read("socketio_sockets", namespace="/chat", transport="websocket") == 1
    polling.send("1")
    assert stage.read("socketio_sockets", namespace="/", transport="polling") == 0
    assert stage.read(
        "socketio_disconnects_total", namespace="/", reason="client namespace disconnect"
    )
    stage.server.sessions[1].close()
    assert stage.read("socketio_sessions", transport="websocket") == 0
    assert stage.read("socketio_sessions_closed_total", reason="forced close") == 1


async def test_namespaces_of_a_pattern_share_one_label(served: tuple[TestServer, Read]) -> None:
    server, read = served
    label = r"/org-\d+"
    server.io.of(re.compile(label))
    for number in range(3):
        await server.connect(f"/org-{number}")
    assert read("socketio_sockets", namespace=label, transport="websocket") == 3
    assert read("socketio_connects_total", namespace=label, outcome="accepted") == 3


def test_handshakes_are_counted_by_outcome() -> None:
    stage = Stage(max_sessions=1)
    stage.io.engine.use(lambda request: HttpResponse(429) if "late" in request.query else None)
    stage.server.open("polling")
    for query, outcome, transport in (
        ("EIO=4&transport=smoke", "unknown_transport", "unknown"),
        ("EIO=5&transport=polling", "unsupported_protocol_version", "polling"),
        ("EIO=4&transport=polling&sid=x", "unknown_sid", "polling"),
        ("EIO=4&transport=polling", "full", "polling"),
        ("EIO=4&transport=polling&late=1", "middleware", "polling"),
    ):
        stage.server.connect().request("GET", f"/socket.io/?{query}")
        assert outcome in OUTCOMES
        labels = {"transport": transport, "outcome": outcome}
        assert stage.read("socketio_handshakes_total", **labels) == 1, outcome
    assert stage.read("socketio_handshakes_total", transport="polling", outcome="accepted") == 1


async def test_connects_are_counted_by_outcome(served: tuple[TestServer, Read]) -> None:
    server, read = served

    def refuse(socket: Socket) -> None:
        raise ConnectError("no")

    def fail(socket: Socket) -> None:
        raise ZeroDivisionError

    server.io.on_error(lambda error, socket, event: None)
    server.io.of("/refusing").use(refuse)
    server.io.of("/failing").use(fail)
    await server.connect()
    for namespace in ("/refusing", "/failing", "/missing"):
        with pytest.raises(ConnectError):
            await server.connect(namespace)
    expected = {
        ("/", "accepted"), ("/refusing", "refused"), ("/failing", "error"),
        ("unknown", "invalid_namespace"),
    }  # fmt: skip
    for namespace, outcome in expected:
        assert outcome in CONNECT_OUTCOMES
        assert read("socketio_connects_total", namespace=namespace, outcome=outcome) == 1


def test_events_acks_and_bytes_are_counted() -> None:
    stage = Stage()
    stage.io.on("echo", lambda socket, value: value)
    stage.io.on("bytes", lambda socket, value: None)
    client = stage.server.join("websocket")
    received = stage.read("socketio_received_bytes_total")
    client.send('2["echo","x"]')
    client.send('27["echo","x"]')
    client.send('51-["bytes",{"_placeholder":true,"num":0}]')
    client.send(b"123")
    assert stage.read("socketio_events_received_total") == 3
    assert stage.read("socketio_acks_sent_total") == 1
    sent = ('42["echo","x"]', '427["echo","x"]', '451-["bytes",{"_placeholder":true,"num":0}]')
    assert stage.read("socketio_received_bytes_total") - received == sum(map(len, sent)) + 3
    before = stage.read("socketio_sent_bytes_total")
    stage.server.join("polling")
    stage.io.emit("news", 1)
    assert stage.read("socketio_events_sent_total") == 2
    assert stage.read("socketio_sent_bytes_total") - before == 2 * len('42["news",1]')
    next(iter(stage.io.sockets.values())).emit("ask", ack=lambda *_: None)
    client.send("30[]")
    assert stage.read("socketio_acks_received_total") == 1
    assert stage.read("socketio_events_received_total") == 3
    client.send("1")
    assert stage.read("socketio_events_received_total") == 3


def test_messages_before_the_instrumentation_do_not_count() -> None:
    io = SocketServer()
    io.on("x", lambda socket: None)
    server = TcpServer(io)
    first = server.join("websocket")
    first.send('2["x"]')
    first.send("1")
    server.sessions[0].close(discard=True)
    registry = CollectorRegistry()
    instrument_prometheus(io, registry)
    server.join("websocket").send('2["x"]')
    assert registry.get_sample_value("socketio_events_received_total") == 1


def test_accounts_of_addresses_are_exported_without_addresses() -> None:
    stage = Stage(max_sessions_per_address=2)
    stage.server.join("polling")
    stage.server.join("polling")
    assert stage.server.get(transport="polling").response().status == 429
    stage.server.session.send_text("x" * 99)
    assert stage.read("socketio_addresses") == 1
    values = {"sessions": 2, "buffered": 100, "handlers": 0}
    for resource, value in values.items():
        assert stage.read("socketio_largest_address", resource=resource) == value
    assert stage.read("socketio_address_limited_total", resource="sessions") == 1
    refused = {"transport": "polling", "outcome": "full_address"}
    assert stage.read("socketio_handshakes_total", **refused) == 1
    assert stage.read("socketio_log_lines_omitted_total") == LINE_LIMIT.omitted


def test_upgrade_and_outbox_and_volatile_drop_are_counted() -> None:
    stage = Stage()
    client = stage.server.join("polling")
    stage.io.emit("news", "x" * 1000)
    assert stage.read("socketio_outbox_bytes") > 1000
    stage.io.volatile.emit("position", 1)
    assert stage.read("socketio_volatile_dropped_total") == 1
    client.messages()
    assert stage.read("socketio_outbox_bytes") == 0
    websocket = client.upgrade()
    websocket.send_packet("2probe")
    websocket.send_packet("5")
    assert stage.read("socketio_upgrades_total", outcome="completed") == 1
    assert stage.read("socketio_sockets", namespace="/", transport="websocket") == 1


def test_upgrade_that_ends_early_is_counted() -> None:
    stage = Stage()
    client = stage.server.join("polling")
    client.upgrade().connection.tcp.lose()
    assert stage.read("socketio_upgrades_total", outcome="failed") == 1


@pytest.fixture
async def served() -> AsyncIterator[tuple[TestServer, Read]]:
    io = SocketServer()
    registry = CollectorRegistry()
    instrument_prometheus(io, registry)
    async with TestServer(io) as server:
        yield server, reader(registry)


async def test_ack_latency_and_missing_acks_are_measured(served: tuple[TestServer, Read]) -> None:
    server, read = served
    client = await server.connect()
    socket = next(iter(server.io.sockets.values()))
    answers: list[Any] = []
    socket.timeout(30).emit("ask", ack=lambda error, *values: answers.append((error, values)))
    await server.advance(0.3)
    client.answer(client.unanswered.pop()[2], "yes")
    await server.advance(0)
    assert answers == [(None, ("yes",))]
    assert read("socketio_ack_latency_seconds_count") == 1
    assert read("socketio_ack_latency_seconds_sum") == pytest.approx(0.3)
    assert read("socketio_ack_latency_seconds_bucket", le="0.25") == 0
    assert read("socketio_ack_latency_seconds_bucket", le="0.5") == 1
    socket.timeout(1).emit("ask", ack=lambda error, *values: answers.append((error, values)))
    await server.advance(2)
    assert isinstance(answers[1][0], AckTimeoutError)
    assert read("socketio_acks_missed_total", reason="timeout") == 1
    socket.emit("ask", ack=lambda *_: None)
    client.disconnect()
    await server.advance(0)
    assert read("socketio_acks_missed_total", reason="disconnect") == 1
    assert read("socketio_ack_latency_seconds_bucket", le="+Inf") == 1


async def test_acks_of_a_broadcast_are_measured(served: tuple[TestServer, Read]) -> None:
    server, read = served
    clients = [await server.connect() for _ in range(2)]
    answers: list[Any] = []
    server.io.timeout(5).emit("vote", ack=lambda error, found: answers.append(found))
    await server.advance(0)
    clients[0].answer(clients[0].unanswered.pop()[2], 1)
    await server.advance(6)
    assert len(answers[0].responses) == 1
    assert read("socketio_ack_latency_seconds_count") == 1
    assert read("socketio_acks_missed_total", reason="timeout") == 1


async def test_event_loop_lag_is_measured_while_the_server_runs(
    served: tuple[TestServer, Read],
) -> None:
    server, read = served
    await server.advance(LAG_INTERVAL * 4)
    assert read("socketio_event_loop_lag_seconds_count") == 4
    assert read("socketio_event_loop_lag_seconds_bucket", le="0.001") == 4


async def test_running_handlers_and_their_errors_are_counted(
    served: tuple[TestServer, Read],
) -> None:
    server, read = served
    gate = asyncio.Event()

    async def slow(socket: Socket) -> None:
        await gate.wait()
        raise ZeroDivisionError

    server.io.on("slow", slow)
    server.io.on_error(lambda error, socket, event: None)
    client = await server.connect()
    client.emit("slow")
    await server.advance(0)
    assert read("socketio_handlers_running") == 1
    gate.set()
    await server.advance(0)
    assert read("socketio_handlers_running") == 0
    assert read("socketio_handler_errors_total") == 1


async def test_adapter_state_is_exported() -> None:
    cluster = InProcessCluster()
    servers = [SocketServer(adapter=cluster.join()) for _ in range(2)]
    registries = [CollectorRegistry() for _ in servers]
    for io, registry in zip(servers, registries, strict=True):
        instrument_prometheus(io, registry)
        await io.__aenter__()
    servers[0].emit("news")
    cluster.deliver()
    read = [reader(registry) for registry in registries]
    kind = {"adapter": "in-process"}
    assert read[0]("socketio_adapter_connected", **kind) == 1
    assert read[0]("socketio_adapter_messages_sent_total", **kind) > 0
    assert read[1]("socketio_adapter_messages_received_total", **kind) > 0
    for io in servers:
        await io.shutdown()


def test_all_numbers_of_the_adapter_are_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(adapter=InProcessCluster().join())
    status = AdapterStatus(
        "redis", True, 0.0, peers=2, queued_bytes=3, published=4, received=5, dropped=6, invalid=7
    )
    monkeypatch.setattr(stage.io, "adapter_status", lambda: status)
    names = {
        "connected": 1, "peers": 2, "queued_bytes": 3, "messages_sent_total": 4,
        "messages_received_total": 5, "messages_dropped_total": 6, "messages_invalid_total": 7,
    }  # fmt: skip
    for name, value in names.items():
        assert stage.read(f"socketio_adapter_{name}", adapter="redis") == value


def test_servers_of_one_registry_are_distinguished_by_labels() -> None:
    registry = CollectorRegistry()
    servers = [SocketServer(), SocketServer()]
    for io, name in zip(servers, ("chat", "board"), strict=True):
        instrument_prometheus(io, registry, labels={"server": name})
    TcpServer(servers[1]).open("websocket")
    read = reader(registry)
    assert read("socketio_sessions", transport="websocket", server="board") == 1
    assert read("socketio_sessions", transport="websocket", server="chat") == 0
    text = generate_latest(registry).decode()
    assert text.count("# TYPE socketio_sessions gauge") == 1


def test_registry_refuses_ambiguous_servers_and_labels() -> None:
    registry = CollectorRegistry()
    io = SocketServer()
    instrument_prometheus(io, registry)
    with pytest.raises(ValueError, match="already"):
        instrument_prometheus(io, registry, labels={"server": "a"})
    with pytest.raises(ValueError, match="must differ in their labels"):
        instrument_prometheus(SocketServer(), registry)
    for name in ("le", "transport", "a-b", "__name__", ""):
        with pytest.raises(ValueError, match="labels must have names"):
            instrument_prometheus(SocketServer(), CollectorRegistry(), labels={name: "x"})
    with pytest.raises(TypeError, match="must receive a SocketServer"):
        instrument_prometheus(object(), registry)  # type: ignore[arg-type]


def test_instrumentation_fails_while_clients_are_connected() -> None:
    io = SocketServer()
    TcpServer(io).open("websocket")
    with pytest.raises(RuntimeError, match="before clients connect"):
        instrument_prometheus(io, CollectorRegistry())


def test_unused_registry_is_freed() -> None:
    import weakref

    registry = CollectorRegistry()
    instrument_prometheus(SocketServer(), registry)
    reference = weakref.ref(registry)
    del registry
    gc.collect()
    assert reference() is None


def test_worker_has_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socketio_core.prometheus.current_worker", lambda: 2)
    registry = CollectorRegistry()
    instrument_prometheus(SocketServer(), registry)
    assert registry.get_sample_value("socketio_volatile_dropped_total", {"worker": "2"}) == 0


def test_buckets_end_below_the_longest_wait() -> None:
    assert list(ACK_BOUNDS) == sorted(ACK_BOUNDS)


def test_a_test_reads_every_metric() -> None:
    text = Path(__file__).read_text("utf-8")
    read = set(re.findall(r'"(socketio_\w+)"', text))
    read |= {f"socketio_adapter_{name}" for name in re.findall(r'"([a-z_]+)": [1-7],', text)}
    names = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in read}
    assert names >= set(METRICS)
