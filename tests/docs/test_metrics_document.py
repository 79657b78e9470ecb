"""docs/metrics.md, the Grafana dashboard and the alert rules match the metrics of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from hextrackr_server.telemetry.exposition import Exposition
from scripts.metrics_document import DOCUMENT, hub_metrics, render
from socketio_core import SocketServer
from socketio_core.adapters.cluster.in_process import InProcessCluster
from socketio_core.prometheus import instrument_prometheus
from socketio_core.server_metrics import METRICS, MetricInfo
from tests.contract.support import HubHarness
from tests.docs.tables import read_rows
from tests.helpers.promtool import run_promtool

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "hextrackr.json"
RULES = ROOT / "deploy" / "prometheus" / "hextrackr.rules.yml"
PROCESS = {
    "process_cpu_seconds_total", "process_max_fds", "process_open_fds",
    "process_resident_memory_bytes",
}  # fmt: skip


def exported(info: MetricInfo) -> set[str]:
    """Return the names of the series of a metric."""
    if info.kind == "histogram":
        return {f"{info.name}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return {info.exported}


@pytest.fixture(scope="module")
def infos() -> dict[str, MetricInfo]:
    return METRICS | hub_metrics()


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:socketio|hextrackr|process)_\w+", expression))


def labels_in(expression: str) -> list[tuple[str, set[str]]]:
    """Return the metrics with selectors in an expression, and the labels of each selector."""
    return [
        (name, set(re.findall(r"(\w+)(?:=~|!=|=)", selector)))
        for name, selector in re.findall(r"(\w+)\{([^}]*)\}", expression)
    ]


def dashboard_queries() -> list[str]:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", ())]
    variables = dashboard["templating"]["list"]
    queries = [each["query"]["query"] for each in variables if each["type"] == "query"]
    return [*queries, *(target["expr"] for target in targets)]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]
            for rule in group["rules"]]  # fmt: skip


def test_tables_list_the_metrics_of_the_code() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert render(text) == text, "run scripts/metrics_document.py"


@pytest.mark.parametrize("expression", [*dashboard_queries(), *(rule["expr"] for rule in rules())])
def test_query_reads_existing_metrics_and_labels(
    expression: str, infos: dict[str, MetricInfo]
) -> None:
    series = {name: info for info in infos.values() for name in exported(info)}
    assert names_in(expression)
    assert names_in(expression) <= series.keys() | PROCESS
    for name, labels in labels_in(expression):
        known = {"job", "instance"} | set(series[name].labels if name in series else ())
        assert labels <= known, name


def test_dashboard_shows_each_metric_of_the_library() -> None:
    shown = {name for query in dashboard_queries() for name in names_in(query)}
    missing = [info.name for info in METRICS.values() if not exported(info) & shown]
    assert not missing


def test_document_lists_the_alerts() -> None:
    listed = [row[0].strip("`") for row in read_rows("metrics.md", "Dashboard and alerts")]
    assert listed == [rule["alert"] for rule in rules()]


@pytest.mark.promtool
def test_promtool_accepts_the_alert_rules() -> None:
    assert run_promtool("check", "rules", str(RULES)) == ""


@pytest.mark.promtool
def test_promtool_reports_a_metric_without_help() -> None:
    assert "help" in run_promtool("check", "metrics", text="# TYPE x gauge\nx 1\n")


@pytest.mark.promtool
def test_promtool_accepts_the_metrics_of_a_server() -> None:
    registry = CollectorRegistry()
    instrument_prometheus(
        SocketServer(adapter=InProcessCluster().join()), registry, labels={"server": "chat"}
    )
    assert run_promtool("check", "metrics", text=generate_latest(registry).decode()) == ""


@pytest.mark.promtool
async def test_promtool_accepts_the_metrics_of_the_hub(tmp_path: Path) -> None:
    async with HubHarness(tmp_path, notification_acks=True) as hub:
        await hub.client("7")
        context = hub.application.context
        context.metrics.gauge("gateways", lambda: 0, "Linked gateways")
        context.metrics.gauge("cluster_sent_total", lambda: 0, "Messages to other servers")
        text = Exposition(context.metrics, SocketServer()).encode("")[0].decode()
    assert run_promtool("check", "metrics", text=text) == ""
