"""Helpers for tests of single formats: synthetic exports, and findings compared in all values."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hextrackr_server.imports.formats.inspection import Inspection, inspect_file

SCAN_DATE = "2030-06-01"
VALUES = (
    "hostname", "ip_address", "host_key", "cve", "severity", "cvss_score", "vpr_score",
    "plugin_id", "plugin_name", "vendor", "first_seen", "last_seen", "vulnerability_date",
    "state", "lifecycle_state", "operating_system",
)  # fmt: skip


def inspect_text(
    folder: Path, content: str | bytes, name: str = "export.csv", **options: Any
) -> Inspection:
    """Inspect an export with the given content; the scan date is 2030-06-01."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return inspect_file(path, **{"scan_date": SCAN_DATE} | options)


def make_csv(
    header: Sequence[str] | str, *rows: Mapping[str, object], quotes_all: bool = False,
    delimiter: str = ",", end: str = "\n",
) -> str:  # fmt: skip
    """Return a CSV text; each row maps some column names to their cells."""
    names = header.split(",") if isinstance(header, str) else list(header)
    assert {key for row in rows for key in row} <= set(names)
    file = io.StringIO()
    quoting = csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL
    writer = csv.writer(file, quoting=quoting, delimiter=delimiter, lineterminator=end)
    writer.writerow(names)
    writer.writerows([row.get(name, "") for name in names] for row in rows)
    return file.getvalue()


def expect(host_key: str, **values: object) -> dict[str, Any]:
    """Return all values of an expected finding; those that are not given have the usual value."""
    is_address = host_key.replace(".", "").isdigit() or ":" in host_key
    return {
        "hostname": host_key if is_address else host_key.partition(".")[0],
        "ip_address": host_key if is_address else "",
        "host_key": host_key,
        "cve": "",
        "severity": "High",
        "cvss_score": None,
        "vpr_score": None,
        "plugin_id": "",
        "plugin_name": "",
        "vendor": "Other",
        "first_seen": SCAN_DATE,
        "last_seen": SCAN_DATE,
        "vulnerability_date": None,
        "state": "ACTIVE",
        "lifecycle_state": "active",
        "operating_system": "",
    } | values


def check_findings(inspection: Inspection, *expected: Mapping[str, Any]) -> None:
    """Compare all findings of an inspection in all values, and expected `extra` values."""
    assert inspection.refused is None
    found = [finding.as_json() for finding in inspection.findings]
    for values, wanted in zip(found, expected, strict=False):
        extra = wanted.get("extra", {})
        values["extra"] = {name: values["extra"].get(name) for name in extra}
        compared = {name: values[name] for name in VALUES} | {"extra": values["extra"]}
        assert compared == {"extra": {}, **wanted}
    assert len(found) == len(expected)


def messages(inspection: Inspection) -> list[tuple[str | None, int | None, str | None, str]]:
    """Return the warnings as tuples."""
    names = ("column", "row", "value", "message")
    return [tuple(each[name] for name in names) for each in inspection.warnings]  # type: ignore[misc]
