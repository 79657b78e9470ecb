"""Overview and exploited vulnerabilities in Chromium: each case of `overview.js` is one test."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.hextrackr_server.kev_support import feed, item

from .hub import Hub, running_hub
from .support import Browser, find_cases, require_build

pytestmark = pytest.mark.timeout(900)

SCRIPT = "overview.js"
SEVERITIES = ("Critical", "High", "Medium", "Low")
PRODUCER = "p" * 32
DAYS = ("2025-09-23", "2025-09-30")


def catalog(sample: Path) -> tuple[bytes, list[tuple[str, str, bool]]]:
    """Return a catalog with CVEs of an export, and these with their due dates."""
    with sample.open(newline="") as file:
        cells = {row["definition.cve"] for row in csv.DictReader(file)}
    cves = sorted(each for each in cells if each.startswith("CVE-") and "," not in each)[:4]
    today = datetime.now(UTC).date()
    dues = [(today + timedelta(days=days)).isoformat() for days in (-40, -1, 2, 30)]
    entries = [item(cve, dueDate=due) for cve, due in zip(cves, dues, strict=True)]
    expected = [(cve, due, due < today.isoformat()) for cve, due in zip(cves, dues, strict=True)]
    return feed(*entries, *(item(f"CVE-1999-{1000 + each}") for each in range(5))), expected


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, dict[str, Any]]]:
    """Return a hub with two scans and a catalog, and the numbers that its pages must show."""
    require_build()
    directory = tmp_path_factory.mktemp("hub")
    (directory / "kev.json").write_text("{}")
    settings = {
        "HEXTRACKR_KEV_FILE": str(directory / "kev.json"),
        "HEXTRACKR_INGEST_TOKENS": f"scanner:progress:{PRODUCER}",
    }
    with running_hub(directory, **settings) as hub:
        numbers = fill(hub)
        yield hub, {"url": hub.url, "token": hub.token("1", "admin")} | numbers


def fill(hub: Hub) -> dict[str, Any]:
    """Import two scans and a catalog, and return the numbers of the database."""
    directory = hub.directory
    samples = [hub.sample(600), hub.sample(900)]
    for sample, day in zip(samples, DAYS, strict=True):
        hub.import_file(sample, scope="full", confirm="true", scanDate=day)
    content, exploited = catalog(samples[-1])
    (directory / "kev.json").write_bytes(content)
    assert hub.request("POST", "/api/kev/sync").json()["matchedCount"] == len(exploited)
    with closing(sqlite3.connect(directory / "hub.db")) as connection:
        columns = ", ".join(f"{each.lower()}_count" for each in SEVERITIES)
        days = connection.execute(
            f"SELECT scan_date, {columns}, resolved_count, reopened_count "
            "FROM vulnerability_daily_totals ORDER BY scan_date DESC"
        ).fetchall()
        vpr = connection.execute(
            f"SELECT {columns.replace('_count', '_total_vpr')} FROM vulnerability_daily_totals "
            "ORDER BY scan_date DESC LIMIT 1"
        ).fetchone()
    return {
        "severities": {
            severity: {"number": days[0][1 + index], "vpr": vpr[index]}
            for index, severity in enumerate(SEVERITIES)
        },
        "days": days,
        "exploited": exploited,
        "entries": len(json.loads(content)["vulnerabilities"]),
    }


# The case with an import changes the numbers, so that case is the last one.
CASES = sorted(find_cases(SCRIPT), key=lambda case: case.startswith("an import"))


@pytest.mark.parametrize("case", CASES)
def test_case_passes_in_chromium(
    browser: Browser, given: tuple[Hub, dict[str, Any]], case: str
) -> None:
    hub, numbers = given

    def import_more() -> None:
        hub.import_file(hub.sample(400, 2), scope="none", scanDate="2025-10-07")

    def report(method: str, path: str, body: dict[str, Any]) -> None:
        headers = {"authorization": f"Bearer {PRODUCER}"}
        answer = hub.request(method, f"/ingest/v1/{path}", headers=headers, json=body)
        assert answer.status_code == 202, answer.text

    browser.run(SCRIPT, case, numbers, import_more=import_more, report=report)
