"""The metrics of the hub: values, descriptions, and the formats that a client can request."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text

from engineio_core.logs.background import BackgroundHandler
from hextrackr_server.errors import ServiceError
from hextrackr_server.kev.feature import KevFeature
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.exposition import Exposition
from hextrackr_server.telemetry.metrics import ERRORS, Metrics, describe
from scripts.metrics_document import hub_metrics
from socketio_core import SocketServer
from tests.contract.imports import ROWS, UNKNOWN_COLUMNS_CSV, run_import, start_import
from tests.contract.support import METRICS_TOKEN, HubHarness
from tests.helpers.kept_logging import kept_logging
from tests.hextrackr_server.kev_support import feed, item
from tests.hextrackr_server.support import FakeClock

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
Read = Callable[..., Awaitable[float]]
HEADERS = {"authorization": f"Bearer {METRICS_TOKEN.decode()}"}


def test_samples_are_those_of_gauges_and_counters() -> None:
    clock = FakeClock()
    metrics = Metrics(clock)
    metrics.gauge("events_total", lambda: 12_345_678, "Events")
    metrics.group(
        [describe("syncs_total", "Syncs", ("outcome",))],
        lambda: [("hextrackr_syncs", {"outcome": "failed"}, 2)],
    )
    metrics.error("packet")
    clock.advance(0.5)
    body, _ = Exposition(metrics, SocketServer()).encode("")
    families = {family.name: family for family in parse_text(body.decode())}
    assert families["hextrackr_events"].samples[0].value == 12_345_678
    assert families["hextrackr_uptime_seconds"].samples[0].value == 0.5
    assert families["hextrackr_syncs"].samples[0].labels == {"outcome": "failed"}
    errors = {each.labels["type"]: each.value for each in families["hextrackr_errors"].samples}
    assert errors == dict.fromkeys(ERRORS, 0) | {"packet": 1}
    assert families["process_open_fds"].samples[0].value > 0


def test_second_metric_of_a_name_fails() -> None:
    metrics = Metrics(FakeClock())
    with pytest.raises(ValueError, match="hextrackr_connections already"):
        metrics.gauge("connections", lambda: 0, "Collides with connections_total")


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubHarness]:
    async with HubHarness(tmp_path) as hub:
        yield hub


@pytest.fixture
def read_metric(hub: HubHarness) -> Read:
    async def read(name: str, **labels: str) -> float:
        answer = await hub.request("GET", "/metrics", HEADERS)
        return next(
            sample.value
            for family in parse_text(answer.body.decode())
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        )

    return read


async def test_metrics_have_help_texts_of_their_own(hub: HubHarness) -> None:
    for name, info in hub.application.context.metrics.infos.items():
        assert info.help != name.removeprefix("hextrackr_").replace("_", " "), name
        assert info.help[0].isupper() or info.help[0].isdigit()
        assert not info.help.endswith(".")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0"),
    ],
)
async def test_accept_header_selects_the_format(
    hub: HubHarness, accept: str, content_type: str
) -> None:
    answer = await hub.request("GET", "/metrics", HEADERS | {"accept": accept})
    assert answer.headers["content-type"].startswith(content_type)
    assert "Accept" in answer.headers["vary"].split(", ")
    text = answer.body.decode()
    assert text.endswith("# EOF\n") == ("openmetrics" in content_type)
    parse = text_string_to_metric_families if "openmetrics" in content_type else parse_text
    names = {family.name for family in parse(text)}
    assert {"hextrackr_active_connections", "hextrackr_connections", "socketio_sessions"} <= names


async def test_import_metrics_change(hub: HubHarness, read_metric: Read) -> None:
    client = await hub.client("7")
    await run_import(client)
    assert await read_metric("hextrackr_imports_total", outcome="completed") == 1
    assert await read_metric("hextrackr_import_rows_total") == len(ROWS)
    assert await read_metric("hextrackr_import_duration_seconds_count") == 1
    assert await read_metric("hextrackr_imports_running") == 0
    assert await read_metric("hextrackr_imports_queued") == 0


async def test_failed_import_is_counted(hub: HubHarness, read_metric: Read) -> None:
    client = await hub.client("7")
    assert (await start_import(client, UNKNOWN_COLUMNS_CSV))["success"]
    await client.receive_event("import-failed")
    assert await read_metric("hextrackr_imports_total", outcome="failed") == 1
    assert await read_metric("hextrackr_import_rows_total") == 0


async def test_queued_import_is_counted(hub: HubHarness, read_metric: Read) -> None:
    hub.application.services.tracker.queue(1, "7", "scan.csv", "x", session_id="session-1")
    assert await read_metric("hextrackr_imports_queued") == 1
    assert await read_metric("hextrackr_imports_running") == 0
    hub.application.services.tracker.start(1)
    assert await read_metric("hextrackr_imports_queued") == 0
    assert await read_metric("hextrackr_imports_running") == 1


async def test_log_metrics_change(hub: HubHarness, read_metric: Read) -> None:
    with kept_logging():
        handler = log_setup.configure("json", stream=io.StringIO(), lines_per_kind=1)
        assert isinstance(handler, BackgroundHandler)
        before = await read_metric("hextrackr_log_lines_omitted_total")
        for _ in range(3):
            logging.getLogger("library").warning("retry")
        assert await read_metric("hextrackr_log_lines_omitted_total") == before + 2
        assert await read_metric("hextrackr_log_lines_dropped_total") == 0
        handler.close()
        handler.dropped = 5
        assert await read_metric("hextrackr_log_lines_dropped_total") == 5


async def test_kev_metrics_change(hub: HubHarness, read_metric: Read) -> None:
    feature = next(each for each in hub.application.features if isinstance(each, KevFeature))
    service = feature._service
    assert service is not None
    with pytest.raises(ServiceError):
        await service.sync(body=b"not a catalog")
    assert await read_metric("hextrackr_kev_syncs_total", outcome="failed") == 1
    await service.sync(body=feed(item()))
    assert await read_metric("hextrackr_kev_syncs_total", outcome="completed") == 1
    assert await read_metric("hextrackr_kev_last_sync_timestamp_seconds") > 1e9
    assert await read_metric("hextrackr_kev_syncing") == 0


async def test_every_metric_of_sockets_and_users_changes(tmp_path: Path) -> None:
    async with HubHarness(tmp_path, notification_acks=True, events_per_minute=2) as hub:
        before = await read_all(hub)
        client = await hub.client("7")
        second = await hub.client("7")
        await client.emit_with_ack("start-editing", "ticket", "1")
        for _ in range(4):
            await client.emit_with_ack("start-editing", "ticket", "2")
        await hub.connect_error()
        second.connection.cut()
        await hub.advance(0)
        await hub.client("7")
        hub.application.services.notifications.user("7", "info", "scan done")
        admin = await hub.client("1", "admin", "/admin")
        window = {"startTime": hub.clock.epoch_ms(), "duration": 600_000}
        assert (await admin.emit_with_ack("system-maintenance", window))["success"]
        await hub.advance(2)
        hub.application.io.begin_drain()
        after = await read_all(hub)
    changed = {
        "connections_total", "reconnections_total", "errors_total", "uptime_seconds",
        "active_connections", "sessions", "events_total", "events_refused_total", "editors",
        "maintenance", "draining", "notifications_under_way",
    }  # fmt: skip
    for name in changed:
        assert after[f"hextrackr_{name}"] > before[f"hextrackr_{name}"], name
    assert after["hextrackr_memory_bytes"] > 0


async def read_all(hub: HubHarness) -> dict[str, float]:
    """Return the sum of the samples of each series."""
    text = (await hub.request("GET", "/metrics", HEADERS)).body.decode()
    found: dict[str, float] = {}
    for family in parse_text(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def test_metrics_of_the_cluster_are_those_of_the_adapter(tmp_path: Path) -> None:
    infos = hub_metrics()
    for name in ("cluster_connected", "cluster_sent", "gateways", "notifications_under_way"):
        assert f"hextrackr_{name}" in infos
