"""Tests of exports of findings."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from hextrackr_server.errors import ServiceError
from hextrackr_server.findings import export
from hextrackr_server.findings.export import COLUMNS, ExportRequest, FindingExporter
from hextrackr_server.findings.query_executor import QueryExecutor
from tests.hextrackr_server.support import Workbench

HEADER = ("hostname", "cve", "severity", "description", "state", "vendor")
ROWS = [
    ["web-1.example.test", "CVE-2030-1001", "High", 'one,\n"two"', "Open", "CISCO"],
    ["web-2", "CVE-2030-1002", "Low", "=1+1", "Open", ""],
    ["web-3", "CVE-2030-1003", "Low", "closed", "Fixed", ""],
]


async def exported(workbench: Workbench, **parameters: str) -> str:
    workbench.import_rows(ROWS, HEADER)
    executor = QueryExecutor()
    exporter = FindingExporter(workbench.database, executor)
    chunks = [chunk async for chunk in exporter.export(ExportRequest(parameters), "7")]
    executor.close()
    return b"".join(chunks).decode()


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("page_rows", [1, 2, 1000])
async def test_csv_contains_the_open_findings_in_all_page_sizes(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch, page_rows: int
) -> None:
    monkeypatch.setattr(export, "PAGE_ROWS", page_rows)
    rows = read_csv(await exported(workbench))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["hostname"], row["host_key"], row["cve"]) for row in rows] == [
        ("web-1", "web-1.example.test", "CVE-2030-1001"),
        ("web-2", "web-2", "CVE-2030-1002"),
    ]
    assert rows[0]["description"] == 'one,\n"two"'
    assert rows[0]["source"] == "hub"


async def test_csv_cell_is_not_a_formula(workbench: Workbench) -> None:
    rows = read_csv(await exported(workbench))
    assert rows[1]["description"] == "'=1+1"


@pytest.mark.parametrize("page_rows", [1, 3, 1000])
async def test_json_contains_the_findings_of_a_state(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch, page_rows: int
) -> None:
    monkeypatch.setattr(export, "PAGE_ROWS", page_rows)
    found: list[dict[str, Any]] = json.loads(await exported(workbench, format="json", state="all"))
    assert [row["lifecycle_state"] for row in found] == ["active", "active", "resolved"]
    assert found[1]["description"] == "=1+1"
    assert found[2]["resolution_reason"] == "reported_fixed"
    assert found[0]["cvss_score"] is None


async def test_export_is_filtered(workbench: Workbench) -> None:
    rows = read_csv(await exported(workbench, severity="high,critical", vendor="CISCO"))
    assert [row["cve"] for row in rows] == ["CVE-2030-1001"]


async def test_export_without_findings_is_an_empty_list(workbench: Workbench) -> None:
    assert json.loads(await exported(workbench, format="json", hostname="nowhere")) == []


@pytest.mark.parametrize(
    ("parameters", "path"),
    [({"format": "xml"}, "format"), ({"state": "half"}, "state"), ({"owner": "me"}, "owner")],
)
def test_invalid_parameter_is_refused_with_its_name(parameters: dict[str, str], path: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        ExportRequest(parameters)
    assert refusal.value.fields is not None
    assert refusal.value.fields[0]["path"] == path
