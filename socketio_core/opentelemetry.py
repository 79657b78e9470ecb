"""Traces of servers with OpenTelemetry: `instrument_opentelemetry(io)`; needs the extra `otel`.

    from socketio_core.opentelemetry import instrument_opentelemetry

    instrument_opentelemetry(io)

Spans of a server: the handshake of a session, the connection to a namespace, each call of a
handler, each event that requests an ack until the ack arrives, and each broadcast. Attributes do
not contain payloads, headers, queries, names of rooms, or names that only a client has chosen.

The instrumentation replaces functions of one server object; other servers pay nothing for it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal, final

from engineio_core.admission import ConnectionRefusal
from engineio_core.counts import TRANSPORTS, UNKNOWN
from engineio_core.http.exchange import Exchange
from engineio_core.http.message import HttpRequest
from engineio_core.session import Session
from socketio_core.acknowledgement import AckOutcome, AckOwner
from socketio_core.adapters.interface import AckCollector, Adapter, BroadcastTarget
from socketio_core.counts import ACCEPTED, RECOVERED
from socketio_core.handlers.ack import CONNECTION_RESULT, OwedAck
from socketio_core.handlers.handler_call import HandlerCall
from socketio_core.namespace import Namespace
from socketio_core.server import SocketServer

try:
    from opentelemetry import context as contexts
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TracerProvider
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "traces need the Python package opentelemetry-api: pip install 'hextrackr-server[otel]'",
        name=error.name,
    ) from None

__all__ = ["instrument_opentelemetry"]

_HANDSHAKE: Final = "socketio_core.opentelemetry"  # the key in `request.state`
OTHER_EVENT: Final = "(other)"
"""The name of an event that has no handler of its own: clients choose such names."""


def instrument_opentelemetry(
    io: SocketServer,
    *,
    tracer_provider: TracerProvider | None = None,
    events: Literal["linked", "nested"] = "linked",
) -> None:
    """Create spans for the work of a server; call it before clients connect.

    Without `tracer_provider`, the global one is used. The parent of a handshake comes from its
    headers, such as `traceparent`. With `events="linked"`, each event of a client begins a trace of
    its own, with a link to the connection; with "nested", all events of a connection belong to the
    trace of its handshake, which lasts as long as the connection.

    Raises RuntimeError if clients are connected or the server is instrumented already.
    """
    if not isinstance(io, SocketServer):
        raise TypeError(f"instrument_opentelemetry() must receive a SocketServer, got {io!r}")
    if events not in {"linked", "nested"}:
        raise ValueError(f'events must be "linked" or "nested", got {events!r}')
    if io.engine.sessions:
        raise RuntimeError(
            "tracing must be switched on before clients connect: call instrument_opentelemetry() "
            "at the start"
        )
    if io._directory.connect_observer is not None:
        raise RuntimeError("this server is instrumented already: call the function once")
    Tracing(io, trace.get_tracer("socketio_core", tracer_provider=tracer_provider), events)


@final
class Tracing:
    """The spans of one server."""

    def __init__(self, io: SocketServer, tracer: trace.Tracer, events: str) -> None:
        self._tracer = tracer
        self._is_nested = events == "nested"
        engine, directory, dispatch = io.engine, io._directory, io._dispatch
        self._admit = engine._admit
        engine._admit = self._admit_request
        engine.on("connection", self._session_opened)
        engine.on("connection_error", self._request_refused)
        engine._response_hooks.append(self._request_answered)
        directory.connect_observer = self
        dispatch.wrap = self._wrap_call
        directory.counts.ack_observers.append(self)
        for namespace in directory.by_name.values():
            self._wrap_adapter(namespace)
        directory.listeners.insert(0, self._wrap_adapter)

    # -- handshakes

    def _admit_request(self, exchange: Exchange) -> None:
        request = exchange.request
        if request.query.get("sid"):  # a request of an existing session
            self._admit(exchange)
            return
        span = self._start_handshake(request)
        with _current(trace.set_span_in_context(span)):
            # A task that the admission starts copies the current context.
            self._admit(exchange)

    def _start_handshake(self, request: HttpRequest) -> Span:
        transport = request.query.get("transport", "")
        span = self._tracer.start_span(
            "socketio handshake",
            context=propagate.extract(request.headers, Context()),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": request.method[:16],
                "url.scheme": "https" if request.secure else "http",
                "url.path": request.path[:256],
                "client.address": request.remote_address,
                "socketio.transport": transport if transport in TRANSPORTS else UNKNOWN,
            },
        )
        request.state[_HANDSHAKE] = span
        return span

    def _session_opened(self, session: Session) -> None:
        request = session.request
        span = request.state.get(_HANDSHAKE) or self._start_handshake(request)
        span.set_attribute("socketio.transport", session.transport.name)
        span.set_attribute("socketio.protocol", session.protocol)
        span.end()

    def _request_refused(self, refusal: ConnectionRefusal) -> None:
        span = refusal.request.state.get(_HANDSHAKE)
        if span is not None:
            span.set_attribute("error.type", f"refused_{refusal.code}")
            span.set_status(Status(StatusCode.ERROR, refusal.message))
            span.end()

    def _request_answered(self, request: HttpRequest, status: int) -> None:
        span = request.state.get(_HANDSHAKE)
        if span is not None and span.is_recording():
            span.set_attribute("http.response.status_code", status)
            if status >= 400:
                span.set_attribute("error.type", str(status))
                span.set_status(Status(StatusCode.ERROR))
            span.end()

    def _parent_and_links(self, request: HttpRequest) -> tuple[Context, list[Link]]:
        """Return the parent and the links of a span that belongs to a connection."""
        span = request.state.get(_HANDSHAKE)
        if span is None:
            return Context(), []
        if self._is_nested:
            return trace.set_span_in_context(span, Context()), []
        return Context(), [Link(span.get_span_context())]

    # -- connections to namespaces: called by the connect attempt

    def connect_started(self, request: HttpRequest) -> Span:
        """Start the span of a CONNECT packet, within the trace of the handshake."""
        handshake = request.state.get(_HANDSHAKE)
        if handshake is None:  # revision 3 connects before the hooks of the session run
            handshake = self._start_handshake(request)
        parent = trace.set_span_in_context(handshake, Context())
        return self._tracer.start_span("socketio connect", context=parent, kind=SpanKind.SERVER)

    async def connect_running(self, started: Span, work: Coroutine[Any, Any, None]) -> None:
        """Run the middlewares of a namespace with the span as the current one."""
        with _current(trace.set_span_in_context(started)):
            await work

    def connect_ended(self, started: Span, label: str, outcome: str, socket_id: str) -> None:
        """End the span; `label` names the namespace, and is empty for an unknown one."""
        if label:
            started.update_name(f"socketio connect {label}")
            started.set_attribute("socketio.namespace", label)
        started.set_attribute("socketio.outcome", outcome)
        if outcome in {ACCEPTED, RECOVERED}:
            started.set_attribute("socketio.socket.id", socket_id)
        else:
            started.set_attribute("error.type", outcome)
            started.set_status(Status(StatusCode.ERROR, outcome))
        started.end()

    # -- events

    def _wrap_call(self, handler: HandlerCall, ack: OwedAck) -> HandlerCall:
        return _TracedCall(handler, self, ack)

    def start_event(self, socket: Any, data: list[Any], ack: OwedAck) -> Span:
        """Start the span of one call of a handler."""
        namespace = getattr(socket, "namespace", None)
        if namespace is None:  # an event of another server
            return self._tracer.start_span("socketio server event", kind=SpanKind.CONSUMER)
        event = _known_name(socket, data[0])
        parent, links = self._parent_and_links(socket.session.request)
        return self._tracer.start_span(
            f"socketio event {event}",
            context=parent,
            kind=SpanKind.CONSUMER,
            links=links,
            attributes=_event_attributes(socket, event, "process")
            | {"socketio.ack.requested": ack is not None and ack is not CONNECTION_RESULT},
        )

    # -- acks that clients owe (AckObserver)

    def ack_requested(self, socket: AckOwner, event: str | None) -> Span | None:
        """Start the span of an event for one client, which ends with the ack."""
        if event is None:
            return None  # the span of the broadcast covers it
        return self._tracer.start_span(
            f"socketio emit {event}",
            kind=SpanKind.CLIENT,
            attributes=_event_attributes(socket, event, "send"),
        )

    def ack_ended(self, requested: Span | None, outcome: AckOutcome) -> None:
        """End the span; a missing ack is an error."""
        if requested is not None:
            requested.set_attribute("socketio.outcome", outcome.value)
            if outcome is not AckOutcome.ACKED:
                requested.set_attribute("error.type", outcome.value)
                requested.set_status(Status(StatusCode.ERROR, f"ack {outcome.value}"))
            requested.end()

    # -- broadcasts

    def _wrap_adapter(self, namespace: Namespace) -> None:
        namespace.adapter = _TracedAdapter(namespace.adapter, self, namespace._label)

    @contextmanager
    def broadcast(
        self, label: str, data: list[Any], target: BroadcastTarget
    ) -> Generator[None, None, None]:
        """Create the span of a broadcast to the clients of this server."""
        attributes: dict[str, str | int] = {
            **_attributes("send", data[0]),
            "socketio.namespace": label,
            "socketio.rooms": len(target.rooms),
            "socketio.volatile": target.volatile,
        }
        with self._tracer.start_as_current_span(
            f"socketio broadcast {data[0]}", kind=SpanKind.PRODUCER, attributes=attributes
        ):
            yield


class _TracedCall(HandlerCall):
    """A call of a handler, as the dispatch runs it."""

    __slots__ = ("_ack", "_handler", "_tracing")

    def __init__(self, handler: HandlerCall, tracing: Tracing, ack: OwedAck) -> None:
        super().__init__(handler.function, -1)  # the dispatch must use `call`
        self._handler = handler
        self._tracing = tracing
        self._ack = ack

    def call(self, socket: Any, data: list[Any]) -> Any:
        """Call the handler within a span, which ends with the handler."""
        span = self._tracing.start_event(socket, data, self._ack)
        try:
            with _current(trace.set_span_in_context(span)):
                result = self._handler.call(socket, data)
        except BaseException as error:
            _end_failed(span, error)
            raise
        if isinstance(result, Coroutine):
            # The runner runs coroutines in a context of its own.
            return _run_in_span(span, result)
        span.end()
        return result


class _TracedAdapter:
    """The adapter of a namespace, with a span for each broadcast."""

    def __init__(self, adapter: Adapter, tracing: Tracing, label: str) -> None:
        self._adapter = adapter
        self._tracing = tracing
        self._label = label

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        """Send an event within a span."""
        with self._tracing.broadcast(self._label, data, target):
            self._adapter.broadcast(data, target)

    def broadcast_with_ack(
        self, data: list[Any], target: BroadcastTarget, collector: AckCollector
    ) -> list[str]:
        """Send an event that requests acks within a span, which does not wait for them."""
        with self._tracing.broadcast(self._label, data, target):
            asked = self._adapter.broadcast_with_ack(data, target, collector)
            trace.get_current_span().set_attribute("socketio.receivers", len(asked))
            return asked


async def _run_in_span(span: Span, coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        with _current(trace.set_span_in_context(span)):
            result = await coroutine
    except BaseException as error:
        _end_failed(span, error)
        raise
    span.end()
    return result


@contextmanager
def _current(context: Context) -> Generator[None, None, None]:
    """Make a context the current one."""
    token = contexts.attach(context)
    try:
        yield
    finally:
        contexts.detach(token)


def _end_failed(span: Span, error: BaseException) -> None:
    """End a span with the type of an exception: its text may contain a payload."""
    name = type(error).__qualname__
    span.set_attribute("error.type", name)
    span.set_status(Status(StatusCode.ERROR, name))
    span.end()


def _attributes(operation: str, event: str) -> Mapping[str, str]:
    return {
        "messaging.system": "socketio",
        "messaging.operation.type": operation,
        "messaging.destination.name": event,
    }


def _event_attributes(socket: Any, event: str, operation: str) -> dict[str, Any]:
    return {
        **_attributes(operation, event),
        "socketio.namespace": socket.namespace._label,
        "socketio.socket.id": socket.id,
    }


def _known_name(socket: Any, event: Any) -> str:
    """Return the name of an event for which the application has a handler, else OTHER_EVENT."""
    registries = [socket.namespace._handlers]
    if socket._listeners is not None:
        registries.append(socket._listeners.registry)
    for registry in registries:
        if event in registry.table.handlers or event in registry.lifecycle.handlers:
            return str(event)
    return OTHER_EVENT
