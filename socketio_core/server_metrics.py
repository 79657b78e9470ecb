"""The metrics of a server: their descriptions, and their values when a scrape reads them.

No metric costs a call per message: the server counts rare events itself, `engineio_core.traffic`
adds up messages, and all else is counted when it is read. `prometheus` exports the values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, final

from engineio_core.counts import ACCEPTED, Histogram
from engineio_core.errors import CloseReason
from engineio_core.logs.limiter import LINE_LIMIT
from socketio_core.acknowledgement import AckOutcome
from socketio_core.counts import UNKNOWN_NAMESPACE

if TYPE_CHECKING:
    from engineio_core.session import Session
    from socketio_core.server import SocketServer

Value: TypeAlias = float | Histogram
Sample: TypeAlias = tuple[str, Mapping[str, str], Value]
"""The name of a metric, the values of its labels, and its value."""

LAG_INTERVAL: Final = 0.5
"""Seconds between two measurements of the event loop's lag."""
LAG_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ACK_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True)
class MetricInfo:
    """The description of a metric. A counter's `name` is without its suffix `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""

    @property
    def exported(self) -> str:
        """The name in queries."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def _describe(*infos: MetricInfo) -> dict[str, MetricInfo]:
    return {info.name: info for info in infos}


METRICS: Final = _describe(
    MetricInfo("socketio_sessions", "gauge", "Open sessions", ("transport",)),
    MetricInfo("socketio_sockets", "gauge", "Connected sockets", ("namespace", "transport")),
    MetricInfo(
        "socketio_handshakes", "counter",
        "Requests that opened a session (accepted) or were refused", ("transport", "outcome"),
    ),
    MetricInfo(
        "socketio_connects", "counter", "CONNECT packets of clients", ("namespace", "outcome"),
    ),
    MetricInfo("socketio_disconnects", "counter", "Sockets that left", ("namespace", "reason")),
    MetricInfo("socketio_sessions_closed", "counter", "Sessions that ended", ("reason",)),
    MetricInfo(
        "socketio_upgrades", "counter", "Upgrades from polling to another transport", ("outcome",)
    ),
    MetricInfo("socketio_events_received", "counter", "Events of clients"),
    MetricInfo(
        "socketio_events_sent", "counter",
        "Messages of events for clients: one per receiver, and one per attachment",
    ),
    MetricInfo("socketio_acks_received", "counter", "Acks of clients"),
    MetricInfo("socketio_acks_sent", "counter", "Messages of acks for clients"),
    MetricInfo(
        "socketio_received_bytes", "counter", "Bytes of messages of clients", unit="bytes"
    ),
    MetricInfo(
        "socketio_sent_bytes", "counter", "Bytes of messages for clients, before compression",
        unit="bytes",
    ),
    MetricInfo(
        "socketio_ack_latency_seconds", "histogram",
        "Time from an event of the server to the ack of the client", unit="seconds",
    ),
    MetricInfo(
        "socketio_acks_missed", "counter",
        "Acks that did not arrive: after the timeout, or because the client left", ("reason",),
    ),
    MetricInfo(
        "socketio_outbox_bytes", "gauge", "Bytes that wait in the outboxes of all sessions",
        unit="bytes",
    ),
    MetricInfo("socketio_addresses", "gauge", "Addresses with sessions or running handlers"),
    MetricInfo(
        "socketio_largest_address", "gauge",
        "Highest number of one address: sessions, buffered bytes (buffered), suspended handlers",
        ("resource",),
    ),
    MetricInfo(
        "socketio_address_limited", "counter", "Applied limits of one address", ("resource",)
    ),
    MetricInfo("socketio_log_lines_omitted", "counter", "Log lines above the limit of a kind"),
    MetricInfo(
        "socketio_volatile_dropped", "counter",
        "Volatile events that a client could not receive immediately",
    ),
    MetricInfo("socketio_handlers_running", "gauge", "Coroutine handlers that have not ended"),
    MetricInfo("socketio_handler_errors", "counter", "Exceptions of handlers"),
    MetricInfo(
        "socketio_event_loop_lag_seconds", "histogram",
        f"Delay of a timer that is due every {LAG_INTERVAL:g} s", unit="seconds",
    ),
    MetricInfo(
        "socketio_adapter_connected", "gauge",
        "1 if messages to and from other servers are exchanged, else 0", ("adapter",),
    ),
    MetricInfo("socketio_adapter_peers", "gauge", "Other servers", ("adapter",)),
    MetricInfo(
        "socketio_adapter_queued_bytes", "gauge", "Bytes that wait for the broker", ("adapter",),
        unit="bytes",
    ),
    MetricInfo(
        "socketio_adapter_messages_sent", "counter", "Messages to other servers", ("adapter",)
    ),
    MetricInfo(
        "socketio_adapter_messages_received", "counter", "Messages of other servers", ("adapter",)
    ),
    MetricInfo(
        "socketio_adapter_messages_dropped", "counter",
        "Messages lost because the broker was unavailable or too slow", ("adapter",),
    ),
    MetricInfo(
        "socketio_adapter_messages_invalid", "counter",
        "Messages of other servers that could not be used", ("adapter",),
    ),
)  # fmt: skip


@final
class ServerMetrics:
    """The metrics of one server; also the observer of its acks."""

    def __init__(self, io: SocketServer) -> None:
        """Begin to count. Raises RuntimeError if sessions exist, whose messages do not count."""
        if io.engine.sessions:
            raise RuntimeError(
                "metrics must be switched on before clients connect, but the server has "
                f"{len(io.engine.sessions)} sessions: call instrument_prometheus() at the start"
            )
        self._io = io
        self._counts = io._directory.counts
        self._engine_counts = io.engine._counts
        self._traffic = io.engine._count_traffic()
        self._lag = Histogram(LAG_BOUNDS)
        self._latency = Histogram(ACK_BOUNDS)
        self._missed: Counter[str] = Counter(timeout=0, disconnect=0)
        # Messages before the count of the traffic began
        others = self._counts.acks_in + self._counts.other_in
        self._events_before = self._traffic.packets_in - others
        self._counts.ack_observers.append(self)
        self._timer: Any = None
        io._on_start(self._start)
        io._on_end(self._end)
        io.engine.on("connection", self._resume)

    # -- measurements

    def _start(self) -> None:
        clock = self._io.clock
        due = clock.time() + LAG_INTERVAL
        self._timer = clock.call_later(LAG_INTERVAL, self._measure_lag, due)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _resume(self, session: Session) -> None:
        """Start again with the first client of a server that has ended and serves again."""
        if self._timer is None:
            self._start()

    def _measure_lag(self, due: float) -> None:
        self._lag.observe(max(0.0, self._io.clock.time() - due))
        self._start()

    def ack_requested(self, socket: object, event: str | None) -> float:
        """Return the time at which an event that requests an ack was sent."""
        return self._io.clock.time()

    def ack_ended(self, requested: Any, outcome: AckOutcome) -> None:
        """Measure the latency of an ack, or count a missing one."""
        if outcome is AckOutcome.ACKED:
            self._latency.observe(self._io.clock.time() - requested)
        else:
            self._missed["timeout" if outcome is AckOutcome.MISSED else "disconnect"] += 1

    # -- values

    def samples(self) -> Iterator[Sample]:
        """Yield all values. A scrape may call this in another thread: each dict is copied."""
        yield from self._clients()
        yield from self._rare_events()
        yield from self._messages()
        yield from self._adapter()

    def _clients(self) -> Iterator[Sample]:
        io = self._io
        transports = io.engine.options.transports
        sessions = list(io.engine.sessions.values())
        by_transport = Counter(dict.fromkeys(transports, 0))
        by_transport.update(session.transport.name for session in sessions)
        for transport, count in by_transport.items():
            yield "socketio_sessions", {"transport": transport}, count
        sockets: Counter[tuple[str, str]] = Counter()
        for namespace in list(io.namespaces.values()):
            for transport in transports:
                sockets[namespace._label, transport] += 0
            for socket in list(namespace.sockets.values()):
                sockets[namespace._label, socket.session.transport.name] += 1
        for (label, transport), count in sockets.items():
            yield "socketio_sockets", {"namespace": label, "transport": transport}, count
        yield "socketio_outbox_bytes", {}, sum(session._outbox_size for session in sessions)
        addresses = io.engine._addresses
        yield "socketio_addresses", {}, len(addresses.accounts)
        for resource, value in addresses.read_largest()._asdict().items():
            yield "socketio_largest_address", {"resource": resource}, value
        for resource, count in addresses.limited.items():
            yield "socketio_address_limited", {"resource": resource}, count
        yield "socketio_log_lines_omitted", {}, LINE_LIMIT.omitted

    def _rare_events(self) -> Iterator[Sample]:
        counts, engine = self._counts, self._engine_counts
        handshakes = {(name, ACCEPTED): 0 for name in self._io.engine.options.transports}
        for (transport, outcome), count in (handshakes | engine.handshakes).items():
            yield "socketio_handshakes", {"transport": transport, "outcome": outcome}, count
        for each in CloseReason:
            yield "socketio_sessions_closed", {"reason": str(each)}, engine.closed.get(each, 0)
        yield "socketio_upgrades", {"outcome": "completed"}, engine.upgrades
        yield "socketio_upgrades", {"outcome": "failed"}, engine.upgrades_failed
        yield "socketio_volatile_dropped", {}, engine.volatile_dropped
        for (label, outcome), count in counts.connects.copy().items():
            label = "unknown" if label == UNKNOWN_NAMESPACE else label
            yield "socketio_connects", {"namespace": label, "outcome": outcome}, count
        for (label, reason), count in counts.disconnects.copy().items():
            yield "socketio_disconnects", {"namespace": label, "reason": reason}, count
        yield "socketio_handlers_running", {}, len(self._io._dispatch.runner.tasks)
        yield "socketio_handler_errors", {}, self._io._dispatch.reporter.count
        yield "socketio_event_loop_lag_seconds", {}, self._lag

    def _messages(self) -> Iterator[Sample]:
        traffic, counts = self._traffic, self._counts
        other = counts.acks_in + counts.other_in
        yield "socketio_events_received", {}, traffic.packets_in - other - self._events_before
        yield "socketio_events_sent", {}, traffic.sent_out
        yield "socketio_acks_received", {}, counts.acks_in
        yield "socketio_acks_sent", {}, traffic.replies_out
        yield "socketio_received_bytes", {}, traffic.bytes_in
        yield "socketio_sent_bytes", {}, traffic.bytes_out
        yield "socketio_ack_latency_seconds", {}, self._latency
        for reason, count in self._missed.items():
            yield "socketio_acks_missed", {"reason": reason}, count

    def _adapter(self) -> Iterator[Sample]:
        status = self._io.adapter_status()
        if status is None:
            return
        labels = {"adapter": status.kind}
        yield "socketio_adapter_connected", labels, float(status.connected)
        yield "socketio_adapter_peers", labels, status.peers
        yield "socketio_adapter_queued_bytes", labels, status.queued_bytes
        yield "socketio_adapter_messages_sent", labels, status.published
        yield "socketio_adapter_messages_received", labels, status.received
        yield "socketio_adapter_messages_dropped", labels, status.dropped
        yield "socketio_adapter_messages_invalid", labels, status.invalid
