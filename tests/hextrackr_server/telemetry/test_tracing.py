"""Traces of the hub: spans of sockets and imports, and the choice of the exporter."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hextrackr_server.errors import SettingsError
from hextrackr_server.telemetry import feature as telemetry_feature
from hextrackr_server.telemetry.tracing import create_tracer_provider
from tests.contract.imports import (
    ROWS,
    UNKNOWN_COLUMNS_CSV,
    VALID_CSV,
    receive_payload,
    run_import,
    start_import,
)
from tests.contract.support import HubHarness

NONE = {"OTEL_TRACES_EXPORTER": "none"}


class Traced:
    """A hub and its ended spans."""

    def __init__(self, hub: HubHarness, exporter: InMemorySpanExporter) -> None:
        self.hub = hub
        self._exporter = exporter

    def named(self, name: str) -> list[Any]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def text(self) -> str:
        return "".join(span.to_json() for span in self._exporter.get_finished_spans())


@pytest.fixture
async def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Traced]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry_feature, "create_tracer_provider", lambda _: provider)
    async with HubHarness(tmp_path, tracing=True) as hub:
        yield Traced(hub, exporter)


async def test_import_is_a_child_of_its_event(traced: Traced) -> None:
    client = await traced.hub.client("7")
    await run_import(client)
    (event,) = traced.named("socketio event start-import")
    (span,) = traced.named("import")
    assert span.parent.span_id == event.context.span_id
    assert span.attributes["hextrackr.import.outcome"] == "completed"
    assert span.attributes["hextrackr.import.rows"] == len(ROWS)
    assert [each.name for each in span.events] == ["started"]
    assert_broadcasts_are_children(traced, span)
    for secret in ("h-1", "scan.csv", "CVE-"):
        assert secret not in traced.text()


def assert_broadcasts_are_children(traced: Traced, span: Any) -> None:
    for name in ("import-started", "import-finished"):
        (broadcast,) = traced.named(f"socketio broadcast {name}")
        assert broadcast.parent.span_id == span.context.span_id


async def test_broadcasts_of_an_import_by_http_are_its_children(traced: Traced) -> None:
    client = await traced.hub.client("7")
    headers = {"authorization": f"Bearer {traced.hub.token('7')}", "content-type": "text/csv"}
    answer = await traced.hub.request("POST", "/api/imports", headers, VALID_CSV.encode())
    assert answer.status == 202
    await receive_payload(client, "import-finished")
    (span,) = traced.named("import")
    assert span.parent is None
    assert_broadcasts_are_children(traced, span)


async def test_failed_import_is_an_error(traced: Traced) -> None:
    client = await traced.hub.client("7")
    await start_import(client, UNKNOWN_COLUMNS_CSV)
    await receive_payload(client, "import-failed")
    (span,) = traced.named("import")
    assert span.attributes["hextrackr.import.outcome"] == "failed"
    assert span.attributes["error.type"]
    assert not span.status.is_ok


async def test_hub_without_the_setting_has_no_spans(tmp_path: Path) -> None:
    async with HubHarness(tmp_path) as hub:
        assert hub.application.io._directory.connect_observer is None


def shut_down(provider: TracerProvider) -> list[Any]:
    """Stop the provider and return its exporters."""
    processors = provider._active_span_processor._span_processors
    provider.shutdown()
    return [getattr(each, "span_exporter", None) for each in processors]


def test_variables_select_the_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shut_down(create_tracer_provider(NONE)) == []
    console = create_tracer_provider({"OTEL_TRACES_EXPORTER": "console"})
    assert len(shut_down(console)) == 1


def test_console_exporter_is_loaded_by_its_name() -> None:
    from hextrackr_server.telemetry.tracing import _exporters

    (exporter,) = _exporters({"OTEL_TRACES_EXPORTER": "console"})
    assert isinstance(exporter, ConsoleSpanExporter)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"OTEL_TRACES_EXPORTER": "missing"}, "OTEL_TRACES_EXPORTER=missing needs a package"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}, "must be one of grpc, http/protobuf"),
    ],
)
def test_unusable_exporter_fails(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        create_tracer_provider(environment)


def test_service_name_is_that_of_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert create_tracer_provider(NONE).resource.attributes["service.name"] == "hextrackr-server"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "hub-1")
    provider = create_tracer_provider(NONE | {"OTEL_SERVICE_NAME": "hub-1"})
    assert provider.resource.attributes["service.name"] == "hub-1"


def test_provider_of_the_process_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    assert create_tracer_provider({}) is provider


def test_missing_package_is_named_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    original: Callable[..., Any] = builtins.__import__

    def refuse(name: str, *args: Any) -> Any:
        if name.startswith("opentelemetry.sdk"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return original(name, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SettingsError, match=r"HEXTRACKR_TRACING needs opentelemetry.*pip install"):
        create_tracer_provider({})
