"""Traces of the hub: the exporter that the standard variables OTEL_* select, and spans of imports.

`socketio_core.opentelemetry` creates the spans of sockets. The packages of OpenTelemetry are
imported only if the setting `tracing` is on.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from hextrackr_server.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

SERVICE: Final = "hextrackr-server"
FLUSH_SECONDS: Final = 5
#: The entry point of an exporter, by the value of OTEL_EXPORTER_OTLP_PROTOCOL.
_PROTOCOLS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_REMEDY: Final = "pip install 'hextrackr-server[tracing]'"


def create_tracer_provider(environment: Mapping[str, str]) -> TracerProvider:
    """Return the provider that `opentelemetry-instrument` has set, or a new one.

    Raises SettingsError if a package or an exporter is missing.
    """
    try:
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SettingsError(f"HEXTRACKR_TRACING needs {error.name}: {_REMEDY}") from error
    current = trace.get_tracer_provider()
    if isinstance(current, TracerProvider):
        return current
    has_name = "OTEL_SERVICE_NAME" in environment or (
        "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    )
    provider = TracerProvider(
        resource=Resource.create({} if has_name else {"service.name": SERVICE})
    )
    for exporter in _exporters(environment):
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def end_tracing(provider: TracerProvider) -> None:
    """Export the last spans. A provider of this hub also ends its threads."""
    from opentelemetry import trace  # noqa: PLC0415

    provider.force_flush(FLUSH_SECONDS * 1000)
    if trace.get_tracer_provider() is not provider:
        provider.shutdown()


def _exporters(environment: Mapping[str, str]) -> list[Any]:
    """Return the exporters of OTEL_TRACES_EXPORTER: names, separated by commas."""
    names = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    return [_load(name.strip(), environment) for name in names.split(",") if name.strip() != "none"]


def _load(name: str, environment: Mapping[str, str]) -> Any:
    entry = name
    if name == "otlp":
        protocol = environment.get(
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        )
        if protocol not in _PROTOCOLS:
            raise SettingsError(
                f"OTEL_EXPORTER_OTLP_PROTOCOL must be one of {', '.join(_PROTOCOLS)}, "
                f"got {protocol!r}"
            )
        entry = _PROTOCOLS[protocol]
    found = tuple(entry_points(group="opentelemetry_traces_exporter", name=entry))
    if not found:
        raise SettingsError(
            f"OTEL_TRACES_EXPORTER={name} needs a package with the exporter {entry!r}: use otlp "
            f"with the protocol http/protobuf ({_REMEDY}; the executable contains it), or install "
            "the package of the exporter with pip"
        )
    return found[0].load()()


class ImportSpans:
    """An observer of imports: one span from the request of an import to its end.

    Its parent is the span of the event that requested the import; the broadcasts of the import are
    its children.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("hextrackr_server")
        self._spans: dict[str, Span] = {}

    def queued(self, record: Any) -> None:
        """Start the span of a new import, within the current span."""
        attributes: dict[str, str | bool] = {"hextrackr.import.external": record.is_external}
        if record.vendor:
            attributes["hextrackr.import.vendor"] = record.vendor
        self._spans[record.session_id] = self._tracer.start_span("import", attributes=attributes)

    def scope(self, session_id: str) -> AbstractContextManager[Any]:
        """Make the span of an import the current one, in the thread that runs the import."""
        from opentelemetry.trace import use_span  # noqa: PLC0415

        span = self._spans.get(session_id)
        return nullcontext() if span is None else use_span(span)

    def started(self, record: Any) -> None:
        """Note the end of the wait in the queue."""
        span = self._spans.get(record.session_id)
        if span is not None:
            span.add_event("started")

    def ended(self, record: Any) -> None:
        """End the span with the outcome and the number of rows."""
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

        span = self._spans.pop(record.session_id, None)
        if span is None:
            return
        span.set_attribute("hextrackr.import.outcome", str(record.status))
        span.set_attribute("hextrackr.import.rows", record.processed)
        code = (record.result or {}).get("code")
        if record.status != "completed":
            span.set_attribute("error.type", str(code or record.status))
            span.set_status(Status(StatusCode.ERROR))
        span.end()
